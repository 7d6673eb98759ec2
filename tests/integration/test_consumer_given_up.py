"""Members that their group has given up: what they read may be others' already."""

from __future__ import annotations

import time

import pytest

from fastkafka import Consumer, KafkaError, KafkaException, TopicPartition
from fastkafka.group.classic import Classic
from fastkafka.group.consumer_protocol import ConsumerProtocol
from fastkafka.group.member import MemberState
from tests.integration.group_members import (
    KINDS,
    PARTITIONS,
    TIMEOUT_S,
    Make,
    Told,
    broker,
    make,
    numbers,
    poll_until,
    share,
    topic,
)

__all__ = ["broker", "make", "topic"]


def be_given_up(consumer: Consumer) -> None:
    """Have the membership learn that the group goes on without it."""
    membership = membership_of(consumer)

    async def be_lost() -> None:
        membership._be_lost(MemberState.STALE)

    consumer._control.call(be_lost())


def be_back(consumer: Consumer) -> None:
    """Have the membership join again, while the application does not poll."""
    membership = membership_of(consumer)

    async def rejoin() -> None:
        membership.rejoin()

    consumer._control.call(rejoin())
    deadline = time.monotonic() + TIMEOUT_S
    while membership.identity().generation_id < 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def membership_of(consumer: Consumer) -> Classic | ConsumerProtocol:
    assert consumer._group is not None
    membership = consumer._group._membership
    assert isinstance(membership, (Classic, ConsumerProtocol))
    return membership


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_commit_after_the_group_has_given_a_member_up_is_refused(
    make: Make, topic: str, kind: str
) -> None:
    consumer = make(kind)
    consumer.subscribe([topic])
    assert consumer.consume(1, TIMEOUT_S)
    be_given_up(consumer)
    # Also when it is a member again: the application has not heard that it was none meanwhile.
    for is_back in (False, True):
        if is_back:
            be_back(consumer)
        with pytest.raises(KafkaException) as caught:
            consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
        assert caught.value.args[0] == KafkaError.UNKNOWN_MEMBER_ID
        with pytest.raises(KafkaException):
            consumer.consumer_group_metadata()
        assert consumer.memberid() is None
    poll_until(lambda: consumer.memberid() is not None, consumer)
    poll_until(lambda: len(numbers(consumer)) == PARTITIONS, consumer)
    consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)


@pytest.mark.parametrize("kind", KINDS)
def test_member_given_up_twice_before_a_poll_loses_what_it_had_first(
    make: Make, topic: str, kind: str
) -> None:
    told = Told()
    consumer = make(kind)
    consumer.subscribe([topic], **told.listeners())
    poll_until(lambda: len(numbers(consumer)) == PARTITIONS, consumer)
    told.calls.clear()
    for _ in range(2):
        be_given_up(consumer)
        be_back(consumer)
    poll_until(lambda: len(told.calls) >= 2, consumer)
    every = list(range(PARTITIONS))
    # Without being told, it would commit what it had read before as the member that it is now.
    assert told.calls == [("lost", every), ("assign", every)]


@pytest.mark.parametrize("kind", KINDS)
def test_application_that_does_not_poll_loses_its_partitions_and_hears_of_it(
    make: Make, topic: str, kind: str
) -> None:
    told = Told()
    conf = {"max.poll.interval.ms": 6000}
    if kind != "consumer":
        conf["session.timeout.ms"] = 6000
    sleeper, other = make(kind, **conf), make(kind)
    sleeper.subscribe([topic], **told.listeners())
    poll_until(lambda: len(numbers(sleeper)) == PARTITIONS, sleeper)
    other.subscribe([topic])
    # The broker tells KIP-848 members to send a heartbeat every 5 s: silence shows only then.
    poll_until(lambda: len(numbers(other)) == PARTITIONS, other)
    errors: list[int] = []

    def heard() -> bool:
        message = sleeper.poll(0.05)
        if message is not None and message.error() is not None:
            errors.append(message.error().code())
        return bool(errors)

    poll_until(heard, other)
    assert errors == [KafkaError._MAX_POLL_EXCEEDED]
    assert ("lost", list(range(PARTITIONS))) in told.calls
    poll_until(lambda: share(sleeper, other), sleeper, other)
