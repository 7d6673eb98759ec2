"""EndTxn (key 26), versions 0 to 4: commit or abort a transaction.

Version 2 knows PRODUCER_FENCED. Version 5 raises the producer's epoch with each transaction
(KIP-890), which clients use when `transaction.version` 2 is a finalized feature; it is not here.
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
    """End the transaction; its markers are written when the answer leaves."""
    body = request.body
    producer = Producer(body["transactional_id"], body["producer_id"], body["producer_epoch"])
    broker.leadership.check_coordinator(request.node, producer.transactional_id)
    broker.transactions.end(producer, body["committed"])
    return {"error_code": NO_ERROR}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": fencing_code(error_code, request.api_version >= _FENCED_SINCE)}


HANDLER = Handler("end_txn", 0, 4, handle, refuse)
