"""DescribeLogDirs (key 35), versions 1 to 5: the log directory of a node and what is in it.

Version 3 added an error for the whole response, 4 the bytes of the volume, 5 cordoned directories
(there are none). Replicas share one copy of a log, so each shows the size of all of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Topic

_ERROR_SINCE = 3
_UNKNOWN_BYTES = -1


def handle(broker: Broker, request: Request) -> Body:
    """Describe the directory of the node that was asked."""
    node = request.node
    wanted = _wanted(request)
    total_bytes = usable_bytes = _UNKNOWN_BYTES
    error_code: int = NO_ERROR
    try:
        volume = os.statvfs(node.log_dir)
        total_bytes = volume.f_frsize * volume.f_blocks
        usable_bytes = volume.f_frsize * volume.f_bavail
    except OSError:
        error_code = KafkaError.KAFKA_STORAGE_ERROR
    topics = [_describe(topic, node.node_id, wanted) for topic in broker.topics]
    return {
        "error_code": NO_ERROR,
        "results": [
            {
                "error_code": error_code,
                "log_dir": str(node.log_dir.absolute()),
                "topics": [topic for topic in topics if topic["partitions"]],
                "total_bytes": total_bytes,
                "usable_bytes": usable_bytes,
            }
        ],
    }


def _wanted(request: Request) -> dict[str, set[int]] | None:
    """Return the partitions asked for by topic, None for all."""
    if request.body["topics"] is None:
        return None
    wanted: dict[str, set[int]] = {}
    for row in request.body["topics"]:
        wanted.setdefault(row["topic"], set()).update(row["partitions"])
    return wanted


def _describe(topic: Topic, node_id: int, wanted: dict[str, set[int]] | None) -> Body:
    indexes = None if wanted is None else wanted.get(topic.name, set())
    return {
        "name": topic.name,
        "partitions": [
            {
                "partition_index": partition.index,
                "partition_size": partition.log.size_bytes,
                "offset_lag": 0,
                "is_future_key": False,
            }
            for partition in topic.partitions
            if node_id in partition.replica_ids and (indexes is None or partition.index in indexes)
        ],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error; before version 3 only a directory could have one."""
    results = [] if request.api_version >= _ERROR_SINCE else [_unnamed(error_code)]
    return {"error_code": error_code, "results": results}


def _unnamed(error_code: int) -> Body:
    return {"error_code": error_code, "log_dir": "", "topics": []}


HANDLER = Handler("describe_log_dirs", 1, 5, handle, refuse)
