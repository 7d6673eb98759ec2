"""confluent_kafka.cimpl's name for what programs import from it: re-exports, nothing else."""

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
    NewTopic,
    ThrottleEvent,
    TopicPartition,
)

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "OFFSET_INVALID",
    "OFFSET_STORED",
    "TIMESTAMP_CREATE_TIME",
    "TIMESTAMP_LOG_APPEND_TIME",
    "TIMESTAMP_NOT_AVAILABLE",
    "Consumer",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewTopic",
    "Producer",
    "ThrottleEvent",
    "TopicPartition",
]
