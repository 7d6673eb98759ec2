"""What send_offsets_to_transaction() is given: positions and group metadata in every shape."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import confluent_kafka
import pytest

from fastkafka import ConsumerGroupMetadata, TopicPartition
from fastkafka.control.offsets_to_commit import OffsetToCommit, as_offsets
from fastkafka.transactions import as_group_metadata


@pytest.mark.parametrize("instance", [None, "instance-1"])
def test_confluent_kafka_s_bytes_are_read(instance: str | None) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", "group.id": "copiers", "log_level": 0}
    if instance is not None:
        settings["group.instance.id"] = instance
    consumer = confluent_kafka.Consumer(settings)
    try:
        found = as_group_metadata(consumer.consumer_group_metadata())
    finally:
        consumer.close()
    assert found == ConsumerGroupMetadata("copiers", -1, "", instance)


def test_bytes_carry_generation_and_member() -> None:
    data = b"CGMDv2:" + struct.pack("=i", 7) + "größe\0member-1\0\0instance-1\0".encode()
    expected = ConsumerGroupMetadata("größe", 7, "member-1", "instance-1")
    assert as_group_metadata(data) == expected


WHOLE = b"CGMDv2:" + struct.pack("=i", 7) + b"g\0m\0\0i\0"


@pytest.mark.parametrize(
    "data",
    [WHOLE[:length] for length in range(len(WHOLE))]
    + [
        WHOLE + b"\0",
        WHOLE + b"more",
        b"CGMDv3:" + WHOLE[7:],
        WHOLE[:11] + b"\0m\0\1",  # no group
        WHOLE[:11] + b"g\0m\0\2",
        WHOLE[:11] + b"g\0m\0\1more",
        WHOLE[:11] + b"\xff\0m\0\1",
        WHOLE[:11] + b"g" * 70000 + b"\0m\0\1",
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="group_metadata"):
        as_group_metadata(data)


def test_objects_of_four_fields_and_ours_are_taken() -> None:
    ours = ConsumerGroupMetadata("g", 3, "m", None)
    assert as_group_metadata(ours) is ours
    theirs = SimpleNamespace(group_id="g", generation_id=3, member_id="m", group_instance_id=None)
    assert as_group_metadata(theirs) == ours
    for wrong in ("g", None, 7):
        with pytest.raises(TypeError, match="consumer_group_metadata"):
            as_group_metadata(wrong)


def test_positions_of_both_packages_are_taken_and_those_without_an_offset_left_out() -> None:
    positions = [
        TopicPartition("t", 0, 5, metadata="mark", leader_epoch=2),
        confluent_kafka.TopicPartition("t", 1, 6),
        TopicPartition("t", 2, -1001),
    ]
    assert as_offsets(positions) == [
        OffsetToCommit("t", 0, 5, 2, "mark"),
        OffsetToCommit("t", 1, 6, -1, None),
    ]


def test_positions_that_are_none_are_refused() -> None:
    for wrong in ("t", None, [("t", 0, 5)], [None]):
        with pytest.raises(TypeError):
            as_offsets(wrong)
    for place in (TopicPartition("t", -1, 5), SimpleNamespace(topic="", partition=0, offset=1)):
        with pytest.raises(ValueError, match="a position"):
            as_offsets([place])
