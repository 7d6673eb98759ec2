"""Fetch (key 1), versions 4 to 17: records from log files, with long poll.

Version 7 added sessions, 12 compact lengths, 13 topic ids, 15 replica_state, 16 node_endpoints.
Sessions are declined: session_id is always 0, which tells the client to send full requests
(KIP-227).

The first partition that has records gives at least one batch, however large, so that a consumer
with small limits gets on (KIP-74); other partitions stay within what is left of max_bytes. Batches
are never cut: Kafka sends the piece that fits, which no consumer can use. With read_committed
nothing at or after the last stable offset is sent, and aborted transactions are named.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.answers import Body, Handler, LaterAnswer, Parts
from fastkafka.broker.fetch_response import TOPIC_IDS_SINCE, encode_fetch
from fastkafka.broker.leader_hints import current_leader, node_endpoints
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.waiters import FetchWaiter
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.log_segment import ReadBatches
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition

_SESSION_EPOCHS_FULL = (0, -1)  # FetchMetadata.INITIAL_EPOCH, FINAL_EPOCH
_WAIT_MS_MAX = 2**31 - 1
_READ_COMMITTED = 1  # IsolationLevel.java


class _Collected(NamedTuple):
    """What there is to answer now."""

    responses: list[Body]
    available_bytes: int
    has_error: bool
    partitions: list[Partition]


def handle(broker: Broker, request: Request) -> Parts | LaterAnswer:
    """Answer at once when there is enough, an error or no time; otherwise wait."""
    body = request.body
    if body["session_id"] != 0 or body["session_epoch"] not in _SESSION_EPOCHS_FULL:
        raise Refusal(KafkaError.FETCH_SESSION_ID_NOT_FOUND, "fetch sessions are not kept")
    collected = _collect(broker, request)
    if _is_enough(collected, body):
        return _encode(broker, request, collected.responses)
    return partial(_wait, broker, request)


def _is_enough(collected: _Collected, body: dict[str, Any]) -> bool:
    return (
        collected.available_bytes >= body["min_bytes"]
        or body["max_wait_ms"] <= 0
        or collected.has_error
        or not collected.partitions
    )


async def _wait(broker: Broker, request: Request) -> Parts:
    # Looked at again: records may have come between the request and this first step.
    collected = _collect(broker, request)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(request.body["max_wait_ms"], _WAIT_MS_MAX) / 1000
    # An append that wakes may be invisible: its transaction is open, so it counts for nothing.
    while not _is_enough(collected, request.body) and (timeout_s := deadline - loop.time()) > 0:
        waiter = FetchWaiter(request.body["min_bytes"] - collected.available_bytes)
        await waiter.sleep(timeout_s, [partition.waiters for partition in collected.partitions])
        collected = _collect(broker, request)
    return _encode(broker, request, collected.responses)


def _collect(broker: Broker, request: Request) -> _Collected:
    left_bytes = max(request.body["max_bytes"], 0)
    read_committed = request.body["isolation_level"] == _READ_COMMITTED
    responses: list[Body] = []
    size_bytes = 0
    available_bytes = 0
    has_error = False
    found: list[Partition] = []
    for topic in request.body["topics"]:
        partitions: list[Body] = []
        for asked in topic["partitions"]:
            try:
                partition = _find(broker, request, topic, asked)
                limit_bytes = max(min(left_bytes, asked["partition_max_bytes"]), 0)
                batches = partition.log.read(
                    asked["fetch_offset"],
                    limit_bytes,
                    at_least_one_batch=size_bytes == 0,
                    limit_offset=partition.log.last_stable_offset if read_committed else None,
                )
            except Refusal as refusal:
                has_error = True
                partitions.append(_refused(asked["partition"], refusal))
                continue
            found.append(partition)
            if batches is not None:
                size_bytes += batches.region.length
                available_bytes += batches.available_bytes
                left_bytes = max(left_bytes - batches.region.length, 0)
            partitions.append(_answered(partition, asked["fetch_offset"], batches, read_committed))
        responses.append(
            {"topic": topic["topic"], "topic_id": topic["topic_id"], "partitions": partitions}
        )
    return _Collected(responses, available_bytes, has_error, found)


def _find(
    broker: Broker, request: Request, topic: dict[str, Any], asked: dict[str, Any]
) -> Partition:
    if request.api_version >= TOPIC_IDS_SINCE:
        found = broker.topics.by_id(topic["topic_id"])
    else:
        found = broker.topics.by_name(topic["topic"])
    partition = found.partition(asked["partition"])
    partition.check_leader(request.node, asked["current_leader_epoch"])
    return partition


def _answered(
    partition: Partition, fetch_offset: int, batches: ReadBatches | None, read_committed: bool
) -> Body:
    log = partition.log
    has_records = batches is not None and batches.region.length > 0
    aborted: list[tuple[int, int]] | None = None
    if read_committed:
        aborted = []
        if batches is not None and has_records:
            aborted = log.aborted_transactions(fetch_offset, batches.next_offset)
    return {
        "partition_index": partition.index,
        "error_code": NO_ERROR,
        "high_watermark": log.high_watermark,
        "last_stable_offset": log.last_stable_offset,
        "log_start_offset": log.log_start_offset,
        "aborted_transactions": aborted,
        "records": batches.region if batches is not None and has_records else None,
    }


def _refused(index: int, refusal: Refusal) -> Body:
    return {
        "partition_index": index,
        "error_code": refusal.code,
        "high_watermark": -1,
        "last_stable_offset": -1,
        "log_start_offset": -1,
        "aborted_transactions": None,
        "records": None,
        **current_leader(refusal),
    }


def _encode(broker: Broker, request: Request, responses: list[Body]) -> Parts:
    rows = (row for response in responses for row in response["partitions"])
    body = {
        "throttle_time_ms": 0,
        "error_code": NO_ERROR,
        "session_id": 0,
        "responses": responses,
        "node_endpoints": node_endpoints(broker.nodes, rows),
    }
    return encode_fetch(request.api_version, request.correlation_id, body)


def refuse(request: Request, error_code: int) -> Body:
    """Answer the whole request, and each partition of it, with one error."""
    # Errors of the whole request exist since version 7; a session error is nothing else.
    if error_code == KafkaError.FETCH_SESSION_ID_NOT_FOUND:
        return {"error_code": error_code}
    return {
        "responses": [
            {
                "topic": topic["topic"],
                "topic_id": topic["topic_id"],
                "partitions": [
                    {
                        "partition_index": asked["partition"],
                        "error_code": error_code,
                        "high_watermark": -1,
                        "records": b"",
                    }
                    for asked in topic["partitions"]
                ],
            }
            for topic in request.body["topics"]
        ],
    }


HANDLER = Handler("fetch", 4, 17, handle, refuse)
