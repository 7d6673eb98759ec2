"""DescribeConfigs (key 32), versions 1 to 4: the configuration in force, of topics and the broker.

Only properties that the broker obeys are shown. Those of topics can be altered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topic_config import BOOLEAN, INT, LONG, STRING, config_rows
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.nodes import Node
    from fastkafka.broker.request import Request

# ConfigResource.Type, DescribeConfigsResponse.ConfigSource and ConfigType
_TOPIC = 2
_BROKER = 4
_SOURCE_TOPIC = 1
_SOURCE_STATIC_BROKER = 4
_SOURCE_DEFAULT = 5


def handle(broker: Broker, request: Request) -> Body:
    """Answer each resource."""
    results = []
    for asked in request.body["resources"]:
        try:
            results.append(_describe(broker, request, asked))
        except Refusal as refusal:
            results.append(_refused(asked, refusal.code, refusal.reason))
    return {"results": results}


def _describe(broker: Broker, request: Request, asked: dict[str, Any]) -> Body:
    if asked["resource_type"] == _TOPIC:
        configs = _topic_configs(broker, asked["resource_name"])
    elif asked["resource_type"] == _BROKER:
        configs = _broker_configs(broker, request.node, asked["resource_name"])
    else:
        raise Refusal(
            KafkaError.INVALID_REQUEST,
            f"resource type {asked['resource_type']} has no configuration here",
        )
    wanted = asked["configuration_keys"]
    return {
        "error_code": NO_ERROR,
        "resource_type": asked["resource_type"],
        "resource_name": asked["resource_name"],
        "configs": [row for row in configs if wanted is None or row["name"] in wanted],
    }


def _topic_configs(broker: Broker, name: str) -> list[Body]:
    topic = broker.topics.by_name(name)
    return [
        _row(row.name, row.value, row.type, _SOURCE_DEFAULT if row.is_default else _SOURCE_TOPIC)
        for row in config_rows(broker.settings, topic.config)
    ]


def _broker_configs(broker: Broker, node: Node, name: str) -> list[Body]:
    settings = broker.settings
    if name not in ("", str(node.node_id)):
        raise Refusal(
            KafkaError.INVALID_REQUEST, f"this is broker {node.node_id}, not broker {name}"
        )
    values = (
        ("auto.create.topics.enable", str(settings.auto_create_topics).lower(), BOOLEAN),
        ("log.dirs", str(node.log_dir), STRING),
        ("log.index.interval.bytes", str(settings.index_interval_bytes), INT),
        ("log.retention.bytes", str(settings.retention_bytes), LONG),
        ("log.retention.ms", str(settings.retention_ms), LONG),
        ("log.segment.bytes", str(settings.segment_bytes), INT),
        ("message.max.bytes", str(settings.message_max_bytes), INT),
        ("node.id", str(node.node_id), INT),
        ("num.partitions", str(settings.num_partitions), INT),
        ("producer.id.expiration.ms", str(settings.producer_id_expiration_ms), INT),
        ("socket.request.max.bytes", str(settings.socket_request_max_bytes), INT),
    )
    return [_row(*value, _SOURCE_STATIC_BROKER) for value in values]


def _row(name: str, value: str, config_type: int, source: int) -> Body:
    return {
        "name": name,
        "value": value,
        "read_only": source == _SOURCE_STATIC_BROKER,
        "config_source": source,
        "is_sensitive": False,
        "synonyms": [],
        "config_type": config_type,
    }


def _refused(asked: dict[str, Any], error_code: int, reason: str | None = None) -> Body:
    return {
        "error_code": error_code,
        "error_message": reason,
        "resource_type": asked["resource_type"],
        "resource_name": asked["resource_name"],
        "configs": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every resource with one error."""
    return {"results": [_refused(asked, error_code) for asked in request.body["resources"]]}


HANDLER = Handler("describe_configs", 1, 4, handle, refuse)
