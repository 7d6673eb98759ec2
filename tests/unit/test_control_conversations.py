"""Conversations and handshakes: versions, answers, failures, and what the application is told."""

from __future__ import annotations

import asyncio

import pytest

from fastkafka import protocol
from fastkafka.control.core_face import ROLE_CONTROL, ROLE_COORDINATOR
from fastkafka.control.handshake import checked_versions
from fastkafka.errors import (
    CorruptFrame,
    KafkaError,
    TimedOut,
    TransportError,
    UnsupportedVersion,
)
from tests.unit.control_fakes import FakeCluster, FakeCore, all_versions, driven

METADATA = protocol.API_BY_NAME["metadata"]
NEWEST_API_VERSIONS = protocol.API_BY_NAME["api_versions"].max_version


@pytest.fixture
def core():
    core = FakeCore()
    FakeCluster(core)
    return core


def only(core, api_name, low, high):
    """Let every broker speak these versions of one API, and of the others what we do."""

    def answer(node_id, version, body):
        rows = all_versions(node_id, version, body)["api_keys"]
        key = protocol.API_BY_NAME[api_name].key
        others = [row for row in rows if row["api_key"] != key]
        own = [{"api_key": key, "min_version": low, "max_version": high}]
        return {"error_code": 0, "api_keys": others + (own if high >= 0 else [])}

    core.answers["api_versions"] = answer


# handshakes


def test_knock_that_fails_before_its_task_begins_is_not_lost(core):
    with driven(core) as rooms:
        conversations = rooms.control.conversations

        def submit(node_id, role, frame, timeout_ms):
            loop = asyncio.get_running_loop()
            loop.call_soon(conversations.on_failed, 7, KafkaError._TRANSPORT, "refused")
            return 7

        core.submit = submit
        with pytest.raises(TransportError):
            rooms.run(conversations.versions_of(-1))


def test_handshake_tells_who_we_are_and_gives_the_core_the_versions(core):
    with driven(core, client_software_version="9.9") as rooms:
        rooms.run(rooms.control.conversations.versions_of(-1))
    node_id, version, body = core.asked("api_versions")[0]
    assert (node_id, version) == (-1, NEWEST_API_VERSIONS)
    assert body == {"client_software_name": "fastkafka", "client_software_version": "9.9"}
    _, versions = core.said("connection_up")[0]
    assert versions[METADATA.key] == (METADATA.min_version, METADATA.max_version)


@pytest.mark.parametrize(("offered", "used"), [(2, 2), (None, 0), (NEWEST_API_VERSIONS + 3, 3)])
def test_broker_that_does_not_know_our_api_versions_is_asked_in_its_own(core, offered, used):
    def answer(node_id, version, body):
        if version < NEWEST_API_VERSIONS:
            return all_versions(node_id, version, body)
        row = {"api_key": 18, "min_version": 0, "max_version": offered}
        return {
            "error_code": KafkaError.UNSUPPORTED_VERSION,
            "api_keys": [] if offered is None else [row],
        }

    core.answers["api_versions"] = answer
    with driven(core) as rooms:
        rooms.run(rooms.control.conversations.versions_of(-1))
    asked = [version for _, version, _ in core.asked("api_versions")]
    assert asked[:2] == [NEWEST_API_VERSIONS, used]
    assert len(core.said("connection_up")) == 1


def test_broker_that_refuses_every_version_is_not_asked_for_ever(core):
    core.answers["api_versions"] = lambda *_: {
        "error_code": KafkaError.UNSUPPORTED_VERSION,
        "api_keys": [],
    }
    with driven(core) as rooms:
        with pytest.raises(UnsupportedVersion):
            rooms.run(rooms.control.conversations.versions_of(-1))
    handshakes = [row for row in core.asked("api_versions") if row[0] == -1]
    assert len(handshakes) <= 2 * len(core.said("close_connection"))


@pytest.mark.parametrize(("low", "high"), [(5, 4), (-1, 4)])
def test_senseless_version_ranges_close_the_connection(core, low, high):
    body = {"api_keys": [{"api_key": 0, "min_version": low, "max_version": high}]}
    core.answers["api_versions"] = lambda *_: {"error_code": 0, **body}
    with driven(core) as rooms:
        with pytest.raises(CorruptFrame, match="bootstrap server 127"):
            rooms.run(rooms.control.conversations.versions_of(-1))
    assert core.said("connection_up") == []
    assert core.said("close_connection")[0][2] == KafkaError._BAD_MSG


def test_broker_of_another_age_is_told_by_its_versions():
    row = {"api_key": METADATA.key, "min_version": 90, "max_version": 99}
    with pytest.raises(UnsupportedVersion, match=r"metadata.*90 to 99 there"):
        checked_versions({"api_keys": [row]}, "broker 1 (h:9092)")
    with pytest.raises(UnsupportedVersion):
        checked_versions({"api_keys": []}, "broker 1 (h:9092)")
    row["min_version"] = METADATA.max_version
    assert checked_versions({"api_keys": [row]}, "") == {METADATA.key: (METADATA.max_version, 99)}


def test_garbled_handshake_says_what_the_other_side_may_be(core):
    core.answers["api_versions"] = lambda *_: b"\x00\x00\x00\x00HTTP/1.1"
    with driven(core) as rooms:
        with pytest.raises(CorruptFrame, match=r"handshake failed.*Is it a plaintext listener"):
            rooms.run(rooms.control.conversations.versions_of(-1))
        assert rooms.errors[0].code() == KafkaError._BAD_MSG


