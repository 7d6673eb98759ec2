"""Errors: the table of codes, KafkaError and the families of exceptions."""

from __future__ import annotations

from fastkafka.errors import codes
from fastkafka.errors.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BrokerError,
    BufferFull,
    ClosedError,
    ConfigError,
    ConfigTypeError,
    CorruptBatch,
    CorruptFrame,
    FatalError,
    KafkaError,
    KafkaException,
    NotYetImplemented,
    ProtocolError,
    RecordTooLarge,
    StateError,
    TimedOut,
    TransportError,
    UnknownTopic,
    UnsupportedVersion,
    exception_for,
)

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BrokerError",
    "BufferFull",
    "ClosedError",
    "ConfigError",
    "ConfigTypeError",
    "CorruptBatch",
    "CorruptFrame",
    "FatalError",
    "KafkaError",
    "KafkaException",
    "NotYetImplemented",
    "ProtocolError",
    "RecordTooLarge",
    "StateError",
    "TimedOut",
    "TransportError",
    "UnknownTopic",
    "UnsupportedVersion",
    "codes",
    "exception_for",
]
