"""What metadata answers have said of the cluster, merged: no I/O, no waiting.

An answer may be partial (only the topics that were asked for), late (a broker that lags behind) or
wrong for a while (a broker that restarts says that topics are unknown). So an answer only adds: a
leader moves to a newer leader epoch or with a new topic id, and a topic that becomes unknown keeps
its partitions until its time is over.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from fastkafka.control.core_face import BrokerRow, TopicRow
from fastkafka.errors import KafkaError
from fastkafka.types import (
    BrokerMetadata,
    ClusterMetadata,
    PartitionMetadata,
    TopicMetadata,
)

_NO_TOPIC_ID = bytes(16)
_NO_LEADER = -1

# A topic that is being created, or that not all brokers have heard of, is answered with these.
_PASSING_ERRORS = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
    }
)


class Leader(NamedTuple):
    """Who leads a partition: -1 while nobody does."""

    node_id: int
    epoch: int


class KnownTopic:
    """A topic that the cluster has confirmed."""

    __slots__ = ("leaders", "topic_id")

    def __init__(self, topic_id: bytes) -> None:
        self.topic_id = topic_id
        self.leaders: dict[int, Leader] = {}


class Merged(NamedTuple):
    """What one answer left open."""

    unknown: dict[str, int]  # topics that may appear yet, with the error code
    failed: dict[str, int]  # topics that cannot be used, with the error code
    leaderless: set[str]  # topics with a partition that has no leader


class ClusterState:
    """Brokers and topics as far as they are known."""

    def __init__(self) -> None:
        self.cluster_id: str | None = None
        self.controller_id = -1
        self.brokers: dict[int, BrokerRow] = {}
        self.topics: dict[str, KnownTopic] = {}

    def merge(self, body: dict[str, Any]) -> Merged:
        """Take over a metadata answer."""
        if body["brokers"]:
            # An answer without brokers comes from one that knows nobody yet: it proves nothing.
            self.brokers = {
                row["node_id"]: (row["node_id"], row["host"], row["port"], row["rack"])
                for row in body["brokers"]
                if row["node_id"] >= 0 and 0 < row["port"] < 65536 and row["host"]
            }
            self.controller_id = body["controller_id"]
            self.cluster_id = body["cluster_id"] or self.cluster_id
        unknown: dict[str, int] = {}
        failed: dict[str, int] = {}
        leaderless: set[str] = set()
        for topic in body["topics"]:
            name, error_code = topic["name"], topic["error_code"]
            if name is None:
                continue
            if error_code in _PASSING_ERRORS and not topic["partitions"]:
                unknown[name] = error_code
            elif error_code and error_code not in _PASSING_ERRORS:
                failed[name] = error_code
            elif self._merge_topic(name, topic):
                leaderless.add(name)
        return Merged(unknown, failed, leaderless)

    def _merge_topic(self, name: str, topic: dict[str, Any]) -> bool:
        """Take over the partitions of a topic; return whether one of them has no leader."""
        topic_id = topic["topic_id"]
        known = self.topics.get(name)
        if known is None or (
            topic_id != _NO_TOPIC_ID and known.topic_id not in (_NO_TOPIC_ID, topic_id)
        ):
            known = self.topics[name] = KnownTopic(topic_id)
        elif topic_id != _NO_TOPIC_ID:
            known.topic_id = topic_id
        for row in topic["partitions"]:
            told = Leader(row["leader_id"], row["leader_epoch"])
            had = known.leaders.get(row["partition_index"])
            if had is None or _supersedes(told, had):
                known.leaders[row["partition_index"]] = told
        return any(leader.node_id == _NO_LEADER for leader in known.leaders.values())

    def leader_of(self, topic: str, partition: int) -> Leader | None:
        """Return the leader of a partition; None while the partition is not known."""
        known = self.topics.get(topic)
        return None if known is None else known.leaders.get(partition)

    def forget_topic(self, name: str) -> None:
        """Forget a topic that stayed unknown for too long."""
        self.topics.pop(name, None)

    def view(self, wanted: Collection[str]) -> tuple[list[BrokerRow], list[TopicRow]]:
        """Return the tables for the core: all brokers, and the topics that it uses."""
        topics: list[TopicRow] = [
            (
                name,
                known.topic_id,
                0,
                [
                    (partition, leader.node_id, leader.epoch)
                    for partition, leader in sorted(known.leaders.items())
                ],
            )
            for name, known in self.topics.items()
            if name in wanted and known.leaders
        ]
        return list(self.brokers.values()), topics


def _supersedes(told: Leader, had: Leader) -> bool:
    """Tell whether a leader is at least as new as the one that is known.

    Of the same epoch, a broker that names the leader knows more than one that names none.
    """
    if told.epoch < 0 or told.epoch > had.epoch:
        return True
    return told.epoch == had.epoch and told.node_id != _NO_LEADER


def as_cluster_metadata(body: dict[str, Any], node_id: int, broker_name: str) -> ClusterMetadata:
    """Return a metadata answer as the public types."""
    topics = {
        topic["name"]: TopicMetadata(
            topic["name"],
            {
                row["partition_index"]: PartitionMetadata(
                    row["partition_index"],
                    row["leader_id"],
                    row["replica_nodes"],
                    row["isr_nodes"],
                    _error_or_none(row["error_code"]),
                )
                for row in topic["partitions"]
            },
            _error_or_none(topic["error_code"]),
        )
        for topic in body["topics"]
        if topic["name"] is not None
    }
    brokers = {
        row["node_id"]: BrokerMetadata(row["node_id"], row["host"], row["port"])
        for row in body["brokers"]
    }
    return ClusterMetadata(
        body["cluster_id"], body["controller_id"], brokers, topics, node_id, broker_name
    )


def _error_or_none(code: int) -> KafkaError | None:
    return KafkaError(code) if code else None
