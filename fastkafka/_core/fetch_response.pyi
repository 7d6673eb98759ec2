"""Fetch responses, read in place: see _ext/fetch_response.pyx."""

from typing import Any

def decode_fetch_response(version: int, frame: bytes) -> dict[str, Any]: ...
