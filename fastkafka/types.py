"""The types that calls take and return: partitions, topics, brokers, outcomes.

Nothing here knows a connection. Names, defaults and comparisons are those of confluent_kafka; what
was refused there without need (pickling, comparing with other types) works.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastkafka.errors import KafkaError

OFFSET_BEGINNING = -2
OFFSET_END = -1
OFFSET_STORED = -1000
OFFSET_INVALID = -1001

TIMESTAMP_NOT_AVAILABLE = 0
TIMESTAMP_CREATE_TIME = 1
TIMESTAMP_LOG_APPEND_TIME = 2


class Outcome(Enum):
    """What is known of a produced record.

    DELIVERED: the brokers acknowledged it. NOT_WRITTEN: it is in no log and may be produced again
    without a duplicate. UNKNOWN: it may or may not be in the log.
    """

    DELIVERED = "DELIVERED"
    NOT_WRITTEN = "NOT_WRITTEN"
    UNKNOWN = "UNKNOWN"


class DeliveryRange(NamedTuple):
    """The outcome of a batch, whose records_count records have the offsets from base_offset on.

    partition is -1 when the topic's partitions were never known. base_offset is OFFSET_INVALID when
    the batch was not written, or the broker did not say where (acks=0, a duplicate). timestamp is
    that of the first record, (type, ms) as Message.timestamp() has it.
    """

    topic: str
    partition: int
    base_offset: int
    records_count: int
    timestamp: tuple[int, int]
    error: KafkaError | None
    outcome: Outcome


class IsolationLevel(Enum):
    """Which records of open and aborted transactions a reader sees; values are the wire's."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


class ElectionType(Enum):
    """Whom an election of leaders may choose: the preferred replica, or any that lives."""

    PREFERRED = 0
    UNCLEAN = 1


class ConsumerGroupState(Enum):
    """Where a consumer group stands."""

    UNKNOWN = 0
    PREPARING_REBALANCING = 1
    COMPLETING_REBALANCING = 2
    STABLE = 3
    DEAD = 4
    EMPTY = 5


class ConsumerGroupType(Enum):
    """Which protocol a consumer group speaks; CONSUMER is that of KIP-848."""

    UNKNOWN = 0
    CONSUMER = 1
    CLASSIC = 2


