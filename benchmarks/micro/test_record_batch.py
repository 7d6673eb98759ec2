"""Single rooms: checksum, encoding and reading of record batches. `make micro` runs these."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka._core.crc32c import crc32c
from fastkafka._core.record_batch_reader import read_batches
from fastkafka._core.record_batch_writer import RecordBatchBuilder

RECORDS = 1000
VALUES = [b"%08d " % number + b"v" * 91 for number in range(RECORDS)]


def batch_of(compression: str) -> bytes:
    builder = RecordBatchBuilder(compression=compression)
    for value in VALUES:
        builder.append(None, value, timestamp_ms=1)
    return bytes(builder.build())


@pytest.mark.parametrize("size_bytes", [100, 1000, 1_000_000])
def test_crc32c(benchmark: Any, size_bytes: int) -> None:
    data = bytes(range(256)) * (size_bytes // 256 + 1)
    benchmark.extra_info["bytes"] = size_bytes
    benchmark(crc32c, data[:size_bytes])


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_encode_a_thousand_records(benchmark: Any, compression: str) -> None:
    batch = benchmark(batch_of, compression)
    assert len(batch) > 1000


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_read_a_thousand_records(benchmark: Any, compression: str) -> None:
    batch = batch_of(compression)
    batches = benchmark(read_batches, batch)
    assert len(batches) == 1
