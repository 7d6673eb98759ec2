"""The shape of the statistics document, with librdkafka's names, which dashboards know.

Values are whole numbers but where a type says otherwise; latencies and `ts` in microseconds, sizes
in bytes. `docs/statistics.md` says what each key counts here, and which have no meaning.
"""

from __future__ import annotations

from typing import TypedDict


class Window(TypedDict):
    """How the values of one interval are spread; percentiles are exact to 6 %."""

    min: int
    max: int
    avg: int
    sum: int
    cnt: int
    stddev: int
    hdrsize: int
    p50: int
    p75: int
    p90: int
    p95: int
    p99: int
    p99_99: int
    outofrange: int


class PlaceStatistics(TypedDict):
    """One partition that a broker leads."""

    topic: str
    partition: int


class BrokerStatistics(TypedDict):
    """One broker, all its connections together."""

    name: str
    nodeid: int
    nodename: str
    source: str
    state: str
    stateage: int
    outbuf_cnt: int
    outbuf_msg_cnt: int
    waitresp_cnt: int
    waitresp_msg_cnt: int
    tx: int
    txbytes: int
    txerrs: int
    txretries: int
    txidle: int
    req_timeouts: int
    rx: int
    rxbytes: int
    rxerrs: int
    rxcorriderrs: int
    rxpartial: int
    rxidle: int
    req: dict[str, int]
    zbuf_grow: int
    buf_grow: int
    wakeups: int
    connects: int
    disconnects: int
    int_latency: Window
    outbuf_latency: Window
    rtt: Window
    throttle: Window
    toppars: dict[str, PlaceStatistics]


class PartitionStatistics(TypedDict):
    """One partition; inflight_bytes and the last four keys are ours."""

    partition: int
    broker: int
    leader: int
    desired: bool
    unknown: bool
    msgq_cnt: int
    msgq_bytes: int
    xmit_msgq_cnt: int
    xmit_msgq_bytes: int
    fetchq_cnt: int
    fetchq_size: int
    fetch_state: str
    query_offset: int
    next_offset: int
    app_offset: int
    stored_offset: int
    stored_leader_epoch: int
    commited_offset: int  # librdkafka's spelling, kept beside the right one
    committed_offset: int
    committed_leader_epoch: int
    eof_offset: int
    lo_offset: int
    hi_offset: int
    ls_offset: int
    consumer_lag: int
    consumer_lag_stored: int
    leader_epoch: int
    txmsgs: int
    txbytes: int
    rxmsgs: int
    rxbytes: int
    msgs: int
    rx_ver_drops: int
    msgs_inflight: int
    inflight_bytes: int
    next_ack_seq: int
    next_err_seq: int
    acked_msgid: int
    txbatches: int
    txretries: int
    txerrs: int
    lost_msgs: int


class TopicStatistics(TypedDict):
    """One topic that the client uses."""

    topic: str
    age: int
    metadata_age: int
    batchsize: Window
    batchcnt: Window
    partitions: dict[str, PartitionStatistics]


class GroupStatistics(TypedDict):
    """The consumer's group. Ages are milliseconds."""

    state: str
    stateage: int
    join_state: str
    rebalance_age: int
    rebalance_cnt: int
    rebalance_reason: str
    assignment_size: int


class IdempotenceStatistics(TypedDict):
    """The producer's id."""

    idemp_state: str
    idemp_stateage: int
    txn_state: str
    txn_stateage: int
    txn_may_enq: bool
    producer_id: int
    producer_epoch: int
    epoch_cnt: int


class ClientStatistics(TypedDict):
    """The keys that every client has."""

    name: str
    client_id: str
    type: str
    ts: int
    time: int
    age: int
    replyq: int
    msg_cnt: int
    msg_size: int
    msg_max: int
    msg_size_max: int
    simple_cnt: int
    metadata_cache_cnt: int
    tx: int
    tx_bytes: int
    rx: int
    rx_bytes: int
    txmsgs: int
    txmsg_bytes: int
    rxmsgs: int
    rxmsg_bytes: int
    brokers: dict[str, BrokerStatistics]
    topics: dict[str, TopicStatistics]


class Statistics(ClientStatistics, total=False):
    """The whole document: the first five are a consumer's, `eos` an idempotent producer's.

    fetched_queue_bytes is what was fetched for the application and not taken, held_bytes what the
    application has taken and still holds, by Messages, columns or batches.
    """

    fetched_queue_bytes: int
    held_bytes: int
    offset_resets: int
    log_truncations: int
    cgrp: GroupStatistics
    eos: IdempotenceStatistics
