"""What AlterConfigs and IncrementalAlterConfigs share: resources, refusals and answers.

They differ in what becomes of the properties that a request does not name.
Source: ConfigAdminManager.java
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topic_config import check_config
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_TOPIC = 2  # ConfigResource.Type
# From the configuration of a topic and the rows of a request to the new configuration.
Change = Callable[[dict[str, str], list[dict[str, Any]]], dict[str, "str | None"]]


def alter_resources(broker: Broker, request: Request, change: Change) -> Body:
    """Change each resource as a whole or not at all, and answer each."""
    resources = request.body["resources"]
    times_named = Counter(_identity(asked) for asked in resources)
    responses = []
    for asked in resources:
        try:
            if times_named[_identity(asked)] > 1:
                raise Refusal(KafkaError.INVALID_REQUEST, "the request names the resource twice")
            _alter(broker, asked, change, request.body["validate_only"])
        except Refusal as refusal:
            responses.append(_answered(asked, refusal.code, refusal.reason))
        else:
            responses.append(_answered(asked, NO_ERROR))
    return {"responses": responses}


def _identity(asked: dict[str, Any]) -> tuple[int, str]:
    return asked["resource_type"], asked["resource_name"]


def _alter(broker: Broker, asked: dict[str, Any], change: Change, validate_only: bool) -> None:
    if asked["resource_type"] != _TOPIC:
        raise Refusal(
            KafkaError.INVALID_REQUEST,
            "only the configuration of topics can be changed while the embedded broker runs",
        )
    names = [row["name"] for row in asked["configs"]]
    if len(set(names)) < len(names):
        raise Refusal(KafkaError.INVALID_REQUEST, "the request names a property twice")
    topic = broker.topics.by_name(asked["resource_name"])
    config = check_config(change(topic.config, asked["configs"]))
    if not validate_only:
        broker.topics.set_config(topic, config)


def _answered(asked: dict[str, Any], error_code: int, reason: str | None = None) -> Body:
    return {
        "error_code": error_code,
        "error_message": reason,
        "resource_type": asked["resource_type"],
        "resource_name": asked["resource_name"],
    }


def answer_resources(request: Request, error_code: int) -> Body:
    """Answer every resource with one error."""
    return {"responses": [_answered(asked, error_code) for asked in request.body["resources"]]}
