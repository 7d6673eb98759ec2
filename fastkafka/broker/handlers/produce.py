"""Produce (key 0), versions 3 to 13: append one batch per partition.

Version 7 is the first that may carry zstd (KIP-110), 8 added error messages, 9 compact lengths,
10 leader hints, 13 topic ids instead of names.
With acks 0 there is no reply; when such a request fails the connection is closed, which is all that
the client can notice (as Kafka does). acks 1 and all differ in min.insync.replicas only: replicas
share one log. Transactional batches are taken from requests that name a transactional id.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler, HangUp
from fastkafka.broker.leader_hints import current_leader, node_endpoints
from fastkafka.broker.produce_request import TOPIC_IDS_SINCE, decode_produce
from fastkafka.broker.record_batch import CODEC_ZSTD, HEADER_BYTES, read_header
from fastkafka.broker.refusal import NO_ERROR, InvalidRecords, Refusal
from fastkafka.broker.transactions.fencing import fencing_code
from fastkafka.broker.transactions.transaction import TransactionPartition
from fastkafka.broker.transactions.transaction_coordinator import Producer
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition, Topic

_log = logging.getLogger(__name__)

ACKS_ALL = -1
ACKS_NONE = 0
LEADER_HINTS_SINCE = 10  # KIP-951
RECORD_ERRORS_SINCE = 8  # KIP-467
_ZSTD_SINCE = 7
_ACKS_VALID = (-1, 0, 1)
_MAY_WRITE_INTERNAL_TOPICS = "__admin_client"  # AdminUtils.ADMIN_CLIENT_ID


def handle(broker: Broker, request: Request) -> Body | None:
    """Append what the request carries and answer per partition."""
    body = request.body
    if body["acks"] not in _ACKS_VALID:
        raise Refusal(KafkaError.INVALID_REQUIRED_ACKS, f"acks is {body['acks']}")
    if body["transactional_id"] is None and _has_transactional_batch(body["topic_data"]):
        raise Refusal(
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "transactional batches without a transactional id",
        )
    responses = [_append_topic(broker, request, topic_data) for topic_data in body["topic_data"]]
    if body["acks"] != ACKS_NONE:
        rows = (row for response in responses for row in response["partition_responses"])
        endpoints = node_endpoints(broker.nodes, rows)
        return {"responses": responses, "node_endpoints": endpoints}
    for response in responses:
        for partition in response["partition_responses"]:
            if partition["error_code"] != NO_ERROR:
                raise HangUp(f"produce with acks 0 failed: {partition['error_message']}")
    return None


def _has_transactional_batch(topic_data: list[dict[str, Any]]) -> bool:
    return any(
        data["records"] is not None
        and len(data["records"]) >= HEADER_BYTES
        and read_header(data["records"]).is_transactional
        for topic in topic_data
        for data in topic["partition_data"]
    )


def _append_topic(broker: Broker, request: Request, topic_data: dict[str, Any]) -> Body:
    refusal: Refusal | None = None
    topic: Topic | None = None
    try:
        if request.api_version >= TOPIC_IDS_SINCE:
            topic = broker.topics.by_id(topic_data["topic_id"])
        else:
            topic = broker.topics.by_name(topic_data["name"])
    except Refusal as error:
        refusal = error
    return {
        "name": topic_data["name"],
        "topic_id": topic_data["topic_id"],
        "partition_responses": [
            _append(broker, request, topic, data)
            if topic
            else _refused(request, data["index"], refusal)
            for data in topic_data["partition_data"]
        ],
    }


def _append(broker: Broker, request: Request, topic: Topic, data: dict[str, Any]) -> Body:
    index = data["index"]
    try:
        if data["records"] is None:
            raise Refusal(KafkaError.INVALID_RECORD, "there are no records")
        if topic.is_internal and request.client_id != _MAY_WRITE_INTERNAL_TOPICS:
            raise Refusal(
                KafkaError.TOPIC_EXCEPTION, f"{topic.name} is written by its coordinator only"
            )
        partition = topic.partition(index)
        partition.check_request(request)
        if request.body["acks"] == ACKS_ALL:
            _check_replicas(broker, partition)
        _check_transaction(broker, request, partition, data["records"])
        _check_codec(request, data["records"])
        appended = partition.append(data["records"])
    except Refusal as refusal:
        _log.info("produce to %s-%d: %s", topic.name, index, refusal)
        return _refused(request, index, refusal)
    return {
        "index": index,
        "error_code": NO_ERROR,
        "base_offset": appended.base_offset,
        "log_append_time_ms": appended.log_append_time_ms,
        "log_start_offset": partition.log.log_start_offset,
    }


def _check_transaction(
    broker: Broker, request: Request, partition: Partition, records: memoryview
) -> None:
    """Refuse a batch that would open a transaction that its coordinator knows nothing of (KIP-890).

    It may have been under way when the transaction ended; nobody would ever end it again.
    """
    transactional_id = request.body["transactional_id"]
    if (
        transactional_id is None
        or len(records) < HEADER_BYTES
        or not broker.settings.transaction_partition_verification_enable
    ):
        return
    header = read_header(records)
    if header.is_transactional and not partition.log.has_open_transaction(header.producer_id):
        broker.transactions.check_partition(
            Producer(transactional_id, header.producer_id, header.producer_epoch),
            TransactionPartition(partition.topic_name, partition.index),
        )


def _check_codec(request: Request, records: memoryview) -> None:
    """Refuse zstd in a version whose clients need not know it (ProduceRequest.validateRecords)."""
    if request.api_version >= _ZSTD_SINCE or len(records) < HEADER_BYTES:
        return
    if read_header(records).codec == CODEC_ZSTD:
        raise Refusal(
            KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
            f"zstd needs Produce {_ZSTD_SINCE}, this is {request.api_version}",
        )


def _check_replicas(broker: Broker, partition: Partition) -> None:
    """Refuse acks=all when fewer replicas live than min.insync.replicas wants.

    No more are wanted than the partition has (Partition.effectiveMinIsr).
    """
    wanted = min(partition.log.config.min_insync_replicas, len(partition.replica_ids))
    if wanted == 1:
        return
    in_sync = sum(node.node_id in partition.replica_ids for node in broker.nodes.alive)
    if in_sync < wanted:
        raise Refusal(
            KafkaError.NOT_ENOUGH_REPLICAS,
            f"{in_sync} replicas are in sync, min.insync.replicas is {wanted}",
        )


def _refused(request: Request, index: int, refusal: Refusal | None) -> Body:
    return {
        "index": index,
        "error_code": fencing_code(request, refusal.code) if refusal else KafkaError.UNKNOWN,
        "base_offset": -1,
        "log_append_time_ms": -1,
        "log_start_offset": -1,
        "error_message": str(refusal),
        **(_record_errors(refusal) if request.api_version >= RECORD_ERRORS_SINCE else {}),
        **(current_leader(refusal) if request.api_version >= LEADER_HINTS_SINCE else {}),
    }


def _record_errors(refusal: Refusal | None) -> Body:
    if not isinstance(refusal, InvalidRecords):
        return {}
    return {
        "record_errors": [
            {"batch_index": index, "batch_index_error_message": message}
            for index, message in refusal.record_errors
        ]
    }


def refuse(request: Request, error_code: int) -> Body | None:
    """Answer every partition with one error."""
    if request.body["acks"] == ACKS_NONE:
        raise HangUp(f"produce with acks 0 failed: {KafkaError(error_code).name()}")
    return {
        "responses": [
            {
                "name": topic_data["name"],
                "topic_id": topic_data["topic_id"],
                "partition_responses": [
                    {"index": data["index"], "error_code": error_code, "base_offset": -1}
                    for data in topic_data["partition_data"]
                ],
            }
            for topic_data in request.body["topic_data"]
        ]
    }


HANDLER = Handler("produce", 3, 13, handle, refuse, decode_produce)
