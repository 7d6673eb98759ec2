"""Types: the comparisons, spellings and copies that users of confluent_kafka rely on."""

from __future__ import annotations

import copy
import pickle

import pytest

from fastkafka.errors import KafkaError
from fastkafka.types import (
    OFFSET_BEGINNING,
    NewTopic,
    Node,
    TopicCollection,
    TopicPartition,
    Uuid,
)


def test_topic_partition_compares_by_topic_and_partition_only():
    assert TopicPartition("t", 1, 5) == TopicPartition("t", 1, 6)
    assert TopicPartition("t", 1) != TopicPartition("t", 2)
    assert TopicPartition("a", 9) < TopicPartition("b", 0)
    assert len({TopicPartition("t", 1, 5), TopicPartition("t", 1, 6)}) == 1


def test_topic_partition_compares_with_other_types_without_raising():
    assert TopicPartition("t", 1) != 3
    with pytest.raises(TypeError):
        TopicPartition("t", 1) < 3  # noqa: B015


def test_topic_partition_survives_pickle_and_copy_with_everything_it_carries():
    error = KafkaError(KafkaError._NO_OFFSET, "none stored")
    partition = TopicPartition("t", 1, OFFSET_BEGINNING, "note", 7, error=error)
    for other in (pickle.loads(pickle.dumps(partition)), copy.deepcopy(partition)):
        assert str(other) == str(partition)
        assert other.metadata == "note"
        assert other.error.str() == "none stored"


def test_topic_partition_prints_as_confluent_does():
    text = "TopicPartition{topic=t,partition=1,offset=5,leader_epoch=None,error=None}"
    assert repr(TopicPartition("t", 1, 5)) == text


def test_topic_partition_lets_only_partition_and_offset_be_changed():
    partition = TopicPartition("t")
    partition.partition, partition.offset = 3, 4
    assert (partition.partition, partition.offset) == (3, 4)
    with pytest.raises(AttributeError):
        partition.topic = "u"
    with pytest.raises(AttributeError):
        partition.error = None


def test_topic_partition_refuses_a_topic_that_is_no_text():
    with pytest.raises(TypeError, match="topic must be str, not bytes"):
        TopicPartition(b"t")


def test_negative_leader_epoch_reads_as_none():
    assert TopicPartition("t", 0, 0, None, -1).leader_epoch is None
    assert TopicPartition("t", 0, 0, None, 0).leader_epoch == 0


def test_uuid_is_written_as_kafka_writes_it():
    assert str(Uuid(1, 2)) == "AAAAAAAAAAEAAAAAAAAAAg"
    assert str(Uuid(-1, -1)) == "_____________________w"


def test_uuid_goes_to_the_wire_and_back():
    data = bytes(range(240, 256))
    uuid = Uuid.from_bytes(data)
    assert bytes(uuid) == data
    assert int(uuid) == int.from_bytes(data, "big")
    assert uuid == Uuid(uuid.get_most_significant_bits(), uuid.get_least_significant_bits())
    assert uuid != Uuid(0, 0)
    assert pickle.loads(pickle.dumps(uuid)) == uuid
    with pytest.raises(ValueError, match="16 bytes"):
        Uuid.from_bytes(data[:15])


def test_new_topic_compares_by_name_and_partitions():
    assert NewTopic("t", 3, 1) == NewTopic("t", 3, 2)
    assert NewTopic("t", 3) != NewTopic("t", 4)
    assert repr(NewTopic("t", num_partitions=3)) == "NewTopic(topic=t,num_partitions=3)"


def test_node_has_its_id_as_text():
    assert Node(7, "h", 9092).id_string == "7"
    assert str(Node(7, "h", 9092, "r1")) == "(7) h:9092 rack r1"


def test_topic_collection_keeps_the_names():
    assert TopicCollection(iter(["a", "b"])).topic_names == ["a", "b"]
