"""Serializers and the errors around them, judged by confluent_kafka's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fastkafka import KafkaError, KafkaException, Message, error, serialization
from fastkafka.client_serdes import ClientSerdes
from fastkafka.errors import ConfigError, ConfigTypeError
from fastkafka.serialization import (
    DoubleDeserializer,
    DoubleSerializer,
    IntegerDeserializer,
    IntegerSerializer,
    MessageField,
    SerializationContext,
    SerializationError,
    StringDeserializer,
    StringSerializer,
)

Load = Callable[[str], ModuleType]

PAIRS = [
    (DoubleSerializer(), DoubleDeserializer(), -1.5, b"\xbf\xf8" + b"\0" * 6),
    (IntegerSerializer(), IntegerDeserializer(), -2, b"\xff\xff\xff\xfe"),
    (StringSerializer(), StringDeserializer(), "grün", b"gr\xc3\xbcn"),
    (StringSerializer("latin-1"), StringDeserializer("latin-1"), "grün", b"gr\xfcn"),
]


@pytest.mark.parametrize(("serialize", "deserialize", "thing", "data"), PAIRS)
def test_things_become_bytes_and_come_back(
    serialize: Any, deserialize: Any, thing: object, data: bytes
) -> None:
    assert serialize(thing) == data
    assert deserialize(data) == thing
    assert serialize(None) is None
    assert deserialize(None) is None


@pytest.mark.parametrize("kind", ["Double", "Integer", "String"])
def test_bytes_are_those_of_confluent(kind: str, foreign_client: Load) -> None:
    theirs = foreign_client("confluent_kafka.serialization")
    thing: Any = {"Double": 3.25, "Integer": 2**31 - 1, "String": "ümlaut"}[kind]
    data = getattr(serialization, f"{kind}Serializer")()(thing)
    assert data == getattr(theirs, f"{kind}Serializer")()(thing)
    assert getattr(serialization, f"{kind}Deserializer")()(data) == thing


@pytest.mark.parametrize(
    ("serde", "wrong"),
    [
        (IntegerSerializer(), 2**31),
        (IntegerSerializer(), "5"),
        (DoubleSerializer(), "5"),
        (DoubleSerializer(), 10**400),
        (StringSerializer(), 5),
        (StringSerializer("ascii"), "ü"),
        (StringSerializer("no such codec"), "a"),
        (IntegerDeserializer(), b"\0\0\0"),
        (DoubleDeserializer(), b"\0" * 9),
        (DoubleDeserializer(), 5),
        (StringDeserializer(), b"\xff"),
        (StringDeserializer(), 5),
    ],
)
def test_what_cannot_be_converted_is_a_serialization_error(serde: Any, wrong: object) -> None:
    with pytest.raises(SerializationError) as caught:
        serde(wrong)
    assert isinstance(caught.value, KafkaException)
    assert caught.value.args[0].code() == KafkaError._INVALID_TYPE


def test_field_is_its_own_text() -> None:
    assert str(MessageField.KEY) == MessageField.KEY == "key"


def test_context_says_where_the_bytes_go() -> None:
    context = SerializationContext("t", MessageField.VALUE, [("a", b"b")])
    assert (context.topic, context.field, context.headers) == ("t", "value", [("a", b"b")])


ERRORS = [
    (error.KeySerializationError, KafkaError._KEY_SERIALIZATION, "_KEY_SERIALIZATION"),
    (error.ValueSerializationError, KafkaError._VALUE_SERIALIZATION, "_VALUE_SERIALIZATION"),
    (error.KeyDeserializationError, KafkaError._KEY_DESERIALIZATION, "_KEY_DESERIALIZATION"),
    (error.ValueDeserializationError, KafkaError._VALUE_DESERIALIZATION, "_VALUE_DESERIALIZATION"),
]


@pytest.mark.parametrize(("kind", "code", "name"), ERRORS)
def test_errors_carry_code_name_and_cause(kind: Any, code: int, name: str) -> None:
    cause = ValueError("no")
    caught = kind(cause)
    assert (caught.code, caught.name) == (code, name)
    assert caught.exception is cause
    assert caught.kafka_message is None
    assert caught.args[0].str() == "no"
    assert isinstance(caught, SerializationError)
    assert isinstance(caught, KafkaException)


@pytest.mark.parametrize("again", [copy.copy, lambda problem: pickle.loads(pickle.dumps(problem))])
def test_errors_survive_pickle_and_copy_with_all_they_carry(again: Callable[[Any], Any]) -> None:
    message = Message("t", 1, 5, b"k", b"v")
    problem = again(error.ValueDeserializationError(ValueError("no"), message))
    assert type(problem) is error.ValueDeserializationError
    assert problem.code == KafkaError._VALUE_DESERIALIZATION
    assert problem.kafka_message == message
    assert str(problem.exception) == "no"
    consume = again(error.ConsumeError(KafkaError(KafkaError._PARTITION_EOF)))
    assert consume.code == KafkaError._PARTITION_EOF


class Builder:
    """Takes one property for itself; what it builds says when it was closed."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        self.seen: list[tuple[dict[str, Any], bool]] = []
        self.closed = 0

    def build(self, conf: dict[str, Any], is_key: bool) -> tuple[Any, dict[str, Any]]:
        self.seen.append((dict(conf), is_key))
        conf.pop(self.takes, None)
        return self, conf

    def __call__(self, thing: Any, ctx: Any) -> bytes:
        return bytes(thing)

    def close(self) -> None:
        self.closed += 1


