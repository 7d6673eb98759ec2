"""ListOffsets (key 2), versions 1 to 10: the ends of a log, and offsets by time.

Version 4 added leader epochs, 7 the record with the largest timestamp (KIP-734), 8 the start of the
local log, 9 the end of the tiered part (there is none: -1), 10 a time-out. With read_committed the
log ends at its last stable offset, for searches by time as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.partition_log import NOT_FOUND, TimestampAndOffset
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.time_index import NO_TIMESTAMP
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition

# ListOffsetsRequest.java
LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
_READ_COMMITTED = 1  # IsolationLevel.java

_LEADER_EPOCHS_SINCE = 4


def handle(broker: Broker, request: Request) -> Body:
    """Answer each partition."""
    read_committed = request.body["isolation_level"] == _READ_COMMITTED
    return {
        "topics": [
            {
                "name": topic["name"],
                "partitions": [
                    _answer(broker, request, topic["name"], asked, read_committed)
                    for asked in topic["partitions"]
                ],
            }
            for topic in request.body["topics"]
        ]
    }


def _answer(
    broker: Broker, request: Request, topic_name: str, asked: dict[str, Any], read_committed: bool
) -> Body:
    try:
        partition = broker.topics.by_name(topic_name).partition(asked["partition_index"])
        partition.check_request(request, asked["current_leader_epoch"])
        found = _find(partition, asked["timestamp"], read_committed)
    except Refusal as refusal:
        return _refused(asked, refusal.code)
    answer = {
        "partition_index": asked["partition_index"],
        "error_code": NO_ERROR,
        "timestamp": found.timestamp,
        "offset": found.offset,
    }
    if request.api_version >= _LEADER_EPOCHS_SINCE and found.offset >= 0:
        # The end has no record yet: the next one will be of this epoch.
        is_end = asked["timestamp"] == LATEST
        log = partition.log
        answer["leader_epoch"] = (
            log.leader_epoch if is_end else log.leader_epochs.epoch_at(found.offset)
        )
    return answer


def _find(partition: Partition, timestamp: int, read_committed: bool) -> TimestampAndOffset:
    log = partition.log
    end_offset = log.last_stable_offset if read_committed else log.high_watermark
    if timestamp == LATEST:
        return TimestampAndOffset(NO_TIMESTAMP, end_offset)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return TimestampAndOffset(NO_TIMESTAMP, log.log_start_offset)
    if timestamp == LATEST_TIERED:
        return NOT_FOUND
    if timestamp == MAX_TIMESTAMP:
        found = log.offset_of_max_timestamp()
    elif timestamp < 0:
        raise Refusal(KafkaError.INVALID_REQUEST, f"no offset is meant by timestamp {timestamp}")
    else:
        found = log.offset_for_timestamp(timestamp)
    return found if found.offset < end_offset else NOT_FOUND


def _refused(asked: dict[str, Any], error_code: int) -> Body:
    return {"partition_index": asked["partition_index"], "error_code": error_code}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "topics": [
            {
                "name": topic["name"],
                "partitions": [_refused(asked, error_code) for asked in topic["partitions"]],
            }
            for topic in request.body["topics"]
        ]
    }


HANDLER = Handler("list_offsets", 1, 10, handle, refuse)
