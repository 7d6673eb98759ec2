"""InitProducerId (key 22), versions 0 to 5: a new producer id for an idempotent producer.

A producer without a transactional id always gets a new id with epoch 0, whatever id it names
(version 3 lets it), as in Kafka. Transactional ids are refused: there are no transactions yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Give an id."""
    if request.body["transactional_id"] is not None:
        raise Refusal(KafkaError.INVALID_REQUEST, "transactions are not part of this broker yet")
    return {
        "error_code": NO_ERROR,
        "producer_id": broker.producer_ids.take(),
        "producer_epoch": 0,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "producer_id": -1, "producer_epoch": -1}


HANDLER = Handler("init_producer_id", 0, 5, handle, refuse)
