"""KafkaError, which describes an error, and the families of exceptions that carry one.

`KafkaError` answers what happened: code, text, whether repeating helps, whether a record was
written. `KafkaException` and its families are what calls raise; `args[0]` is the KafkaError.
Everything here survives pickling and copying.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from fastkafka.errors import codes
from fastkafka.types import Outcome

if TYPE_CHECKING:

    class _NamesOfCodes(type):
        """Tell the type checker that every name of the table is an int on the class."""

        def __getattr__(cls, name: str) -> int: ...

else:
    _NamesOfCodes = type


class KafkaError(Exception, metaclass=_NamesOfCodes):
    """One error: its code, its text and what it means for the caller.

    Every name of the code table is a class attribute (`KafkaError._TRANSPORT`). Compares with ints
    and other KafkaErrors by code. It is an exception type, so that raising it is not a crash, but
    the calls of this package raise KafkaException.
    """

    def __init__(
        self,
        error: int,
        reason: str | None = None,
        fatal: bool = False,
        retriable: bool = False,
        txn_requires_abort: bool = False,
        *,
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__(error, reason)
        self._entry = codes.by_code(int(error))
        self._reason = reason
        self._fatal = bool(fatal)
        self._retriable = bool(retriable)
        self._txn_requires_abort = bool(txn_requires_abort)
        self._outcome = outcome

    def code(self) -> int:
        """Return the numeric code."""
        return self._entry.code

    def name(self) -> str:
        """Return the symbolic name of the code, such as `_TRANSPORT`."""
        return self._entry.name

    def str(self) -> str:
        """Return the reason, or the text of the code when no reason was given."""
        return self._entry.text if self._reason is None else self._reason

    def fatal(self) -> bool:
        """Return True when the client that got this error cannot be used any longer."""
        return self._fatal

    def retriable(self) -> bool:
        """Return True when the same transactional call may be repeated, as confluent_kafka does.

        For errors of all other calls ask `is_retriable`.
        """
        return self._retriable

    def txn_requires_abort(self) -> bool:
        """Return True when the current transaction must be aborted."""
        return self._txn_requires_abort

    @property
    def is_retriable(self) -> bool:
        """True when repeating the operation may succeed; false when the error is fatal."""
        return not self._fatal and (self._retriable or self._entry.retriable)

    @property
    def refreshes_metadata(self) -> bool:
        """True when the error shows that the client's picture of the cluster is stale."""
        return self._entry.refreshes_metadata

    @property
    def outcome(self) -> Outcome:
        """What is known of the record whose produce ended in this error."""
        return self._entry.outcome if self._outcome is None else self._outcome

    def __repr__(self) -> builtins.str:
        fatal = "FATAL," if self._fatal else ""
        return f'KafkaError{{{fatal}code={self.name()},val={self.code()},str="{self.str()}"}}'

    __str__ = __repr__

    def __hash__(self) -> int:
        return hash(self.code())

    def __eq__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self.code() == code

    def __lt__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self.code() < code

    def __le__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self.code() <= code

    def __gt__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self.code() > code

    def __ge__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self.code() >= code

    def __reduce__(self) -> tuple[Any, ...]:
        state = (
            self.code(),
            self._reason,
            self._fatal,
            self._retriable,
            self._txn_requires_abort,
            self._outcome,
        )
        return _rebuild_error, (type(self), *state)


def _code_of(other: object) -> int | None:
    if isinstance(other, KafkaError):
        return other.code()
    return other if isinstance(other, int) else None


def _rebuild_error(
    cls: type[KafkaError],
    error: int,
    reason: str | None,
    fatal: bool,
    retriable: bool,
    txn_requires_abort: bool,
    outcome: Outcome | None,
) -> KafkaError:
    return cls(error, reason, fatal, retriable, txn_requires_abort, outcome=outcome)


for _entry in codes.TABLE:
    setattr(KafkaError, _entry.name, _entry.code)


