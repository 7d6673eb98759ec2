"""Transaction markers: the control batch that ends a producer's transaction on one partition.

Batch:   one record, attributes transactional and control, no sequence
Record:  key version i16 (0), type i16 (0 abort, 1 commit);
         value version i16 (0), coordinator_epoch i32
Source:  KIP-98; ControlRecordType.java, EndTransactionMarker.java
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from fastkafka.broker.record_batch import (
    CONTROL,
    HEADER_BYTES,
    TRANSACTIONAL,
    BatchHeader,
    build_batch,
)

_ABORT = 0
_COMMIT = 1
_VERSION = 0
# Lengths are varints that take one byte each here: of the record, the key and the value.
_RECORD = struct.Struct(">bbbbb hh b hi b")
_RECORD_LENGTH = _RECORD.size - 1
_KEY_LENGTH = 4
_VALUE_LENGTH = 6


class TransactionMarker(NamedTuple):
    """What a coordinator says of a transaction at its end."""

    producer_id: int
    producer_epoch: int
    commit: bool
    coordinator_epoch: int


def build_marker(marker: TransactionMarker, timestamp: int) -> bytes:
    """Return the control batch of a marker; base offset and leader epoch are set at its append."""
    record = _RECORD.pack(
        2 * _RECORD_LENGTH,  # zigzag
        0,
        0,
        0,
        2 * _KEY_LENGTH,
        _VERSION,
        _COMMIT if marker.commit else _ABORT,
        2 * _VALUE_LENGTH,
        _VERSION,
        marker.coordinator_epoch,
        0,
    )
    return build_batch(
        record,
        records_count=1,
        attributes=TRANSACTIONAL | CONTROL,
        timestamp=timestamp,
        producer_id=marker.producer_id,
        producer_epoch=marker.producer_epoch,
    )


def read_marker(header: BatchHeader, batch: bytes) -> TransactionMarker | None:
    """Return the marker in a control batch, None when it is a control record of another kind."""
    if len(batch) < HEADER_BYTES + _RECORD.size:
        return None
    *_, kind, _, _, coordinator_epoch, _ = _RECORD.unpack_from(batch, HEADER_BYTES)
    if kind not in (_ABORT, _COMMIT):
        return None
    return TransactionMarker(
        header.producer_id, header.producer_epoch, kind == _COMMIT, coordinator_epoch
    )
