"""The partitioners that hash a key, for programs that want to know where a record will go.

Each gives the same partition as a Producer whose `partitioner` has its name.
"""

from __future__ import annotations

from fastkafka._core.partitioner import partition_for_key

__all__ = ["consistent", "fnv1a", "murmur2"]


def murmur2(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count` by murmur2, as the Java client has it.

    Raises:  ValueError when count is not positive
    Source:  org.apache.kafka.common.utils.Utils.murmur2
    Example: murmur2(b"abc", 1000) == 107
    """
    return partition_for_key("murmur2", key, count)


def consistent(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count` by CRC-32, as librdkafka's default has it.

    Raises:  ValueError when count is not positive
    Example: consistent(b"abc", 1000) == 578
    """
    return partition_for_key("consistent", key, count)


def fnv1a(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count` by FNV-1a, as Sarama has it.

    Raises:  ValueError when count is not positive
    Example: fnv1a(b"abc", 1000) == 331
    """
    return partition_for_key("fnv1a", key, count)
