"""What the control thread needs of the compiled core, and how it refers to it.

The core is `fastkafka._core.client_core.ClientCore`. The control rooms see it through this face
alone, which the scripted core of the unit tests has too. No method blocks.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from fastkafka.errors import ClosedError, KafkaError
from fastkafka.types import TopicPartition

ROLE_PRODUCE = 0
ROLE_FETCH = 1
ROLE_CONTROL = 2
ROLE_COORDINATOR = 3
# What the coordinator answers when the whole group is there: nothing else can wait behind it.
ROLE_JOINING = 4
ROLE_NAMES = ("produce", "fetch", "control", "coordinator", "joining")

# host address and port, as getaddrinfo gives them
Address = tuple[str, int]
# node id, host, port, rack
BrokerRow = tuple[int, str, int, "str | None"]
# partition, leader id (-1: none), leader epoch (-1: not known)
PartitionRow = tuple[int, int, int]
# name, topic id (16 bytes), error code, partitions
TopicRow = tuple[str, bytes, int, list[PartitionRow]]


class CoreFace(Protocol):
    """The methods of ClientCore that the control thread calls."""

    def stop(self) -> None:
        """End the I/O thread."""

    def completion_fd(self) -> int:
        """Return the eventfd that is readable while drain() has something to give."""

    def drain(self) -> list[tuple[Any, ...]]:
        """Return what happened since the last call, in order."""

    def set_broker(
        self, node_id: int, host: str, port: int, addresses: list[Address], rack: str | None
    ) -> None:
        """Tell where a broker is; bootstrap servers have negative ids."""

    def remove_broker(self, node_id: int) -> None:
        """Forget a broker that left the cluster."""

    def submit(self, node_id: int, role: int, frame: bytes, timeout_ms: int) -> int:
        """Send a request on the broker's connection of that role, opening it first if needed."""

    def submit_on_connection(self, connection_id: int, frame: bytes, timeout_ms: int) -> int:
        """Send a request of the handshake on a connection that is not up yet."""

    def connection_up(self, connection_id: int, versions: dict[int, tuple[int, int]]) -> None:
        """End the handshake of a connection; requests may leave."""

    def close_connection(self, connection_id: int, reason: str, error_code: int = ...) -> None:
        """Close a connection; what waits for an answer on it fails."""

    def set_cluster_view(self, brokers: list[BrokerRow], topics: list[TopicRow]) -> None:
        """Tell who leads what."""

    def set_topic_error(self, name: str, error_code: int) -> None:
        """Tell that a topic cannot be used; what waits for it fails."""

    def wanted_topics(self) -> list[str]:
        """Return the topics that the application uses."""


class ProducerFace(Protocol):
    """The method of ProducerCore that answers producer_id_wanted."""

    def set_producer_id(self, producer_id: int, epoch: int) -> None:
        """Tell the id that idempotent batches carry."""


class TransactionFace(ProducerFace, Protocol):
    """The methods of TransactionCore that a transaction moves by."""

    def move_gate(self, gate: str, transaction_number: int, failure_code: int = 0) -> int:
        """Let the gate be "shut", "open" or "failed"; "gate_moved" brings the ticket back."""

    def partitions_added(self, transaction_number: int, topic: str, partitions: list[int]) -> None:
        """Tell that batches of these partitions may leave."""

    def transaction_failure(self) -> tuple[int, str | None, int] | None:
        """Return the error code, topic and partition of a batch that was not delivered."""

    def refuse_records(self) -> None:
        """Take no more records of the transaction, and wait until nobody is appending."""

    def has_unresolved_sequences(self) -> bool:
        """Tell whether the epoch must be raised before the next transaction."""


class ConsumerFace(Protocol):
    """The methods of ConsumerCore that answer offset_wanted and validation_wanted."""

    def set_fetch_offset(
        self, topic: str, partition: int, fetch_generation: int, offset: int, leader_epoch: int
    ) -> None:
        """Start fetching a partition; nothing happens when the generation is over."""

    def set_partition_error(
        self, topic: str, partition: int, fetch_generation: int, error_code: int, text: str
    ) -> None:
        """Tell the application that a partition cannot be fetched."""

    def count_offset_reset(self) -> None:
        """Count a partition that begins where auto.offset.reset says."""

    def set_epoch_end(
        self,
        topic: str,
        partition: int,
        fetch_generation: int,
        current_leader_epoch: int,
        end_offset: int,
        leader_epoch: int,
        error_code: int = 0,
    ) -> None:
        """Tell where the epoch of a position ends in its leader's log; -1: nobody knows."""


class GroupFace(Protocol):
    """The methods of GroupCore that keep a member in its group."""

    def repeat_request(
        self,
        node_id: int,
        role: int,
        frame: bytes,
        *,
        interval_ms: int,
        timeout_ms: int,
        plain: bytes,
        varying: tuple[int, int],
        lease_ms: int,
        max_poll_interval_ms: int,
    ) -> int:
        """Send a request again and again while its reply is `plain`; "repeating_ended" tells else.

        Args: varying: offset and length of what may differ in the reply, beside its correlation id
        """

    def end_repeating(self, repeat_id: int) -> None:
        """End it; "repeating_ended" may be under way already."""

    def begin_lease(self, lease_ms: int) -> None:
        """Let the application have records for so long, until a reply renews it."""

    def end_lease(self) -> None:
        """Let it have records without a bound: this is no member of a group."""


class CommittingFace(Protocol):
    """What commits need of a consumer."""

    def assigned_partitions(self) -> list[tuple[str, int]]:
        """Return the partitions that are read."""

    def consumed_offset(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return the offset after the last record returned, and its leader epoch."""

    def returned_offset(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return the same without what the latest call has returned."""

    def tell_of_commit(self, error: KafkaError | None, rows: list[TopicPartition]) -> None:
        """Have poll() call on_commit."""


class CoreReference:
    """The core, held weakly, so that a client that nobody uses any more can be collected."""

    def __init__(self, core: CoreFace) -> None:
        self._get: Callable[[], CoreFace | None] = weakref.ref(core)

    def __call__(self) -> CoreFace:
        """Return the core; raise ClosedError when the client is gone."""
        core = self._get()
        if core is None:
            raise ClosedError("Client has been closed")
        return core

    def close(self) -> None:
        """Refuse the core from now on: it may be gone at any moment."""
        self._get = _nothing


def _nothing() -> None:
    return None
