"""A member of a group whose coordinator lies: it may be told nonsense, and never crashes or hangs.

A proxy changes answers about groups on their way, bytes or fields. An answer that is well formed
and false can end a membership, or begin it elsewhere: what it cannot do is bring a record that
nobody wrote, raise anything but a KafkaException, or keep the consumer from ending in time.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import Consumer, KafkaException, Producer, TopicPartition, protocol
from fastkafka.broker import EmbeddedBroker
from fastkafka.testing import FaultProxy, advertised_addresses, fault_proxy
from tests.fuzz.mutants import FUZZ, SEED, mutate, twisted

PARTITIONS = 4
RECORDS = 200
ROUNDS = 3 * max(FUZZ, 1)
LIES = 15  # in each round
ROUND_S_MAX = 3.0
CLOSE_S_MAX = 15.0
CHANCE = 0.25
APIS = (
    *("find_coordinator", "join_group", "sync_group", "heartbeat", "leave_group"),
    *("offset_fetch", "offset_commit", "consumer_group_heartbeat", "offset_for_leader_epoch"),
)


class LyingRewriter(advertised_addresses.AddressRewriter):
    """Changes some of the answers that it looks at."""

    choice = random.Random(SEED)
    is_lying = False
    lies = 0

    def _rewritten(self, request: Any, response: bytes) -> bytes:
        response = super()._rewritten(request, response)
        name = protocol.API_BY_KEY[request.api_key].name
        kind = type(self)
        if not kind.is_lying or name not in APIS or kind.choice.random() > CHANCE:
            return response
        kind.lies += 1
        length, frame = response[:4], response[4:]
        if kind.choice.random() < 0.5:
            frame = frame[:4] + mutate(kind.choice, frame[4:])
        else:
            number, body = protocol.decode_response(request.api_key, request.api_version, frame)
            lie = twisted(kind.choice, body)
            try:
                frame = protocol.encode_response(request.api_key, request.api_version, number, lie)
            except Exception:  # a number that the field has no room for
                return length + frame
        return len(frame).to_bytes(4, "big") + frame


class Lies:
    """So many lies from now on, or none for a while: a lie can have ended both members."""

    def __init__(self, count: int, seconds: float) -> None:
        self._enough = LyingRewriter.lies + count
        self._deadline = time.monotonic() + seconds

    def are_wanted(self, _: int) -> bool:
        """Return whether there are less so far."""
        return LyingRewriter.lies < self._enough and time.monotonic() < self._deadline


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        with Producer({"bootstrap.servers": running.bootstrap_servers}) as producer:
            for number in range(RECORDS):
                partition = number % PARTITIONS
                value = b"%d:%d" % (partition, number // PARTITIONS)
                producer.produce("t", value, partition=partition)
            assert producer.flush(30) == 0
        yield running


@pytest.fixture
def proxy(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    for name in APIS:
        versions = advertised_addresses._FIRST_VERSIONS
        monkeypatch.setitem(versions, protocol.API_BY_NAME[name].key, 0)
    monkeypatch.setattr(fault_proxy, "AddressRewriter", LyingRewriter)
    LyingRewriter.is_lying, LyingRewriter.lies = True, 0
    with FaultProxy(broker.bootstrap_servers) as running:
        yield running
    LyingRewriter.is_lying = False


def settings(bootstrap_servers: str, group: str, kind: str) -> dict[str, Any]:
    conf: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "auto.commit.interval.ms": 50,
        "retry.backoff.ms": 10,
        "retry.backoff.max.ms": 50,
        "reconnect.backoff.ms": 1,
        "reconnect.backoff.max.ms": 20,
        "socket.timeout.ms": 1000,
        "fetch.wait.max.ms": 50,
        "log_level": 0,
    }
    if kind == "consumer":
        return {**conf, "group.protocol": "consumer"}
    return {
        **conf,
        "partition.assignment.strategy": kind,
        "heartbeat.interval.ms": 50,
        "session.timeout.ms": 6000,
    }


def check(messages: list[Any]) -> int:
    """Return how many records there are, each one that was written; errors are typed."""
    count = 0
    for message in messages:
        if message.error() is None:
            assert message.value() == b"%d:%d" % (message.partition(), message.offset())
            count += 1
    return count


@pytest.mark.parametrize("kind", ["range", "cooperative-sticky", "consumer"])
def test_a_coordinator_that_lies_brings_no_crash_no_hang_and_no_record(
    broker: EmbeddedBroker, proxy: FaultProxy, kind: str
) -> None:
    for number in range(ROUNDS):
        group = f"{kind}-{number}"
        members = [Consumer(settings(proxy.bootstrap_servers, group, kind)) for _ in range(2)]
        for member in members:
            member.subscribe(["t"])
        for turn in itertools.takewhile(Lies(LIES, ROUND_S_MAX).are_wanted, itertools.count()):
            member = members[turn % 2]
            check(member.consume(20, 0.02))
            place = TopicPartition("t", 0, 0)
            with contextlib.suppress(KafkaException):  # the coordinator's word, or nobody's
                member.commit(offsets=[place], asynchronous=turn % 9 > 0)
        for member in members:
            began = time.monotonic()
            member.close()
            assert time.monotonic() - began < CLOSE_S_MAX, f"seed {SEED}"
    assert LyingRewriter.lies > 2 * ROUNDS
    # The broker's side of the group is whole: who comes without the lies reads everything.
    honest = Consumer(settings(broker.bootstrap_servers, f"{kind}-after", kind))
    honest.subscribe(["t"])
    got = 0
    deadline = time.monotonic() + 30
    while got < RECORDS and time.monotonic() < deadline:
        got += check(honest.consume(RECORDS, 0.2))
    honest.close()
    assert got == RECORDS


@pytest.mark.parametrize("kind", ["range", "cooperative-sticky", "consumer"])
def test_members_recover_when_answers_are_garbage_for_a_while(
    proxy: FaultProxy, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Cut short, an answer cannot be taken for another one: nothing may end for good.
    def cut(self: LyingRewriter, request: Any, response: bytes) -> bytes:
        response = advertised_addresses.AddressRewriter._rewritten(self, request, response)
        name = protocol.API_BY_KEY[request.api_key].name
        if not LyingRewriter.is_lying or name not in APIS or LyingRewriter.choice.random() > CHANCE:
            return response
        LyingRewriter.lies += 1
        frame = response[4 : 4 + LyingRewriter.choice.randrange(4, len(response) - 4)]
        return len(frame).to_bytes(4, "big") + frame

    monkeypatch.setattr(LyingRewriter, "_rewritten", cut)
    members = [Consumer(settings(proxy.bootstrap_servers, f"cut-{kind}", kind)) for _ in range(2)]
    for member in members:
        member.subscribe(["t"])
    seen: set[tuple[int, int]] = set()

    def poll() -> None:
        for member in members:
            messages = member.consume(20, 0.02)
            assert [one.error() for one in messages if one.error()] == []
            check(messages)
            seen.update((one.partition(), one.offset()) for one in messages)

    for turn in itertools.takewhile(Lies(LIES, 30).are_wanted, itertools.count()):
        poll()
        with contextlib.suppress(KafkaException):
            place = TopicPartition("t", 0, 0)
            members[turn % 2].commit(offsets=[place], asynchronous=True)
    assert LyingRewriter.lies >= LIES
    LyingRewriter.is_lying = False
    deadline = time.monotonic() + 30
    while len(seen) < RECORDS:
        assert time.monotonic() < deadline, len(seen)
        poll()
    for member in members:
        member.close()
