"""Refusals: what a part of the broker answers with a Kafka error code instead of a result.

A Refusal never leaves the broker as an exception: handlers turn it into the error code and, where
the response has room for one, the error message of the topic or partition that it concerns.
"""

from __future__ import annotations

from fastkafka.errors import KafkaError

NO_ERROR = KafkaError.NO_ERROR
# A reason may name what the client asked for, and a name may be as long as a string can be: the
# reason has to fit into a string too.
_REASON_CHARACTERS_MAX = 1000


class Refusal(Exception):
    """A request, or one topic or partition of it, is answered with `code`; `reason` says why."""

    def __init__(self, code: int, reason: str) -> None:
        if len(reason) > _REASON_CHARACTERS_MAX:
            reason = f"{reason[:_REASON_CHARACTERS_MAX]}..."
        super().__init__(reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{KafkaError(self.code).name()}: {self.reason}"


class InvalidRecords(Refusal):
    """Some records of a batch break a rule: which ones, and what is wrong with each (KIP-467)."""

    def __init__(self, reason: str, record_errors: list[tuple[int, str]]) -> None:
        super().__init__(KafkaError.INVALID_RECORD, reason)
        self.record_errors = record_errors


class NotLeader(Refusal):
    """The node that was asked does not lead the partition; says who does (KIP-951)."""

    def __init__(self, code: int, reason: str, leader_id: int, leader_epoch: int) -> None:
        super().__init__(code, reason)
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
