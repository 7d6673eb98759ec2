"""Addresses in responses are exchanged however the bytes are cut; all else passes as it is."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.protocol import API_BY_NAME
from fastkafka.testing.advertised_addresses import AddressRewriter

REAL, PROXIED = ("broker.example", 9092), ("127.0.0.1", 40001)


def exchange(host: str, port: int) -> tuple[str, int]:
    assert (host, port) == REAL
    return PROXIED


def framed(frame: bytes | memoryview) -> bytes:
    return len(frame).to_bytes(4, "big") + bytes(frame)


def request(api: str, version: int, correlation_id: int, body: dict[str, Any]) -> bytes:
    key = API_BY_NAME[api].key
    return framed(protocol.encode_request(key, version, correlation_id, "me", body))


def response(api: str, version: int, correlation_id: int, body: dict[str, Any]) -> bytes:
    key = API_BY_NAME[api].key
    return framed(protocol.encode_response(key, version, correlation_id, body))


def node(address: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"host": address[0], "port": address[1], **(more or {"node_id": 1})}


def passed(rewriter: AddressRewriter, data: bytes, step: int) -> bytes:
    """Send bytes to the client in pieces."""
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(rewriter.to_client(piece) for piece in pieces)


CASES: list[tuple[str, int, dict[str, Any], Any]] = [
    ("metadata", 12, {"topics": []}, lambda a: {"brokers": [node(a)], "topics": []}),
    ("metadata", 0, {"topics": []}, lambda a: {"brokers": [node(a)], "topics": []}),
    (
        "find_coordinator",
        1,
        {"key": "g"},
        node,
    ),
    (
        "find_coordinator",
        4,
        {"key_type": 0, "coordinator_keys": ["g"]},
        lambda a: {"coordinators": [node(a, key="g", node_id=1)]},
    ),
    (
        "describe_cluster",
        1,
        {},
        lambda a: {"cluster_id": "c", "brokers": [node(a, broker_id=1)]},
    ),
    (
        "produce",
        10,
        {"acks": 1, "timeout_ms": 1, "topic_data": []},
        lambda a: {"responses": [], "node_endpoints": [node(a)]},
    ),
    ("fetch", 16, {"topics": []}, lambda a: {"responses": [], "node_endpoints": [node(a)]}),
]


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("api", "version", "asked", "answer"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_every_response_that_names_brokers_names_the_proxy(
    api: str, version: int, asked: dict[str, Any], answer: Any, step: int
) -> None:
    rewriter = AddressRewriter(exchange)
    stream = request(api, version, 5, asked)
    for at in range(0, len(stream), step):
        piece = stream[at : at + step]
        assert rewriter.to_broker(piece) == piece
    answered = passed(rewriter, response(api, version, 5, answer(REAL)), step)
    assert answered == response(api, version, 5, answer(PROXIED))


def test_answers_in_between_pass_as_they_are() -> None:
    rewriter = AddressRewriter(exchange)
    rewriter.to_broker(request("list_offsets", 7, 1, {"replica_id": -1, "topics": []}))
    rewriter.to_broker(request("metadata", 9, 2, {"topics": []}))
    first = response("list_offsets", 7, 1, {"topics": []})
    second = response("metadata", 9, 2, {"brokers": [node(REAL)], "topics": []})
    answered = passed(rewriter, first + second + first, 5)
    expected = response("metadata", 9, 2, {"brokers": [node(PROXIED)], "topics": []})
    assert answered == first + expected + first


def test_a_coordinator_that_is_not_there_has_no_address_to_exchange() -> None:
    rewriter = AddressRewriter(exchange)
    rewriter.to_broker(request("find_coordinator", 1, 1, {"key": "g"}))
    none = {"error_code": 15, "node_id": -1, "host": "", "port": -1}
    stream = response("find_coordinator", 1, 1, none)
    assert passed(rewriter, stream, 3) == stream


def test_what_cannot_be_decoded_passes_as_it_is() -> None:
    rewriter = AddressRewriter(exchange)
    rewriter.to_broker(request("metadata", 9, 2, {"topics": []}))
    stream = framed(b"\0\0\0\2 and then no metadata")
    assert passed(rewriter, stream, 4) == stream


def test_tls_passes_as_it_is() -> None:
    rewriter = AddressRewriter(exchange)
    hello = b"\x16\x03\x01\x02\x00" + bytes(500)
    assert rewriter.to_broker(hello) == hello
    assert passed(rewriter, hello, 3) == hello
