"""A producer that takes objects: a serializer each for keys and values makes them bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from fastkafka.client_serdes import K, V, WithSerdes
from fastkafka.error import KeySerializationError, ValueSerializationError
from fastkafka.errors import KafkaError
from fastkafka.producer import Producer
from fastkafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from fastkafka._core.message import Message

__all__ = ["SerializingProducer"]


class SerializingProducer(WithSerdes, Producer, Generic[K, V]):
    """A Producer whose produce() takes objects, the key before the value.

    Args:    conf: as a Producer has it, and key.serializer, value.serializer (callables), or
             key.serializer.builder, value.serializer.builder; without one, bytes and str pass.
             What a builder made is closed with the producer. produce_many() and produce_batch()
             take bytes and str, as a Producer's
    Raises:  as Producer
    Example:
        from fastkafka.serialization import StringSerializer
        conf = {"bootstrap.servers": "127.0.0.1:9092", "value.serializer": StringSerializer()}
        with SerializingProducer(conf) as producer:
            producer.produce("logs", key=b"host-1", value="line")
    """

    __slots__ = ("_serdes",)

    _serde_kind = "serializer"

    def produce(  # type: ignore[override]  # confluent_kafka has the key first here
        self,
        topic: str,
        key: K | None = None,
        value: V | None = None,
        partition: int = -1,
        on_delivery: Callable[[KafkaError | None, Message], Any] | None = None,
        timestamp: int = 0,
        headers: Any = None,
    ) -> None:
        """Serialize key and value and take the record, as Producer.produce() does.

        Raises: KeySerializationError, ValueSerializationError with the serializer's own exception;
                nothing is produced then. Otherwise as Producer.produce()
        """
        # Serializers may register schemas: not for a record that cannot be taken anyway.
        self.raise_if_closed()
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        context = SerializationContext(topic, MessageField.KEY, headers)
        key_bytes: Any = key
        if self._serdes.key is not None:
            try:
                key_bytes = self._serdes.key(key, context)
            except Exception as problem:
                raise KeySerializationError(problem) from problem
        value_bytes: Any = value
        if self._serdes.value is not None:
            context.field = MessageField.VALUE
            try:
                value_bytes = self._serdes.value(value, context)
            except Exception as problem:
                raise ValueSerializationError(problem) from problem
        super().produce(
            topic,
            value_bytes,
            key_bytes,
            partition,
            on_delivery=on_delivery,
            timestamp=timestamp,
            headers=headers,
        )

    def close(self, timeout: float = -1) -> bool:
        """Close the producer, then what its builders made: callbacks may produce until then."""
        is_closed = super().close(timeout)
        self._serdes.close()
        return is_closed
