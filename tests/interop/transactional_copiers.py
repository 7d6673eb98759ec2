"""Copiers from topic to topic in transactions, one per client, with one face.

`copy` reads one chunk of the source, writes it to the sink, and commits records and offsets
together, or aborts them.
"""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any, Protocol

TIMEOUT_S = 30
CHUNK = 25


class Copier(Protocol):
    """Copies partition 0 of a topic to partition 0 of another."""

    def copy(self, offset: int, marked: bytes, abort: bool) -> None:
        """Copy the records from `offset` on, each with `marked` before its value."""

    def close(self) -> None:
        """End the clients."""


class _OfOneApi:
    """What the two clients with confluent_kafka's API do alike."""

    _client: ModuleType
    _producer: Any
    _source: str
    _sink: str

    def _write(
        self, messages: list[Any], group: object, offset: int, marked: bytes, abort: bool
    ) -> None:
        """Write what was read, and commit it with the offset behind it, or abort both."""
        self._producer.begin_transaction()
        for message in messages:
            self._producer.produce(self._sink, marked + message.value(), partition=0)
        self._producer.send_offsets_to_transaction(
            [self._client.TopicPartition(self._source, 0, offset + CHUNK)],
            group,
            TIMEOUT_S,
        )
        if abort:
            self._producer.abort_transaction(TIMEOUT_S)
        else:
            self._producer.commit_transaction(TIMEOUT_S)


class ConfluentCopier(_OfOneApi):
    """confluent-kafka."""

    def __init__(
        self, client: ModuleType, bootstrap: str, source: str, sink: str, group: str
    ) -> None:
        self._client, self._source, self._sink = client, source, sink
        self._consumer = client.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False}
        )
        self._producer = client.Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": group}
        )
        self._producer.init_transactions(TIMEOUT_S)

    def copy(self, offset: int, marked: bytes, abort: bool) -> None:
        place = self._client.TopicPartition(self._source, 0, offset)
        self._consumer.assign([place])
        messages: list[Any] = []
        while len(messages) < CHUNK:
            messages += self._consumer.consume(CHUNK - len(messages), TIMEOUT_S)
        self._write(messages, self._consumer.consumer_group_metadata(), offset, marked, abort)

    def close(self) -> None:
        self._consumer.close()


class OurCopier(_OfOneApi):
    """fastkafka; its consumer joins no group yet, so the offsets are committed for the group."""

    def __init__(
        self, client: ModuleType, bootstrap: str, source: str, sink: str, group: str
    ) -> None:
        self._client, self._source, self._sink, self._group = client, source, sink, group
        servers = {"bootstrap.servers": bootstrap}
        self._consumer = client.Consumer({**servers, "group.id": group})
        self._producer = client.Producer({**servers, "transactional.id": group})
        self._producer.init_transactions(TIMEOUT_S)

    def copy(self, offset: int, marked: bytes, abort: bool) -> None:
        self._consumer.assign([self._client.TopicPartition(self._source, 0, offset)])
        messages = self._consumer.consume(CHUNK, TIMEOUT_S)
        group = self._client.ConsumerGroupMetadata(self._group)
        self._write(messages, group, offset, marked, abort)

    def close(self) -> None:
        self._consumer.close()
        self._producer.close(1)


class KafkaPythonCopier:
    """kafka-python."""

    def __init__(
        self, client: ModuleType, bootstrap: str, source: str, sink: str, group: str
    ) -> None:
        self._client, self._sink = client, sink
        self._place = client.TopicPartition(source, 0)
        servers = bootstrap.split(",")
        self._consumer = client.KafkaConsumer(
            bootstrap_servers=servers, group_id=group, enable_auto_commit=False
        )
        self._consumer.assign([self._place])
        self._producer = client.KafkaProducer(bootstrap_servers=servers, transactional_id=group)
        self._producer.init_transactions()

    def copy(self, offset: int, marked: bytes, abort: bool) -> None:
        self._consumer.seek(self._place, offset)
        values: list[bytes] = []
        while len(values) < CHUNK:
            found = self._consumer.poll(timeout_ms=1000, max_records=CHUNK - len(values))
            values += [row.value for rows in found.values() for row in rows]
        self._producer.begin_transaction()
        for value in values:
            self._producer.send(self._sink, marked + value, partition=0)
        after = self._client.structs.OffsetAndMetadata(offset + CHUNK, "", -1)
        self._producer.send_offsets_to_transaction(
            {self._place: after}, self._consumer.group_metadata()
        )
        if abort:
            self._producer.abort_transaction()
        else:
            self._producer.commit_transaction()

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()


class AioCopier:
    """aiokafka."""

    def __init__(
        self, client: ModuleType, bootstrap: str, source: str, sink: str, group: str
    ) -> None:
        self._client, self._sink, self._group = client, sink, group
        self._place = client.TopicPartition(source, 0)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._start(bootstrap))

    async def _start(self, bootstrap: str) -> None:
        self._consumer = self._client.AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=self._group, enable_auto_commit=False
        )
        await self._consumer.start()
        self._consumer.assign([self._place])
        self._producer = self._client.AIOKafkaProducer(
            bootstrap_servers=bootstrap, transactional_id=self._group
        )
        await self._producer.start()

    def copy(self, offset: int, marked: bytes, abort: bool) -> None:
        self._loop.run_until_complete(self._copy(offset, marked, abort))

    async def _copy(self, offset: int, marked: bytes, abort: bool) -> None:
        self._consumer.seek(self._place, offset)
        values: list[bytes] = []
        while len(values) < CHUNK:
            found = await self._consumer.getmany(timeout_ms=1000, max_records=CHUNK - len(values))
            values += [row.value for rows in found.values() for row in rows]
        await self._producer.begin_transaction()
        sends = [await self._producer.send(self._sink, marked + v, partition=0) for v in values]
        try:
            await self._producer.send_offsets_to_transaction(
                {self._place: offset + CHUNK}, self._group
            )
            if abort:
                await self._producer.abort_transaction()
            else:
                await self._producer.commit_transaction()
        finally:
            # A fenced or aborted producer fails each of them; nobody else would look.
            await asyncio.gather(*sends, return_exceptions=True)

    def close(self) -> None:
        self._loop.run_until_complete(self._consumer.stop())
        self._loop.run_until_complete(self._producer.stop())
        self._loop.close()
