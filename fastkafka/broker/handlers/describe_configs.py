"""DescribeConfigs (key 32), versions 1 to 4: the configuration in force, of topics and the broker.

Only properties that the broker obeys are shown. Those of topics can be altered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.broker_properties import BROKER_PROPERTIES
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topic_config import INT, LIST, STRING, config_rows
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
    rows = [
        _row("log.dirs", str(node.log_dir), LIST, _SOURCE_STATIC_BROKER),
        _row("node.id", str(node.node_id), INT, _SOURCE_STATIC_BROKER),
    ]
    if node.rack is not None:
        rows.append(_row("broker.rack", node.rack, STRING, _SOURCE_STATIC_BROKER))
    for known in BROKER_PROPERTIES:
        value = getattr(settings, known.field)
        if value is not None:
            rows.append(_row(known.name, known.write(value), known.type, _SOURCE_STATIC_BROKER))
    return sorted(rows, key=lambda row: str(row["name"]))


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
