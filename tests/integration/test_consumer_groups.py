"""Groups of our consumers on the embedded broker: who reads what, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fastkafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.errors import ClosedError
from fastkafka.group.assignors import Assignor, AssignorMember, Topics
from fastkafka.statistics import WaitReason
from tests.integration.group_members import (
    INCREMENTAL,
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
    write,
)

__all__ = ["broker", "make", "topic"]


def places_of(messages: list[Message]) -> list[tuple[int | None, int | None]]:
    assert not [message.error() for message in messages if message.error()]
    return [(message.partition(), message.offset()) for message in messages]


ALL = [(partition, offset) for partition in range(PARTITIONS) for offset in range(20)]


# --- members come and go ---------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_members_share_and_nothing_is_read_twice(make: Make, topic: str, kind: str) -> None:
    told, seen = Told(), list[Message]()
    first, second = make(kind), make(kind)
    first.subscribe([topic], **told.listeners())
    poll_until(lambda: len(seen) >= 120, first, seen=seen)
    second.subscribe([topic])
    poll_until(lambda: share(first, second), first, second, seen=seen)
    second.close()
    poll_until(lambda: len(numbers(first)) == PARTITIONS, first, seen=seen)
    first.close()
    assert sorted(places_of(seen)) == ALL
    assert told.calls[0] == ("assign", list(range(PARTITIONS)))
    assert told.calls[-1] == ("revoke", list(range(PARTITIONS)))
    revoked = next(partitions for name, partitions in told.calls if name == "revoke")
    assert (len(revoked) < PARTITIONS) == (kind in INCREMENTAL)
    assert "lost" not in dict(told.calls)


@pytest.mark.parametrize("kind", KINDS[:-1])  # KIP-848: its time-out is the broker's, 45 s
def test_member_that_dies_is_replaced_from_its_last_commit(
    make: Make, topic: str, kind: str
) -> None:
    session = {"session.timeout.ms": 6000}  # the shortest that brokers take
    first, second = make(kind, **session), make(kind, **session)
    first.subscribe([topic])
    seen: list[Message] = []
    poll_until(lambda: len(seen) >= 120, first, seen=seen)
    first.commit(offsets=[TopicPartition(topic, 0, 20)], asynchronous=False)
    first._end()  # without a goodbye: as a process that was killed
    first._is_closed = True
    second.subscribe([topic])
    again: list[Message] = []
    poll_until(lambda: len(again) >= 100, second, seen=again)
    assert sorted(places_of(again)) == [place for place in ALL if place[0] != 0]


@pytest.mark.parametrize("kind", KINDS)
def test_pattern_follows_the_topics_that_there_are(
    make: Make, broker: EmbeddedBroker, topic: str, kind: str
) -> None:
    consumer = make(kind)
    consumer.subscribe([f"^{topic}.*"])
    poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)
    write(broker, f"{topic}-b", 12)
    poll_until(lambda: len(consumer.assignment()) == 2 * PARTITIONS, consumer)
    assert {place.topic for place in consumer.assignment()} == {topic, f"{topic}-b"}


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_another_subscription_replaces_the_one_before(
    make: Make, broker: EmbeddedBroker, topic: str, kind: str
) -> None:
    write(broker, f"{topic}-b", 12)
    consumer = make(kind)
    consumer.subscribe([topic])
    poll_until(lambda: bool(consumer.assignment()), consumer)
    consumer.subscribe([f"{topic}-b"])
    poll_until(lambda: {p.topic for p in consumer.assignment()} == {f"{topic}-b"}, consumer)
    consumer.unsubscribe()
    assert consumer.assignment() == []
    assert consumer.memberid() is None
    consumer.subscribe([topic])
    poll_until(lambda: {place.topic for place in consumer.assignment()} == {topic}, consumer)


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_static_member_comes_back_to_what_it_had(make: Make, topic: str, kind: str) -> None:
    one, two = (make(kind, **{"group.instance.id": name}) for name in ("one", "two"))
    one.subscribe([topic])
    two.subscribe([topic])
    poll_until(lambda: share(one, two), one, two)
    told, had = Told(), numbers(one)
    one.close()
    one = make(kind, **{"group.instance.id": "one"})
    one.subscribe([topic], **told.listeners())
    poll_until(lambda: bool(numbers(one)), one, two)
    assert numbers(one) == had
    assert share(one, two)


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_iteration_and_batches_read_a_subscription_too(make: Make, topic: str, kind: str) -> None:
    consumer = make(kind)
    consumer.subscribe([topic])
    seen = [next(consumer) for _ in range(60)]
    consumer.close()
    rest = make(kind)
    rest.subscribe([topic])
    records = 0
    for batch in rest.batches(timeout=TIMEOUT_S):
        records += batch.records_count
        if records >= 60:
            break
    assert len({(m.partition(), m.offset()) for m in seen}) == 60


class OddOnesToTheLast(Assignor):
    """A user's own rule: the last member has all odd partitions, the first all even ones."""

    name = "odd-ones"

    def assign(
        self, topics: Topics, members: Sequence[AssignorMember]
    ) -> dict[str, list[tuple[str, int]]]:
        ranked = sorted(members, key=AssignorMember.rank)
        shares: dict[str, list[tuple[str, int]]] = {}
        for member, odd in ((ranked[0], 0), (ranked[-1], 1)):
            places = [(t, p) for t in member.topics for p in topics[t] if p % 2 == odd]
            shares.setdefault(member.member_id, []).extend(places)
        return shares


