"""Partitioners by name: see _ext/partitioner.pyx."""

KINDS: dict[str, int]

def partition_for_key(name: str, key: bytes, partition_count: int) -> int: ...
