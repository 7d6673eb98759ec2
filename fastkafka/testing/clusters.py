"""The clusters of a test run: embedded ones, started when first needed, or one that is there."""

from __future__ import annotations

from types import TracebackType

import pytest

from fastkafka.admin import AdminClient
from fastkafka.broker import EmbeddedBroker
from fastkafka.testing.topic_pool import TopicPool

_TIMEOUT_S = 30.0


class Cluster:
    """A cluster that tests share.

    `embedded` is its EmbeddedBroker, None when the cluster was there before the run.
    """

    def __init__(self, bootstrap_servers: str, embedded: EmbeddedBroker | None) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.embedded = embedded
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self.topics = TopicPool(self._admin)

    def __repr__(self) -> str:
        return f"<Cluster {self.bootstrap_servers}>"

    def node_count(self) -> int:
        """Return how many brokers the cluster has."""
        return len(self._admin.list_topics(timeout=_TIMEOUT_S).brokers)

    def close(self) -> None:
        """Let go of the cluster; an embedded one ends."""
        if self.embedded is None:
            self.topics.close()
        self._admin.close()
        if self.embedded is not None:
            self.embedded.stop()


class Clusters:
    """Clusters by their number of nodes, of this process."""

    def __init__(self, bootstrap_servers: str | None) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._by_nodes: dict[int, Cluster] = {}

    def __enter__(self) -> Clusters:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for cluster in self._by_nodes.values():
            cluster.close()

    def of_nodes(self, nodes: int) -> Cluster:
        """Return a cluster of so many nodes; skip the test when the given one has fewer."""
        if self._bootstrap_servers is not None:
            return self._given(self._bootstrap_servers, nodes)
        if nodes not in self._by_nodes:
            embedded = EmbeddedBroker(brokers=nodes, default_replication_factor=min(nodes, 3))
            embedded.start()
            self._by_nodes[nodes] = Cluster(embedded.bootstrap_servers, embedded)
        return self._by_nodes[nodes]

    def _given(self, bootstrap_servers: str, nodes: int) -> Cluster:
        given = self._by_nodes.setdefault(0, Cluster(bootstrap_servers, None))
        there = given.node_count()
        if there < nodes:
            pytest.skip(f"needs {nodes} brokers, {bootstrap_servers} has {there}")
        return given
