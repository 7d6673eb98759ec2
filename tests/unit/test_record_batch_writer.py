"""The encoder of record batches against the slow reference, byte for byte."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from fastkafka._core.record_batch_writer import RecordBatchBuilder
from tests.reference import record_batches as reference
from tests.reference.codecs import DECOMPRESS

INT32_MAX = 2**31 - 1
texts = st.none() | st.binary(max_size=80)
rows = st.lists(
    st.tuples(
        texts,
        texts,
        st.lists(st.tuples(st.text(max_size=10), texts), max_size=4),
        st.integers(0, 2**44),
    ),
    min_size=1,
    max_size=20,
)


def expected_batch(listed: list[Any], **fields: Any) -> bytes:
    base = listed[0][3]
    encoded = [
        reference.record(
            delta,
            key=key,
            value=value,
            headers=[(name.encode(), content) for name, content in headers],
            timestamp_delta=timestamp - base,
        )
        for delta, (key, value, headers, timestamp) in enumerate(listed)
    ]
    return reference.batch(
        encoded,
        base_timestamp=base,
        max_timestamp=max(row[3] for row in listed),
        partition_leader_epoch=-1,
        **fields,
    )


def built(listed: list[Any], **fields: Any) -> bytes:
    builder = RecordBatchBuilder(**fields)
    for key, value, headers, timestamp in listed:
        builder.append(key, value, headers, timestamp)
    return builder.build()


@settings(max_examples=150)
@given(
    listed=rows,
    producer_id=st.integers(-1, 2**63 - 1),
    producer_epoch=st.integers(-1, 32767),
    base_sequence=st.integers(-1, INT32_MAX),
)
def test_batches_are_those_of_the_reference(
    listed: list[Any], producer_id: int, producer_epoch: int, base_sequence: int
) -> None:
    fields = {
        "producer_id": producer_id,
        "producer_epoch": producer_epoch,
        "base_sequence": base_sequence,
    }
    assert built(listed, **fields) == expected_batch(listed, **fields)


@pytest.mark.parametrize("size", [0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 65_400, 65_536, 300_000])
def test_lengths_on_either_side_of_a_varint_and_of_a_slab(size: int) -> None:
    listed = [(b"k" * size, b"v" * size, [("h" * min(size, 200), b"c" * size)], 5)] * 3
    assert built(listed) == expected_batch(listed)


def test_many_records_over_many_slabs() -> None:
    listed = [(b"%d" % number, b"v" * (number % 3000), [], number) for number in range(2000)]
    assert built(listed) == expected_batch(listed)


def test_timestamps_may_go_back_and_far_ahead() -> None:
    listed = [(None, b"v", [], t) for t in (10**12, 0, 2**62, 5, 10**12 + 1)]
    assert built(listed) == expected_batch(listed)


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
@settings(max_examples=50)
@given(listed=rows)
def test_a_compressed_batch_holds_the_same_records(codec: str, listed: list[Any]) -> None:
    plain, packed = built(listed), built(listed, compression=codec)
    attributes, crc = (
        struct.unpack_from(">h", packed, 21)[0],
        struct.unpack_from(">I", packed, 17)[0],
    )
    assert attributes == reference.CODECS[codec] == CODECS[codec]
    assert crc == crc32c(packed[21:])
    assert DECOMPRESS[codec](packed[61:]) == plain[61:]
    (batch,) = read_batches(packed)
    assert [(row[2], row[3], row[4], row[1]) for row in batch["records"]] == listed


def test_empty_batch_and_unknown_codec_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        RecordBatchBuilder().build()
    with pytest.raises(ValueError, match="compression 'brotli'"):
        RecordBatchBuilder(compression="brotli")
    with pytest.raises(TypeError):
        RecordBatchBuilder().append(b"k", "text")
