"""What requests want: a topic or a broker named once, and all of it in a list.

In:     pairs
Out:    lists by the first of each pair, in the order in which they came
Thread: any
Next:   whoever encodes a request
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def by_key(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """Return what belongs to each key.

    Example: by_key([("t", 0), ("u", 0), ("t", 1)]) == {"t": [0, 1], "u": [0]}
    """
    lists: dict[K, list[V]] = {}
    for key, value in pairs:
        lists.setdefault(key, []).append(value)
    return lists
