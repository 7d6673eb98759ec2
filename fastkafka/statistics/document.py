"""librdkafka's statistics document, made of one picture of the core.

In:     a snapshot of `_ext/statistics.pyx`, the one before it, and what the client knows of itself
Out:    a Statistics: numbers of the whole are the sums of those of its parts
Next:   reporter.py asks for it; shapes.py has the types
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastkafka.group.membership import GroupFigures
from fastkafka.protocol import API_BY_KEY
from fastkafka.statistics.shapes import (
    BrokerStatistics,
    GroupStatistics,
    IdempotenceStatistics,
    PartitionStatistics,
    Statistics,
    TopicStatistics,
)
from fastkafka.statistics.windows import window_of
from fastkafka.types import OFFSET_INVALID

_NS_PER_US = 1000
_NS_PER_MS = 1000000
_SEQUENCE_MASK = 0x7FFFFFFF

# Of ConnectionState in _ext/connection.pxd; of several connections the furthest one counts.
_STATES = ("DOWN", "CONNECT", "SSL_HANDSHAKE", "APIVERSION_QUERY", "UP", "REAUTH")
# Of FetchState in _ext/fetch_position.pxd.
_FETCH_STATES = ("none", "offset-query", "active", "active", "stopped", "validate-epoch-wait")
# librdkafka's name is in the singular.
_API_NAMES = {"ApiVersions": "ApiVersion"}

Snapshot = Mapping[str, Any]
Row = Mapping[str, Any]


class ClientFacts(NamedTuple):
    """What the document says of a client besides what its core counts."""

    name: str
    client_id: str
    kind: str  # producer, consumer or admin
    began_at_ns: int  # CLOCK_MONOTONIC
    records_max: int
    bytes_max: int
    metadata_cache_count: int
    reads_committed: bool
    group: GroupFigures | None


def document_of(snapshot: Snapshot, earlier: Snapshot | None, facts: ClientFacts) -> Statistics:
    """Return the document; windows are about what came after `earlier`, counters about all."""
    now_ns: int = snapshot["taken_at_ns"]
    topics = {
        name: _topic(name, row, _topic_before(earlier, name), facts, now_ns)
        for name, row in snapshot["topics"].items()
    }
    partitions = [one for topic in topics.values() for one in topic["partitions"].values()]
    brokers = _brokers(snapshot, earlier, topics)
    reports_count = snapshot["counters"]["reports_outstanding"]
    queued = ("msgq_cnt", "xmit_msgq_cnt", "msgs_inflight")
    document = Statistics(
        name=facts.name,
        client_id=facts.client_id,
        type=facts.kind,
        ts=now_ns // _NS_PER_US,
        time=int(time.time()),
        age=(now_ns - facts.began_at_ns) // _NS_PER_US,
        replyq=reports_count,
        msg_cnt=_sum(partitions, *queued) + reports_count,
        msg_size=_sum(partitions, "msgq_bytes", "xmit_msgq_bytes", "inflight_bytes"),
        msg_max=facts.records_max,
        msg_size_max=facts.bytes_max,
        simple_cnt=0,
        metadata_cache_cnt=facts.metadata_cache_count,
        tx=_sum(brokers, "tx"),
        tx_bytes=_sum(brokers, "txbytes"),
        rx=_sum(brokers, "rx"),
        rx_bytes=_sum(brokers, "rxbytes"),
        txmsgs=_sum(partitions, "txmsgs"),
        txmsg_bytes=_sum(partitions, "txbytes"),
        rxmsgs=_sum(partitions, "rxmsgs"),
        rxmsg_bytes=_sum(partitions, "rxbytes"),
        brokers={
            one["name"]: one
            for one, row in zip(brokers, snapshot["brokers"], strict=True)
            if not row["is_removed"]
        },
        topics=topics,
    )
    if facts.kind == "consumer":
        counters = snapshot["counters"]
        document["fetched_queue_bytes"] = counters["fetched_queue_bytes"]
        document["held_bytes"] = counters["held_bytes"]
        document["offset_resets"] = counters["offset_resets"]
        document["log_truncations"] = counters["log_truncations"]
        document["cgrp"] = _group(partitions, facts.group, now_ns)
    elif snapshot["identity"] is not None:
        document["eos"] = _idempotence(snapshot)
    return document


def _sum(parts: Iterable[Mapping[str, Any]], *keys: str) -> int:
    return sum(part[key] for part in parts for key in keys)


# librdkafka's join states, by ours.
_JOIN_STATES = {
    "joining": "wait-join",
    "rebalancing": "wait-assign-call",
    "reconciling": "wait-assign-call",
    "stable": "steady",
}


def _group(
    partitions: Iterable[PartitionStatistics], figures: GroupFigures | None, now_ns: int
) -> GroupStatistics:
    size = sum(one["desired"] for one in partitions)
    if figures is None:
        return GroupStatistics(
            state="init",
            stateage=0,
            join_state="init",
            rebalance_age=0,
            rebalance_cnt=0,
            rebalance_reason="",
            assignment_size=size,
        )
    last_ns = now_ns if figures.last_step_ns is None else figures.last_step_ns
    return GroupStatistics(
        state="up" if figures.knows_coordinator else "wait-coord",
        stateage=max(now_ns - figures.state_since_ns, 0) // _NS_PER_MS,
        join_state=_JOIN_STATES.get(figures.state, "init"),
        rebalance_age=max(now_ns - last_ns, 0) // _NS_PER_MS,
        rebalance_cnt=figures.steps,
        rebalance_reason=figures.reason,
        assignment_size=size,
    )


# By the numbers of `_ext/sequences.pxd`, TransactionGate; the words are librdkafka's.
_TRANSACTION_STATES = ("Init", "Ready", "InTransaction", "AbortableError")
_GATE_OPEN = 2


def _idempotence(snapshot: Snapshot) -> IdempotenceStatistics:
    identity = snapshot["identity"]
    has_id = identity["producer_id"] >= 0
    return {
        "idemp_state": "Assigned" if has_id else "RequestPID",
        "idemp_stateage": 0,
        "txn_state": _TRANSACTION_STATES[identity["gate"]] if has_id else "Init",
        "txn_stateage": 0,
        "txn_may_enq": identity["gate"] == _GATE_OPEN,
        "producer_id": identity["producer_id"],
        "producer_epoch": identity["producer_epoch"],
        "epoch_cnt": snapshot["counters"]["epoch_bumps"],
    }


def _topic_before(earlier: Snapshot | None, name: str) -> Row:
    empty: Row = {"batch_bytes": None, "batch_records": None}
    return empty if earlier is None else earlier["topics"].get(name, empty)


# brokers


def _brokers(
    snapshot: Snapshot, earlier: Snapshot | None, topics: Mapping[str, TopicStatistics]
) -> list[BrokerStatistics]:
    led: dict[int, list[tuple[str, PartitionStatistics]]] = {}
    for name, topic in topics.items():
        for partition in topic["partitions"].values():
            led.setdefault(partition["leader"], []).append((name, partition))
    before = {row["node_id"]: row for row in earlier["brokers"]} if earlier else {}
    return [
        _broker(
            row,
            before.get(row["node_id"], {}),
            led.get(row["node_id"], []) if row["node_id"] >= 0 else [],
            snapshot["taken_at_ns"],
        )
        for row in snapshot["brokers"]
    ]


def _broker(
    row: Row, before: Row, led: list[tuple[str, PartitionStatistics]], now_ns: int
) -> BrokerStatistics:
    host = f"[{row['host']}]" if ":" in row["host"] else row["host"]
    node_name = f"{host}:{row['port']}"
    is_bootstrap = row["node_id"] < 0
    furthest = max((state for state in row["states"] if state < len(_STATES)), default=0)
    return BrokerStatistics(
        name=f"{node_name}/{'bootstrap' if is_bootstrap else row['node_id']}",
        nodeid=-1 if is_bootstrap else row["node_id"],
        nodename=node_name,
        source="configured" if is_bootstrap else "learned",
        state=_STATES[furthest] if row["connects"] else "INIT",
        stateage=_since_us(row["state_changed_at_ns"], now_ns),
        outbuf_cnt=row["requests_waiting"],
        outbuf_msg_cnt=0,
        waitresp_cnt=row["requests_in_flight"],
        waitresp_msg_cnt=sum(partition["msgs_inflight"] for _, partition in led),
        tx=row["requests_sent"],
        txbytes=row["bytes_sent"],
        txerrs=row["requests_failed"],
        txretries=row["requests_retried"],
        txidle=_since_us(row["last_sent_at_ns"], now_ns),
        req_timeouts=row["request_timeouts"],
        rx=row["responses_received"],
        rxbytes=row["bytes_received"],
        rxerrs=row["malformed_responses"],
        rxcorriderrs=0,
        rxpartial=0,
        rxidle=_since_us(row["last_received_at_ns"], now_ns),
        req={_api_name(key): count for key, count in row["requests_by_api"].items()},
        zbuf_grow=0,
        buf_grow=0,
        wakeups=0,
        connects=row["connects"],
        disconnects=row["disconnects"],
        int_latency=window_of(row["batch_wait_us"], before.get("batch_wait_us")),
        outbuf_latency=window_of(row["outbound_wait_us"], before.get("outbound_wait_us")),
        rtt=window_of(row["round_trip_us"], before.get("round_trip_us")),
        throttle=window_of(row["throttle_time_ms"], before.get("throttle_time_ms")),
        toppars={
            f"{name}-{partition['partition']}": {
                "topic": name,
                "partition": partition["partition"],
            }
            for name, partition in led
        },
    )


def _since_us(at_ns: int, now_ns: int) -> int:
    """Return the time since something happened, -1 when it never did."""
    return max(now_ns - at_ns, 0) // _NS_PER_US if at_ns else -1


def _api_name(api_key: int) -> str:
    api = API_BY_KEY.get(api_key)
    if api is None:
        return f"Unknown-{api_key}?"
    name = "".join(word.capitalize() for word in api.name.split("_"))
    return _API_NAMES.get(name, name)


# topics and partitions


def _topic(name: str, row: Row, before: Row, facts: ClientFacts, now_ns: int) -> TopicStatistics:
    partitions = {
        str(index): _partition(name, index, one, facts)
        for index, one in sorted(row["partitions"].items())
    }
    unassigned = _partition(name, -1, _NOT_KNOWN, facts)
    unassigned["msgq_cnt"] = row["waiting_records"]
    unassigned["msgq_bytes"] = row["waiting_bytes"]
    unassigned["msgs"] = row["waiting_records"]
    partitions["-1"] = unassigned
    began_ns = row["first_used_at_ns"] or now_ns
    return TopicStatistics(
        topic=name,
        age=max(now_ns - began_ns, 0) // _NS_PER_MS,
        metadata_age=max(now_ns - (row["known_at_ns"] or began_ns), 0) // _NS_PER_MS,
        batchsize=window_of(row["batch_bytes"], before["batch_bytes"]),
        batchcnt=window_of(row["batch_records"], before["batch_records"]),
        partitions=partitions,
    )


# What a partition says while nothing is known of it: librdkafka's -1, where waiting records are.
_NOT_KNOWN: Row = {
    "leader_id": -1,
    "leader_epoch": -1,
    "is_fetched": False,
    "open_records": 0,
    "open_bytes": 0,
    "ready_records": 0,
    "ready_bytes": 0,
    "records_in_flight": 0,
    "bytes_in_flight": 0,
    "next_sequence": 0,
    "fetch_state": 0,
    "records_sent": 0,
    "bytes_sent": 0,
    "batches_sent": 0,
    "records_retried": 0,
    "records_acknowledged": 0,
    "records_failed": 0,
    "errors": 0,
    "records_decoded": 0,
    "bytes_decoded": 0,
}


def _partition(topic: str, index: int, row: Row, facts: ClientFacts) -> PartitionStatistics:
    position = row.get("position", OFFSET_INVALID)
    # Before anything was returned, the position is where fetching began.
    next_to_return = position if position >= 0 else row.get("start_offset", OFFSET_INVALID)
    stored = row.get("stored_offset", OFFSET_INVALID)
    committed = {} if facts.group is None else facts.group.committed
    committed_offset, committed_epoch = committed.get((topic, index), (OFFSET_INVALID, -1))
    is_fetched = row["is_fetched"]
    end = row.get("last_stable_offset" if facts.reads_committed else "high_watermark", -1)
    next_unanswered = (row["next_sequence"] - row["records_in_flight"]) & _SEQUENCE_MASK
    return PartitionStatistics(
        partition=index,
        broker=row["leader_id"],
        leader=row["leader_id"],
        desired=is_fetched,
        unknown=False,
        msgq_cnt=row["open_records"],
        msgq_bytes=row["open_bytes"],
        xmit_msgq_cnt=row["ready_records"],
        xmit_msgq_bytes=row["ready_bytes"],
        fetchq_cnt=row.get("queued_records", 0),
        fetchq_size=row.get("queued_bytes", 0),
        fetch_state=_FETCH_STATES[row["fetch_state"]],
        query_offset=OFFSET_INVALID,
        next_offset=row["fetch_offset"] if is_fetched else 0,
        app_offset=position,
        stored_offset=stored,
        stored_leader_epoch=row.get("stored_leader_epoch", -1),
        commited_offset=committed_offset,
        committed_offset=committed_offset,
        committed_leader_epoch=committed_epoch,
        eof_offset=row["end_told_at"] if is_fetched else OFFSET_INVALID,
        lo_offset=row.get("log_start_offset", OFFSET_INVALID),
        hi_offset=row.get("high_watermark", OFFSET_INVALID),
        ls_offset=row.get("last_stable_offset", OFFSET_INVALID),
        consumer_lag=_lag(end, next_to_return),
        consumer_lag_stored=_lag(end, stored),
        leader_epoch=row["leader_epoch"],
        txmsgs=row["records_sent"],
        txbytes=row["bytes_sent"],
        rxmsgs=row["records_decoded"],
        rxbytes=row["bytes_decoded"],
        msgs=row["records_decoded"] if facts.kind == "consumer" else _accepted(row),
        rx_ver_drops=0,
        msgs_inflight=row["records_in_flight"],
        inflight_bytes=row["bytes_in_flight"],
        next_ack_seq=next_unanswered,
        next_err_seq=next_unanswered,
        acked_msgid=row["records_acknowledged"],
        txbatches=row["batches_sent"],
        txretries=row["records_retried"],
        txerrs=row["errors"],
        lost_msgs=row["records_failed"],
    )


def _accepted(row: Row) -> int:
    """Return how many records the application has given to a partition."""
    ended: int = row["records_acknowledged"] + row["records_failed"]
    waiting: int = row["open_records"] + row["ready_records"] + row["records_in_flight"]
    return ended + waiting


def _lag(end: int, offset: int) -> int:
    """Return how far a consumer is behind, -1 while one of the two is not known."""
    return max(end - offset, 0) if end >= 0 and offset >= 0 else -1
