"""DescribeProducers (key 61), version 0: the producers of partitions and their transactions.

`kafka-transactions.sh describe-producers` and `find-hanging` ask for it (KIP-664).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_NONE = -1


def handle(broker: Broker, request: Request) -> Body:
    """Answer each partition."""
    return {
        "topics": [
            {
                "name": topic["name"],
                "partitions": [
                    _answer(broker, request, topic["name"], index)
                    for index in topic["partition_indexes"]
                ],
            }
            for topic in request.body["topics"]
        ]
    }


def _answer(broker: Broker, request: Request, topic_name: str, index: int) -> Body:
    try:
        partition = broker.topics.by_name(topic_name).partition(index)
        partition.check_request(request)
    except Refusal as refusal:
        return _refused(index, refusal.code, refusal.reason)
    state = partition.log.producer_state
    producers = []
    for producer_id, entry in state.items():
        first_offset = state.transactions.first_offset_of(producer_id)
        producers.append(
            {
                "producer_id": producer_id,
                "producer_epoch": entry.producer_epoch,
                "last_sequence": entry.last_sequence,
                "last_timestamp": entry.last_timestamp,
                "coordinator_epoch": entry.coordinator_epoch,
                "current_txn_start_offset": _NONE if first_offset is None else first_offset,
            }
        )
    return {"partition_index": index, "error_code": NO_ERROR, "active_producers": producers}


def _refused(index: int, error_code: int, reason: str | None = None) -> Body:
    return {
        "partition_index": index,
        "error_code": error_code,
        "error_message": reason,
        "active_producers": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "topics": [
            {
                "name": topic["name"],
                "partitions": [_refused(index, error_code) for index in topic["partition_indexes"]],
            }
            for topic in request.body["topics"]
        ]
    }


HANDLER = Handler("describe_producers", 0, 0, handle, refuse)