def test_builders_see_the_whole_configuration_and_the_client_gets_what_both_left() -> None:
    key, value = Builder("of.key"), Builder("of.value")
    conf = {
        "linger.ms": 1,
        "of.key": 2,
        "of.value": 3,
        "key.serializer.builder": key,
        "value.serializer.builder": value,
    }
    before = dict(conf)
    serdes = ClientSerdes(conf, {}, "serializer")
    whole = {"linger.ms": 1, "of.key": 2, "of.value": 3}
    assert key.seen == [(whole, True)]
    assert value.seen == [(whole, False)]
    assert serdes.conf == {"linger.ms": 1}
    assert conf == before
    assert (serdes.key, serdes.value) == (key, value)
    serdes.close()
    serdes.close()
    assert (key.closed, value.closed) == (1, 1)


def test_what_the_program_made_is_not_closed() -> None:
    made = Builder("")
    ClientSerdes({"key.serializer": made}, {}, "serializer").close()
    assert made.closed == 0


def test_keyword_arguments_with_underscores_name_serializers_too() -> None:
    given, other = Builder(""), Builder("")
    conf = {"value.serializer": given, "linger.ms": 1}
    serdes = ClientSerdes(conf, {"value_serializer": other, "acks": 1}, "serializer")
    assert serdes.value is other
    assert serdes.conf == {"linger.ms": 1, "acks": 1}


def test_failing_builder_closes_what_was_built_before() -> None:
    class Failing(Builder):
        def build(self, conf: dict[str, Any], is_key: bool) -> Any:
            raise RuntimeError("no")

    key = Builder("")
    conf = {"key.serializer.builder": key, "value.serializer.builder": Failing("")}
    with pytest.raises(RuntimeError, match="no"):
        ClientSerdes(conf, {}, "serializer")
    assert key.closed == 1


def test_builder_that_returns_no_pair_is_named() -> None:
    class Wrong(Builder):
        def build(self, conf: dict[str, Any], is_key: bool) -> Any:
            return self

    with pytest.raises(ConfigError, match=r"value\.serializer\.builder"):
        ClientSerdes({"value.serializer.builder": Wrong("")}, {}, "serializer")


def test_callable_and_builder_exclude_each_other() -> None:
    conf = {"key.serializer": StringSerializer(), "key.serializer.builder": Builder("")}
    with pytest.raises(ValueError, match="exclude each other"):
        ClientSerdes(conf, {}, "serializer")


def test_serializer_must_be_callable() -> None:
    with pytest.raises(ConfigTypeError, match=r"key\.serializer requires a callable"):
        ClientSerdes({"key.serializer": 5}, {}, "serializer")


@pytest.mark.parametrize("conf", [None, "x", 5, []])
def test_configuration_must_be_a_dict(conf: Any) -> None:
    with pytest.raises(TypeError, match="expected configuration dict"):
        ClientSerdes(conf, {}, "serializer")