def test_users_own_assignor_divides_the_partitions(make: Make, topic: str) -> None:
    mine = {"partition.assignment.strategy": [OddOnesToTheLast]}
    first, second = make(**mine), make(**mine)
    first.subscribe([topic])
    second.subscribe([topic])
    poll_until(lambda: share(first, second), first, second)
    assert {frozenset(numbers(first)), frozenset(numbers(second))} == {
        frozenset({0, 2, 4}),
        frozenset({1, 3, 5}),
    }


# --- listeners ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["range", "cooperative-sticky", "consumer"])
def test_listener_that_assigns_by_itself_has_the_last_word(
    make: Make, topic: str, kind: str
) -> None:
    def on_assign(consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            place.offset = 15
        if kind == "range":
            consumer.assign(places)
        else:
            consumer.incremental_assign(places)

    consumer, seen = make(kind), list[Message]()
    consumer.subscribe([topic], on_assign=on_assign)
    poll_until(lambda: len(seen) >= 5 * PARTITIONS, consumer, seen=seen)
    assert {message.offset() for message in seen} == set(range(15, 20))


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_what_a_listener_raises_comes_out_of_the_call_and_the_rebalance_goes_on(
    make: Make, topic: str, kind: str
) -> None:
    def on_assign(consumer: Consumer, places: list[TopicPartition]) -> None:
        raise ZeroDivisionError

    consumer = make(kind)
    consumer.subscribe([topic], on_assign=on_assign)
    with pytest.raises(ZeroDivisionError):
        poll_until(lambda: False, consumer)
    assert len(consumer.assignment()) == PARTITIONS
    assert len(consumer.consume(120, TIMEOUT_S)) == 120


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_consumer_can_be_closed_within_a_rebalance(make: Make, topic: str, kind: str) -> None:
    consumer, told = make(kind), Told()
    listeners = told.listeners()

    def on_assign(consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.close()

    consumer.subscribe([topic], on_assign=on_assign, on_revoke=listeners["on_revoke"])
    with pytest.raises(ClosedError):
        poll_until(lambda: False, consumer)
    heir = make(kind)
    heir.subscribe([topic])  # the group has not been left in a rebalance
    poll_until(lambda: len(numbers(heir)) == PARTITIONS, heir)


def test_seek_on_a_revoked_partition_is_refused(make: Make, topic: str) -> None:
    first, second = make(), make()
    first.subscribe([topic])
    poll_until(lambda: len(numbers(first)) == PARTITIONS, first)
    second.subscribe([topic])
    poll_until(lambda: share(first, second), first, second)
    gone = min(numbers(second))
    with pytest.raises(KafkaException) as caught:
        first.seek(TopicPartition(topic, gone, 0))
    assert caught.value.args[0] == KafkaError._STATE
    assert f"{topic} [{gone}]" in str(caught.value)


# --- commits and rebalances -----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_returned_is_committed_before_partitions_go(
    make: Make, topic: str, kind: str
) -> None:
    conf = {"auto.commit.interval.ms": 3_600_000}
    first, second, seen = make(kind, **conf), make(kind, **conf), list[Message]()
    first.subscribe([topic])
    while len(seen) < 50:
        seen.extend(first.consume(50 - len(seen), 0.1))
    second.subscribe([topic])
    poll_until(lambda: len(seen) >= 120, first, second, seen=seen)
    assert sorted(places_of(seen)) == ALL


def test_stored_offsets_are_what_is_committed_in_a_rebalance(make: Make, topic: str) -> None:
    conf = {"enable.auto.offset.store": False, "auto.commit.interval.ms": 3_600_000}
    consumer = make(**conf)

    def on_revoke(consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.store_offsets(offsets=[TopicPartition(topic, 1, 7)])

    consumer.subscribe([topic], on_revoke=on_revoke)
    assert len(consumer.consume(120, TIMEOUT_S)) == 120
    consumer.store_offsets(offsets=[TopicPartition(topic, 0, 3)])
    consumer.close()
    places = [TopicPartition(topic, partition) for partition in range(3)]
    found = make().committed(places, TIMEOUT_S)
    assert [place.offset for place in found] == [3, 7, OFFSET_INVALID]


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_health_says_where_the_membership_stands(
    make: Make, broker: EmbeddedBroker, topic: str, kind: str
) -> None:
    api = "consumer_group_heartbeat" if kind == "consumer" else "join_group"
    broker.faults.add(Fault(api, error_code=KafkaError.COORDINATOR_LOAD_IN_PROGRESS))
    consumer = make(kind)
    assert consumer.health().group is None
    consumer.subscribe([topic])
    try:
        poll_until(lambda: "oordinator load" in str(consumer.health()), consumer)
        assert consumer.health().reason is WaitReason.REBALANCING
    finally:
        broker.faults.clear()
    poll_until(lambda: len(numbers(consumer)) == PARTITIONS, consumer)
    poll_until(lambda: consumer.health().group == "stable", consumer)

    def is_held_back() -> bool:
        consumer.begin_lease(1)  # until the next heartbeat is answered, which may be at once
        time.sleep(0.01)
        return consumer.health().reason is WaitReason.NO_HEARTBEAT

    poll_until(is_held_back, consumer)


@pytest.mark.parametrize("kind", ["range", "consumer"])
def test_statistics_tell_of_the_membership_and_its_commits(
    make: Make, topic: str, kind: str
) -> None:
    consumer = make(kind, **{"enable.auto.commit": False})
    assert consumer.statistics()["cgrp"]["join_state"] == "init"
    consumer.subscribe([topic])
    poll_until(lambda: len(numbers(consumer)) == PARTITIONS, consumer)
    poll_until(lambda: consumer.statistics()["cgrp"]["join_state"] == "steady", consumer)
    consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    document = consumer.statistics()
    group = document["cgrp"]
    assert (group["state"], group["assignment_size"]) == ("up", PARTITIONS)
    assert group["rebalance_cnt"] >= 1
    assert 0 <= group["rebalance_age"] < 1000 * TIMEOUT_S
    assert bool(group["rebalance_reason"]) == (kind == "range")
    partitions = document["topics"][topic]["partitions"]
    assert [partitions[one]["committed_offset"] for one in "01"] == [5, OFFSET_INVALID]


def test_commit_that_is_not_waited_for_tells_on_commit(make: Make, topic: str) -> None:
    told: list[Any] = []
    consumer = make(on_commit=lambda error, rows: told.append((error, rows)))
    consumer.subscribe([topic])
    assert len(consumer.consume(120, TIMEOUT_S)) == 120
    consumer.commit()
    poll_until(lambda: bool(told), consumer)
    error, rows = told.pop()
    assert error is None
    assert sorted((row.partition, row.offset) for row in rows) == [
        (partition, 20) for partition in range(PARTITIONS)
    ]
    with pytest.raises(KafkaException) as caught:
        consumer.commit(asynchronous=False)
    assert caught.value.args[0] == KafkaError._NO_OFFSET
    consumer.commit()
    poll_until(lambda: bool(told), consumer)
    assert told.pop() == (KafkaError(KafkaError._NO_OFFSET), [])
    consumer.commit(offsets=[TopicPartition("there is none", 0, 5)])
    poll_until(lambda: bool(told), consumer)
    error, rows = told.pop()
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert rows[0].error == error


@pytest.mark.parametrize("is_subscribed", [True, False])
def test_on_commit_hears_of_what_close_commits(make: Make, topic: str, is_subscribed: bool) -> None:
    told: list[Any] = []
    consumer = make(
        on_commit=lambda error, rows: told.append((error, rows)), **{"auto.commit.interval.ms": 0}
    )
    if is_subscribed:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    assert len(consumer.consume(120, TIMEOUT_S)) == 120
    consumer.commit(offsets=[TopicPartition(topic, 0, 3)])
    assert not told
    consumer.close()
    (first, first_rows), (last, last_rows) = told
    assert first is last is None
    assert [row.offset for row in first_rows] == [3]
    assert [row.offset for row in last_rows] == [20] * PARTITIONS


@pytest.mark.parametrize("is_subscribed", [True, False])
def test_close_waits_for_the_commits_that_were_begun(
    make: Make, broker: EmbeddedBroker, topic: str, is_subscribed: bool
) -> None:
    consumer = make(**{"enable.auto.commit": False})
    if is_subscribed:
        consumer.subscribe([topic])
        assert consumer.consume(1, TIMEOUT_S)
    broker.faults.add(Fault("offset_commit", delay_ms=300, times=3))
    for offset in (5, 6, 7):
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)])
    consumer.close()
    broker.faults.clear()
    (found,) = make().committed([TopicPartition(topic, 0)], TIMEOUT_S)
    assert found.offset == 7


