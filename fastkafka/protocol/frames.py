"""Requests and responses as they stand in a frame: header and body, without the length.

What:   encode and decode whole frames, for the client and for the broker
In:     api key, version, correlation id, client id, body; or the bytes of a frame
Out:    bytes; or Request, RequestHeader, (correlation_id, body)
Thread: any; no state beyond the cached plans
Next:   whoever owns the connection puts the four bytes of the length in front
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

from fastkafka.errors import CorruptFrame, UnsupportedVersion
from fastkafka.protocol.apis import API_VERSIONS_KEY, Api, api_of, load_table
from fastkafka.protocol.codec import budget, encode_body, plan_of
from fastkafka.protocol.primitives import FieldError, string_reader
from fastkafka.protocol.schema import Message, in_range

Buffer = bytes | bytearray | memoryview

_HEADER_START: Final = Struct(">hhi")
_ERROR_CODE: Final = Struct(">h")
_UNSUPPORTED_VERSION: Final = 35
_THROTTLE_TIME_BYTES: Final = 4
_read_client_id: Final = string_reader(flexible=False, nullable=True)


class RequestHeader(NamedTuple):
    """The head of a request, which every version of every API has in this form."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None


class Request(NamedTuple):
    """A request with its body."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body: dict[str, Any]


def encode_request(
    api_key: int,
    api_version: int,
    correlation_id: int,
    client_id: str | None,
    body: Mapping[str, Any],
) -> bytes:
    """Encode header and body of a request, without the length in front.

    Wire:    api key int16, version int16, correlation id int32 at byte 4, client id, body
    Args:    body: Kafka's field names in snake_case; missing ones take the table's default
    Raises:  UnsupportedVersion (API or version unknown, or it cannot carry a field that is set);
             ValueError that names the field (no such field, wrong type, out of range)
    """
    api = _api_with_version(api_key, api_version)
    header = {
        "request_api_key": api_key,
        "request_api_version": api_version,
        "correlation_id": correlation_id,
        "client_id": client_id,
    }
    head = load_table("headers", "REQUEST_HEADER")
    return _encode(head, api.request_header_version(api_version), header) + _encode(
        api.request, api_version, body
    )


def encode_response(
    api_key: int, api_version: int, correlation_id: int, body: Mapping[str, Any]
) -> bytes:
    """Encode header and body of a response, without the length in front; see encode_request."""
    api = _api_with_version(api_key, api_version)
    head = load_table("headers", "RESPONSE_HEADER")
    header_version = api.response_header_version(api_version)
    return _encode(head, header_version, {"correlation_id": correlation_id}) + _encode(
        api.response, api_version, body
    )


def decode_request_header(frame: Buffer) -> RequestHeader:
    """Decode only what every request starts with, whether or not its API is known.

    A broker needs it to answer an ApiVersions request of a version that it does not know.
    """
    return _read_request_header(_as_bytes(frame))


def decode_request(frame: Buffer) -> Request:
    """Decode a whole request; raises CorruptFrame or UnsupportedVersion.

    Returns: records fields as memoryviews, of the frame itself when the frame is bytes
    """
    buffer = _as_bytes(frame)
    header = _read_request_header(buffer)
    api = _api_with_version(header.api_key, header.api_version)
    head = load_table("headers", "REQUEST_HEADER")
    _, start = _decode(head, api.request_header_version(header.api_version), buffer, 0)
    body, end = _decode(api.request, header.api_version, buffer, start)
    _refuse_left_over(api.request, header.api_version, end, len(buffer))
    return Request(*header, body)


def decode_response(api_key: int, api_version: int, frame: Buffer) -> tuple[int, dict[str, Any]]:
    """Decode a response to a request of this API and version.

    An ApiVersions response that says UNSUPPORTED_VERSION is in version 0, whatever was asked
    (KIP-511); its body has the versions that the broker does speak.
    Returns: correlation id and body; records fields as in decode_request
    Raises:  CorruptFrame, UnsupportedVersion
    """
    api = _api_with_version(api_key, api_version)
    buffer = _as_bytes(frame)
    head = load_table("headers", "RESPONSE_HEADER")
    header, start = _decode(head, api.response_header_version(api_version), buffer, 0)
    if api_key == API_VERSIONS_KEY and api_version and _says_unsupported(buffer, start):
        api_version = 0
    body, end = _decode(api.response, api_version, buffer, start)
    _refuse_left_over(api.response, api_version, end, len(buffer))
    return header["correlation_id"], body


def throttle_time_range(api_key: int, api_version: int, frame: bytes) -> tuple[int, int]:
    """Return offset and length of throttle_time_ms in a response; (0, 0) when it has none.

    That is what differs between two responses that say the same, beside the correlation id.
    Raises: CorruptFrame, UnsupportedVersion
    """
    api = _api_with_version(api_key, api_version)
    head = load_table("headers", "RESPONSE_HEADER")
    _, start = _decode(head, api.response_header_version(api_version), frame, 0)
    # Kafka has it first wherever a response has it from its first versions on.
    first = api.response.fields[0]
    if first.name != "throttle_time_ms" or not in_range(api_version, first.versions):
        return 0, 0
    return start, _THROTTLE_TIME_BYTES


def encode_data(message: Message, version: int, body: Mapping[str, Any]) -> bytes:
    """Encode a message that stands in no frame of its own; raises as encode_request does."""
    return _encode(message, version, body)


def decode_data(
    message: Message, version: int, buffer: bytes, elements_max: int | None = None
) -> tuple[dict[str, Any], int]:
    """Decode a message at the start of a buffer; returns it and where it ends.

    Args:    elements_max: elements of arrays and tagged fields that it may have in all
    Raises:  CorruptFrame
    """
    if elements_max is None:
        return _decode(message, version, buffer, 0)
    unbounded, budget.elements_left = budget.elements_left, elements_max
    try:
        return _decode(message, version, buffer, 0)
    finally:
        budget.elements_left = unbounded


def _api_with_version(api_key: int, api_version: int) -> Api:
    api = api_of(api_key)
    api.check_version(api_version)
    return api


def _as_bytes(frame: Buffer) -> bytes:
    """The frame as bytes; anything mutable is copied, since views into it are handed out."""
    return frame if isinstance(frame, bytes) else bytes(frame)


def _read_request_header(buffer: bytes) -> RequestHeader:
    size = len(buffer)
    if size < _HEADER_START.size:
        raise CorruptFrame(
            f"RequestHeader: api key at byte 0 of {size}: {_HEADER_START.size} bytes needed"
        )
    api_key, api_version, correlation_id = _HEADER_START.unpack_from(buffer)
    try:
        # The client id keeps its int16 length in flexible headers for exactly this use.
        client_id, _ = _read_client_id(buffer, _HEADER_START.size, size)
    except FieldError as error:
        raise _corrupt("RequestHeader", error.within("client_id"), size) from None
    return RequestHeader(api_key, api_version, correlation_id, client_id)


def _says_unsupported(buffer: bytes, start: int) -> bool:
    if len(buffer) - start < _ERROR_CODE.size:
        return False
    error_code: int = _ERROR_CODE.unpack_from(buffer, start)[0]
    return error_code == _UNSUPPORTED_VERSION


def _encode(message: Message, version: int, body: Mapping[str, Any]) -> bytes:
    try:
        return encode_body(message, version, body)
    except FieldError as error:
        text = f"{message.name} v{version}: {error.path or 'body'}: {error.reason}"
        if error.is_version_gap:
            raise UnsupportedVersion(text) from None
        raise ValueError(text) from None


def _decode(
    message: Message, version: int, buffer: bytes, position: int
) -> tuple[dict[str, Any], int]:
    try:
        return plan_of(message, version).read(buffer, position, len(buffer))
    except FieldError as error:
        raise _corrupt(f"{message.name} v{version}", error, len(buffer)) from None


def _corrupt(what: str, error: FieldError, size: int) -> CorruptFrame:
    return CorruptFrame(
        f"{what}: {error.path or 'tagged fields'} at byte {error.position} of {size}: "
        f"{error.reason}"
    )


def _refuse_left_over(message: Message, version: int, end: int, size: int) -> None:
    if end != size:
        raise CorruptFrame(
            f"{message.name} v{version}: end at byte {end} of {size}: {size - end} bytes left over"
        )
