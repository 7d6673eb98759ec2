"""KIP-467: who refuses a batch says which records are at fault, and their reports say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, Producer
from fastkafka.admin import AdminClient, NewTopic
from fastkafka.broker import EmbeddedBroker
from fastkafka.types import Outcome
from tests.conftest import KafkaCluster
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, QUICK, make_producer, prove

INVALID_TIMESTAMP, INVALID_RECORD, INVALID_DIFFERENT_RECORD = 32, 87, -138
NOT_LEADER = 6

Told = dict[bytes | None, KafkaError | None]


def send_batch(producer: Producer, keys: list[bytes | None]) -> Told:
    """Produce one batch to partition 0, a record per key; return the error of each value."""
    told: Told = {}

    def note(error: KafkaError | None, message: Any) -> None:
        assert (message.error() is None) == (error is None)
        told[message.value()] = error

    for number, key in enumerate(keys):
        producer.produce("t", b"%d" % number, key=key, partition=0, on_delivery=note)
    assert producer.flush(FLUSH_S) == 0
    return told


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as started:
        yield started


@pytest.fixture
def producer(broker: ScriptedBroker) -> Iterator[Producer]:
    with make_producer(broker, **{"linger.ms": 20}) as made:
        prove(made)
        yield made


def outcomes(told: Told) -> list[tuple[int, str]]:
    """Return code and text of each record, in their order; all of them were not written."""
    found = []
    for error in told.values():
        assert error is not None and error.outcome is Outcome.NOT_WRITTEN
        found.append((error.code(), error.str()))
    return found


GENERIC = KafkaError(INVALID_DIFFERENT_RECORD).str()


def test_records_that_are_named_get_their_message_and_the_others_hear_of_their_neighbours(
    broker: ScriptedBroker, producer: Producer
) -> None:
    errors = ((1, "too old"), (3, None))
    broker.script(
        Reply(errors=INVALID_TIMESTAMP, error_message="two are bad", record_errors=errors)
    )
    assert outcomes(send_batch(producer, [None] * 5)) == [
        (INVALID_DIFFERENT_RECORD, GENERIC),
        (INVALID_RECORD, "too old"),
        (INVALID_DIFFERENT_RECORD, GENERIC),
        (INVALID_RECORD, "two are bad"),
        (INVALID_DIFFERENT_RECORD, GENERIC),
    ]


def test_the_only_record_that_is_named_has_the_code_of_the_batch(
    broker: ScriptedBroker, producer: Producer
) -> None:
    broker.script(Reply(errors=INVALID_TIMESTAMP, record_errors=((0, "too old"),)))
    assert outcomes(send_batch(producer, [None] * 2)) == [
        (INVALID_TIMESTAMP, "too old"),
        (INVALID_DIFFERENT_RECORD, GENERIC),
    ]


def test_without_names_every_record_has_the_message_of_the_batch(
    broker: ScriptedBroker, producer: Producer
) -> None:
    broker.script(Reply(errors=INVALID_TIMESTAMP, error_message="clock is wrong"))
    assert outcomes(send_batch(producer, [None] * 2)) == [(INVALID_TIMESTAMP, "clock is wrong")] * 2


def test_without_words_every_record_has_the_text_of_the_code(
    broker: ScriptedBroker, producer: Producer
) -> None:
    broker.script(Reply(errors=INVALID_RECORD))
    text = KafkaError(INVALID_RECORD).str()
    assert outcomes(send_batch(producer, [None] * 2)) == [(INVALID_RECORD, text)] * 2


def test_records_that_the_batch_does_not_have_are_passed_over(
    broker: ScriptedBroker, producer: Producer
) -> None:
    errors = ((-1, "before"), (2, "behind"), (2**31 - 1, "far"), (-(2**31), "farther"))
    broker.script(Reply(errors=INVALID_RECORD, error_message="odd", record_errors=errors))
    assert outcomes(send_batch(producer, [None] * 2)) == [(INVALID_RECORD, "odd")] * 2


def test_a_record_that_is_named_twice_keeps_the_first_word(
    broker: ScriptedBroker, producer: Producer
) -> None:
    errors = ((0, "first"), (0, "second"), (1, "other"))
    broker.script(Reply(errors=INVALID_RECORD, record_errors=errors))
    assert outcomes(send_batch(producer, [None] * 2)) == [
        (INVALID_RECORD, "first"),
        (INVALID_RECORD, "other"),
    ]


def test_a_flood_of_words_is_cut_and_every_record_has_its_report(
    broker: ScriptedBroker, producer: Producer
) -> None:
    said = "\N{SNOWMAN}" * 5000
    errors = tuple((number, said) for number in range(300))
    broker.script(Reply(errors=INVALID_RECORD, error_message="b" * 9, record_errors=errors))
    found = outcomes(send_batch(producer, [None] * 300))
    assert len(found) == 300 and {code for code, _ in found} == {INVALID_RECORD}
    assert len(found[0][1].encode()) <= 1030
    assert found[0][1].startswith("\N{SNOWMAN}" * 300)
    assert found[-1][1] == "b" * 9
    assert sum(len(text.encode()) for _, text in found) < 70_000


def test_what_is_sent_again_is_told_by_its_last_answer(
    broker: ScriptedBroker, producer: Producer
) -> None:
    named = ((0, "not at fault after all"),)
    broker.script(
        Reply(errors=NOT_LEADER, error_message="moved", record_errors=named),
        Reply(),
    )
    assert set(send_batch(producer, [None] * 2).values()) == {None}


def _on_a_compacted_topic(servers: str) -> None:
    conf = {"bootstrap.servers": servers, **QUICK, "linger.ms": 50}
    admin = AdminClient({"bootstrap.servers": servers})
    topic = NewTopic("t", num_partitions=1, config={"cleanup.policy": "compact"})
    for future in admin.create_topics([topic]).values():
        future.result(FLUSH_S)
    with Producer(conf) as producer:
        codes = [code for code, _ in outcomes(send_batch(producer, [b"k", None, b"k", None]))]
        assert codes == [INVALID_DIFFERENT_RECORD, INVALID_RECORD] * 2
        texts = [text for _, text in outcomes(send_batch(producer, [None, b"k"]))]
        assert "without key" in texts[0] and texts[1] == GENERIC
        assert set(send_batch(producer, [b"k"] * 2).values()) == {None}


def test_keyless_records_of_a_compacted_topic_are_named_by_the_embedded_broker() -> None:
    with EmbeddedBroker() as started:
        _on_a_compacted_topic(started.bootstrap_servers)


@pytest.mark.kafka
def test_keyless_records_of_a_compacted_topic_are_named_by_kafka(kafka: KafkaCluster) -> None:
    _on_a_compacted_topic(kafka.bootstrap_servers)