class AclOperation(Enum):
    """What a principal may do to a resource; values are the wire's, which are the public ones."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class Uuid:
    """A topic id: 128 bits, written as Kafka writes them (URL-safe base64 without padding)."""

    __slots__ = ("_least", "_most")

    def __init__(self, most_significant_bits: int, least_significant_bits: int) -> None:
        self._most = _signed_64(most_significant_bits)
        self._least = _signed_64(least_significant_bits)

    @classmethod
    def from_bytes(cls, data: bytes) -> Uuid:
        """Make a Uuid of the 16 bytes of the wire."""
        if len(data) != 16:
            raise ValueError(f"a uuid has 16 bytes, not {len(data)}")
        return cls(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big"))

    def get_most_significant_bits(self) -> int:
        """Return the upper 64 bits as a signed number."""
        return self._most

    def get_least_significant_bits(self) -> int:
        """Return the lower 64 bits as a signed number."""
        return self._least

    def __bytes__(self) -> bytes:
        return self._most.to_bytes(8, "big", signed=True) + self._least.to_bytes(
            8, "big", signed=True
        )

    def __int__(self) -> int:
        return int.from_bytes(bytes(self), "big")

    def __str__(self) -> str:
        text = binascii.b2a_base64(bytes(self), newline=False).decode()
        return text.rstrip("=").replace("+", "-").replace("/", "_")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Uuid):
            return NotImplemented
        return self._most == other._most and self._least == other._least

    def __hash__(self) -> int:
        return hash(self._most ^ self._least)

    def __reduce__(self) -> tuple[Any, ...]:
        return Uuid, (self._most, self._least)


def _signed_64(bits: int) -> int:
    bits &= 0xFFFFFFFFFFFFFFFF
    return bits - (1 << 64) if bits >> 63 else bits


class TopicPartition:
    """A partition, with an offset and what was said about it.

    Equality, hash and order look at the topic and the partition only.
    """

    __slots__ = ("_error", "_leader_epoch", "_metadata", "_topic", "offset", "partition")

    def __init__(
        self,
        topic: str,
        partition: int = -1,
        offset: int = OFFSET_INVALID,
        metadata: str | None = None,
        leader_epoch: int | None = None,
        *,
        error: KafkaError | None = None,
    ) -> None:
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        self._topic = topic
        self.partition = int(partition)
        self.offset = int(offset)
        self._metadata = metadata
        self._leader_epoch = None if leader_epoch is None or leader_epoch < 0 else leader_epoch
        self._error = error

    @property
    def topic(self) -> str:
        """Name of the topic."""
        return self._topic

    @property
    def metadata(self) -> str | None:
        """Text that was committed with the offset."""
        return self._metadata

    @property
    def leader_epoch(self) -> int | None:
        """Epoch of the leader that wrote the record before the offset; None when not known."""
        return self._leader_epoch

    @property
    def error(self) -> KafkaError | None:
        """What went wrong with this partition in the call that returned it."""
        return self._error

    def _key(self) -> tuple[str, int]:
        return (self._topic, self.partition)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, TopicPartition) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key() < other._key() if isinstance(other, TopicPartition) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._key() <= other._key() if isinstance(other, TopicPartition) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._key() > other._key() if isinstance(other, TopicPartition) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._key() >= other._key() if isinstance(other, TopicPartition) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return (
            f"TopicPartition{{topic={self._topic},partition={self.partition},offset={self.offset},"
            f"leader_epoch={self._leader_epoch},error={self._error}}}"
        )

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        state = (
            self._topic,
            self.partition,
            self.offset,
            self._metadata,
            self._leader_epoch,
            self._error,
        )
        return _rebuild_topic_partition, state


def _rebuild_topic_partition(
    topic: str,
    partition: int,
    offset: int,
    metadata: str | None,
    leader_epoch: int | None,
    error: KafkaError | None,
) -> TopicPartition:
    return TopicPartition(topic, partition, offset, metadata, leader_epoch, error=error)


class _Model:
    """A plain record of named values. Not a dataclass: those cost a third of the import."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({values})"


class Node(_Model):
    """One broker of the cluster."""

    __slots__ = ("host", "id", "port", "rack")

    def __init__(self, id: int, host: str, port: int, rack: str | None = None) -> None:
        self.id = id
        self.host = host
        self.port = port
        self.rack = rack

    @property
    def id_string(self) -> str:
        """The id as text."""
        return str(self.id)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.id, self.host, self.port, self.rack))

    def __str__(self) -> str:
        rack = "" if self.rack is None else f" rack {self.rack}"
        return f"({self.id}) {self.host}:{self.port}{rack}"


class BrokerMetadata(_Model):
    """One broker, as `list_topics` tells it."""

    __slots__ = ("host", "id", "port")

    def __init__(self, id: int = -1, host: str | None = None, port: int = -1) -> None:
        self.id = id
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.id}"


class PartitionMetadata(_Model):
    """One partition, as `list_topics` tells it; leader is -1 while there is none."""

    __slots__ = ("error", "id", "isrs", "leader", "replicas")

    def __init__(
        self,
        id: int = -1,
        leader: int = -1,
        replicas: list[int] | None = None,
        isrs: list[int] | None = None,
        error: KafkaError | None = None,
    ) -> None:
        self.id = id
        self.leader = leader
        self.replicas = [] if replicas is None else replicas
        self.isrs = [] if isrs is None else isrs
        self.error = error

    def __str__(self) -> str:
        return str(self.id)


class TopicMetadata(_Model):
    """One topic, as `list_topics` tells it; `error` is set when the broker could not."""

    __slots__ = ("error", "partitions", "topic")

    def __init__(
        self,
        topic: str | None = None,
        partitions: dict[int, PartitionMetadata] | None = None,
        error: KafkaError | None = None,
    ) -> None:
        self.topic = topic
        self.partitions = {} if partitions is None else partitions
        self.error = error

    def __str__(self) -> str:
        return str(self.topic)


