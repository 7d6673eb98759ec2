"""What handlers give back, and how a connection is told to end.

A handler returns a body for the table codec, or parts that are sent as they stand (Fetch, whose
records go from the file to the socket), or None when the request gets no reply. When it has to wait
it gives back a function that does: nothing is left half begun when the client goes away first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka import protocol
from fastkafka.broker.log_segment import FileRegion
from fastkafka.broker.request_reader import read_request

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

Body = dict[str, Any]
Part = bytes | FileRegion


class Parts(NamedTuple):
    """A whole response without its length: bytes, and regions of log files.

    Args:
        parts: what is sent, in this order
        copies: how often it is sent; a fault may want it twice
        mute_ms: how long the connection is not read afterwards, as the client was told (KIP-219)
    """

    parts: list[Part]
    copies: int = 1
    mute_ms: int = 0

    @property
    def length(self) -> int:
        """Bytes of the response."""
        return sum(
            part.length if isinstance(part, FileRegion) else len(part) for part in self.parts
        )


Answer = Body | Parts | None
LaterAnswer = Callable[[], Awaitable[Answer]]


class HangUp(Exception):
    """The connection ends here; the text, for the log, says why."""


class Handler(NamedTuple):
    """One API as this broker has it.

    Args:
        api: name of the API
        min_version, max_version: what ApiVersions offers
        handle: carry the request out
        refuse: body that answers all of the request with one error code; None for no reply
        decode: read the frame
    """

    api: str
    min_version: int
    max_version: int
    handle: Callable[[Broker, Request], Answer | LaterAnswer]
    refuse: Callable[[Request, int], Body | None]
    decode: Callable[[memoryview], protocol.Request] = read_request
