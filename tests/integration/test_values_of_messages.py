"""Keys and values of Messages are made in the memory of earlier ones: nobody may notice."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from fastkafka import Consumer, Message, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker

SIZES_BYTES = range(700)  # to 479 the memory is used again


def value_of(number: int, size_bytes: int) -> bytes:
    return (b"%04d" % number * (size_bytes // 4 + 1))[:size_bytes]


VALUES = [value_of(number, number) for number in SIZES_BYTES]
SAME_SIZE = [value_of(number, 100) for number in range(100)]


@pytest.fixture(scope="module")
def messages() -> Iterator[list[Message]]:
    with EmbeddedBroker(num_partitions=1) as broker:
        conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}
        with Producer(conf) as producer:
            producer.produce_many("values", VALUES + SAME_SIZE, keys=VALUES + SAME_SIZE)
            assert producer.flush(30) == 0
        with Consumer(conf) as consumer:
            consumer.assign([TopicPartition("values", 0, 0)])
            count = len(VALUES) + len(SAME_SIZE)
            read = consumer.consume(count, 30)
            assert len(read) == count
            yield read


@pytest.fixture
def same_size(messages: list[Message]) -> list[Message]:
    return messages[len(VALUES) :]


def test_values_of_every_size_are_what_was_sent(messages: list[Message]) -> None:
    assert [message.value() for message in messages] == VALUES + SAME_SIZE
    for message, sent in zip(messages, VALUES + SAME_SIZE, strict=True):
        assert message.value() == sent and message.key() == sent


def test_a_value_that_somebody_has_stays_what_it_is(messages: list[Message]) -> None:
    draw = random.Random(7)
    kept: list[tuple[bytes | None, bytes]] = []
    for _ in range(20_000):
        number = draw.randrange(len(messages))
        value = messages[number].value() if draw.random() < 0.5 else messages[number].key()
        if draw.random() < 0.3:
            kept.append((value, (VALUES + SAME_SIZE)[number]))
        if len(kept) > 500:
            del kept[draw.randrange(len(kept))]
    assert all(value == sent for value, sent in kept)


def test_a_value_in_used_memory_has_a_hash_of_its_own(same_size: list[Message]) -> None:
    assert [hash(message.value()) for message in same_size] == [hash(value) for value in SAME_SIZE]
    found = {message.value(): number for number, message in enumerate(same_size)}
    assert all(found[value] == number for number, value in enumerate(SAME_SIZE))


def test_a_view_holds_its_value(same_size: list[Message]) -> None:
    views = [memoryview(message.value() or b"") for message in same_size]
    for message in same_size:
        message.value()
    assert [bytes(view) for view in views] == SAME_SIZE


def test_a_value_ends_with_a_null_byte_as_c_code_expects(messages: list[Message]) -> None:
    # int() and float() read on to the byte behind: a shorter value in the memory of a longer one.
    pairs = zip([message.value() for message in messages[4:200]], VALUES[4:200], strict=True)
    assert all(int(value or b"x") == int(sent) for value, sent in pairs)
