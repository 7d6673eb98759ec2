"""kill -9 while batches are being appended: nothing acknowledged is lost, nothing is there twice.

KILLS=200 is the long form, `make kill-broker`.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from fastkafka.broker import EmbeddedBroker
from fastkafka.broker.record_batch import crc_matches, read_header
from tests.chaos.pipelined_writer import IN_FLIGHT_MAX, PipelinedWriter
from tests.integration.broker_client import Client

KILLS = int(os.environ.get("KILLS", "12"))
INCREMENTAL_ALTER_CONFIGS = 44
TOPIC = "logs"
SEGMENT_BYTES = 1_000_000

pytestmark = pytest.mark.timeout(60 + 5 * KILLS)


def read_sequences(writer: PipelinedWriter, offset: int) -> int:
    """Read from `offset` to the end: each batch whole, as it was sent, at its own offset."""
    while True:
        found = memoryview(writer.client.fetch(TOPIC, offset))
        if not found:
            return offset
        while found:
            header = read_header(found)
            assert header.base_offset == header.base_sequence == offset
            assert crc_matches(found[: header.size_bytes], header)
            assert bytes(found[16 : header.size_bytes]) == writer.batches[offset]
            offset = header.last_offset + 1
            found = found[header.size_bytes :]


def some_sizes(numbers: random.Random, count: int) -> list[tuple[int, int]]:
    """Choose how many records each batch has, and how large they are."""
    return [(numbers.randrange(1, 30), numbers.randrange(20_000)) for _ in range(count)]


def set_flush_messages(client: Client, count: int) -> None:
    row = {"name": "flush.messages", "config_operation": 0, "value": str(count)}
    resource = {"resource_type": 2, "resource_name": TOPIC, "configs": [row]}
    answer = client.ask(INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]})
    assert answer["responses"][0]["error_code"] == 0


@pytest.mark.parametrize("policy", ["never", "always", "flush.messages"])
def test_kill_9_during_appends_loses_nothing_acknowledged(policy: str) -> None:
    kills = -(-KILLS // 3)
    numbers = random.Random(kills)
    fsync = "always" if policy == "always" else "never"
    with EmbeddedBroker(fsync=fsync, segment_bytes=SEGMENT_BYTES) as broker:
        writer = PipelinedWriter(broker, TOPIC, seed=kills)
        writer.connect()
        writer.client.create_topic(TOPIC)
        if policy == "flush.messages":
            set_flush_messages(writer.client, 7)
        checked_offset = unanswered = 0
        for kill in range(kills):
            writer.send(*some_sizes(numbers, numbers.randrange(IN_FLIGHT_MAX)))
            writer.take_answers(writer.in_flight)
            writer.send(*some_sizes(numbers, IN_FLIGHT_MAX))
            if kill % 2:
                # Somewhere in the appends, or right behind the last one; else at once.
                time.sleep(numbers.random() * 0.003)
            broker.kill()
            writer.take_answers_of_the_dead()
            unanswered += writer.in_flight
            broker.restart()
            writer.client = Client(broker)
            end_offset = read_sequences(writer, checked_offset)
            assert end_offset >= writer.acknowledged_offset
            checked_offset = writer.acknowledged_offset
            writer.client.__exit__()
            writer.connect()
            writer.take_answers(writer.in_flight)
        assert read_sequences(writer, 0) == writer.acknowledged_offset
        writer.client.__exit__()
        assert unanswered, "killed after the work, not in it"
        assert len(list((broker.data_dir / f"{TOPIC}-0").glob("*.log"))) > 1
