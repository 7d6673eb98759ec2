"""WriteTxnMarkers (key 27), versions 1 to 2: end transactions on partitions.

Transaction coordinators send it; kafka-transactions.sh does, to abort a transaction that hangs.
Version 2 names the transaction version, under which a marker has a newer epoch than the
transaction that it ends (KIP-890).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.transaction_marker import TransactionMarker
from fastkafka.broker.transactions.transaction import TransactionPartition

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Append each marker to each of its partitions."""
    return {
        "markers": [
            {
                "producer_id": marker["producer_id"],
                "topics": [
                    {
                        "name": topic["name"],
                        "partitions": [
                            {
                                "partition_index": index,
                                "error_code": _append(broker, marker, topic["name"], index),
                            }
                            for index in topic["partition_indexes"]
                        ],
                    }
                    for topic in marker["topics"]
                ],
            }
            for marker in request.body["markers"]
        ]
    }


def _append(broker: Broker, marker: dict[str, Any], topic_name: str, index: int) -> int:
    try:
        broker.transactions.write_marker(
            TransactionPartition(topic_name, index),
            TransactionMarker(
                marker["producer_id"],
                marker["producer_epoch"],
                marker["transaction_result"],
                marker["coordinator_epoch"],
            ),
        )
    except Refusal as refusal:
        return refusal.code
    return NO_ERROR


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "markers": [
            {
                "producer_id": marker["producer_id"],
                "topics": [
                    {
                        "name": topic["name"],
                        "partitions": [
                            {"partition_index": index, "error_code": error_code}
                            for index in topic["partition_indexes"]
                        ],
                    }
                    for topic in marker["topics"]
                ],
            }
            for marker in request.body["markers"]
        ]
    }


HANDLER = Handler("write_txn_markers", 1, 2, handle, refuse)
