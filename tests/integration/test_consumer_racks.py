"""Fetching from the replica that the leader names (KIP-392), on scripted brokers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastkafka import TopicPartition
from fastkafka.consumer import Consumer
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FETCH, OFFSET_OUT_OF_RANGE, FetchBroker, FetchReply
from tests.scripted.reading import PLACE, batches_of, new_consumer, numbered, read, values

LEADER, REPLICA = 1, 2


@pytest.fixture
def broker() -> Iterator[FetchBroker]:
    """Node 1 leads and names node 2, which has all records, to clients in rack b."""
    with FetchBroker(nodes=2) as running:
        running.replicas_of_racks["b"] = REPLICA
        running.put("t", 0, *batches_of([5, 5]))
        yield running


def consumer_in(broker: FetchBroker, rack: str, **settings: object) -> Consumer:
    consumer = new_consumer(broker, **{"client.rack": rack, **settings})
    consumer.assign([TopicPartition("t", 0, 0)])
    return consumer


def nodes_asked(broker: FetchBroker) -> list[int]:
    return [one.node_id for one in broker.fetched]


def test_records_come_from_the_replica_in_the_clients_rack(broker: FetchBroker) -> None:
    with consumer_in(broker, "b") as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        assert nodes_asked(broker)[:2] == [LEADER, REPLICA]
        assert {one.body["rack_id"] for one in broker.fetched} == {"b"}
        broker.put("t", 0, values_batch(numbered(10, 5), 10))
        assert values(read(consumer, 5)) == numbered(10, 5)
        assert nodes_asked(broker).count(LEADER) == 1


@pytest.mark.parametrize("rack", ["", "elsewhere"])
def test_without_a_replica_in_its_rack_a_client_reads_from_the_leader(
    broker: FetchBroker, rack: str
) -> None:
    with consumer_in(broker, rack) as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        assert set(nodes_asked(broker)) == {LEADER}


def test_versions_without_racks_read_from_the_leader() -> None:
    with FetchBroker(nodes=2, versions={FETCH: (4, 10)}) as broker:
        broker.replicas_of_racks["b"] = REPLICA
        broker.put("t", 0, *batches_of([5]))
        with consumer_in(broker, "b") as consumer:
            assert values(read(consumer, 5)) == numbered(0, 5)
        assert set(nodes_asked(broker)) == {LEADER}


@pytest.mark.parametrize("code", [OFFSET_OUT_OF_RANGE, 3, 6, 9, 29, 74, 78])
def test_an_error_of_the_replica_sends_the_client_back_to_the_leader(
    broker: FetchBroker, code: int
) -> None:
    broker.replica_errors[REPLICA] = code
    with consumer_in(broker, "b") as consumer:
        broker.until(lambda: REPLICA in nodes_asked(broker), "the replica")
        with broker._changed:
            broker.replicas_of_racks["b"] = -1  # the leader names nobody any more
        assert values(read(consumer, 10)) == numbered(0, 10)
        assert consumer.counters()["offset_resets"] == 0
        assert nodes_asked(broker)[-1] == LEADER


def test_an_offset_out_of_range_of_the_replica_is_asked_of_the_leader_first(
    broker: FetchBroker,
) -> None:
    """A replica that lags behind does not know the offset; nothing is reset for that."""
    with consumer_in(broker, "b") as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        with broker._changed:
            broker.replica_errors[REPLICA] = OFFSET_OUT_OF_RANGE
            broker.replicas_of_racks = {"c": REPLICA}
        broker.put("t", 0, values_batch(numbered(10, 5), 10))
        assert values(read(consumer, 5)) == numbered(10, 5)
        assert consumer.counters()["offset_resets"] == 0


def test_a_replica_that_dies_sends_the_client_back_to_the_leader(broker: FetchBroker) -> None:
    with consumer_in(broker, "b") as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        with broker._changed:
            broker.replicas_of_racks = {}
        broker.stop_node(REPLICA)
        broker.put("t", 0, values_batch(numbered(10, 5), 10))
        assert values(read(consumer, 5)) == numbered(10, 5)
        assert nodes_asked(broker)[-1] == LEADER


def test_a_replica_that_nobody_knows_is_not_waited_for(broker: FetchBroker) -> None:
    broker.script_fetches(FetchReply(preferred={PLACE: 77}), FetchReply(preferred={PLACE: 77}))
    with consumer_in(broker, "") as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        assert set(nodes_asked(broker)) == {LEADER}


def test_the_leaders_word_holds_for_a_bounded_time(broker: FetchBroker) -> None:
    with consumer_in(broker, "b", **{"metadata.max.age.ms": 200}) as consumer:
        assert values(read(consumer, 10)) == numbered(0, 10)
        broker.until(lambda: nodes_asked(broker).count(LEADER) >= 2, "the leader again")
        broker.until(lambda: nodes_asked(broker)[-1] == REPLICA, "the replica again")


def test_a_new_leader_is_asked_itself(broker: FetchBroker) -> None:
    with FetchBroker(nodes=3) as three:
        three.replicas_of_racks["b"] = REPLICA
        three.put("t", 0, *batches_of([5]))
        with consumer_in(three, "b") as consumer:
            assert values(read(consumer, 5)) == numbered(0, 5)
            with three._changed:
                three.replicas_of_racks = {"nowhere": REPLICA}
            epoch = three.move_leader("t", 0, 3)
            three.script_fetches(FetchReply(errors=6, hints={PLACE: (3, epoch)}))
            three.put("t", 0, values_batch(numbered(5, 5), 5))
            assert values(read(consumer, 5)) == numbered(5, 5)
            three.until(lambda: 3 in nodes_asked(three), "the new leader")
