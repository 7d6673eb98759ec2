"""Fetch requests: see _ext/fetch_request.pyx."""

def encode_fetch_request(
    version: int,
    client_id: bytes,
    partitions: list[tuple[bytes, bytes, int, int, int, int, int]],
    *,
    max_wait_ms: int = 500,
    min_bytes: int = 1,
    max_bytes: int = 52428800,
    partition_max_bytes: int = 1048576,
    isolation_level: int = 1,
    session_id: int = 0,
    session_epoch: int = -1,
    rack_id: bytes = b"",
    forgotten: tuple[tuple[bytes, bytes, int], ...] = (),
) -> bytes: ...
