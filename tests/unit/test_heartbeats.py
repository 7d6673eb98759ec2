"""Heartbeats: a first reply is the template, another one ends them, a lost one is asked anew."""

from __future__ import annotations

import pytest

from fastkafka import protocol
from fastkafka.config import resolve
from fastkafka.control.coordinators import Coordinators
from fastkafka.errors import KafkaError
from fastkafka.group.heartbeats import EndingReason, Heartbeats, Pulse
from tests.unit.control_fakes import FakeCluster, FakeCore, driven
from tests.unit.test_group_offsets import FakeGroup

MEMBER = {"group_id": "g", "generation_id": 3, "member_id": "m-1"}


class Beating:
    """Heartbeats on a loop with its own time, and how they ended."""

    def __init__(self, core, rooms):
        self.core, self.rooms = core, rooms
        FakeCluster(core)
        self.group = FakeGroup(core)
        self.codes = []
        self.endings = []
        core.answers["heartbeat"] = self.answer
        settings = resolve("consumer", {"bootstrap.servers": "127.0.0.1:9000", "group.id": "g"}, {})
        control = rooms.control
        self.heartbeats = Heartbeats(
            control,
            settings,
            Coordinators(control.conversations, control.metadata, settings),
            on_ended=self.endings.append,
        )

    def answer(self, node_id, version, body):
        return {"error_code": self.group.code_of(node_id, self.codes)}

    def begin(self, plain_code=0):
        async def begin():
            self.heartbeats.begin(
                Pulse(
                    "heartbeat",
                    MEMBER,
                    lambda body: body["error_code"] == plain_code,
                    interval_ms=3000,
                    session_timeout_ms=45000,
                    lease_ms=45000,
                    max_poll_interval_ms=300000,
                )
            )

        self.rooms.run(begin())

    def repeated(self, count=1):
        """Run until the core repeats for the count-th time; return its id and terms."""
        self.rooms.run_until(lambda: len(self.core.said("repeat_request")) >= count)
        repeat_id, node_id, _, api_name, body, terms = self.core.said("repeat_request")[-1]
        assert api_name == "heartbeat" and body["member_id"] == "m-1"
        return repeat_id, node_id, terms

    def reply(self, code, throttle_time_ms=0):
        """Return the payload of a heartbeat's reply in the version that is spoken here."""
        version = self.core.asked("heartbeat")[-1][1]
        body = {"error_code": code, "throttle_time_ms": throttle_time_ms}
        return protocol.encode_response(12, version, 77, body)

    def ended(self):
        self.rooms.run_until(lambda: self.endings)
        (ending,) = self.endings
        return ending


@pytest.fixture
def beating():
    core = FakeCore()
    with driven(core, "consumer") as rooms:
        beating = Beating(core, rooms)
        yield beating
        beating.heartbeats.stop()


def test_first_plain_reply_becomes_the_template_of_the_others(beating):
    beating.begin()
    _, node_id, terms = beating.repeated()
    assert node_id == 2  # the coordinator
    assert terms["interval_ms"] == 3000
    assert terms["lease_ms"] == 45000
    assert terms["max_poll_interval_ms"] == 300000
    assert terms["timeout_ms"] == 15000
    offset, length = terms["varying"]
    with_throttling = beating.reply(0, throttle_time_ms=0x01020304)
    assert with_throttling[offset : offset + length] == bytes([1, 2, 3, 4])
    whole = terms["plain"][:offset] + with_throttling[offset : offset + length]
    assert (whole + terms["plain"][offset + length :])[4:] == with_throttling[4:]
    assert not beating.endings


def test_lease_goes_on_from_when_an_answered_heartbeat_was_sent(beating):
    seen = []

    def answer(node_id, version, body):
        seen.append(beating.core.said("begin_lease"))
        code = KafkaError.COORDINATOR_LOAD_IN_PROGRESS if len(seen) < 4 else 0
        return {"error_code": code}

    beating.core.answers["heartbeat"] = answer
    began = beating.rooms.loop.time()
    beating.begin()
    beating.repeated()
    waited_ms = 1000 * (beating.rooms.loop.time() - began)
    assert seen == [[], [], [], []]
    ((lease_ms,),) = beating.core.said("begin_lease")
    assert 45000 - waited_ms - 1 <= lease_ms < 45000  # whole milliseconds, rounded down