# --- faults and wrong use ----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS"])
def test_coordinator_that_is_busy_or_moves_is_waited_for(
    make: Make, broker: EmbeddedBroker, topic: str, kind: str, code: str
) -> None:
    apis = ("join_group", "sync_group", "offset_fetch", "heartbeat")
    for api in ("consumer_group_heartbeat", "offset_fetch") if kind == "consumer" else apis:
        broker.faults.add(Fault(api, error_code=getattr(KafkaError, code), times=2))
    consumer, seen = make(kind), list[Message]()
    consumer.subscribe([topic])
    try:
        poll_until(lambda: len(seen) >= 120, consumer, seen=seen)
    finally:
        broker.faults.clear()
    assert sorted(places_of(seen)) == ALL


def test_refused_group_tells_the_application(
    make: Make, broker: EmbeddedBroker, topic: str
) -> None:
    broker.faults.add(
        Fault("join_group", error_code=KafkaError.GROUP_AUTHORIZATION_FAILED, times=1)
    )
    consumer = make()
    consumer.subscribe([topic])
    message = consumer.poll(TIMEOUT_S)
    broker.faults.clear()
    assert message is not None
    error = message.error()
    assert error is not None
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert f"group of {topic}" in error.str()
    assert consumer._group is not None
    status = consumer._group.status()
    assert status is not None
    assert status.state == "failed"


