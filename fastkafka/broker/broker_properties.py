"""Kafka's names for the settings of the broker: what a server.properties says and tools are shown.

Source: KafkaConfig, ServerConfigs, GroupCoordinatorConfig, TransactionLogConfig
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from fastkafka.broker.topic_config import BOOLEAN, INT, LIST, LONG, STRING


class BrokerProperty(NamedTuple):
    """A property, the field of BrokerSettings that holds it, and its type in DescribeConfigs."""

    name: str
    field: str
    type: int

    def read(self, text: str) -> Any:
        """Return the value of the field from text; raises ValueError."""
        if self.type == LIST:
            return split_list(text)
        if self.type == BOOLEAN:
            if text.lower() not in ("true", "false"):
                raise ValueError(f"{text!r} is not true or false")
            return text.lower() == "true"
        if self.type != STRING:
            return int(text)
        return Path(text) if self.field.endswith("_location") else text

    def write(self, value: Any) -> str:
        """Return a value as text."""
        if self.type == LIST:
            return ",".join(value)
        return str(value).lower() if self.type == BOOLEAN else str(value)


def split_list(text: str) -> tuple[str, ...]:
    """Split a list of Kafka's, whose items may have blanks around them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


BROKER_PROPERTIES: tuple[BrokerProperty, ...] = tuple(
    BrokerProperty(*row)
    for row in (
        ("auto.create.topics.enable", "auto_create_topics", BOOLEAN),
        ("default.replication.factor", "default_replication_factor", INT),
        ("group.consumer.heartbeat.interval.ms", "group_consumer_heartbeat_interval_ms", INT),
        ("group.consumer.session.timeout.ms", "group_consumer_session_timeout_ms", INT),
        ("group.initial.rebalance.delay.ms", "group_initial_rebalance_delay_ms", INT),
        ("group.max.session.timeout.ms", "group_max_session_timeout_ms", INT),
        ("group.max.size", "group_max_size", INT),
        ("group.min.session.timeout.ms", "group_min_session_timeout_ms", INT),
        ("log.index.interval.bytes", "index_interval_bytes", INT),
        ("log.retention.bytes", "retention_bytes", LONG),
        ("log.retention.check.interval.ms", "retention_check_interval_ms", LONG),
        ("log.retention.ms", "retention_ms", LONG),
        ("log.segment.bytes", "segment_bytes", INT),
        ("message.max.bytes", "message_max_bytes", INT),
        ("num.partitions", "num_partitions", INT),
        ("offset.metadata.max.bytes", "offset_metadata_max_bytes", INT),
        ("offsets.retention.minutes", "offsets_retention_minutes", INT),
        ("offsets.topic.num.partitions", "offsets_topic_num_partitions", INT),
        ("producer.id.expiration.ms", "producer_id_expiration_ms", INT),
        ("sasl.enabled.mechanisms", "sasl_enabled_mechanisms", LIST),
        ("socket.request.max.bytes", "socket_request_max_bytes", INT),
        ("ssl.client.auth", "ssl_client_auth", STRING),
        ("ssl.keystore.location", "ssl_keystore_location", STRING),
        ("ssl.truststore.location", "ssl_truststore_location", STRING),
        ("transaction.max.timeout.ms", "transaction_max_timeout_ms", INT),
        (
            "transaction.partition.verification.enable",
            "transaction_partition_verification_enable",
            BOOLEAN,
        ),
        ("transaction.state.log.num.partitions", "transaction_state_log_num_partitions", INT),
        ("transactional.id.expiration.ms", "transactional_id_expiration_ms", INT),
    )
)
