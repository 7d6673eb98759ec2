"""Large fetch responses on their way out: from the file, through memory, to a client that left."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest

from fastkafka import protocol
from fastkafka.broker.server import BrokerServer
from fastkafka.broker.settings import BrokerSettings
from tests.unit.broker_batches import build_batch, placed

TIMEOUT_S = 30
FETCH = 1
BATCH_COUNT = 12  # of half a megabyte: more than the socket buffers take


async def no_sendfile(*_: object, **__: object) -> int:
    raise asyncio.SendfileNotAvailableError("planted")


async def fetch_all(data_dir: Path) -> tuple[bytes, bytes]:
    """Start a broker on this loop, fill a topic, and fetch it over a socket."""
    server = BrokerServer(BrokerSettings(data_dir, port=0))
    await server.start()
    try:
        partition = server.broker.topics.create("logs", 1, {}).partition(0)
        batch = build_batch([os.urandom(500_000)])
        for _ in range(BATCH_COUNT):
            partition.append(batch)
        expected = b"".join(placed(batch, offset) for offset in range(BATCH_COUNT))
        host, _, port = server.bootstrap_servers.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        asked = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 2**30}
        body = {"max_wait_ms": 0, "topics": [{"topic": "logs", "partitions": [asked]}]}
        frame = protocol.encode_request(FETCH, 11, 1, "test", body)
        # Two at once: the second must wait for the end of the first.
        writer.write((struct.pack(">i", len(frame)) + frame) * 2)
        found = []
        for _ in range(2):
            length = int.from_bytes(await reader.readexactly(4), "big")
            _, answer = protocol.decode_response(FETCH, 11, await reader.readexactly(length))
            found.append(bytes(answer["responses"][0]["partitions"][0]["records"]))
        writer.close()
        await writer.wait_closed()
        assert found[0] == found[1]
        return found[0], expected
    finally:
        await server.stop()


@pytest.mark.parametrize("sendfile", [True, False])
def test_what_is_sent_is_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sendfile: bool
) -> None:
    if not sendfile:
        monkeypatch.setattr(asyncio.BaseEventLoop, "sendfile", no_sendfile)
    found, expected = asyncio.run(asyncio.wait_for(fetch_all(tmp_path), TIMEOUT_S))
    assert found == expected