def test_broker_that_closes_at_once_is_told_with_the_words_of_the_core(core):
    core.answers["api_versions"] = lambda node_id, *_: core.disconnect(node_id, "closed at once")
    with driven(core) as rooms:
        with pytest.raises(TransportError, match="bootstrap server 127.0.0.1:9000: closed at once"):
            rooms.run(rooms.control.conversations.versions_of(-1))
        assert rooms.errors[0].str() == "bootstrap server 127.0.0.1:9000: closed at once"


# versions


def test_request_goes_out_in_the_newest_version_that_both_speak(core):
    only(core, "metadata", 0, 8)
    with driven(core) as rooms:
        answer = rooms.run(rooms.control.conversations.request(-1, "metadata", {"topics": []}))
    assert answer.version == 8
    assert answer.node_id == -1


def test_body_may_depend_on_the_version(core):
    seen = []

    def body(version):
        seen.append(version)
        return {"topics": []}

    with driven(core) as rooms:
        rooms.run(rooms.control.conversations.request(-1, "metadata", body))
    assert seen == [METADATA.max_version]


@pytest.mark.parametrize(("low", "high", "theirs"), [(90, 99, "90 to 99"), (0, -1, "none")])
def test_api_that_the_broker_lacks_is_told_with_both_ranges(core, low, high, theirs):
    only(core, "create_topics", low, high)
    with driven(core) as rooms:
        with pytest.raises(UnsupportedVersion) as caught:
            rooms.run(rooms.control.conversations.request(-1, "create_topics", {}))
    assert f"has versions {theirs} of create_topics, this client" in caught.value.args[0].str()


def test_versions_are_asked_anew_after_the_last_connection_ended(core):
    with driven(core) as rooms:
        talk = rooms.control.conversations
        rooms.run_until(lambda: core.said("set_cluster_view"))
        assert talk.is_up(-1)
        core.disconnect(-1, "closed by the broker")
        rooms.run_until(lambda: not talk.is_up(-1))
        only(core, "metadata", 0, 9)
        assert rooms.run(talk.versions_of(-1))[METADATA.key] == (0, 9)


# answers and failures


def test_failed_request_names_the_request_and_the_broker(core):
    core.answers["create_topics"] = lambda *_: KafkaError(KafkaError._TIMED_OUT, "no answer")
    with driven(core) as rooms:
        with pytest.raises(TimedOut) as caught:
            rooms.run(rooms.control.conversations.request(-1, "create_topics", {}))
    text = "create_topics of bootstrap server 127.0.0.1:9000: no answer"
    assert caught.value.args[0].str() == text


def test_garbled_answer_closes_only_the_connection_of_its_role(core):
    core.answers["create_topics"] = lambda *_: b"\x00"
    with driven(core) as rooms:
        talk = rooms.control.conversations
        rooms.run(talk.request(-1, "metadata", {"topics": []}, role=ROLE_COORDINATOR))
        with pytest.raises(CorruptFrame, match="bootstrap server"):
            rooms.run(talk.request(-1, "create_topics", {}, role=ROLE_CONTROL))
    assert len(core.said("close_connection")) == 1


def test_late_answer_to_a_cancelled_request_is_ignored(core):
    core.silent = {-1}
    with driven(core) as rooms:
        rooms.control.conversations.on_response(4711, b"")
        rooms.control.conversations.on_failed(4711, KafkaError._TRANSPORT, "x")
        with pytest.raises(asyncio.TimeoutError):
            rooms.run(asyncio.wait_for(rooms.control.conversations.versions_of(-1), 1))
        core.silent = set()


def test_broker_that_throttles_is_left_alone_for_that_time(core):
    whole = core.answers["metadata"]
    core.answers["metadata"] = lambda *args: {**whole(*args), "throttle_time_ms": 3000}
    with driven(core) as rooms:
        talk = rooms.control.conversations
        rooms.run(talk.request(-1, "metadata", {"topics": []}))
        began = rooms.loop.time()
        rooms.run(talk.request(-1, "metadata", {"topics": []}))
        assert 2.9 <= rooms.loop.time() - began <= 3.1


def test_senseless_throttle_time_does_not_silence_the_client(core):
    whole = core.answers["metadata"]
    core.answers["metadata"] = lambda *args: {**whole(*args), "throttle_time_ms": 2147483647}
    with driven(core) as rooms:
        talk = rooms.control.conversations
        rooms.run(talk.request(-1, "metadata", {"topics": []}))
        began = rooms.loop.time()
        rooms.run(talk.request(-1, "metadata", {"topics": []}))
        assert rooms.loop.time() - began <= 61


def test_unknown_broker_raises_rather_than_hangs(core):
    with driven(core) as rooms:
        with pytest.raises(TransportError, match="No broker is known"):
            rooms.run(rooms.control.conversations.first_up([]))


def test_idle_connection_that_ends_is_no_error_of_the_client(core):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        core.disconnect(-1, "closed by the broker")
        rooms.run_until(lambda: not rooms.control.conversations.is_up(-1))
        assert rooms.errors == []


def test_same_error_of_the_same_place_is_told_once_per_interval(core):
    with driven(core) as rooms:
        now = [0.0]
        reports = type(rooms.control.reports)(
            rooms.errors.append, lambda: now[0], rooms.control.log
        )
        error = KafkaError(KafkaError._TRANSPORT, "down")
        assert reports.tell(error, "a")
        assert not reports.tell(error, "a")
        assert reports.tell(error, "b")
        now[0] = 10.0
        assert reports.tell(error, "a")
        reports.forget("a")
        assert reports.tell(error, "a")
        assert len(rooms.errors) == 4


def test_error_callback_that_raises_does_not_stop_the_client(core):
    def fails(error):
        raise RuntimeError("mine")

    core.down = {-1}
    with driven(core) as rooms:
        rooms.control.reports._on_error = fails
        rooms.run(asyncio.sleep(1))
        core.down = set()
        rooms.run_until(lambda: core.said("set_cluster_view"))
