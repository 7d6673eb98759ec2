"""Topics that are full of records before somebody reads them.

In:     values, and how large the batches are to be
Out:    a topic whose partitions have equal shares, in batches of one size
Thread: one
Next:   compare.py and reading_spread.py measure consumers on them
"""

from __future__ import annotations

import itertools

from benchmarks.judges import Judge
from fastkafka import Producer

BATCH_BYTES = 1_000_000
RECORD_OVERHEAD_BYTES = 16  # more than a record without key and headers has
FLUSH_TIMEOUT_S = 180


def fill_topic(
    judge: Judge,
    topic: str,
    partitions: int,
    values: list[bytes],
    records: int,
    batch_bytes: int,
    codec: str = "none",
) -> None:
    """Write `records` values, a batch to each partition in turn; the broker counts them.

    Raises:  SystemExit when the broker has another count
    """
    batch_records = max(1, batch_bytes // (len(values[0]) + RECORD_OVERHEAD_BYTES))
    conf = {
        "bootstrap.servers": judge.bootstrap_server,
        "batch.size": batch_bytes,
        "batch.num.messages": batch_records,
        "linger.ms": 1000,  # batches are full before they leave
        "compression.type": codec,
    }
    with Producer(conf) as producer:
        left = records
        source = itertools.cycle(values)
        for partition in itertools.cycle(range(partitions)):
            batch = list(itertools.islice(source, min(batch_records, left)))
            producer.produce_many(topic, batch, partition=partition)
            left -= len(batch)
            if left == 0:
                break
        if producer.flush(FLUSH_TIMEOUT_S):
            raise SystemExit(f"{topic} could not be filled")
    arrived = judge.arrived(topic).records
    if arrived != records:
        raise SystemExit(f"filled {topic} with {records} records, the broker counted {arrived}")
