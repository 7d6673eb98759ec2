"""What may follow what: every call in every state of a transactional producer."""

from __future__ import annotations

import pytest

from fastkafka.errors import FatalError, KafkaError, KafkaException, StateError
from fastkafka.transactions.transaction_state import TransactionMachine, TransactionState

S = TransactionState
CALLS = (
    "init_transactions",
    "begin_transaction",
    "send_offsets_to_transaction",
    "commit_transaction",
    "abort_transaction",
)
# The way to each state, and what may be called there.
WAYS = {
    S.UNINITIALIZED: (),
    S.INITIALIZING: (S.INITIALIZING,),
    S.READY: (S.INITIALIZING, S.READY),
    S.IN_TRANSACTION: (S.INITIALIZING, S.READY, S.IN_TRANSACTION),
    S.COMMITTING: (S.INITIALIZING, S.READY, S.IN_TRANSACTION, S.COMMITTING),
    S.ABORTING: (S.INITIALIZING, S.READY, S.IN_TRANSACTION, S.ABORTING),
}
ALLOWED = {
    S.UNINITIALIZED: {"init_transactions"},
    S.INITIALIZING: {"init_transactions"},
    S.READY: {"begin_transaction"},
    S.IN_TRANSACTION: {
        "send_offsets_to_transaction",
        "commit_transaction",
        "abort_transaction",
    },
    S.COMMITTING: {"commit_transaction"},
    S.ABORTING: {"abort_transaction"},
}
UNFINISHED = {S.INITIALIZING, S.COMMITTING, S.ABORTING}


def machine_in(state: TransactionState) -> TransactionMachine:
    machine = TransactionMachine()
    for step in WAYS[state]:
        machine.move(step)
    return machine


def refusal_of(machine: TransactionMachine, call: str) -> KafkaException | None:
    try:
        machine.require(call)
    except KafkaException as refusal:
        return refusal
    return None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", WAYS)
def test_a_call_is_let_through_where_it_fits_and_refused_elsewhere(
    state: TransactionState, call: str
) -> None:
    refusal = refusal_of(machine_in(state), call)
    if call in ALLOWED[state]:
        assert refusal is None
        return
    assert isinstance(refusal, StateError)
    error = refusal.error
    expected = KafkaError._CONFLICT if state in UNFINISHED else KafkaError._STATE
    assert error.code() == expected
    assert error.retriable() is (state in UNFINISHED)
    assert not error.fatal()
    assert call in error.str()


@pytest.mark.parametrize("call", CALLS)
def test_after_a_failure_only_an_abort_is_possible(call: str) -> None:
    machine = machine_in(S.IN_TRANSACTION)
    raised = machine.fail(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
    assert raised.error.txn_requires_abort()
    refusal = refusal_of(machine, call)
    if call == "abort_transaction":
        assert refusal is None
        machine.move(S.ABORTING)
        machine.move(S.READY)
        assert machine.error is None
        return
    assert refusal is not None
    assert refusal.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert refusal.error.txn_requires_abort()
    assert not refusal.error.retriable()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", WAYS)
def test_after_a_fatal_error_nothing_is_possible(state: TransactionState, call: str) -> None:
    machine = machine_in(state)
    machine.end(KafkaError._FENCED, "fenced")
    refusal = refusal_of(machine, call)
    assert isinstance(refusal, FatalError)
    assert refusal.error.fatal()
    assert refusal.error.code() == KafkaError._FENCED


@pytest.mark.parametrize(
    ("state", "following"),
    [
        (S.UNINITIALIZED, S.READY),
        (S.READY, S.COMMITTING),
        (S.COMMITTING, S.ABORTING),
        (S.ABORTING, S.COMMITTING),
        (S.ABORTING, S.ABORTABLE_ERROR),
    ],
)
def test_a_state_that_cannot_follow_is_a_mistake_that_shows(
    state: TransactionState, following: TransactionState
) -> None:
    with pytest.raises(ValueError, match=following.name):
        machine_in(state).move(following)
