"""TxnOffsetCommit (key 28), versions 0 to 4: offsets that count once a transaction is committed.

Version 3 names the member that commits, so that one that was replaced is refused (KIP-447).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.coordinator_log import TransactionalProducer
from fastkafka.broker.groups.offset_commits import Commit, Committer
from fastkafka.broker.handlers.offset_commit import check_rows
from fastkafka.broker.transactions.fencing import fencing_code, read_producer
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Note what can be committed, and answer per partition."""
    body = request.body
    broker.leadership.check_coordinator(request.node, body["group_id"])
    producer = read_producer(body)
    broker.transactions.check_offsets(producer, body["group_id"])
    commits: list[Commit] = []
    topics = [_check(broker, asked, commits) for asked in body["topics"]]
    broker.groups.offsets.commit_in_transaction(
        Committer(
            body["group_id"],
            body["generation_id"],
            body["member_id"],
            body["group_instance_id"],
        ),
        commits,
        TransactionalProducer(producer.producer_id, producer.producer_epoch),
    )
    return {"topics": topics}


def _check(broker: Broker, asked: dict[str, Any], commits: list[Commit]) -> Body:
    if asked["name"] not in broker.topics:
        unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
        return _answered(asked, [(row, unknown) for row in asked["partitions"]])
    topic = broker.topics.by_name(asked["name"])
    return _answered(asked, check_rows(broker, topic, asked["partitions"], commits))


def _answered(asked: dict[str, Any], rows: list[tuple[dict[str, Any], int]]) -> Body:
    return {
        "name": asked["name"],
        "partitions": [
            {"partition_index": row["partition_index"], "error_code": code} for row, code in rows
        ],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    code = fencing_code(request, error_code)
    return {
        "topics": [
            _answered(asked, [(row, code) for row in asked["partitions"]])
            for asked in request.body["topics"]
        ]
    }


HANDLER = Handler("txn_offset_commit", 0, 4, handle, refuse)
