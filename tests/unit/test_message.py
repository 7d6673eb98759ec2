"""Message: confluent_kafka's constructor, accessors, comparison and pickling."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from typing import Any

import pytest

from fastkafka import KafkaError, Message

WHOLE: dict[str, Any] = {
    "topic": "t",
    "partition": 3,
    "offset": 9,
    "key": b"k",
    "value": b"value",
    "headers": [("h", b"1"), ("h", None)],
    "error": KafkaError(KafkaError._TRANSPORT),
    "timestamp": (1, 1234),
    "latency": 0.5,
    "leader_epoch": 2,
    "delivery_count": 1,
}


def test_what_goes_in_comes_out() -> None:
    message = Message(**WHOLE)
    for name, value in WHOLE.items():
        assert getattr(message, name)() == value
    assert len(message) == 5 and message.outcome() is None


def test_what_is_not_known_reads_as_none() -> None:
    message = Message()
    for name in WHOLE:
        expected = (0, 0) if name == "timestamp" else None
        assert getattr(message, name)() == expected
    assert len(message) == 0


def test_positional_arguments_are_in_confluents_order() -> None:
    message = Message("t", 1, 2, b"k", b"v", None, None, (2, 7), 1.5, 4, 3)
    assert (message.topic(), message.partition(), message.offset()) == ("t", 1, 2)
    assert (message.key(), message.value(), message.timestamp()) == (b"k", b"v", (2, 7))
    assert (message.latency(), message.leader_epoch(), message.delivery_count()) == (1.5, 4, 3)


@pytest.mark.parametrize("timestamp", [5, [1, 2], (1,), (1, 2, 3), None])
def test_a_timestamp_is_a_pair(timestamp: Any) -> None:
    with pytest.raises(TypeError, match="timestamp"):
        Message("t", timestamp=timestamp)


def test_setters_replace_and_take_anything() -> None:
    message = Message(**WHOLE)
    message.set_topic("u")
    message.set_key({"a": 1})
    message.set_value([1, 2, 3])
    message.set_headers({"h": 1})
    message.set_error(None)
    assert (message.topic(), message.key(), message.value()) == ("u", {"a": 1}, [1, 2, 3])
    assert message.headers() == {"h": 1} and message.error() is None
    assert len(message) == 3
    message.set_value(None)
    assert message.value() is None and len(message) == 0


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "latency"])
def test_equality_looks_at_everything_but_the_journey(name: str) -> None:
    others = {"key": b"x", "value": b"x", "topic": "x", "headers": None, "error": None}
    other = {**WHOLE, name: others.get(name, (2, 2) if name == "timestamp" else 7)}
    assert Message(**other) != Message(**WHOLE)
    assert Message(**WHOLE) == Message(**WHOLE)


def test_latency_does_not_count_in_comparison() -> None:
    assert Message(**{**WHOLE, "latency": 2.0}) == Message(**WHOLE)
    assert Message(**WHOLE) != "not a message"


def test_deserialized_key_and_value_are_what_was_put_there() -> None:
    message: Message[str, int] = Message("t", 0, 1, b"k", b"v")
    assert (message.deserialized_key(), message.deserialized_value()) == (b"k", b"v")
    message.set_key("k")
    message.set_value(5)
    assert (message.deserialized_key(), message.deserialized_value()) == ("k", 5)


def test_messages_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Message())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_messages_survive_pickling(protocol: int) -> None:
    message = Message(**WHOLE)
    again = pickle.loads(pickle.dumps(message, protocol))
    assert again == message and again.latency() == 0.5
    assert copy.copy(message) == message and copy.deepcopy(message) == message


class Typed(Message):
    """What deserializing clients may derive."""


def test_a_subclass_is_kept_by_pickling() -> None:
    again = pickle.loads(pickle.dumps(Typed(**WHOLE)))
    assert type(again) is Typed and again == Message(**WHOLE)


def test_a_message_is_true_however_short_its_value() -> None:
    assert Message() and Message(value=b"")


def test_the_class_takes_types_of_key_and_value() -> None:
    assert Message[bytes, str].__origin__ is Message  # type: ignore[misc]


def test_messages_are_not_tracked_by_the_garbage_collector() -> None:
    assert not gc.is_tracked(Message(**WHOLE))


def test_what_a_message_holds_is_let_go_with_it() -> None:
    class Held:
        alive = 0

        def __init__(self) -> None:
            Held.alive += 1

        def __del__(self) -> None:
            Held.alive -= 1

    for _ in range(3):
        message = Message("t", key=Held(), value=Held(), headers=Held())
        message.set_value(Held())
        assert Held.alive == 3
        del message
        assert Held.alive == 0


class Marked(Message):
    """A subclass: with a __dict__, which the garbage collector tracks."""


@pytest.mark.parametrize("kind", [Message, Marked])
def test_memory_of_messages_is_used_again_and_nothing_of_the_last_one_is_left(
    kind: type[Message],
) -> None:
    held = object()
    before = sys.getrefcount(held)
    for _ in range(3):  # more at once than the free list keeps
        messages = [kind(key=held, value=held, error=held) for _ in range(25_000)]
        assert sys.getrefcount(held) == before + 3 * 25_000
        del messages
        assert sys.getrefcount(held) == before
    blank = kind()
    assert [blank.key(), blank.value(), blank.error(), blank.topic()] == [None] * 4


def test_a_subclass_keeps_its_own_attributes_and_gives_them_back() -> None:
    held = object()
    before = sys.getrefcount(held)
    marked = Marked("t", value=b"v")
    marked.mark = held  # type: ignore[attr-defined]
    assert (marked.topic(), marked.value()) == ("t", b"v")
    del marked
    assert sys.getrefcount(held) == before


def test_a_message_that_was_never_initialised_says_nothing() -> None:
    message = Message.__new__(Message)
    assert (message.topic(), message.offset(), message.value(), message.latency()) == (None,) * 4
