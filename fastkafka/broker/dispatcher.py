"""From a frame to an answer: decode, find the handler, apply faults, encode.

Whatever a handler raises ends as an error code in its response; what cannot be decoded, or is not
offered in ApiVersions, ends the connection, as in Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from fastkafka import protocol
from fastkafka.broker.answers import Answer, Body, Handler, HangUp, LaterAnswer, Parts
from fastkafka.broker.broker import Broker
from fastkafka.broker.faults import Fault
from fastkafka.broker.fetch_response import throttled_fetch
from fastkafka.broker.handlers import HANDLERS, api_versions
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.request import Client, Request
from fastkafka.errors import KafkaError, ProtocolError

_log = logging.getLogger(__name__)

_HEADER_BYTES_MAX = 8 + 2 + 32767  # with the longest client id; the rest need not be copied

# Their handlers tell topics apart; other requests are refused as a whole.
_TOPIC_ERROR_APIS = frozenset(
    (
        "produce",
        "fetch",
        "list_offsets",
        "offset_for_leader_epoch",
        "metadata",
        "describe_topic_partitions",
    )
)

_KEYS_BEFORE_AUTHENTICATION = frozenset(
    protocol.API_BY_NAME[api].key for api in ("api_versions", "sasl_handshake", "sasl_authenticate")
)

Reply = Parts | None
LaterReply = Callable[[], Awaitable[Reply]]


class Dispatcher:
    """Answers the requests of all connections to all nodes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def answer(self, frame: memoryview, client: Client) -> Reply | LaterReply:
        """Return the response to a request, None for no reply, or a function that waits for it.

        The frame is read until the answer is there, and must not change before.
        Raises: HangUp
        """
        has_to_authenticate = self.has_to_authenticate(client)
        if has_to_authenticate and client.sends_bare_tokens:
            return self._answer_bare_token(frame, client)
        try:
            header = protocol.decode_request_header(frame[:_HEADER_BYTES_MAX])
            if has_to_authenticate and header.api_key not in _KEYS_BEFORE_AUTHENTICATION:
                raise HangUp(f"api key {header.api_key} before the client said who it is")
            handler = HANDLERS.get(header.api_key)
            if handler is None:
                raise HangUp(f"api key {header.api_key} is not offered")
            if not handler.min_version <= header.api_version <= handler.max_version:
                return self._unknown_version(handler, header, client)
            request = Request(*handler.decode(frame), client=client)
        except ProtocolError as error:
            raise HangUp(f"request cannot be read: {error.error.str()}") from None
        fault = self._broker.faults.take(handler.api, request, self._broker)
        if fault is not None:
            return partial(self._answer_with_fault, handler, request, fault)
        answer = self._handle(handler, request)
        if callable(answer):
            return partial(self._wait, handler, request, answer)
        return _encoded(request, answer)

    def has_to_authenticate(self, client: Client) -> bool:
        """Whether the client has to say who it is before anything else."""
        return self._broker.sasl is not None and not client.is_logged_in

    def _answer_bare_token(self, frame: memoryview, client: Client) -> Reply:
        # Imported by the broker only where a listener has SASL.
        from fastkafka.broker.sasl import AuthenticationFailed

        try:
            return Parts([client.take_token(bytes(frame))])
        except AuthenticationFailed as failure:
            raise HangUp(f"authentication failed: {failure}") from None

    def _unknown_version(
        self, handler: Handler, header: protocol.RequestHeader, client: Client
    ) -> Reply:
        if handler.api != "api_versions":
            raise HangUp(
                f"{handler.api} version {header.api_version} is not offered, "
                f"{handler.min_version} to {handler.max_version} are"
            )
        # KIP-511: the answer is in version 0, and tells the versions that would do.
        request = Request(header.api_key, 0, header.correlation_id, header.client_id, {}, client)
        return _encoded(request, api_versions.refuse(request, KafkaError.UNSUPPORTED_VERSION))

    def _handle(self, handler: Handler, request: Request) -> Answer | LaterAnswer:
        try:
            return handler.handle(self._broker, request)
        except HangUp:
            raise
        except Exception as error:
            return _refusal(handler, request, error)

    async def _wait(self, handler: Handler, request: Request, later: LaterAnswer) -> Reply:
        return _encoded(request, await self._finish(handler, request, later))

    async def _finish(self, handler: Handler, request: Request, later: LaterAnswer) -> Answer:
        try:
            return await later()
        except HangUp:
            raise
        except Exception as error:
            return _refusal(handler, request, error)

    async def _answer_with_fault(self, handler: Handler, request: Request, fault: Fault) -> Reply:
        delay_ms = fault.delay_ms + fault.disk_delay_ms
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        if fault.drop_connection == "before":
            raise HangUp(f"fault: {handler.api} dropped before it was carried out")
        if fault.error_code and fault.topic is not None and handler.api in _TOPIC_ERROR_APIS:
            request = request._replace(topic_errors={fault.topic: fault.error_code})
        if fault.error_code and not request.topic_errors:
            answer: Answer = handler.refuse(request, fault.error_code)
        else:
            handled = self._handle(handler, request)
            answer = await self._finish(handler, request, handled) if callable(handled) else handled
        if fault.drop_connection == "after":
            raise HangUp(f"fault: {handler.api} dropped after it was carried out")
        if answer is None or fault.drop_reply:
            return None
        if fault.throttle_time_ms:
            answer = _throttled(request, answer, fault.throttle_time_ms)
        reply = cast(Parts, _encoded(request, answer))
        return reply._replace(
            copies=2 if fault.duplicate_reply else 1, mute_ms=fault.throttle_time_ms
        )


def _refusal(handler: Handler, request: Request, error: Exception) -> Answer:
    if isinstance(error, Refusal):
        return handler.refuse(request, error.code)
    _log.error("%s v%d failed", handler.api, request.api_version, exc_info=error)
    return handler.refuse(request, KafkaError.UNKNOWN)


def _throttled(request: Request, answer: Body | Parts, throttle_time_ms: int) -> Body | Parts:
    """Say in an answer that the client is throttled, where its version can."""
    if isinstance(answer, Parts):
        return throttled_fetch(answer, request.api_version, throttle_time_ms)
    field_names = {field.name for field in protocol.API_BY_KEY[request.api_key].response.fields}
    if "throttle_time_ms" not in field_names:
        return answer
    return {**answer, "throttle_time_ms": throttle_time_ms}


def _encoded(request: Request, answer: Answer) -> Reply:
    if answer is None or isinstance(answer, Parts):
        return answer
    return Parts(
        [
            protocol.encode_response(
                request.api_key, request.api_version, request.correlation_id, answer
            )
        ]
    )
