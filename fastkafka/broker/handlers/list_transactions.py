"""ListTransactions (key 66), versions 0 to 2: the transactional ids that the node coordinates.

Version 1 chooses by the time that a transaction is open (KIP-994), 2 by a pattern (KIP-1152).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.name_pattern import InvalidPattern, NamePattern
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.transactions.transaction import TransactionState
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_STATES = {state.text for state in TransactionState}


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the transactional ids."""
    body = request.body
    asked = set(body["state_filters"])
    listed = broker.transactions.listed(
        asked,
        set(body["producer_id_filters"]),
        body["duration_filter"],
        _pattern(body["transactional_id_pattern"]),
    )
    return {
        "error_code": NO_ERROR,
        "unknown_state_filters": sorted(asked - _STATES),
        "transaction_states": [
            {
                "transactional_id": transaction.transactional_id,
                "producer_id": transaction.producer_id,
                "transaction_state": transaction.state.text,
            }
            for transaction in listed
            if broker.leadership.coordinator_of(transaction.transactional_id) is request.node
        ],
    }


def _pattern(text: str | None) -> NamePattern | None:
    try:
        return NamePattern(text) if text else None
    except InvalidPattern as error:
        raise Refusal(KafkaError.INVALID_REGULAR_EXPRESSION, str(error)) from None


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "unknown_state_filters": [], "transaction_states": []}


HANDLER = Handler("list_transactions", 0, 2, handle, refuse)
