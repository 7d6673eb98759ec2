"""Read requests as a broker has to: what follows a request in its frame is ignored.

Kafka's broker ignores it as well, and clients depend on that without knowing: librdkafka 2.16 puts
three bytes too many behind a Metadata request of version 13 that asks for all topics. The codec of
`protocol` is strict, which is right for everything that we write ourselves.
"""

from __future__ import annotations

from fastkafka import protocol
from fastkafka.protocol.apis import load_table
from fastkafka.protocol.frames import decode_data

# Every element becomes Python objects of some 500 bytes, and as much again when it is answered;
# real clients stay far below.
ELEMENTS_MAX = 100_000


def read_request(frame: memoryview) -> protocol.Request:
    """Decode a request of an API and version that are offered; raises CorruptFrame."""
    buffer = bytes(frame)
    header = protocol.decode_request_header(buffer)
    api = protocol.API_BY_KEY[header.api_key]
    header_version = api.request_header_version(header.api_version)
    header_table = load_table("headers", "REQUEST_HEADER")
    _, end = decode_data(header_table, header_version, buffer, ELEMENTS_MAX)
    body, _ = decode_data(api.request, header.api_version, buffer[end:], ELEMENTS_MAX)
    return protocol.Request(*header, body=body)
