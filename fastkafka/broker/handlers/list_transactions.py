"""ListTransactions (key 66), versions 0 to 1: the transactional ids that the node coordinates.

Version 1 chooses by the time that a transaction is open (KIP-994).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.transactions.transaction import TransactionState

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_STATES = {state.text for state in TransactionState}


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the transactional ids."""
    body = request.body
    asked = set(body["state_filters"])
    listed = broker.transactions.listed(
        asked, set(body["producer_id_filters"]), body["duration_filter"]
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


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "unknown_state_filters": [], "transaction_states": []}


HANDLER = Handler("list_transactions", 0, 1, handle, refuse)
