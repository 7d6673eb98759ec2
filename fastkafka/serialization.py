"""Serializers: how the objects of a program become keys and values, and how they come back.

A serializer is a callable `(object, SerializationContext) -> bytes`, a deserializer the way back;
None passes through both, as Kafka's null. Names and wire forms are those of confluent_kafka and of
the Java client.
Next: SerializingProducer and DeserializingConsumer call them
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum
from typing import Any

from fastkafka.errors import KafkaError, KafkaException

__all__ = [
    "Deserializer",
    "DeserializerBuilder",
    "DoubleDeserializer",
    "DoubleSerializer",
    "IntegerDeserializer",
    "IntegerSerializer",
    "MessageField",
    "SerializationContext",
    "SerializationError",
    "Serializer",
    "SerializerBuilder",
    "StringDeserializer",
    "StringSerializer",
]

_DOUBLE = struct.Struct(">d")
_INTEGER = struct.Struct(">i")


class SerializationError(KafkaException):
    """An object cannot become bytes, or bytes are not what they should be."""

    default_code = KafkaError._INVALID_TYPE


class MessageField(str, Enum):
    """What of a record is being serialized."""

    NONE = "none"
    KEY = "key"
    VALUE = "value"

    def __str__(self) -> str:
        return str(self.value)


class SerializationContext:
    """Where the bytes go to, or come from: topic, field and the record's headers.

    A serializer may add to the headers when the program gave a list or a dict.
    """

    __slots__ = ("field", "headers", "topic")

    def __init__(self, topic: str, field: MessageField, headers: Any = None) -> None:
        self.topic = topic
        self.field = field
        self.headers = headers


class _Serde:
    """What serializers and deserializers have in common."""

    __slots__ = ()

    def set_cluster_id_resolver(self, resolver: Callable[[], str | None]) -> None:
        """Take a function that asks for the id of the cluster. Called once, by the client.

        The function may wait for a broker: it is for later, when the id is needed.
        """

    def close(self) -> None:
        """Let go of what this one opened. A client calls it for those that its builders made."""


class Serializer(_Serde):
    """Make bytes of objects."""

    __slots__ = ()

    def __call__(self, obj: Any, ctx: SerializationContext | None = None) -> bytes | None:
        """Return `obj` as bytes, or None for None.

        Raises: SerializationError when it cannot be
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it serializes")


class Deserializer(_Serde):
    """Make objects of bytes."""

    __slots__ = ()

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> Any:
        """Return what the bytes mean, or None for None.

        Raises: SerializationError when they mean nothing
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it deserializes")


class SerializerBuilder:
    """Make a serializer when its client is made, from the client's configuration."""

    __slots__ = ()

    def build(self, conf: dict[str, Any], is_key: bool) -> tuple[Serializer, dict[str, Any]]:
        """Return the serializer and what of `conf` is left for the client."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it builds")


class DeserializerBuilder:
    """Make a deserializer when its client is made, from the client's configuration."""

    __slots__ = ()

    def build(self, conf: dict[str, Any], is_key: bool) -> tuple[Deserializer, dict[str, Any]]:
        """Return the deserializer and what of `conf` is left for the client."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it builds")


def _packed(form: struct.Struct, number: Any) -> bytes | None:
    try:
        return None if number is None else form.pack(number)
    except (struct.error, OverflowError) as problem:
        raise SerializationError(f"{number!r}: {problem}") from problem


def _unpacked(form: struct.Struct, data: bytes | None) -> Any:
    try:
        return None if data is None else form.unpack(data)[0]
    except (struct.error, TypeError) as problem:
        raise SerializationError(str(problem)) from problem


class DoubleSerializer(Serializer):
    """A float as 8 bytes, big-endian."""

    __slots__ = ()

    def __call__(self, obj: float | None, ctx: SerializationContext | None = None) -> bytes | None:
        """Return the bytes of a float."""
        return _packed(_DOUBLE, obj)


class DoubleDeserializer(Deserializer):
    """A float from 8 bytes, big-endian."""

    __slots__ = ()

    def __call__(
        self, value: bytes | None, ctx: SerializationContext | None = None
    ) -> float | None:
        """Return the float of 8 bytes."""
        number: float | None = _unpacked(_DOUBLE, value)
        return number


class IntegerSerializer(Serializer):
    """An int of 32 bits as 4 bytes, big-endian."""

    __slots__ = ()

    def __call__(self, obj: int | None, ctx: SerializationContext | None = None) -> bytes | None:
        """Return the bytes of an int."""
        return _packed(_INTEGER, obj)


class IntegerDeserializer(Deserializer):
    """An int from 4 bytes, big-endian."""

    __slots__ = ()

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> int | None:
        """Return the int of 4 bytes."""
        number: int | None = _unpacked(_INTEGER, value)
        return number


class StringSerializer(Serializer):
    """Text in the codec that was chosen, UTF-8 unless another was."""

    __slots__ = ("codec",)

    def __init__(self, codec: str = "utf_8") -> None:
        self.codec = codec

    def __call__(self, obj: str | None, ctx: SerializationContext | None = None) -> bytes | None:
        """Return the bytes of text."""
        if obj is not None and not isinstance(obj, str):
            raise SerializationError(f"text is str, not {type(obj).__name__}")
        try:
            return None if obj is None else obj.encode(self.codec)
        except (UnicodeError, LookupError) as problem:
            raise SerializationError(str(problem)) from problem


class StringDeserializer(Deserializer):
    """Text from bytes in the codec that was chosen, UTF-8 unless another was."""

    __slots__ = ("codec",)

    def __init__(self, codec: str = "utf_8") -> None:
        self.codec = codec

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> str | None:
        """Return the text of bytes."""
        try:
            return None if value is None else str(value, self.codec)
        except (UnicodeError, LookupError, TypeError) as problem:
            raise SerializationError(str(problem)) from problem
