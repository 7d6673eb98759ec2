"""AddOffsetsToTxn (key 25), versions 0 to 4: a group's offsets are part of a transaction.

Version 2 knows PRODUCER_FENCED.
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
    """Add the partition of `__consumer_offsets` that the group's offsets are in."""
    body = request.body
    producer = read_producer(body)
    broker.leadership.check_coordinator(request.node, producer.transactional_id)
    broker.transactions.add_offsets(producer, body["group_id"])
    return {"error_code": NO_ERROR}


HANDLER = Handler("add_offsets_to_txn", 0, 4, handle, refuse)
