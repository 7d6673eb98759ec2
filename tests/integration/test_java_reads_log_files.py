"""Apache Kafka's DumpLogSegments reads the files that the broker writes, after compaction too."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from tests.conftest import skip_or_fail
from tests.unit.broker_batches import TRANSACTIONAL, build_keyed
from tools.kafka_cluster import fetch_jars, java_command, missing_requirement

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module", autouse=True)
def java_tools() -> None:
    lacking = missing_requirement()
    if lacking is not None:
        skip_or_fail(lacking)
    fetch_jars()


def dump(log: PartitionLog) -> str:
    """Dump all files of a log, with all checks that the tool has."""
    files = sorted(
        str(path)
        for path in log.folder.iterdir()
        if path.suffix in (".log", ".index", ".timeindex")
    )
    assert len(files) >= 6
    options = ("--files", ",".join(files), "--deep-iteration", "--print-data-log")
    command = java_command("org.apache.kafka.tools.DumpLogSegments", *options, heap="256m")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    dumped = ended.stdout
    assert re.search(r"mismatch|non-consecutive|corrupt|out of order", dumped, re.I) is None
    assert set(re.findall(r"isvalid: (\w+)", dumped)) == {"true"}
    return dumped


def test_dump_log_segments_reads_markers_append_times_and_compacted_segments(
    tmp_path: Path,
) -> None:
    config = LogConfig(
        segment_bytes=2000,
        index_interval_bytes=100,
        compacts=True,
        log_append_time=True,
        min_cleanable_dirty_ratio=0.0,
    )
    log = PartitionLog(tmp_path / "logs-0", config)
    for sequence in range(60):
        log.append(
            build_keyed(
                [(b"key-%d" % (sequence % 7), b"value"), (b"gone", None)],
                producer_id=7,
                base_sequence=2 * sequence,
                attributes=TRANSACTIONAL,
            )
        )
        if sequence % 5 == 4:
            log.append_marker(7, 0, sequence % 2 == 0, 3)
    before = dump(log)
    assert "endTxnMarker: COMMIT coordinatorEpoch: 3" in before
    assert "endTxnMarker: ABORT coordinatorEpoch: 3" in before
    assert "LogAppendTime" in before
    log.compact()
    log.close()
    after = dump(log)
    assert re.search(r"deleteHorizonMs: OptionalLong\[\d+\]", after)
    assert after.count("payload: value") < before.count("payload: value")
