"""AddOffsetsToTxn (key 25), versions 0 to 4: a group's offsets are part of a transaction.

Version 2 knows PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.transactions.fencing import fencing_code
from fastkafka.broker.transactions.transaction_coordinator import Producer

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_FENCED_SINCE = 2


def handle(broker: Broker, request: Request) -> Body:
    """Add the partition of `__consumer_offsets` that the group's offsets are in."""
    body = request.body
    producer = Producer(body["transactional_id"], body["producer_id"], body["producer_epoch"])
    broker.leadership.check_coordinator(request.node, producer.transactional_id)
    broker.transactions.add_offsets(producer, body["group_id"])
    return {"error_code": NO_ERROR}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": fencing_code(error_code, request.api_version >= _FENCED_SINCE)}


HANDLER = Handler("add_offsets_to_txn", 0, 4, handle, refuse)
