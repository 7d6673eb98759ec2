"""The native codec of Produce requests: see _ext/produce_request.pyx."""

def encode_produce_request(
    version: int,
    acks: int,
    timeout_ms: int,
    client_id: bytes,
    topics: list[tuple[bytes, bytes, list[tuple[int, list[bytes]]]]],
    transactional_id: bytes | None = None,
) -> bytes: ...
