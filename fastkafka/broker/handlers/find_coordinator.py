"""FindCoordinator (key 10), versions 0 to 6: this broker coordinates every group.

Version 4 asks for many keys at once. There are no transaction coordinators yet; what groups can do
is told by ApiVersions (SKIPPED.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_MANY_KEYS_SINCE = 4
_GROUP = 0  # CoordinatorType.java
_NO_NODE = {"node_id": -1, "host": "", "port": -1}


def handle(broker: Broker, request: Request) -> Body:
    """Answer with this broker, or why there is no such coordinator."""
    if request.body["key_type"] == _GROUP:
        answer: Body = {
            "error_code": NO_ERROR,
            "node_id": request.node.node_id,
            "host": request.node.host,
            "port": request.node.port,
        }
    else:
        answer = {
            **_NO_NODE,
            "error_code": KafkaError.INVALID_REQUEST,
            "error_message": "the embedded broker coordinates consumer groups only",
        }
    return _for_keys(request, answer)


def _for_keys(request: Request, answer: Body) -> Body:
    if request.api_version < _MANY_KEYS_SINCE:
        return answer
    keys = request.body["coordinator_keys"]
    return {"coordinators": [{"key": key, **answer} for key in keys]}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every key with one error."""
    return _for_keys(request, {**_NO_NODE, "error_code": error_code})


HANDLER = Handler("find_coordinator", 0, 6, handle, refuse)
