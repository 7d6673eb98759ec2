"""Mutated frames into every decoder: only CorruptFrame and UnsupportedVersion may come out.

What still decodes must encode again, to bytes that decode and encode to themselves. The seed is
fixed and printed with a failure; FASTKAFKA_FUZZ=N mutates N times as often, from another seed.
"""

from __future__ import annotations

import random
import tracemalloc

import pytest

from fastkafka import protocol
from fastkafka.errors import CorruptFrame, UnsupportedVersion
from fastkafka.protocol import consumer_protocol
from tests.fuzz.mutants import FUZZ, SEED, mutate, vectors

MUTATIONS_PER_FRAME = 20 * max(FUZZ, 1)
ALLOCATED_BYTES_MAX = 1 << 20  # frames here have at most a few KB

pytestmark = pytest.mark.timeout(120 * max(FUZZ, 1))


def check_request(frame: bytes) -> None:
    def again(frame: bytes) -> bytes:
        request = protocol.decode_request(frame)
        return protocol.encode_request(
            request.api_key,
            request.api_version,
            request.correlation_id,
            request.client_id,
            request.body,
        )

    encoded = again(frame)
    assert again(encoded) == encoded


def check_response(api_key: int, version: int, frame: bytes) -> None:
    def again(frame: bytes) -> bytes:
        correlation_id, body = protocol.decode_response(api_key, version, frame)
        if api_key == 18 and body["error_code"] == 35:
            return protocol.encode_response(api_key, 0, correlation_id, body)
        return protocol.encode_response(api_key, version, correlation_id, body)

    encoded = again(frame)
    assert again(encoded) == encoded


@pytest.mark.parametrize("api", list(protocol.API_BY_KEY.values()), ids=lambda api: api.name)
def test_mutated_frames_give_typed_errors(api: protocol.Api) -> None:
    choice = random.Random(f"{SEED} {api.name}")
    refused = 0
    for message, version, header, body in vectors(api.name):
        is_request = message.endswith("Request")
        if is_request:
            head = api.key.to_bytes(2, "big") + version.to_bytes(2, "big")
            frame = head + b"\0\0\0\7\0\2me" + bytes(header - 1) + body
        else:
            frame = b"\0\0\0\7" + bytes(header) + body
        for _ in range(MUTATIONS_PER_FRAME):
            mutant = mutate(choice, frame)
            try:
                if is_request:
                    check_request(mutant)
                else:
                    check_response(api.key, version, mutant)
            except (CorruptFrame, UnsupportedVersion):
                refused += 1
            except BaseException:
                print(f"seed {SEED}: {message} v{version}: {mutant.hex()}")
                raise
    assert refused > 0, "no mutant was refused: the mutations do nothing"


def test_random_bytes_give_typed_errors() -> None:
    choice = random.Random(f"{SEED} random")
    for _ in range(50 * MUTATIONS_PER_FRAME):
        api = choice.choice(list(protocol.API_BY_KEY.values()))
        version = choice.randint(api.min_version, api.max_version)
        noise = choice.randbytes(choice.randint(0, 200))
        head = api.key.to_bytes(2, "big") + version.to_bytes(2, "big") + b"\0\0\0\7\xff\xff"
        try:
            for is_request in (True, False):
                try:
                    if is_request:
                        check_request(head + noise)
                    else:
                        check_response(api.key, version, noise)
                except (CorruptFrame, UnsupportedVersion):
                    pass
        except BaseException:
            print(f"seed {SEED}: {api.name} v{version}: {noise.hex()}")
            raise


@pytest.mark.parametrize("kind", ["Subscription", "Assignment"])
def test_mutated_consumer_protocol_gives_typed_errors(kind: str) -> None:
    choice = random.Random(f"{SEED} {kind}")
    decode = getattr(consumer_protocol, f"decode_{kind.lower()}")
    refused = 0
    for message, version, _, body in vectors("no_api"):
        if message != f"ConsumerProtocol{kind}":
            continue
        for _ in range(20 * MUTATIONS_PER_FRAME):
            mutant = mutate(choice, version.to_bytes(2, "big") + body)
            try:
                decode(mutant)
            except CorruptFrame:
                refused += 1
            except BaseException:
                print(f"seed {SEED}: {message} v{version}: {mutant.hex()}")
                raise
    assert refused > 0


def test_no_mutant_makes_the_decoder_allocate_much() -> None:
    choice = random.Random(f"{SEED} memory")
    api = protocol.API_BY_NAME["fetch"]
    frames = [
        (version, b"\0\0\0\7" + bytes(header) + body)
        for message, version, header, body in vectors("fetch")
        if message == "FetchResponse"
    ]
    for version, frame in frames:  # compiled plans are not what is measured
        protocol.decode_response(api.key, version, frame)
    tracemalloc.start()
    try:
        for version, frame in frames:
            for _ in range(MUTATIONS_PER_FRAME):
                mutant = mutate(choice, frame)
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                try:
                    protocol.decode_response(api.key, version, mutant)
                except CorruptFrame:
                    pass
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < ALLOCATED_BYTES_MAX, f"seed {SEED} v{version}: {mutant.hex()}"
    finally:
        tracemalloc.stop()
