"""Records of the coordinators as bytes: a key is its kind and its fields, a value likewise.

Source: CoordinatorRecordSerde.java
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastkafka.broker.coordinator_log import StateRecord
from fastkafka.errors import ProtocolError
from fastkafka.protocol.frames import decode_data, encode_data
from fastkafka.protocol.schema import Message, parse_range

_VERSION = struct.Struct(">h")


class RecordKind(NamedTuple):
    """One kind of record: the number of its key, its tables and the version that is written."""

    number: int
    key: Message
    value: Message
    value_version: int


class StateChange(NamedTuple):
    """A record with its fields; a value of None removes what the key said before."""

    kind: RecordKind
    key: dict[str, Any]
    value: dict[str, Any] | None


def encode_state(
    kind: RecordKind, key: Mapping[str, Any], value: Mapping[str, Any] | None
) -> StateRecord:
    """Return the record for a key and its value, None for a tombstone."""
    encoded = None
    if value is not None:
        encoded = _VERSION.pack(kind.value_version) + encode_data(
            kind.value, kind.value_version, value
        )
    return StateRecord(_VERSION.pack(kind.number) + encode_data(kind.key, 0, key), encoded)


def decode_state(kinds: Mapping[int, RecordKind], record: StateRecord) -> StateChange | None:
    """Return what a record says, None when its kind or version is not known.

    Raises: ProtocolError when it is damaged
    """
    kind = kinds.get(_leading_version(record.key))
    if kind is None:
        return None
    key, _ = decode_data(kind.key, 0, record.key[_VERSION.size :])
    if record.value is None:
        return StateChange(kind, key, None)
    version = _leading_version(record.value)
    first, last = parse_range(kind.value.versions)
    if not first <= version <= last:
        return None
    value, _ = decode_data(kind.value, version, record.value[_VERSION.size :])
    return StateChange(kind, key, value)


def _leading_version(data: bytes) -> int:
    if len(data) < _VERSION.size:
        raise ProtocolError(f"a record of {len(data)} bytes has no version")
    version: int = _VERSION.unpack_from(data)[0]
    return version
