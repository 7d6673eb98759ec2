"""SaslHandshake (key 17), versions 0 to 1: the client chooses how it will say who it is.

After version 1 it sends SaslAuthenticate requests, after version 0 bare tokens behind their length
(KIP-43, KIP-152).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_BARE_TOKENS_IN = 0


def handle(broker: Broker, request: Request) -> Body:
    """Begin an exchange of the mechanism asked for."""
    client = request.client
    if broker.sasl is None or client.is_logged_in:
        raise Refusal(KafkaError.ILLEGAL_SASL_STATE, "there is nothing to say who one is for")
    client.sasl_exchange = broker.sasl.begin(request.body["mechanism"])
    if client.sasl_exchange is None:
        client.is_refused = True
        error_code = KafkaError.UNSUPPORTED_SASL_MECHANISM
        return {"error_code": error_code, "mechanisms": list(broker.sasl.mechanisms)}
    client.sends_bare_tokens = request.api_version == _BARE_TOKENS_IN
    return {"error_code": NO_ERROR, "mechanisms": list(broker.sasl.mechanisms)}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "mechanisms": []}


HANDLER = Handler("sasl_handshake", 0, 1, handle, refuse)
