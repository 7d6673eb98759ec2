"""Read requests as a broker has to: what follows a request in its frame is ignored.

Kafka's broker ignores it as well, and clients depend on that without knowing: librdkafka 2.16 puts
three bytes too many behind a Metadata request of version 13 that asks for all topics. The codec of
`protocol` is strict, which is right for everything that we write ourselves.
"""

from __future__ import annotations

from fastkafka import protocol
from fastkafka.protocol.apis import load_table
from fastkafka.protocol.frames import decode_data


def read_request(frame: memoryview) -> protocol.Request:
    """Decode a request of an API and version that are offered; raises CorruptFrame."""
    buffer = bytes(frame)
    header = protocol.decode_request_header(buffer)
    api = protocol.API_BY_KEY[header.api_key]
    header_version = api.request_header_version(header.api_version)
    _, end = decode_data(load_table("headers", "REQUEST_HEADER"), header_version, buffer)
    body, _ = decode_data(api.request, header.api_version, buffer[end:])
    return protocol.Request(*header, body=body)
