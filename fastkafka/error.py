"""What SerializingProducer and DeserializingConsumer raise.

Each carries the KafkaError, the exception that a serializer raised, and the Message that it was
about. All can be pickled when these can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.errors import KafkaError, KafkaException
from fastkafka.serialization import SerializationError

if TYPE_CHECKING:
    from fastkafka._core.message import Message

__all__ = [
    "ConsumeError",
    "KeyDeserializationError",
    "KeySerializationError",
    "ProduceError",
    "ValueDeserializationError",
    "ValueSerializationError",
]


class _KafkaClientError(KafkaException):
    """An error with the exception that caused it and the Message that it is about."""

    def __init__(
        self,
        kafka_error: KafkaError,
        exception: Exception | None = None,
        kafka_message: Message | None = None,
    ) -> None:
        super().__init__(kafka_error)
        self.exception = exception
        self.kafka_message = kafka_message

    @property
    def code(self) -> int:
        """The number of the error: a property here, a method on KafkaError."""
        return self.error.code()

    @property
    def name(self) -> str:
        """The symbolic name of the error: a property here, a method on KafkaError."""
        return self.error.name()

    def __reduce__(self) -> tuple[Any, ...]:
        # Derived classes are made from other arguments than `args`.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    cls: type[_KafkaClientError], args: tuple[Any, ...], state: dict[str, Any]
) -> _KafkaClientError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class ConsumeError(_KafkaClientError):
    """poll() met an error; `kafka_message` says of which partition."""


class KeyDeserializationError(ConsumeError, SerializationError):
    """A key could not be decoded; `kafka_message` has it as it came."""

    def __init__(
        self, exception: Exception | None = None, kafka_message: Message | None = None
    ) -> None:
        error = KafkaError(KafkaError._KEY_DESERIALIZATION, str(exception))
        super().__init__(error, exception, kafka_message)


class ValueDeserializationError(ConsumeError, SerializationError):
    """A value could not be decoded; `kafka_message` has it as it came."""

    def __init__(
        self, exception: Exception | None = None, kafka_message: Message | None = None
    ) -> None:
        error = KafkaError(KafkaError._VALUE_DESERIALIZATION, str(exception))
        super().__init__(error, exception, kafka_message)


class ProduceError(_KafkaClientError):
    """A record could not be produced."""

    def __init__(self, kafka_error: KafkaError, exception: Exception | None = None) -> None:
        super().__init__(kafka_error, exception)


class KeySerializationError(ProduceError, SerializationError):
    """A key could not become bytes; nothing was produced."""

    def __init__(self, exception: Exception | None = None) -> None:
        super().__init__(KafkaError(KafkaError._KEY_SERIALIZATION, str(exception)), exception)


class ValueSerializationError(ProduceError, SerializationError):
    """A value could not become bytes; nothing was produced."""

    def __init__(self, exception: Exception | None = None) -> None:
        super().__init__(KafkaError(KafkaError._VALUE_SERIALIZATION, str(exception)), exception)
