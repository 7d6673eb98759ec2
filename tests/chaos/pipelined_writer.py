"""An idempotent producer reduced to its bones: a few batches in flight on one plain connection.

It knows each batch that it has sent and each that was acknowledged, and sends again what has no
answer, so that a test can kill the broker at any moment and say afterwards what must be there.
"""

from __future__ import annotations

import random

from fastkafka import protocol
from fastkafka.broker.record_batch import HEADER_BYTES, LOG_OVERHEAD_BYTES, BatchHeader, sealed
from tests.integration.broker_client import PRODUCE, Client, HasAddress
from tests.unit.broker_batches import encode_record

IN_FLIGHT_MAX = 5  # as many batches as a broker must know again
PRODUCER_ID = 77


class PipelinedWriter:
    """Writes to partition 0 of one topic; record n has sequence n and comes to offset n."""

    def __init__(self, broker: HasAddress, topic: str, seed: int) -> None:
        self.topic = topic
        self._broker = broker
        self._numbers = random.Random(seed)
        self._in_flight: list[tuple[int, bytes]] = []  # of each batch its sequence and bytes
        self._next_sequence = 0
        self.acknowledged_offset = 0  # everything before it must be there
        self.batches: dict[int, bytes] = {}  # by sequence, without what the broker sets
        self.client: Client

    def connect(self) -> None:
        """Connect and send again what was not answered, in order."""
        self.client = Client(self._broker)
        self.client.socket.sendall(b"".join(self._framed(batch) for _, batch in self._in_flight))

    def send(self, *sizes: tuple[int, int]) -> None:
        """Send batches of (records, bytes of a value) in one go, without waiting for answers."""
        batches = [self._build(*size) for size in sizes]
        self.client.socket.sendall(b"".join(map(self._framed, batches)))

    def _build(self, record_count: int, value_bytes: int) -> bytes:
        records = b"".join(
            encode_record(index, 0, self._numbers.randbytes(value_bytes))
            for index in range(record_count)
        )
        header = BatchHeader(
            base_offset=0,
            batch_length=HEADER_BYTES - LOG_OVERHEAD_BYTES + len(records),
            partition_leader_epoch=-1,
            magic=2,
            crc=0,
            attributes=0,
            last_offset_delta=record_count - 1,
            base_timestamp=1000,
            max_timestamp=1000,
            producer_id=PRODUCER_ID,
            producer_epoch=0,
            base_sequence=self._next_sequence,
            records_count=record_count,
        )
        batch = sealed(header, records)
        self.batches[self._next_sequence] = batch[16:]
        self._in_flight.append((self._next_sequence, batch))
        self._next_sequence += record_count
        return batch

    def _framed(self, batch: bytes) -> bytes:
        data = [{"index": 0, "records": batch}]
        topic_data = [{"name": self.topic, "partition_data": data}]
        body = {"acks": -1, "timeout_ms": 1, "topic_data": topic_data}
        frame = protocol.encode_request(PRODUCE, 9, 5, "writer", body)
        return len(frame).to_bytes(4, "big") + frame

    def take_answers(self, count: int) -> None:
        """Wait for `count` answers; the offsets in them must be right."""
        for _ in range(count):
            response = self.client.receive()
            assert response, "the broker has hung up"
            self._take(response)

    def take_answers_of_the_dead(self) -> None:
        """Take the answers that were sent before the broker was killed: they are binding."""
        self.client.socket.settimeout(5)
        while self._in_flight:
            try:
                response = self.client.receive()
            except (TimeoutError, ConnectionError):
                break
            if not response:
                break
            self._take(response)
        self.client.__exit__()

    def _take(self, response: bytes) -> None:
        _, answer = protocol.decode_response(PRODUCE, 9, response)
        row = answer["responses"][0]["partition_responses"][0]
        sequence, _ = self._in_flight.pop(0)
        assert (row["error_code"], row["base_offset"]) == (0, sequence)
        self.acknowledged_offset = self._in_flight[0][0] if self._in_flight else self._next_sequence

    @property
    def in_flight(self) -> int:
        """Batches without an answer."""
        return len(self._in_flight)
