"""Errors: the code table, KafkaError and the families."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from fastkafka import errors
from fastkafka.errors import (
    BrokerError,
    BufferFull,
    ClosedError,
    ConfigError,
    CorruptFrame,
    FatalError,
    KafkaError,
    KafkaException,
    TransportError,
    UnknownTopic,
    codes,
    exception_for,
)
from fastkafka.types import Outcome

FAMILIES = [
    family
    for family in vars(errors).values()
    if isinstance(family, type) and issubclass(family, KafkaException)
]


def test_table_has_every_code_once_in_order():
    numbers = [entry.code for entry in codes.TABLE]
    assert numbers == sorted(set(numbers))
    assert len({entry.name for entry in codes.TABLE}) == len(numbers)
    assert set(range(-1, 137)) | set(range(-199, -136)) == set(numbers)


def test_every_name_is_an_attribute_of_kafka_error():
    for entry in codes.TABLE:
        assert getattr(KafkaError, entry.name) == entry.code


def test_unknown_code_prints_its_number_and_promises_nothing():
    error = KafkaError(4711)
    assert (error.name(), error.str()) == ("ERR_4711?", "Err-4711?")
    assert not error.is_retriable
    assert error.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (KafkaError.NO_ERROR, Outcome.DELIVERED),
        (KafkaError.DUPLICATE_SEQUENCE_NUMBER, Outcome.DELIVERED),
        (KafkaError.MSG_SIZE_TOO_LARGE, Outcome.NOT_WRITTEN),
        (KafkaError.NOT_ENOUGH_REPLICAS, Outcome.NOT_WRITTEN),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, Outcome.UNKNOWN),
        (KafkaError.REQUEST_TIMED_OUT, Outcome.UNKNOWN),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Outcome.UNKNOWN),
        (KafkaError._TRANSPORT, Outcome.UNKNOWN),
        (KafkaError._PURGE_QUEUE, Outcome.NOT_WRITTEN),
        (KafkaError._PURGE_INFLIGHT, Outcome.UNKNOWN),
    ],
)
def test_outcome_says_not_written_only_before_the_append(code, outcome):
    assert KafkaError(code).outcome is outcome


def test_outcome_of_one_error_can_be_told_by_who_knows():
    error = KafkaError(KafkaError._MSG_TIMED_OUT, outcome=Outcome.NOT_WRITTEN)
    assert error.outcome is Outcome.NOT_WRITTEN
    assert pickle.loads(pickle.dumps(error)).outcome is Outcome.NOT_WRITTEN


def test_metadata_errors_refresh_and_are_retriable():
    for code in (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_ID):
        assert KafkaError(code).refreshes_metadata
        assert KafkaError(code).is_retriable
    assert not KafkaError(KafkaError.REQUEST_TIMED_OUT).refreshes_metadata


def test_retriable_method_stays_that_of_transactions():
    assert not KafkaError(KafkaError.REQUEST_TIMED_OUT).retriable()
    assert KafkaError(KafkaError.REQUEST_TIMED_OUT).is_retriable
    assert KafkaError(KafkaError._STATE, retriable=True).is_retriable
    assert not KafkaError(KafkaError.REQUEST_TIMED_OUT, fatal=True).is_retriable


def test_kafka_error_prints_as_confluent_does():
    assert str(KafkaError(-185)) == 'KafkaError{code=_TIMED_OUT,val=-185,str="Local: Timed out"}'
    assert repr(KafkaError(-185, "slow", True)) == (
        'KafkaError{FATAL,code=_TIMED_OUT,val=-185,str="slow"}'
    )


def test_kafka_error_compares_with_codes_and_with_nothing_else():
    error = KafkaError(KafkaError._TIMED_OUT)
    assert error == -185
    assert error == KafkaError(-185, "another reason")
    assert error != -184
    assert error < -184
    assert error is not None
    assert error != None  # noqa: E711  confluent_kafka raises here
    assert hash(error) == hash(-185)
    with pytest.raises(TypeError):
        error < "x"  # noqa: B015


def test_kafka_error_can_be_raised():
    with pytest.raises(KafkaError) as caught:
        raise KafkaError(KafkaError._STATE)
    assert caught.value.code() == KafkaError._STATE


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_survives_pickle_and_copy(family):
    exception = family("what happened", where="broker 3", hint="Try that.")
    for other in (pickle.loads(pickle.dumps(exception)), copy.copy(exception)):
        assert type(other) is family
        assert other.args[0].str() == "what happened (broker 3). Try that."
        assert other.args[0].code() == family.default_code
        assert (other.where, other.hint) == ("broker 3", "Try that.")


def test_families_are_also_what_python_users_catch():
    assert issubclass(BufferFull, BufferError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(ClosedError, RuntimeError)
    assert issubclass(errors.ConfigTypeError, TypeError)
    assert issubclass(errors.TimedOut, TimeoutError)


def test_buffer_full_tells_how_many_records_were_taken():
    exception = pickle.loads(pickle.dumps(BufferFull(taken=12)))
    assert exception.taken == 12
    assert "Local: Queue full" in str(exception)
    assert exception.outcome is Outcome.NOT_WRITTEN


def test_kafka_exception_keeps_the_error_it_was_given():
    error = KafkaError(KafkaError.NOT_COORDINATOR, "moved")
    exception = KafkaException(error)
    assert exception.args[0] is error
    assert exception.error is error
    assert exception.is_retriable


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (KafkaError(KafkaError._TRANSPORT), TransportError),
        (KafkaError(KafkaError._RESOLVE), TransportError),
        (KafkaError(KafkaError._BAD_MSG), CorruptFrame),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), UnknownTopic),
        (KafkaError(KafkaError.TOPIC_ALREADY_EXISTS), BrokerError),
        (KafkaError(4711), BrokerError),
        (KafkaError(KafkaError.UNKNOWN), BrokerError),
        (KafkaError(KafkaError._QUEUE_FULL), BufferFull),
        (KafkaError(KafkaError._TRANSPORT, fatal=True), FatalError),
        (KafkaError(KafkaError._APPLICATION), KafkaException),
    ],
)
def test_exception_for_picks_the_family(error, family):
    exception = exception_for(error)
    assert type(exception) is family
    assert exception.args[0] is error


def test_native_rooms_use_the_numbers_of_the_table() -> None:
    leaf = Path(__file__).parents[2] / "_ext" / "error_codes.pxd"
    used = re.findall(r"^    ERROR_(\w+) = (-?\d+)$", leaf.read_text(), re.MULTILINE)
    assert len(used) > 20
    for name, code in used:
        assert codes.by_code(int(code)).name.lstrip("_") == name
