"""The native codec of Produce responses: see _ext/produce_response.pyx."""

from typing import Any

def read_produce_response(frame: bytes, version: int) -> tuple[list[Any], int] | None: ...
