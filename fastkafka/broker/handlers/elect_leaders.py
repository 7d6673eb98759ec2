"""ElectLeaders (key 43), versions 1 to 2: give partitions back to their preferred replica.

The other kind of election, of any replica that is alive for a partition without a leader, has
nothing to do here: such a replica leads already, since the nodes share one copy of each log
(KIP-460).
Source: ReplicationControlManager.electLeader
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition

_PREFERRED = 0  # ElectionType.java
_UNCLEAN = 1


def handle(broker: Broker, request: Request) -> Body:
    """Hold an election for each partition; null asks for all that need one."""
    election_type = request.body["election_type"]
    if election_type not in (_PREFERRED, _UNCLEAN):
        raise Refusal(KafkaError.INVALID_REQUEST, f"there is no election of type {election_type}")
    asked = request.body["topic_partitions"]
    if asked is None:
        rows = [
            (topic.name, [_elect(broker, topic.name, row.index, election_type)])
            for topic in broker.topics
            for row in topic.partitions
        ]
        rows = [
            (name, results)
            for name, results in rows
            if results[0]["error_code"] != KafkaError.ELECTION_NOT_NEEDED
        ]
    else:
        rows = [
            (
                topic["topic"],
                [
                    _elect(broker, topic["topic"], index, election_type)
                    for index in topic["partitions"]
                ],
            )
            for topic in asked
        ]
    return {
        "error_code": NO_ERROR,
        "replica_election_results": [
            {"topic": name, "partition_result": results} for name, results in rows
        ],
    }


def _elect(broker: Broker, topic_name: str, index: int, election_type: int) -> Body:
    try:
        partition = broker.topics.by_name(topic_name).partition(index)
        leader_id = _elected(broker, partition, election_type)
        broker.leadership.move_leader(partition, leader_id)
    except Refusal as refusal:
        return _result(index, refusal.code, refusal.reason)
    return _result(index, NO_ERROR, None)


def _elected(broker: Broker, partition: Partition, election_type: int) -> int:
    """Return who is to lead; raises Refusal when it leads already or nobody can."""
    preferred_id = partition.replica_ids[0]
    if election_type == _PREFERRED:
        if partition.leader_id == preferred_id:
            raise Refusal(KafkaError.ELECTION_NOT_NEEDED, "the preferred replica leads already")
        if not broker.nodes.by_id(preferred_id).is_alive:
            raise Refusal(
                KafkaError.PREFERRED_LEADER_NOT_AVAILABLE, f"node {preferred_id} is not alive"
            )
        return preferred_id
    if partition.leader_id >= 0:
        raise Refusal(KafkaError.ELECTION_NOT_NEEDED, "the partition has a leader")
    raise Refusal(KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE, "no replica is alive")


def _result(index: int, error_code: int, reason: str | None) -> dict[str, Any]:
    return {"partition_id": index, "error_code": error_code, "error_message": reason}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "error_code": error_code,
        "replica_election_results": [
            {
                "topic": topic["topic"],
                "partition_result": [
                    _result(index, error_code, None) for index in topic["partitions"]
                ],
            }
            for topic in request.body["topic_partitions"] or ()
        ],
    }


HANDLER = Handler("elect_leaders", 1, 2, handle, refuse)
