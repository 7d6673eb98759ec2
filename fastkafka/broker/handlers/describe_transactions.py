"""DescribeTransactions (key 65), version 0: transactional ids and what is open (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Answer each transactional id."""
    return {
        "transaction_states": [
            _describe(broker, request, one) for one in request.body["transactional_ids"]
        ]
    }


def _describe(broker: Broker, request: Request, transactional_id: str) -> Body:
    try:
        broker.leadership.check_coordinator(request.node, transactional_id)
        return {"error_code": NO_ERROR, **broker.transactions.describe(transactional_id)}
    except Refusal as refusal:
        return _refused(transactional_id, refusal.code)


def _refused(transactional_id: str, error_code: int) -> Body:
    return {
        "error_code": error_code,
        "transactional_id": transactional_id,
        "transaction_state": "",
        "topics": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every transactional id with one error."""
    asked = request.body["transactional_ids"]
    return {"transaction_states": [_refused(one, error_code) for one in asked]}


HANDLER = Handler("describe_transactions", 0, 0, handle, refuse)
