"""Subscriptions and assignments of the classic consumer groups, as members exchange them.

What:   encode and decode the bytes inside JoinGroup metadata and SyncGroup assignments
In:     a version and a body; or bytes that another member, perhaps of another client, wrote
Out:    bytes with the version in front; or (version, body)
Thread: any
Next:   classic.py of group
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

from fastkafka.errors import CorruptFrame, UnsupportedVersion
from fastkafka.protocol.apis import load_table
from fastkafka.protocol.frames import Buffer, decode_data, encode_data
from fastkafka.protocol.schema import Message, parse_range

_VERSION: Final = Struct(">h")


def encode_subscription(version: int, body: Mapping[str, Any]) -> bytes:
    """Encode what a member subscribes to, its version as int16 in front."""
    return _encode("SUBSCRIPTION", version, body)


def decode_subscription(data: Buffer) -> tuple[int, dict[str, Any]]:
    """Decode a subscription; a newer version is read as the newest one known."""
    return _decode("SUBSCRIPTION", data)


def encode_assignment(version: int, body: Mapping[str, Any]) -> bytes:
    """Encode the partitions of a member, the version as int16 in front."""
    return _encode("ASSIGNMENT", version, body)


def decode_assignment(data: Buffer) -> tuple[int, dict[str, Any]]:
    """Decode an assignment; a newer version is read as the newest one known."""
    return _decode("ASSIGNMENT", data)


def _encode(constant: str, version: int, body: Mapping[str, Any]) -> bytes:
    message = load_table("consumer_protocol", constant)
    first, last = parse_range(message.versions)
    if not first <= version <= last:
        raise UnsupportedVersion(
            f"{message.name} version {version} is not supported, versions {first} to {last} are"
        )
    return _VERSION.pack(version) + encode_data(message, version, body)


def _decode(constant: str, data: Buffer) -> tuple[int, dict[str, Any]]:
    message = load_table("consumer_protocol", constant)
    if len(data) < _VERSION.size:
        raise CorruptFrame(f"{message.name}: version at byte 0: 2 bytes needed, {len(data)} left")
    version: int = _VERSION.unpack_from(data)[0]
    first, last = parse_range(message.versions)
    if version < first:
        raise CorruptFrame(f"{message.name}: version {version} at byte 0")
    rest = bytes(data[_VERSION.size :])
    body, end = decode_data(message, min(version, last), rest)
    # New versions only append fields, so what follows a newer one is not ours to judge.
    if end != len(rest) and version <= last:
        raise _left_over(message, version, len(rest) - end)
    return version, body


def _left_over(message: Message, version: int, size: int) -> CorruptFrame:
    return CorruptFrame(f"{message.name} v{version}: {size} bytes left over")
