"""AdminClient and the types of its calls."""

from __future__ import annotations

from fastkafka.admin.client import AdminClient
from fastkafka.types import (
    AclOperation,
    BrokerMetadata,
    ClusterMetadata,
    DescribeClusterResult,
    NewTopic,
    Node,
    PartitionMetadata,
    TopicCollection,
    TopicDescription,
    TopicMetadata,
    TopicPartitionInfo,
)

__all__ = [
    "AclOperation",
    "AdminClient",
    "BrokerMetadata",
    "ClusterMetadata",
    "DescribeClusterResult",
    "NewTopic",
    "Node",
    "PartitionMetadata",
    "TopicCollection",
    "TopicDescription",
    "TopicMetadata",
    "TopicPartitionInfo",
]
