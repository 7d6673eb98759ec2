"""The broker's state, which all handlers work on: settings, topics, producer ids, faults."""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

from fastkafka.broker.catalogue import Catalogue
from fastkafka.broker.data_dir import DataDir
from fastkafka.broker.faults import Faults
from fastkafka.broker.fetch_sessions import FetchSessions
from fastkafka.broker.groups.group_coordinator import GroupCoordinator
from fastkafka.broker.leadership import Leadership
from fastkafka.broker.nodes import Nodes
from fastkafka.broker.producer_ids import ProducerIds
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.topics import Topics
from fastkafka.broker.transactions.transaction_coordinator import TransactionCoordinator

if TYPE_CHECKING:
    from fastkafka.broker.sasl import SaslServer

_NEVER_MS = 2**63 - 1
_log = logging.getLogger(__name__)
_WILDCARD_HOSTS = ("0.0.0.0", "::", "")


class Broker:
    """All nodes of one process over one data directory, without the network."""

    def __init__(self, settings: BrokerSettings) -> None:
        """Lock the data directory and open its logs.

        Raises: ConfigError, DataDirUnusable, DataDirLocked
        """
        settings.check()
        self.settings = settings
        self.sasl = _sasl_server(settings)
        self.faults = Faults()
        self.fetch_sessions = FetchSessions()
        self._data_dir = DataDir(settings.data_dir)
        try:
            self._catalogue = Catalogue.open(settings.data_dir)
            self.nodes = Nodes(settings, _advertised_host(settings))
            self.topics = Topics(settings, self._catalogue, self.nodes)
            self.topics.load()
        except BaseException:
            self._data_dir.close()
            raise
        self.producer_ids = ProducerIds(self._catalogue)
        self.leadership = Leadership(self.nodes, self.topics, settings.offsets_topic_num_partitions)
        self.groups = GroupCoordinator(self.topics, settings)
        self.transactions = TransactionCoordinator(
            self.topics, self.groups, self.producer_ids, settings
        )

    @property
    def cluster_id(self) -> str:
        """The id of the cluster, which the data directory keeps."""
        return self._catalogue.cluster_id

    def begin(self) -> None:
        """Start the clocks of the coordinators, on the event loop that is to run them."""
        self.groups.begin()
        self.transactions.begin()

    def upkeep(self) -> None:
        """Apply retention and compaction, forget producers that are long gone; called at times."""
        before_ms = time.time_ns() // 1_000_000 - self.settings.producer_id_expiration_ms
        for topic in self.topics:
            for partition in topic.partitions:
                partition.log.upkeep(before_ms)
        self.groups.upkeep()
        self.transactions.upkeep()

    def expire_producer_ids(self, topic_name: str | None = None) -> None:
        """Forget all producers at once, of one topic or of all; raises Refusal."""
        topics = self.topics if topic_name is None else [self.topics.by_name(topic_name)]
        for topic in topics:
            for partition in topic.partitions:
                partition.log.expire_producers(_NEVER_MS)

    def close(self) -> None:
        """Close the logs and unlock the data directory."""
        self.topics.close()
        self._data_dir.close()


def _sasl_server(settings: BrokerSettings) -> SaslServer | None:
    if not settings.has_sasl:
        return None
    # Its hashes take some milliseconds to import, which most brokers need not wait.
    from fastkafka.broker.sasl import SaslServer

    return SaslServer(settings.sasl_enabled_mechanisms, settings.sasl_users)


def _advertised_host(settings: BrokerSettings) -> str:
    """Return the host that clients are told to connect to."""
    if settings.advertised_host:
        return settings.advertised_host
    return socket.gethostname() if settings.host in _WILDCARD_HOSTS else settings.host
