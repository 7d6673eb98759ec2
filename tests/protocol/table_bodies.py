"""Bodies for any message and version, drawn from its table, and what decoding must make of them.

Written against schema.py alone, so that the codec is not judged by its own code.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fastkafka import protocol
from fastkafka.protocol.apis import Api
from fastkafka.protocol.schema import NO_DEFAULT, Field, Message, in_range

INTEGER_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}

PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "uint16": st.integers(0, 2**16 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "float64": st.floats(allow_nan=False),
    "string": st.text(max_size=6) | st.just("é" * 70),
    "bytes": st.binary(max_size=6) | st.just(bytes(130)),
    "records": st.binary(max_size=6) | st.just(bytes(130)),
    "uuid": st.binary(min_size=16, max_size=16),
    **{name: st.integers(-(1 << n - 1), (1 << n - 1) - 1) for name, n in INTEGER_BITS.items()},
}


def every_message() -> list[tuple[Api, int, bool]]:
    """All (api, version, whether it is the request)."""
    return [
        (api, version, is_request)
        for api in protocol.API_BY_KEY.values()
        for version in range(api.min_version, api.max_version + 1)
        for is_request in (True, False)
    ]


def message_id(parameter: object) -> str:
    """Short name of a parameter of every_message for pytest's output."""
    if isinstance(parameter, bool):
        return "request" if parameter else "response"
    return getattr(parameter, "name", str(parameter))


def draw_body(draw: Any, message: Message, version: int) -> dict[str, Any]:
    """Draw a body that this version can carry; some keys may be missing."""
    return _draw_struct(draw, message, message.fields, version)


def _draw_struct(draw: Any, message: Message, fields: list[Field], version: int) -> dict[str, Any]:
    present = [field for field in fields if in_range(version, field.versions)]
    # One integer decides which keys are left out: cheaper to draw than a boolean per field.
    left_out = draw(st.integers(0, (1 << len(present)) - 1)) if draw(st.booleans()) else 0
    return {
        field.name: _draw_field(draw, message, field, version)
        for index, field in enumerate(present)
        if not left_out >> index & 1
    }


def _draw_field(draw: Any, message: Message, field: Field, version: int) -> Any:
    if in_range(version, field.nullable) and draw(st.integers(0, 4)) == 0:
        return None
    if not field.is_array:
        return _draw_element(draw, message, field.type, version)
    count = draw(st.integers(0, 2))
    return [_draw_element(draw, message, field.element_type, version) for _ in range(count)]


def _draw_element(draw: Any, message: Message, type_name: str, version: int) -> Any:
    fields = message.structs.get(type_name)
    if fields is not None:
        return _draw_struct(draw, message, fields, version)
    return draw(PRIMITIVES[type_name])


def with_defaults(message: Message, body: dict[str, Any]) -> dict[str, Any]:
    """Return what decoding gives: every field of the table, missing ones at their default."""
    return _complete(message, message.fields, body)


def _complete(message: Message, fields: list[Field], body: dict[str, Any]) -> dict[str, Any]:
    complete: dict[str, Any] = {}
    for field in fields:
        value = body[field.name] if field.name in body else _default(field, message)
        inner = message.structs.get(field.element_type)
        if inner is not None and isinstance(value, list):
            value = [_complete(message, inner, item) for item in value]
        elif inner is not None and value is not None:
            value = _complete(message, inner, value)
        complete[field.name] = value
    return complete


def _default(field: Field, message: Message) -> Any:
    if field.default is not NO_DEFAULT:
        return field.default
    if field.is_array:
        return []
    if field.type in message.structs:
        return {}
    if field.type == "records":
        return b"" if field.nullable == "none" else None
    by_type = {"bool": False, "float64": 0.0, "string": "", "bytes": b"", "uuid": bytes(16)}
    return by_type.get(field.type, 0)
