"""ApiVersions (key 18), versions 0 to 4: what the broker offers, which is what it has handlers for.

A version that is not known is answered in version 0 with UNSUPPORTED_VERSION and the same list, so
that the client can ask again (KIP-511). No features are finalized (KIP-584).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_CLIENT_SOFTWARE_SINCE = 3
# ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN
_CLIENT_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")

_offered: list[Body] = []


def offer(handlers: Mapping[int, Handler]) -> None:
    """Take the list of all handlers, once they are registered."""
    _offered[:] = [
        {
            "api_key": key,
            "min_version": handlers[key].min_version,
            "max_version": handlers[key].max_version,
        }
        for key in sorted(handlers)
    ]


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the list of APIs."""
    if request.api_version >= _CLIENT_SOFTWARE_SINCE:
        for name in ("client_software_name", "client_software_version"):
            if not _CLIENT_SOFTWARE.fullmatch(request.body[name]):
                raise Refusal(KafkaError.INVALID_REQUEST, f"{name} is {request.body[name]!r}")
    return {"error_code": NO_ERROR, "api_keys": _offered}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error; the list goes with it, for a client that has to choose again."""
    return {"error_code": error_code, "api_keys": _offered}


HANDLER = Handler("api_versions", 0, 4, handle, refuse)
