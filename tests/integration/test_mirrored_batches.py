"""Whole batches from a log of the embedded broker into another topic, read back by a stranger."""

from __future__ import annotations

from pathlib import Path

import confluent_kafka
import pytest

from fastkafka import Producer, RecordBatch
from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from fastkafka.broker import EmbeddedBroker, Fault

NOT_LEADER = 6
TIMEOUT_S = 30


@pytest.mark.parametrize("codec", CODECS)
def test_a_mirror_has_what_its_source_has_whatever_the_broker_does(codec: str) -> None:
    values = [b"line %d " % number * 8 for number in range(400)]
    with EmbeddedBroker() as broker:
        conf = {"bootstrap.servers": broker.bootstrap_servers, "retry.backoff.ms": 10}
        with Producer({**conf, "compression.type": codec, "batch.num.messages": 20}) as source:
            source.produce_many("source", values, partition=0)
            assert source.flush(TIMEOUT_S) == 0
        (log,) = Path(broker.data_dir).rglob("source-0/*.log")
        found = read_batches(log.read_bytes())
        raws, at = list[RecordBatch](), 0
        for one in found:
            following = at + one["batch_length"] + 12
            raw = log.read_bytes()[at:following]
            raws.append(RecordBatch.from_bytes(raw, "source", 0))
            at = following
        for fault in (
            Fault("produce", error_code=NOT_LEADER, times=2),
            Fault("produce", drop_connection="after", times=2),
        ):
            broker.faults.add(fault)
        with Producer(conf) as mirror:
            assert mirror.produce_batches("mirror", raws) == len(values)
            assert mirror.flush(TIMEOUT_S) == 0
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "check.crcs": True}
        )
        try:
            consumer.assign([confluent_kafka.TopicPartition("mirror", 0, 0)])
            assert [one.value() for one in consumer.consume(len(values), TIMEOUT_S)] == values
            assert consumer.get_watermark_offsets(
                confluent_kafka.TopicPartition("mirror", 0), TIMEOUT_S
            ) == (0, len(values))
        finally:
            consumer.close()
