"""What may follow what in the life of a transactional producer.

In:     calls that want to begin; how requests and records ended
Out:    the state, or the exception of a call that does not fit it
Thread: the control thread only
Next:   transactions.py acts by it

The states are those of Java's TransactionManager. A call that has begun and not ended is to be
repeated (retriable, _CONFLICT for any other); an abortable error ends with abort_transaction(), a
fatal one with the producer.
Source: KIP-98, KIP-360; TransactionManager.State
"""

from __future__ import annotations

from enum import Enum

from fastkafka.errors import KafkaError, KafkaException, exception_for


class TransactionState(Enum):
    """Where a transactional producer stands; the value is how messages name it."""

    UNINITIALIZED = "before init_transactions()"
    INITIALIZING = "in init_transactions()"
    READY = "between transactions"
    IN_TRANSACTION = "in a transaction"
    COMMITTING = "in commit_transaction()"
    ABORTING = "in abort_transaction()"
    ABORTABLE_ERROR = "in a transaction that has failed"
    FATAL_ERROR = "after a fatal error"


_State = TransactionState

# Where each state can be left to. Every state can end in a fatal error.
_NEXT: dict[TransactionState, tuple[TransactionState, ...]] = {
    _State.UNINITIALIZED: (_State.INITIALIZING,),
    _State.INITIALIZING: (_State.READY,),
    _State.READY: (_State.IN_TRANSACTION,),
    _State.IN_TRANSACTION: (_State.COMMITTING, _State.ABORTING, _State.ABORTABLE_ERROR),
    _State.COMMITTING: (_State.READY, _State.ABORTABLE_ERROR),
    _State.ABORTABLE_ERROR: (_State.ABORTING,),
    _State.ABORTING: (_State.READY,),
    _State.FATAL_ERROR: (),
}

# In which states a call may begin, or be taken up again.
_ALLOWED: dict[str, tuple[TransactionState, ...]] = {
    "init_transactions": (_State.UNINITIALIZED, _State.INITIALIZING),
    "begin_transaction": (_State.READY,),
    "send_offsets_to_transaction": (_State.IN_TRANSACTION,),
    "commit_transaction": (_State.IN_TRANSACTION, _State.COMMITTING),
    "abort_transaction": (_State.IN_TRANSACTION, _State.ABORTABLE_ERROR, _State.ABORTING),
}

_UNFINISHED = (_State.INITIALIZING, _State.COMMITTING, _State.ABORTING)


class TransactionMachine:
    """The state of one producer, and the error that it ended in, if it did."""

    def __init__(self) -> None:
        self.state = _State.UNINITIALIZED
        self.error: KafkaError | None = None

    def require(self, call: str) -> None:
        """Raise the exception of a call that does not fit the state."""
        if self.state in _ALLOWED[call]:
            return
        if self.error is not None:
            raise exception_for(self.error)
        if self.state in _UNFINISHED:
            raise conflict(call, self.state.value)
        text = f"{call}() is not possible {self.state.value}"
        raise exception_for(KafkaError(KafkaError._STATE, text))

    def move(self, state: TransactionState) -> None:
        """Go to a state that may follow; ValueError would be a mistake in this package."""
        if state not in _NEXT[self.state]:
            raise ValueError(f"{state.name} cannot follow {self.state.name}")
        self.state = state
        if state is not _State.ABORTABLE_ERROR:
            self.error = None

    def fail(self, code: int, text: str) -> KafkaException:
        """Let the transaction have failed; return the exception that asks for its abort."""
        self.move(_State.ABORTABLE_ERROR)
        self.error = KafkaError(code, text, txn_requires_abort=True)
        return exception_for(self.error)

    def end(self, code: int, text: str) -> KafkaException:
        """Let the producer be unusable for good; return the exception that says so."""
        self.state = _State.FATAL_ERROR
        self.error = KafkaError(code, text, fatal=True)
        return exception_for(self.error)


def conflict(call: str, other: str) -> KafkaException:
    """Return the exception of a call that another one has to let through first."""
    text = f"{call}() is not possible {other}: repeat that call until it has ended"
    return exception_for(KafkaError(KafkaError._CONFLICT, text, retriable=True))
