"""A consumer that gives objects: a deserializer each for keys and values makes them of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from fastkafka.client_serdes import K, V, WithSerdes
from fastkafka.consumer import Consumer
from fastkafka.error import ConsumeError, KeyDeserializationError, ValueDeserializationError
from fastkafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from fastkafka._core.message import Message

__all__ = ["DeserializingConsumer"]


class DeserializingConsumer(WithSerdes, Consumer, Generic[K, V]):
    """A Consumer whose Messages have decoded keys and values.

    Args:    conf: as a Consumer has it, and key.deserializer, value.deserializer (callables), or
             key.deserializer.builder, value.deserializer.builder; without one, bytes stay bytes.
             What a builder made is closed with the consumer
    Raises:  as Consumer
    Cost:    poll() and consume() call the deserializers; consume_batch() and batches() give bytes
             as they came, as they do for every Consumer
    Example:
        from fastkafka.serialization import StringDeserializer
        conf = {"bootstrap.servers": "127.0.0.1:9092", "group.id": "g",
                "value.deserializer": StringDeserializer()}
        with DeserializingConsumer[bytes, str](conf) as consumer:
            consumer.assign([TopicPartition("logs", 0)])
            message = consumer.poll(1.0)
    """

    __slots__ = ("_serdes",)

    _serde_kind = "deserializer"

    def poll(self, timeout: float = -1) -> Message[K, V] | None:
        """Return the next record, decoded, or None when there is none in time.

        Raises: KeyDeserializationError, ValueDeserializationError: the record is in
                `kafka_message` as it came, and the next poll() goes on after it;
                ConsumeError for an error of a partition
        """
        message = super().poll(timeout)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            raise ConsumeError(error, kafka_message=message)
        return self._decoded(message)

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message[K, V]]:
        """Return up to `num_messages` records, decoded.

        One that cannot be decoded stays as it came and says why in error(): the others of the list
        are not lost by it. Errors of partitions are Messages with error(), as in Consumer.
        """
        messages = super().consume(num_messages, timeout)
        for message in messages:
            if message.error() is None:
                try:
                    self._decoded(message)
                except ConsumeError as problem:
                    message.set_error(problem.error)
        return messages

    def _decoded(self, message: Message[Any, Any]) -> Message[K, V]:
        """Put decoded key and value into `message`; both, or none when one of them fails."""
        serdes = self._serdes
        context = SerializationContext(message.topic() or "", MessageField.KEY, message.headers())
        key = message.key()
        if serdes.key is not None:
            try:
                key = serdes.key(key, context)
            except Exception as problem:
                raise KeyDeserializationError(problem, message) from problem
        value = message.value()
        if serdes.value is not None:
            context.field = MessageField.VALUE
            try:
                value = serdes.value(value, context)
            except Exception as problem:
                raise ValueDeserializationError(problem, message) from problem
        if serdes.key is not None:
            message.set_key(key)
        if serdes.value is not None:
            message.set_value(value)
        return message

    def close(self, timeout: float | None = None) -> None:
        """Close the consumer, as Consumer.close() does, then what its builders made."""
        try:
            super().close(timeout)
        finally:
            self._serdes.close()
