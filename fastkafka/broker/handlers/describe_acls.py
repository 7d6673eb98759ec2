"""DescribeAcls (key 29), versions 1 to 3: there is no authorizer, so there is nothing to describe.

The answer is Kafka's without authorizer.class.name; everybody may do everything.
Source: AclApis.handleDescribeAcls
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

# Both as Kafka says them: this request is answered by a broker, the others by the controller.
NO_AUTHORIZER = "No Authorizer is configured."
_NO_AUTHORIZER_HERE = "No Authorizer is configured on the broker"


def handle(broker: Broker, request: Request) -> Body:
    """Say that ACLs are not in force."""
    return {**refuse(request, KafkaError.SECURITY_DISABLED), "error_message": _NO_AUTHORIZER_HERE}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "resources": []}


HANDLER = Handler("describe_acls", 1, 3, handle, refuse)
