"""DeleteRecords (key 21), versions 0 to 2: let partitions start at a later offset.

The offset is kept on the disk before the answer; whole segments before it are removed at once, the
rest of the first one is out of range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition

_HIGH_WATERMARK = -1  # DeleteRecordsRequest.HIGH_WATERMARK
_INVALID_LOW_WATERMARK = -1


def handle(broker: Broker, request: Request) -> Body:
    """Answer each partition with the offset that it starts at now."""
    found = [
        _find(broker, request, topic["name"], asked)
        for topic in request.body["topics"]
        for asked in topic["partitions"]
    ]
    # All of them are written down at once: each time costs a sync of the disk.
    moved: dict[Partition, int] = {}
    for target in found:
        if isinstance(target, _Target) and target.offset > target.partition.log.log_start_offset:
            moved[target.partition] = max(target.offset, moved.get(target.partition, 0))
    if moved:
        broker.topics.delete_records(moved)
    targets = iter(found)
    return {
        "topics": [
            {
                "name": topic["name"],
                "partitions": [_answer(asked, next(targets)) for asked in topic["partitions"]],
            }
            for topic in request.body["topics"]
        ]
    }


class _Target(NamedTuple):
    """A partition and the offset that it is to start at."""

    partition: Partition
    offset: int


def _find(
    broker: Broker, request: Request, topic_name: str, asked: dict[str, Any]
) -> _Target | Refusal:
    try:
        return _checked(broker, request, topic_name, asked)
    except Refusal as refusal:
        return refusal


def _checked(broker: Broker, request: Request, topic_name: str, asked: dict[str, Any]) -> _Target:
    topic = broker.topics.by_name(topic_name)
    if topic.is_internal:
        raise Refusal(KafkaError.TOPIC_EXCEPTION, f"{topic_name} belongs to the coordinators")
    partition = topic.partition(asked["partition_index"])
    partition.check_request(request)
    log = partition.log
    if not log.config.deletes_old:
        raise Refusal(KafkaError.POLICY_VIOLATION, f"cleanup.policy of {topic_name} is compact")
    offset = log.high_watermark if asked["offset"] == _HIGH_WATERMARK else asked["offset"]
    if not 0 <= offset <= log.high_watermark:
        raise Refusal(
            KafkaError.OFFSET_OUT_OF_RANGE, f"offset {offset} is not in 0 to {log.high_watermark}"
        )
    return _Target(partition, offset)


def _answer(asked: dict[str, Any], target: _Target | Refusal) -> Body:
    if isinstance(target, Refusal):
        return _refused(asked, target.code)
    return {
        "partition_index": asked["partition_index"],
        "low_watermark": target.partition.log.log_start_offset,
        "error_code": NO_ERROR,
    }


def _refused(asked: dict[str, Any], error_code: int) -> Body:
    return {
        "partition_index": asked["partition_index"],
        "low_watermark": _INVALID_LOW_WATERMARK,
        "error_code": error_code,
    }


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


HANDLER = Handler("delete_records", 0, 2, handle, refuse)
