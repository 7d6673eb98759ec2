"""EndTxn (key 26), versions 0 to 4: commit or abort a transaction.

Version 2 knows PRODUCER_FENCED. Version 5 raises the producer's epoch with each transaction
(KIP-890), which clients use when `transaction.version` 2 is a finalized feature; it is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.transactions.fencing import read_producer, refuse

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """End the transaction; its markers are written when the answer leaves."""
    body = request.body
    producer = read_producer(body)
    broker.leadership.check_coordinator(request.node, producer.transactional_id)
    broker.transactions.end(producer, body["committed"])
    return {"error_code": NO_ERROR}


HANDLER = Handler("end_txn", 0, 4, handle, refuse)
