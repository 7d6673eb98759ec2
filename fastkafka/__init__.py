"""fastkafka: a Kafka client whose data plane is native. The API is a superset of confluent_kafka's.

The compiled core comes with the first use of a client, so that programs that only want a part of
the package (the embedded broker, the error table) start at once.

Example:
    from fastkafka import Producer
    with Producer({"bootstrap.servers": "127.0.0.1:9092"}) as producer:
        producer.produce("logs", b"line")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastkafka.errors import KafkaError, KafkaException
from fastkafka.types import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    ConsumerGroupMetadata,
    ConsumerGroupState,
    ConsumerGroupType,
    DeliveryRange,
    ElectionType,
    IsolationLevel,
    Node,
    Outcome,
    ThrottleEvent,
    TopicCollection,
    TopicPartition,
    TopicPartitionInfo,
    Uuid,
)
from fastkafka.versions import __version__, libversion, version

if TYPE_CHECKING:
    from fastkafka._core.buffer_import import Slices
    from fastkafka._core.fetched_columns import FetchedRecords
    from fastkafka._core.message import Message
    from fastkafka._core.record_batch import RecordBatch
    from fastkafka._core.text_lines import TextLines
    from fastkafka._core.topic_handle import TopicHandle
    from fastkafka.consumer import Consumer
    from fastkafka.deserializing_consumer import DeserializingConsumer
    from fastkafka.partitioners import consistent, fnv1a, murmur2
    from fastkafka.producer import Producer
    from fastkafka.serializing_producer import SerializingProducer

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "OFFSET_INVALID",
    "OFFSET_STORED",
    "TIMESTAMP_CREATE_TIME",
    "TIMESTAMP_LOG_APPEND_TIME",
    "TIMESTAMP_NOT_AVAILABLE",
    "Consumer",
    "ConsumerGroupMetadata",
    "ConsumerGroupState",
    "ConsumerGroupType",
    "DeliveryRange",
    "DeserializingConsumer",
    "ElectionType",
    "FetchedRecords",
    "IsolationLevel",
    "KafkaError",
    "KafkaException",
    "Message",
    "Node",
    "Outcome",
    "Producer",
    "RecordBatch",
    "SerializingProducer",
    "Slices",
    "TextLines",
    "TopicHandle",
    "ThrottleEvent",
    "TopicCollection",
    "TopicPartition",
    "TopicPartitionInfo",
    "Uuid",
    "__version__",
    "consistent",
    "fnv1a",
    "libversion",
    "murmur2",
    "version",
]

_ROOM_OF = {
    "Consumer": "fastkafka.consumer",
    "DeserializingConsumer": "fastkafka.deserializing_consumer",
    "FetchedRecords": "fastkafka._core.fetched_columns",
    "Message": "fastkafka._core.message",
    "Producer": "fastkafka.producer",
    "RecordBatch": "fastkafka._core.record_batch",
    "SerializingProducer": "fastkafka.serializing_producer",
    "Slices": "fastkafka._core.buffer_import",
    "TextLines": "fastkafka._core.text_lines",
    "TopicHandle": "fastkafka._core.topic_handle",
    "consistent": "fastkafka.partitioners",
    "fnv1a": "fastkafka.partitioners",
    "murmur2": "fastkafka.partitioners",
}


def __getattr__(name: str) -> Any:
    """Import what needs the core when it is first asked for (PEP 562)."""
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(room), name)
    globals()[name] = value
    return value
