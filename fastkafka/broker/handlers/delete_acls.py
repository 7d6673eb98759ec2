"""DeleteAcls (key 31), versions 1 to 3: there is no authorizer that could have any.

Source: AclControlManager, AclApis.handleDeleteAcls
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.handlers.describe_acls import NO_AUTHORIZER
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Refuse each filter."""
    return _answer(request, KafkaError.SECURITY_DISABLED, NO_AUTHORIZER)


def _answer(request: Request, error_code: int, reason: str | None) -> Body:
    row: Body = {"error_code": error_code, "error_message": reason, "matching_acls": []}
    return {"filter_results": [row for _ in request.body["filters"]]}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every filter with one error."""
    return _answer(request, error_code, None)


HANDLER = Handler("delete_acls", 1, 3, handle, refuse)
