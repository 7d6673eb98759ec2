"""Settings of the embedded broker, with Kafka's names and Kafka's defaults where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastkafka.errors import ConfigError

FsyncPolicy = Literal["never", "always"]

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SSL_CLIENT_AUTHS = ("none", "requested", "required")

_WHERE = "embedded broker"

PORT_MAX = 65535
BROKERS_MAX = 100
PARTITIONS_PER_TOPIC_MAX = 10_000
# A segment must hold any batch that message.max.bytes lets in, and positions in .index are int32.
SEGMENT_BYTES_MAX = 2**31 - 1
SEGMENT_BYTES_MIN = 14  # LogConfig: segment.bytes is at least LegacyRecord.RECORD_OVERHEAD_V0


@dataclass(frozen=True)
class BrokerSettings:
    """What a broker is told at its start; `check` raises ConfigError naming the bad setting.

    With several `brokers`, ids and ports count up from `node_id` and `port` (0 is any free one),
    unless `ports` names each; `racks` go round the nodes. Clients are told `advertised_host` and
    `advertised_port`, which counts up as well, where these are set.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 9092
    advertised_host: str = ""
    advertised_port: int = 0
    brokers: int = 1
    ports: tuple[int, ...] = ()
    racks: tuple[str, ...] = ()
    node_id: int = 1
    default_replication_factor: int = 1
    offsets_topic_num_partitions: int = 50
    num_partitions: int = 1
    offsets_retention_minutes: int = 10_080
    offset_metadata_max_bytes: int = 4096
    transaction_state_log_num_partitions: int = 50
    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
    transaction_partition_verification_enable: bool = True
    group_initial_rebalance_delay_ms: int = 0  # Kafka: 3000, which nobody who tests waits for
    group_min_session_timeout_ms: int = 6000
    group_max_session_timeout_ms: int = 1_800_000
    group_consumer_session_timeout_ms: int = 45_000
    group_consumer_heartbeat_interval_ms: int = 1000  # Kafka: 5000, as above
    group_max_size: int = 10_000  # Kafka: unlimited
    auto_create_topics: bool = True
    fsync: FsyncPolicy = "never"
    message_max_bytes: int = 1_048_588  # Kafka: 1 MiB and the 12 bytes before the batch length
    segment_bytes: int = 1 << 30
    index_interval_bytes: int = 4096
    retention_bytes: int = -1
    retention_ms: int = 604_800_000
    retention_check_interval_ms: int = 300_000
    producer_id_expiration_ms: int = 86_400_000
    socket_request_max_bytes: int = 104_857_600

    # the listeners
    security_protocol: str = "PLAINTEXT"
    ssl_keystore_location: Path | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    ssl_truststore_location: Path | None = None
    ssl_client_auth: str = "none"
    sasl_enabled_mechanisms: tuple[str, ...] = SASL_MECHANISMS
    sasl_users: Mapping[str, str] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Raise ConfigError for the first setting that cannot be."""
        self._check_ranges()
        self._check_choices()
        if self.ports and len(self.ports) != self.brokers:
            raise ConfigError(
                f"ports names {len(self.ports)} ports for {self.brokers} brokers", where=_WHERE
            )
        if self.has_ssl and self.ssl_keystore_location is None:
            raise ConfigError(f"{self.security_protocol} needs ssl_keystore_location", where=_WHERE)
        if self.has_sasl and not self.sasl_users:
            raise ConfigError(f"{self.security_protocol} needs sasl_users", where=_WHERE)

    def _check_ranges(self) -> None:
        ranges = (
            ("port", self.port, 0, PORT_MAX),
            ("brokers", self.brokers, 1, BROKERS_MAX),
            ("advertised_port", self.advertised_port, 0, PORT_MAX + 1 - self.brokers),
            ("port of the last broker", self.node_port(self.brokers - 1), 0, PORT_MAX),
            ("the lowest of ports", min(self.ports, default=0), 0, PORT_MAX),
            ("the highest of ports", max(self.ports, default=0), 0, PORT_MAX),
            ("node_id", self.node_id, 0, 2**31 - 1 - self.brokers),
            ("default_replication_factor", self.default_replication_factor, 1, self.brokers),
            ("offsets_topic_num_partitions", self.offsets_topic_num_partitions, 1, 1000),
            ("offsets_retention_minutes", self.offsets_retention_minutes, 1, 2**31 - 1),
            ("offset_metadata_max_bytes", self.offset_metadata_max_bytes, 0, 2**15 - 1),
            (
                "transaction_state_log_num_partitions",
                self.transaction_state_log_num_partitions,
                1,
                1000,
            ),
            ("transaction_max_timeout_ms", self.transaction_max_timeout_ms, 1, 2**31 - 1),
            ("transactional_id_expiration_ms", self.transactional_id_expiration_ms, 1, 2**63 - 1),
            (
                "group_initial_rebalance_delay_ms",
                self.group_initial_rebalance_delay_ms,
                0,
                2**31 - 1,
            ),
            ("group_min_session_timeout_ms", self.group_min_session_timeout_ms, 1, 2**31 - 1),
            ("group_max_session_timeout_ms", self.group_max_session_timeout_ms, 1, 2**31 - 1),
            (
                "group_consumer_session_timeout_ms",
                self.group_consumer_session_timeout_ms,
                1,
                2**31 - 1,
            ),
            (
                "group_consumer_heartbeat_interval_ms",
                self.group_consumer_heartbeat_interval_ms,
                1,
                2**31 - 1,
            ),
            ("group_max_size", self.group_max_size, 1, 1_000_000),
            ("num_partitions", self.num_partitions, 1, PARTITIONS_PER_TOPIC_MAX),
            ("message_max_bytes", self.message_max_bytes, 0, 2**31 - 1),
            ("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            ("index_interval_bytes", self.index_interval_bytes, 0, 2**31 - 1),
            ("retention_bytes", self.retention_bytes, -1, 2**63 - 1),
            ("retention_ms", self.retention_ms, -1, 2**63 - 1),
            ("retention_check_interval_ms", self.retention_check_interval_ms, 1, 2**63 - 1),
            ("producer_id_expiration_ms", self.producer_id_expiration_ms, 1, 2**63 - 1),
            ("socket_request_max_bytes", self.socket_request_max_bytes, 64, 2**31 - 1),
        )
        for name, value, lowest, highest in ranges:
            if not lowest <= value <= highest:
                raise ConfigError(
                    f"{name} must be between {lowest} and {highest}, not {value}", where=_WHERE
                )

    def _check_choices(self) -> None:
        choices = (
            ("fsync", self.fsync, ("never", "always")),
            ("security_protocol", self.security_protocol, SECURITY_PROTOCOLS),
            ("ssl_client_auth", self.ssl_client_auth, SSL_CLIENT_AUTHS),
            *(
                ("sasl_enabled_mechanisms", mechanism, SASL_MECHANISMS)
                for mechanism in self.sasl_enabled_mechanisms
            ),
        )
        for name, text, known in choices:
            if text not in known:
                raise ConfigError(
                    f"{name} must be one of {', '.join(known)}, not {text!r}", where=_WHERE
                )

    @property
    def has_ssl(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def has_sasl(self) -> bool:
        """Whether clients have to say who they are."""
        return self.security_protocol.startswith("SASL_")

    def node_port(self, index: int) -> int:
        """Return the port that a node is to listen on; 0 is any."""
        if self.ports:
            return self.ports[index % len(self.ports)]
        return self.port + index if self.port else 0

    def node_advertised_port(self, index: int) -> int:
        """Return the port that clients are told; 0 is the one where the node listens."""
        return self.advertised_port + index if self.advertised_port else 0

    def node_rack(self, index: int) -> str | None:
        """Return the rack of a node."""
        if self.racks:
            return self.racks[index % len(self.racks)]
        return f"rack-{self.node_id + index}" if self.brokers > 1 else None

    def node_log_dir(self, index: int) -> Path:
        """Return the directory of a node's partitions."""
        if self.brokers == 1:
            return self.data_dir
        return self.data_dir / f"node-{self.node_id + index}"
