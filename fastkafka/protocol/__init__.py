"""Kafka's wire protocol: every stable version of every API, both ways.

What:   encode and decode requests and responses, for the client and for the embedded broker
In:     dicts with Kafka's field names in snake_case; or frames from the network
Out:    bytes; or dicts; CorruptFrame that says which API, version, field and byte
Thread: any
Next:   control/ on the client's side, broker/ on the other

    frame = protocol.encode_request(3, 12, 7, "me", {"topics": [{"name": "logs"}]})
    request = protocol.decode_request(frame)
    frame = protocol.encode_response(3, 12, request.correlation_id, {"cluster_id": "c"})
    correlation_id, body = protocol.decode_response(3, 12, frame)

The tables of an API are imported when it is first used. consumer_protocol.py, beside this face,
has what members of a classic group exchange.
"""

from fastkafka.protocol.apis import API_BY_KEY, API_BY_NAME, Api, api_of
from fastkafka.protocol.frames import (
    Request,
    RequestHeader,
    decode_request,
    decode_request_header,
    decode_response,
    encode_request,
    encode_response,
    throttle_time_range,
)

__all__ = [
    "API_BY_KEY",
    "API_BY_NAME",
    "Api",
    "Request",
    "RequestHeader",
    "api_of",
    "decode_request",
    "decode_request_header",
    "decode_response",
    "encode_request",
    "encode_response",
    "throttle_time_range",
]
