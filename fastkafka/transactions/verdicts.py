"""What the error codes of transactional requests mean for who asked.

In:     the error codes of one answer
Out:    a Verdict, the most serious one
Thread: any
Next:   coordinators.py of control repeats or raises by it, transactions.py fails or ends by it

Where Java's client and librdkafka disagree, this is the one that loses least: what may be repeated
is repeated, and only what a coordinator says of the end of a transaction, or of who owns the
transactional id, is fatal.
Source: TransactionManager's handlers; KIP-588 (PRODUCER_FENCED), KIP-890 (TRANSACTION_ABORTABLE)
"""

from __future__ import annotations

from collections.abc import Collection

from fastkafka.control.coordinators import MOVED, Verdict
from fastkafka.errors import KafkaError

_REPEATED = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.CONCURRENT_TRANSACTIONS,
        # A broker that restarts knows a topic of its cluster only after a while.
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
FENCED = frozenset(
    {
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
_FATAL = FENCED | {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
}
# After these the end of the transaction is not in our hands, or the id not ours.
_ABORTABLE_AT_THE_END = frozenset(
    {
        KafkaError.TRANSACTION_ABORTABLE,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.UNKNOWN_PRODUCER_ID,
    }
)


def is_fatal(code: int) -> bool:
    """Tell whether an error of a Produce request ends the producer, not just its transaction."""
    return code in _FATAL


def verdict_within(codes: Collection[int]) -> Verdict:
    """Return what comes of an answer with these error codes: what is refused can be aborted."""
    return max((_verdict_of(code) for code in codes), default=Verdict.DONE)


def verdict_at_the_end(codes: Collection[int]) -> Verdict:
    """Return what comes of EndTxn and InitProducerId, after which nothing is left to abort."""
    return max((_verdict_of(code, of_the_end=True) for code in codes), default=Verdict.DONE)


def _verdict_of(code: int, *, of_the_end: bool = False) -> Verdict:
    if code in (KafkaError.NO_ERROR, KafkaError.OPERATION_NOT_ATTEMPTED):
        # The partitions beside one that failed were not looked at: that one says what comes.
        return Verdict.DONE
    if code in _REPEATED:
        return Verdict.REPEAT
    if code in MOVED:
        return Verdict.FIND_AGAIN
    if code in _FATAL or (of_the_end and code not in _ABORTABLE_AT_THE_END):
        return Verdict.FATAL
    return Verdict.REFUSED
