"""CreateAcls (key 30), versions 1 to 3: there is no authorizer that could keep them.

A client that was told otherwise would believe that its topics are protected.
Source: AclControlManager, AclApis.handleCreateAcls
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
    """Refuse each rule."""
    return _answer(request, KafkaError.SECURITY_DISABLED, NO_AUTHORIZER)


def _answer(request: Request, error_code: int, reason: str | None) -> Body:
    row = {"error_code": error_code, "error_message": reason}
    return {"results": [row for _ in request.body["creations"]]}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every rule with one error."""
    return _answer(request, error_code, None)


HANDLER = Handler("create_acls", 1, 3, handle, refuse)
