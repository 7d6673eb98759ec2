"""Frames to begin with, from the Java client's own bytes, and what is done to them."""

from __future__ import annotations

import json
import os
import pathlib
import random
from typing import Any

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "protocol" / "vectors"
FUZZ = int(os.environ.get("FASTKAFKA_FUZZ", "0"))
SEED = random.SystemRandom().randrange(2**32) if FUZZ else 20_260_601

# What lengths, counts, tags and varints look like when they lie.
NASTY = [
    *(b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\x7f\xff", b"\x80\0"),
    *(b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xfe"),
    *(b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\x01", b"\x80\x80\x80\x80\x80\x80"),
    *(b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x9a"),
]


def mutate(choice: random.Random, frame: bytes) -> bytes:
    """Change a frame in one to four places."""
    data = bytearray(frame)
    for _ in range(choice.randint(1, 4)):
        start = choice.randint(0, len(data))
        stop = min(len(data), start + choice.choice([0, 1, 1, 2, 4, 8]))
        kind = choice.randrange(6)
        if kind == 0:  # overwrite or insert
            data[start:stop] = choice.choice(NASTY)
        elif kind == 1:
            data[start:stop] = choice.randbytes(stop - start)
        elif kind == 2:
            del data[start:stop]
        elif kind == 3:
            del data[start:]
        elif kind == 4:  # double a piece, which gives tags twice among others
            data[start:start] = data[start:stop]
        elif stop > start:
            data[start] ^= 1 << choice.randrange(8)
    return bytes(data)


def vectors(name: str) -> list[tuple[str, int, int, bytes]]:
    """(message, version, header version, body) of the vectors with all fields set."""
    rows = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    found = [
        (row["message"], row["version"], row.get("header", 0), bytes.fromhex(row["hex"]))
        for row in rows
        if row["fill"] == "full"
    ]
    assert found
    return found


# Values that are written well and mean ill.
_NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 100, 127, 32767, 2**31 - 1, 2**63 - 1)
_TEXTS = ("", ".", "..", "a\0b", "__consumer_offsets", "\N{SNOWMAN}", "x" * 249, "x" * 32767)
_LEAF_CHANCE = 0.15


def twisted(choice: random.Random, value: Any) -> Any:
    """Return a copy of decoded fields, of which some have other values of the same kind."""
    if isinstance(value, dict):
        return {name: twisted(choice, inner) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [twisted(choice, element) for element in value]
        return choice.choice([inner, inner, inner, inner + inner, []])
    if choice.random() > _LEAF_CHANCE:
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return choice.choice(_NUMBERS)
    if isinstance(value, str):
        return choice.choice(_TEXTS)
    return mutate(choice, bytes(value)) if isinstance(value, (bytes, memoryview)) else value
