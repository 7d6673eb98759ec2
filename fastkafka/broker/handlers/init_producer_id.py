"""InitProducerId (key 22), versions 0 to 5: a producer id and an epoch that fences older producers.

A producer without a transactional id always gets a new id with epoch 0, whatever id it names
(version 3 lets it), as in Kafka. With one, it gets the id that belongs to it and the next epoch; an
open transaction of the producer before is aborted. Version 4 knows PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.transactions.fencing import fencing_code

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Give an id."""
    body = request.body
    if body["transactional_id"] is None:
        producer_id, producer_epoch = broker.producer_ids.take(), 0
    else:
        broker.leadership.check_coordinator(request.node, body["transactional_id"])
        _, producer_id, producer_epoch = broker.transactions.init_producer_id(
            body["transactional_id"],
            body["transaction_timeout_ms"],
            body["producer_id"],
            body["producer_epoch"],
        )
    return {
        "error_code": NO_ERROR,
        "producer_id": producer_id,
        "producer_epoch": producer_epoch,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    code = fencing_code(request, error_code)
    return {"error_code": code, "producer_id": -1, "producer_epoch": -1}


HANDLER = Handler("init_producer_id", 0, 5, handle, refuse)
