"""FindCoordinator (key 10), versions 0 to 6: which node has a group or a transactional id.

Version 4 asks for many keys at once.
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
_KEY_TYPES = (0, 1)  # CoordinatorType.java: groups, transactional ids
_NO_NODE = {"node_id": -1, "host": "", "port": -1}


def handle(broker: Broker, request: Request) -> Body:
    """Answer each key with its node, or why there is none."""
    if request.api_version < _MANY_KEYS_SINCE:
        return _find(broker, request.body["key_type"], request.body["key"])
    return {
        "coordinators": [
            {"key": key, **_find(broker, request.body["key_type"], key)}
            for key in request.body["coordinator_keys"]
        ]
    }


def _find(broker: Broker, key_type: int, key: str) -> Body:
    if key_type not in _KEY_TYPES:
        text = f"there are no coordinators of type {key_type}"
        return {**_NO_NODE, "error_code": KafkaError.INVALID_REQUEST, "error_message": text}
    node = broker.leadership.coordinator_of(key)
    if node is None:
        return {**_NO_NODE, "error_code": KafkaError.COORDINATOR_NOT_AVAILABLE}
    return {
        "error_code": NO_ERROR,
        "node_id": node.node_id,
        "host": node.host,
        "port": node.port,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every key with one error."""
    answer = {**_NO_NODE, "error_code": error_code}
    if request.api_version < _MANY_KEYS_SINCE:
        return answer
    return {"coordinators": [{"key": key, **answer} for key in request.body["coordinator_keys"]]}


HANDLER = Handler("find_coordinator", 0, 6, handle, refuse)
