"""Fetch (key 1), versions 4 to 17: records from log files, with long poll.

Version 7 added sessions, 12 compact lengths, 13 topic ids, 15 replica_state, 16 node_endpoints.
fetch_sessions.py finds out which partitions a request is about.

The first partition that has records gives at least one batch, however large, so that a consumer
with small limits gets on (KIP-74); other partitions stay within what is left of max_bytes, and of
what the broker gives at most: a request may name one partition many thousand times. Batches
are never cut: Kafka sends the piece that fits, which no consumer can use. With read_committed
nothing at or after the last stable offset is sent, and aborted transactions are named.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.answers import Body, Handler, LaterAnswer, Parts
from fastkafka.broker.fetch_response import TOPIC_IDS_SINCE, encode_fetch
from fastkafka.broker.fetch_sessions import NO_SESSION_ID
from fastkafka.broker.leader_hints import current_leader, node_endpoints
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.waiters import FetchWaiter
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.fetch_sessions import FetchPartition, FetchPlan
    from fastkafka.broker.log_segment import ReadBatches
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition

_SESSION_ERRORS = (
    KafkaError.FETCH_SESSION_ID_NOT_FOUND,
    KafkaError.INVALID_FETCH_SESSION_EPOCH,
    KafkaError.FETCH_SESSION_TOPIC_ID_ERROR,
)
_WAIT_MS_MAX = 2**31 - 1
# fetch.max.bytes: whatever a request asks for. What is small of it is read into memory.
_RECORDS_BYTES_MAX = 55 * 1024 * 1024
_READ_COMMITTED = 1  # IsolationLevel.java


class _Collected(NamedTuple):
    """What there is to answer now."""

    rows: list[tuple[FetchPartition, Body]]
    available_bytes: int
    has_error: bool
    partitions: list[Partition]


def handle(broker: Broker, request: Request) -> Parts | LaterAnswer:
    """Answer at once when there is enough, an error or no time; otherwise wait."""
    by_id = request.api_version >= TOPIC_IDS_SINCE
    plan = broker.fetch_sessions.plan(request.body, by_id)
    collected = _collect(broker, request, plan)
    if _is_enough(collected, request.body):
        return _encode(broker, request, plan, collected)
    return partial(_wait, broker, request, plan)


def _is_enough(collected: _Collected, body: dict[str, Any]) -> bool:
    return (
        collected.available_bytes >= body["min_bytes"]
        or body["max_wait_ms"] <= 0
        or collected.has_error
        or not collected.partitions
    )


async def _wait(broker: Broker, request: Request, plan: FetchPlan) -> Parts:
    # Looked at again: records may have come between the request and this first step.
    collected = _collect(broker, request, plan)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(request.body["max_wait_ms"], _WAIT_MS_MAX) / 1000
    # An append that wakes may be invisible: its transaction is open, so it counts for nothing.
    while not _is_enough(collected, request.body) and (timeout_s := deadline - loop.time()) > 0:
        waiter = FetchWaiter(request.body["min_bytes"] - collected.available_bytes)
        await waiter.sleep(timeout_s, [partition.waiters for partition in collected.partitions])
        collected = _collect(broker, request, plan)
    return _encode(broker, request, plan, collected)


def _collect(broker: Broker, request: Request, plan: FetchPlan) -> _Collected:
    left_bytes = min(max(request.body["max_bytes"], 0), _RECORDS_BYTES_MAX)
    read_committed = request.body["isolation_level"] == _READ_COMMITTED
    rows: list[tuple[FetchPartition, Body]] = []
    size_bytes = 0
    available_bytes = 0
    has_error = False
    found: list[Partition] = []
    for wanted in plan.partitions:
        asked = wanted.asked
        try:
            partition = _find(broker, request, wanted)
            limit_bytes = max(min(left_bytes, asked["partition_max_bytes"]), 0)
            batches = partition.log.read(
                asked["fetch_offset"],
                limit_bytes,
                at_least_one_batch=size_bytes == 0,
                limit_offset=partition.log.last_stable_offset if read_committed else None,
            )
        except Refusal as refusal:
            has_error = True
            rows.append((wanted, _refused(asked["partition"], refusal)))
            continue
        found.append(partition)
        if batches is not None:
            size_bytes += batches.region.length
            available_bytes += batches.available_bytes
            left_bytes = max(left_bytes - batches.region.length, 0)
        answer = _answered(partition, asked["fetch_offset"], batches, read_committed)
        rows.append((wanted, answer))
    return _Collected(rows, available_bytes, has_error, found)


def _find(broker: Broker, request: Request, wanted: FetchPartition) -> Partition:
    if request.api_version >= TOPIC_IDS_SINCE:
        found = broker.topics.by_id(wanted.topic_id)
    else:
        found = broker.topics.by_name(wanted.topic)
    partition = found.partition(wanted.asked["partition"])
    partition.check_request(request, wanted.asked["current_leader_epoch"])
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


def _encode(broker: Broker, request: Request, plan: FetchPlan, collected: _Collected) -> Parts:
    rows = collected.rows
    session = plan.session
    if session is not None:
        told = [(wanted, row) for wanted, row in rows if wanted.take_news(row)]
        rows = told if plan.is_incremental else rows
        for wanted, row in rows:
            if row["records"] is not None:
                session.served(wanted)
    body = {
        "throttle_time_ms": 0,
        "error_code": NO_ERROR,
        "session_id": NO_SESSION_ID if session is None else session.session_id,
        "responses": _by_topic(rows),
        "node_endpoints": node_endpoints(broker.nodes, (row for _, row in rows)),
    }
    return encode_fetch(request.api_version, request.correlation_id, body)


def _by_topic(rows: list[tuple[FetchPartition, Body]]) -> list[Body]:
    """Put rows that follow each other and belong to one topic together."""
    return [
        {"topic": topic, "topic_id": topic_id, "partitions": [row for _, row in group]}
        for (topic, topic_id), group in groupby(
            rows, key=lambda pair: (pair[0].topic, pair[0].topic_id)
        )
    ]


def refuse(request: Request, error_code: int) -> Body:
    """Answer the whole request, and each partition of it, with one error."""
    # Errors of the whole request exist since version 7; a session error is nothing else.
    if error_code in _SESSION_ERRORS:
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
