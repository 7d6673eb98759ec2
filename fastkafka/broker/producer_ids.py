"""Producer ids: each is given once in the life of a data directory.

Ids are reserved in blocks; a block is in the catalogue, on the disk, before its first id is given.
A restart begins a new block and leaves the rest of the old one unused.
Source: ProducerIdsBlock.java (blocks of 1000).
"""

from __future__ import annotations

from fastkafka.broker.catalogue import Catalogue
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError

BLOCK_SIZE = 1000


class ProducerIds:
    """Gives producer ids from a durable block."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._next = self._end = 0

    def take(self) -> int:
        """Return an id that was never given before; raises Refusal KAFKA_STORAGE_ERROR."""
        if self._next == self._end:
            self._reserve()
        producer_id = self._next
        self._next += 1
        return producer_id

    def _reserve(self) -> None:
        first = self._catalogue.next_producer_id
        self._catalogue.next_producer_id = first + BLOCK_SIZE
        try:
            self._catalogue.save(sync=True)
        except OSError as error:
            self._catalogue.next_producer_id = first
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR, f"no producer ids could be reserved: {error}"
            ) from error
        self._next, self._end = first, first + BLOCK_SIZE
