"""Addresses inside responses: a client that came through a proxy must be kept behind it.

Brokers tell clients where brokers are: Metadata, FindCoordinator and DescribeCluster, and Produce
and Fetch for a new leader (KIP-951). Those responses are decoded, and every host and port in them
is exchanged. All other bytes pass as they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from fastkafka import protocol
from fastkafka.errors import KafkaException

Exchange = Callable[[str, int], tuple[str, int]]

_LENGTH_BYTES = 4
_HEAD_BYTES = 4 + 2 + 2 + 4  # length, api key, api version, correlation id
_FRAME_BYTES_MAX = 104_857_600
_PENDING_MAX = 1000  # requests without an answer, as with acks=0, are forgotten in time
# First versions that carry addresses.
_FIRST_VERSIONS = {
    protocol.API_BY_NAME["metadata"].key: 0,
    protocol.API_BY_NAME["find_coordinator"].key: 0,
    protocol.API_BY_NAME["describe_cluster"].key: 0,
    protocol.API_BY_NAME["produce"].key: 10,
    protocol.API_BY_NAME["fetch"].key: 16,
}


class _Request:
    """What is known of a request whose response carries addresses."""

    __slots__ = ("api_key", "api_version", "correlation_id")

    def __init__(self, head: bytes) -> None:
        self.api_key = int.from_bytes(head[4:6], "big", signed=True)
        self.api_version = int.from_bytes(head[6:8], "big", signed=True)
        self.correlation_id = int.from_bytes(head[8:12], "big", signed=True)

    @property
    def is_of_interest(self) -> bool:
        first = _FIRST_VERSIONS.get(self.api_key)
        return first is not None and self.api_version >= first


class AddressRewriter:
    """Follows one connection both ways and exchanges the addresses in its responses."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pending: deque[_Request] = deque(maxlen=_PENDING_MAX)
        self._request_head = b""
        self._request_bytes_left = 0
        self._response = b""
        self._response_bytes_left = 0
        self._speaks_kafka = True

    def to_broker(self, data: bytes) -> bytes:
        """Note the requests that begin in `data`, which is returned as it is."""
        position = 0
        while self._speaks_kafka and position < len(data):
            if self._request_bytes_left:
                step = min(self._request_bytes_left, len(data) - position)
                self._request_bytes_left -= step
                position += step
                continue
            missing = _HEAD_BYTES - len(self._request_head)
            self._request_head += data[position : position + missing]
            position += missing
            # TLS, or whatever else it is: nothing in it can be exchanged.
            self._speaks_kafka = self._request_head[0] <= _FRAME_BYTES_MAX >> 24
            if len(self._request_head) == _HEAD_BYTES:
                self._begin_request(self._request_head)
                self._request_head = b""
        return data

    def _begin_request(self, head: bytes) -> None:
        length = int.from_bytes(head[:_LENGTH_BYTES], "big", signed=True)
        self._speaks_kafka = _HEAD_BYTES - _LENGTH_BYTES <= length <= _FRAME_BYTES_MAX
        self._request_bytes_left = length - (_HEAD_BYTES - _LENGTH_BYTES)
        request = _Request(head)
        if request.is_of_interest:
            self._pending.append(request)

    def to_client(self, data: bytes) -> bytes:
        """Return what the client gets for `data`; a frame with addresses waits to be whole."""
        if not self._speaks_kafka:
            held, self._response = self._response, b""
            return held + data
        passed = []
        self._response += data
        while self._response:
            if self._response_bytes_left:
                piece = self._response[: self._response_bytes_left]
                self._response_bytes_left -= len(piece)
                self._response = self._response[len(piece) :]
                passed.append(piece)
                continue
            if len(self._response) < 2 * _LENGTH_BYTES:
                break
            length = int.from_bytes(self._response[:_LENGTH_BYTES], "big", signed=True)
            request = self._request_of(self._response)
            if request is None or not 0 < length <= _FRAME_BYTES_MAX:
                self._response_bytes_left = max(length, 0) + _LENGTH_BYTES
                continue
            end = _LENGTH_BYTES + length
            if len(self._response) < end:
                break
            self._pending.remove(request)
            passed.append(self._rewritten(request, self._response[:end]))
            self._response = self._response[end:]
        return b"".join(passed)

    def _request_of(self, response: bytes) -> _Request | None:
        correlation_id = int.from_bytes(response[_LENGTH_BYTES : 2 * _LENGTH_BYTES], "big")
        for request in self._pending:
            if request.correlation_id & 0xFFFFFFFF == correlation_id:
                return request
        return None

    def _rewritten(self, request: _Request, response: bytes) -> bytes:
        try:
            correlation_id, body = protocol.decode_response(
                request.api_key, request.api_version, response[_LENGTH_BYTES:]
            )
            if not self._exchange_in(body):
                return response
            frame = protocol.encode_response(
                request.api_key, request.api_version, correlation_id, body
            )
        except KafkaException:
            return response
        return len(frame).to_bytes(_LENGTH_BYTES, "big") + frame

    def _exchange_in(self, body: Any) -> int:
        """Exchange every address in a decoded response; return how many there are."""
        if isinstance(body, list):
            return sum(self._exchange_in(element) for element in body)
        if not isinstance(body, dict):
            return 0
        count = sum(self._exchange_in(value) for value in body.values())
        if body.get("host") and body.get("port", -1) > 0:
            body["host"], body["port"] = self._exchange(body["host"], body["port"])
            count += 1
        return count
