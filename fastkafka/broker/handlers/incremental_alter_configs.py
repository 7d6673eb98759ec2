"""IncrementalAlterConfigs (key 44), versions 0 to 1: change properties of topics one by one.

Only topics have properties that can be changed while the broker runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.altered_configs import alter_resources, answer_resources
from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.topic_config import LIST, PROPERTIES
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.settings import BrokerSettings

# AlterConfigOp.OpType
_SET = 0
_DELETE = 1
_APPEND = 2
_SUBTRACT = 3


def handle(broker: Broker, request: Request) -> Body:
    """Change each resource as a whole or not at all."""
    return alter_resources(
        broker,
        request,
        lambda config, rows: _changed(broker.settings, config, rows),
    )


def _changed(
    settings: BrokerSettings, config: dict[str, str], rows: list[dict[str, Any]]
) -> dict[str, str | None]:
    changed: dict[str, str | None] = dict(config)
    for row in rows:
        name, operation, value = row["name"], row["config_operation"], row["value"]
        if operation == _DELETE:
            changed.pop(name, None)
        elif operation == _SET:
            changed[name] = value
        elif operation in (_APPEND, _SUBTRACT):
            changed[name] = _changed_list(settings, config, row)
        else:
            raise Refusal(KafkaError.INVALID_REQUEST, f"operation {operation} on {name}")
    return changed


def _changed_list(settings: BrokerSettings, config: dict[str, str], row: dict[str, Any]) -> str:
    name, value = row["name"], row["value"]
    known = PROPERTIES.get(name)
    if known is None or known.type != LIST or value is None:
        raise Refusal(
            KafkaError.INVALID_CONFIG, f"{name} is no list, or there is nothing to add or remove"
        )
    items = config.get(name, known.default(settings)).split(",")
    named = value.split(",")
    if row["config_operation"] == _APPEND:
        items += [item for item in named if item not in items]
    else:
        items = [item for item in items if item not in named]
    return ",".join(items)


def refuse(request: Request, error_code: int) -> Body:
    """Answer every resource with one error."""
    return answer_resources(request, error_code)


HANDLER = Handler("incremental_alter_configs", 0, 1, handle, refuse)
