"""fastkafka: a Kafka client whose data plane is native. The API is a superset of confluent_kafka's.

Example:
    from fastkafka import Producer
    with Producer({"bootstrap.servers": "127.0.0.1:9092"}) as producer:
        producer.produce("logs", b"line")
"""

from __future__ import annotations

from fastkafka._core.message import Message
from fastkafka.consumer import Consumer
from fastkafka.errors import KafkaError, KafkaException
from fastkafka.producer import Producer
from fastkafka.types import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    IsolationLevel,
    Node,
    Outcome,
    TopicCollection,
    TopicPartition,
    TopicPartitionInfo,
    Uuid,
)

__version__ = "0.1.0"

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "OFFSET_INVALID",
    "OFFSET_STORED",
    "TIMESTAMP_CREATE_TIME",
    "TIMESTAMP_LOG_APPEND_TIME",
    "TIMESTAMP_NOT_AVAILABLE",
    "Consumer",
    "IsolationLevel",
    "KafkaError",
    "KafkaException",
    "Message",
    "Node",
    "Outcome",
    "Producer",
    "TopicCollection",
    "TopicPartition",
    "TopicPartitionInfo",
    "Uuid",
]