def test_first_reply_that_is_not_plain_ends_them(beating):
    beating.codes = [KafkaError.REBALANCE_IN_PROGRESS]
    beating.begin()
    ending = beating.ended()
    assert ending.reason is EndingReason.ANSWERED
    assert ending.body["error_code"] == KafkaError.REBALANCE_IN_PROGRESS
    assert ending.error.code() == KafkaError.REBALANCE_IN_PROGRESS
    assert not beating.core.said("repeat_request")


def test_an_error_can_be_the_plain_reply(beating):
    beating.codes = [KafkaError.REBALANCE_IN_PROGRESS]
    beating.begin(plain_code=KafkaError.REBALANCE_IN_PROGRESS)
    _, _, terms = beating.repeated()
    assert terms["plain"][4:] == beating.reply(KafkaError.REBALANCE_IN_PROGRESS)[4:]


def test_a_later_reply_that_differs_ends_them(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    payload = beating.reply(KafkaError.UNKNOWN_MEMBER_ID)
    beating.core.end_repetition(repeat_id, "answered", payload)
    assert beating.ended().error.code() == KafkaError.UNKNOWN_MEMBER_ID


def test_a_lost_heartbeat_is_sent_again_to_the_coordinator_of_then(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    beating.group.node_id = 1
    beating.core.end_repetition(repeat_id, "failed", None, KafkaError._TRANSPORT, "gone")
    _, node_id, _ = beating.repeated(2)
    assert node_id == 1
    assert not beating.endings


@pytest.mark.parametrize(
    "code", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS]
)
def test_a_coordinator_that_moved_or_loads_is_no_ending(beating, code):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    beating.core.end_repetition(repeat_id, "answered", beating.reply(code))
    beating.repeated(2)
    assert not beating.endings


def test_a_reply_that_cannot_be_read_is_asked_for_again(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    beating.core.end_repetition(repeat_id, "answered", b"\0\0\0\1rubbish")
    beating.repeated(2)
    assert not beating.endings


def test_application_that_does_not_poll_ends_them_with_its_error(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    beating.core.end_repetition(repeat_id, "poll_interval")
    ending = beating.ended()
    assert ending.reason is EndingReason.POLL_INTERVAL
    assert ending.error.code() == KafkaError._MAX_POLL_EXCEEDED
    assert "300000" in ending.error.str()


def test_a_session_without_any_reply_is_over(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    began = beating.rooms.loop.time()
    beating.core.down = {1, 2}
    beating.core.end_repetition(repeat_id, "failed", None, KafkaError._TRANSPORT, "gone")
    ending = beating.ended()
    assert ending.reason is EndingReason.SESSION_TIMEOUT
    assert ending.error.code() == KafkaError._TIMED_OUT
    assert 45 <= beating.rooms.loop.time() - began < 60


def test_a_group_that_is_not_ours_ends_them(beating):
    beating.core.answers["find_coordinator"] = lambda node_id, version, body: {
        "coordinators": [
            {
                "key": "g",
                "node_id": -1,
                "host": "",
                "port": -1,
                "error_code": KafkaError.GROUP_AUTHORIZATION_FAILED,
                "error_message": None,
            }
        ]
    }
    beating.begin()
    ending = beating.ended()
    assert ending.reason is EndingReason.REFUSED
    assert ending.error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_stopped_heartbeats_end_in_the_core_and_tell_nothing(beating):
    beating.begin()
    repeat_id, _, _ = beating.repeated()
    beating.core.end_repetition(repeat_id, "poll_interval")
    beating.heartbeats.stop()  # what was under way comes later
    assert beating.core.said("end_repeating") == [(repeat_id,)]
    began = beating.rooms.loop.time()
    beating.rooms.run_until(lambda: beating.rooms.loop.time() > began + 60)
    assert not beating.endings


def test_beginning_anew_replaces_the_request(beating):
    beating.begin()
    first, _, _ = beating.repeated()
    beating.codes = [KafkaError.REBALANCE_IN_PROGRESS]
    beating.begin(plain_code=KafkaError.REBALANCE_IN_PROGRESS)
    second, _, _ = beating.repeated(2)
    assert beating.core.said("end_repeating") == [(first,)]
    beating.core.end_repetition(first, "failed", None, KafkaError._TRANSPORT, "late")
    beating.core.end_repetition(second, "answered", beating.reply(0))
    assert beating.ended().body["error_code"] == 0
