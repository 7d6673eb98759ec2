"""Partitioners by name: see _ext/partitioner.pyx."""

KINDS: dict[str, int]

def partition_for_key(name: str, key: bytes, partition_count: int) -> int: ...
def draw_shares(
    waiting: list[int],
    draws: int,
    is_adaptive: bool = True,
    seed: int = 1,
    unavailable: tuple[int, ...] = (),
) -> list[int]: ...
