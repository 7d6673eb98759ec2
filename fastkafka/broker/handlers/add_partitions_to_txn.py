"""AddPartitionsToTxn (key 24), versions 0 to 3: what a producer writes to next is part of its
transaction.

Version 2 knows PRODUCER_FENCED. Later versions are for brokers among themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.transactions.fencing import fencing_code, read_producer
from fastkafka.broker.transactions.transaction import TransactionPartition
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Add all partitions, or none when one of them is not there."""
    body = request.body
    producer = read_producer(body, "v3_and_below_")
    broker.leadership.check_coordinator(request.node, producer.transactional_id)
    partitions = _asked(request)
    unknown = {one for one in partitions if not broker.topics.has_partition(*one)}
    if not unknown:
        broker.transactions.add_partitions(producer, partitions)
        return _answered(request, dict.fromkeys(partitions, NO_ERROR))
    return _answered(
        request,
        {
            one: KafkaError.UNKNOWN_TOPIC_OR_PART
            if one in unknown
            else KafkaError.OPERATION_NOT_ATTEMPTED
            for one in partitions
        },
    )


def _asked(request: Request) -> list[TransactionPartition]:
    return [
        TransactionPartition(topic["name"], partition)
        for topic in request.body["v3_and_below_topics"]
        for partition in topic["partitions"]
    ]


def _answered(request: Request, codes: dict[TransactionPartition, int]) -> Body:
    return {
        "results_by_topic_v3_and_below": [
            {
                "name": topic["name"],
                "results_by_partition": [
                    {
                        "partition_index": partition,
                        "partition_error_code": codes[
                            TransactionPartition(topic["name"], partition)
                        ],
                    }
                    for partition in topic["partitions"]
                ],
            }
            for topic in request.body["v3_and_below_topics"]
        ]
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    code = fencing_code(request, error_code)
    return _answered(request, dict.fromkeys(_asked(request), code))


HANDLER = Handler("add_partitions_to_txn", 0, 3, handle, refuse)