def test_group_of_another_protocol_is_refused(make: Make, topic: str) -> None:
    first, second = make("range"), make("roundrobin")
    first.subscribe([topic])
    poll_until(lambda: bool(numbers(first)), first)
    second.subscribe([topic])
    message = second.poll(TIMEOUT_S)
    assert message is not None
    error = message.error()
    assert error is not None
    assert error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL
    assert numbers(first) == set(range(PARTITIONS))


def test_topic_that_is_not_there_is_told_and_read_once_it_is(
    make: Make, broker: EmbeddedBroker, topic: str
) -> None:
    consumer = make(**{"allow.auto.create.topics": False})
    consumer.subscribe([f"{topic}-later"])
    message = consumer.poll(TIMEOUT_S)
    assert message is not None
    error = message.error()
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert f"{topic}-later" in error.str()
    write(broker, f"{topic}-later", 12)
    poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)


@pytest.mark.parametrize(
    ("topics", "error"),
    [
        ("t", TypeError),
        ([1], TypeError),
        ([], KafkaException),
        ([""], KafkaException),
        (["^("], KafkaException),
    ],
)
def test_bad_subscription_is_refused(make: Make, topics: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make().subscribe(topics)


def test_listener_that_is_no_callable_is_refused(make: Make, topic: str) -> None:
    with pytest.raises(TypeError, match="on_revoke"):
        make().subscribe([topic], on_revoke=1)  # type: ignore[arg-type]


def test_closed_member_refuses_everything(make: Make, topic: str) -> None:
    consumer = make()
    consumer.subscribe([topic])
    consumer.close()
    consumer.close()
    for call in (
        lambda: consumer.poll(0),
        lambda: consumer.subscribe([topic]),
        consumer.unsubscribe,
        consumer.commit,
        consumer.memberid,
    ):
        with pytest.raises(ClosedError, match="Consumer closed"):
            call()


def test_groups_rebalance_for_partitions_that_are_added(
    make: Make, broker: EmbeddedBroker, topic: str, foreign_client: Callable[[str], Any]
) -> None:
    consumer = make()
    consumer.subscribe([topic])
    poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)
    confluent = foreign_client("confluent_kafka.admin")
    admin = confluent.AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    more = admin.create_partitions([confluent.NewPartitions(topic, PARTITIONS + 2)])
    more[topic].result(TIMEOUT_S)
    poll_until(lambda: len(consumer.assignment()) == PARTITIONS + 2, consumer)