class KafkaException(Exception):
    """Root of everything that this package raises; `args[0]` is the KafkaError.

    A family may be given a text instead of a KafkaError: it then makes a KafkaError of its own code
    from what happened, `where` (broker, topic, partition, configuration key) and `hint` (what to
    try).
    """

    default_code: int = KafkaError._FAIL

    def __init__(
        self,
        error: KafkaError | int | str | None = None,
        *args: object,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        if error is None:
            error = KafkaError(self.default_code)
        elif isinstance(error, str):
            error = KafkaError(self.default_code, _sentence(error, where, hint))
        elif isinstance(error, int):
            error = KafkaError(error, _sentence(codes.by_code(error).text, where, hint))
        super().__init__(error, *args)
        self.where = where
        self.hint = hint

    @property
    def error(self) -> KafkaError:
        """The KafkaError that this exception carries."""
        error = self.args[0]
        return error if isinstance(error, KafkaError) else KafkaError(self.default_code, str(error))

    @property
    def outcome(self) -> Outcome:
        """What is known of the record whose produce raised this."""
        return self.error.outcome

    @property
    def is_retriable(self) -> bool:
        """True when repeating the operation may succeed."""
        return self.error.is_retriable


def _sentence(what: str, where: str | None, hint: str | None) -> str:
    text = what if where is None else f"{what} ({where})"
    if hint is None:
        return text
    return f"{text.rstrip('.')}. {hint}"


class FatalError(KafkaException):
    """The client that raised this cannot be used any longer; close it and make another."""

    default_code = KafkaError._FATAL


class TransportError(KafkaException):
    """A broker could not be reached, or a connection to it ended."""

    default_code = KafkaError._TRANSPORT


class TimedOut(KafkaException, TimeoutError):
    """The operation did not end within its time."""

    default_code = KafkaError._TIMED_OUT


class AuthenticationError(KafkaException):
    """The broker did not accept who we are, or TLS could not be set up."""

    default_code = KafkaError._AUTHENTICATION


class ProtocolError(KafkaException):
    """The other side does not speak Kafka's protocol as we know it."""

    default_code = KafkaError._BAD_MSG


class CorruptFrame(ProtocolError):
    """A request or response could not be decoded."""


class CorruptBatch(ProtocolError):
    """A record batch could not be decoded, or its CRC is wrong."""


class UnsupportedVersion(ProtocolError):
    """The broker lacks the API, or the version of it, that the operation needs."""

    default_code = KafkaError._UNSUPPORTED_FEATURE


class BrokerError(KafkaException):
    """A broker answered with an error code."""

    default_code = KafkaError.UNKNOWN


class AuthorizationError(BrokerError):
    """The principal may not do this to that resource."""

    default_code = KafkaError.CLUSTER_AUTHORIZATION_FAILED


class UnknownTopic(BrokerError):
    """The topic or partition does not exist in the cluster."""

    default_code = KafkaError._UNKNOWN_TOPIC


class RecordTooLarge(KafkaException):
    """The record is larger than message.max.bytes or than the broker takes; never retried."""

    default_code = KafkaError.MSG_SIZE_TOO_LARGE


class BufferFull(KafkaException, BufferError):
    """The producer's memory is full; poll() and produce again. `taken` records were accepted."""

    default_code = KafkaError._QUEUE_FULL

    def __init__(
        self,
        error: KafkaError | int | str | None = None,
        *args: object,
        taken: int = 0,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(error, *args, where=where, hint=hint)
        self.taken = taken


class ConfigError(KafkaException, ValueError):
    """A configuration property is unknown, has a wrong value or contradicts another."""

    default_code = KafkaError._INVALID_ARG


class ConfigTypeError(ConfigError, TypeError):
    """A configuration property has a value of the wrong Python type."""


class ClosedError(KafkaException, RuntimeError):
    """The client has been closed."""

    default_code = KafkaError._DESTROY


class StateError(KafkaException, RuntimeError):
    """The call does not fit the state of the client."""

    default_code = KafkaError._STATE


class NotYetImplemented(KafkaException, NotImplementedError):
    """The call is known but not part of this release."""

    default_code = KafkaError._NOT_IMPLEMENTED


_FAMILY_OF_CODE: dict[int, type[KafkaException]] = {
    code: family
    for family, members in {
        FatalError: (KafkaError._FATAL, KafkaError._FENCED),
        TransportError: (
            KafkaError._TRANSPORT,
            KafkaError._RESOLVE,
            KafkaError._FAIL,
            KafkaError._ALL_BROKERS_DOWN,
        ),
        TimedOut: (
            KafkaError._TIMED_OUT,
            KafkaError._MSG_TIMED_OUT,
            KafkaError._TIMED_OUT_QUEUE,
        ),
        AuthenticationError: (
            KafkaError._AUTHENTICATION,
            KafkaError._SSL,
            KafkaError.SASL_AUTHENTICATION_FAILED,
            KafkaError.UNSUPPORTED_SASL_MECHANISM,
            KafkaError.ILLEGAL_SASL_STATE,
        ),
        CorruptFrame: (KafkaError._BAD_MSG, KafkaError._UNDERFLOW),
        CorruptBatch: (KafkaError._BAD_COMPRESSION,),
        UnsupportedVersion: (KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION),
        AuthorizationError: (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            KafkaError.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
        ),
        UnknownTopic: (
            KafkaError._UNKNOWN_TOPIC,
            KafkaError._UNKNOWN_PARTITION,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.UNKNOWN_TOPIC_ID,
        ),
        RecordTooLarge: (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE),
        BufferFull: (KafkaError._QUEUE_FULL,),
        ConfigError: (KafkaError._INVALID_ARG,),
        ClosedError: (KafkaError._DESTROY,),
        StateError: (KafkaError._STATE, KafkaError._CONFLICT, KafkaError._NOT_CONFIGURED),
        NotYetImplemented: (KafkaError._NOT_IMPLEMENTED,),
    }.items()
    for code in members
}


def exception_for(error: KafkaError) -> KafkaException:
    """Wrap `error` in the family that its code belongs to."""
    if error.fatal():
        return FatalError(error)
    family = _FAMILY_OF_CODE.get(error.code())
    if family is None:
        family = BrokerError if error.code() >= KafkaError.UNKNOWN else KafkaException
    return family(error)
