"""SaslAuthenticate (key 36), versions 0 to 2: one message of the mechanism that was chosen.

Version 1 tells how long the session lasts: without end, so nobody need say again who it is
(KIP-368). A client that fails is told so, then its connection is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Take the client's message."""
    client = request.client
    if client.sasl_exchange is None:
        raise Refusal(KafkaError.ILLEGAL_SASL_STATE, "no mechanism was chosen")
    # Imported by the broker only where a listener has SASL.
    from fastkafka.broker.sasl import AuthenticationFailed

    try:
        answer = client.take_token(request.body["auth_bytes"])
    except AuthenticationFailed as failure:
        client.is_refused = True
        return _failed(KafkaError.SASL_AUTHENTICATION_FAILED, f"Authentication failed: {failure}")
    return {"error_code": NO_ERROR, "error_message": None, "auth_bytes": answer}


def _failed(error_code: int, reason: str | None) -> Body:
    return {"error_code": error_code, "error_message": reason, "auth_bytes": b""}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return _failed(error_code, None)


HANDLER = Handler("sasl_authenticate", 0, 2, handle, refuse)