class ClusterMetadata(_Model):
    """What `list_topics` returns; the orig_broker is the one that answered."""

    __slots__ = (
        "brokers",
        "cluster_id",
        "controller_id",
        "orig_broker_id",
        "orig_broker_name",
        "topics",
    )

    def __init__(
        self,
        cluster_id: str | None = None,
        controller_id: int = -1,
        brokers: dict[int, BrokerMetadata] | None = None,
        topics: dict[str, TopicMetadata] | None = None,
        orig_broker_id: int = -1,
        orig_broker_name: str | None = None,
    ) -> None:
        self.cluster_id = cluster_id
        self.controller_id = controller_id
        self.brokers = {} if brokers is None else brokers
        self.topics = {} if topics is None else topics
        self.orig_broker_id = orig_broker_id
        self.orig_broker_name = orig_broker_name

    def __str__(self) -> str:
        return str(self.cluster_id)


class NewTopic:
    """A topic to create; -1 leaves a number to the broker.

    `replica_assignment` lists for each partition the ids of the brokers that hold it and excludes
    a replication factor.
    """

    __slots__ = ("config", "num_partitions", "replica_assignment", "replication_factor", "topic")

    def __init__(
        self,
        topic: str,
        num_partitions: int = -1,
        replication_factor: int = -1,
        replica_assignment: list[list[int]] | None = None,
        config: dict[str, str] | None = None,
    ) -> None:
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        self.topic = topic
        self.num_partitions = int(num_partitions)
        self.replication_factor = int(replication_factor)
        self.replica_assignment = replica_assignment
        self.config = config

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NewTopic):
            return NotImplemented
        return (self.topic, self.num_partitions) == (other.topic, other.num_partitions)

    def __hash__(self) -> int:
        return hash((self.topic, self.num_partitions))

    def __str__(self) -> str:
        return f"NewTopic(topic={self.topic},num_partitions={self.num_partitions})"

    __repr__ = __str__


class TopicCollection:
    """The topics that a call is about, by name."""

    __slots__ = ("topic_names",)

    def __init__(self, topic_names: Iterable[str]) -> None:
        self.topic_names = list(topic_names)

    def __repr__(self) -> str:
        return f"TopicCollection({self.topic_names!r})"


class TopicPartitionInfo(_Model):
    """One partition, as `describe_topics` tells it."""

    __slots__ = ("id", "isr", "leader", "replicas")

    def __init__(self, id: int, leader: Node | None, replicas: list[Node], isr: list[Node]) -> None:
        self.id = id
        self.leader = leader
        self.replicas = replicas
        self.isr = isr


class TopicDescription(_Model):
    """One topic, as `describe_topics` tells it; authorized_operations only when asked for."""

    __slots__ = ("authorized_operations", "is_internal", "name", "partitions", "topic_id")

    def __init__(
        self,
        name: str,
        topic_id: Uuid,
        is_internal: bool,
        partitions: list[TopicPartitionInfo],
        authorized_operations: list[AclOperation] | None = None,
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.is_internal = is_internal
        self.partitions = partitions
        self.authorized_operations = authorized_operations


class DescribeClusterResult(_Model):
    """The cluster, as `describe_cluster` tells it; authorized_operations only when asked for."""

    __slots__ = ("authorized_operations", "cluster_id", "controller", "nodes")

    def __init__(
        self,
        controller: Node | None,
        nodes: list[Node],
        cluster_id: str | None = None,
        authorized_operations: list[AclOperation] | None = None,
    ) -> None:
        self.controller = controller
        self.nodes = nodes
        self.cluster_id = cluster_id
        self.authorized_operations = authorized_operations


class ConsumerGroupMetadata(NamedTuple):
    """Who commits offsets in a transaction: a member of a group, as far as it is known (KIP-447).

    Example: ConsumerGroupMetadata("copiers") commits for the group without being a member
    """

    group_id: str
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None


class ThrottleEvent(_Model):
    """A broker throttles this client: it is asked nothing for so long (KIP-219)."""

    __slots__ = ("broker_id", "broker_name", "throttle_time")

    def __init__(self, broker_name: str, broker_id: int, throttle_time: float) -> None:
        self.broker_name = broker_name
        self.broker_id = broker_id
        self.throttle_time = throttle_time  # seconds

    def __str__(self) -> str:
        """Return confluent_kafka's words."""
        milliseconds = round(self.throttle_time * 1000)
        return f"{self.broker_name}/{self.broker_id} throttled for {milliseconds} ms"
