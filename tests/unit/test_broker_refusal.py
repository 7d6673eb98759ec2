"""A refusal's reason fits into a response, whatever the client named."""

from __future__ import annotations

from fastkafka import protocol
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError


def test_a_reason_that_quotes_the_longest_name_fits_into_a_string() -> None:
    name = "\N{SNOWMAN}" * 10_000
    refusal = Refusal(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {name}")
    row = {"name": "x", "error_code": refusal.code, "error_message": str(refusal)}
    body = {"throttle_time_ms": 0, "results": [row]}
    key = protocol.API_BY_NAME["create_partitions"].key
    frame = protocol.encode_response(key, 3, 1, body)
    (answered,) = protocol.decode_response(key, 3, frame)[1]["results"]
    assert answered["error_message"].startswith("UNKNOWN_TOPIC_OR_PART")
    assert answered["error_message"].endswith("...")
