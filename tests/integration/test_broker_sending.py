"""Large fetch responses on their way out: from the file, through memory, to a client that left."""

from __future__ import annotations

import asyncio
import errno
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


def no_sendfile(*_: object) -> int:
    raise OSError(errno.EINVAL, "planted")


async def start_filled(data_dir: Path) -> tuple[BrokerServer, bytes]:
    """Start a broker on this loop with a topic "logs"; return it and what the topic holds."""
    server = BrokerServer(BrokerSettings(data_dir, port=0))
    await server.start()
    partition = server.broker.topics.create("logs", 1, {}).partition(0)
    batch = build_batch([os.urandom(500_000)])
    for _ in range(BATCH_COUNT):
        partition.append(batch)
    return server, b"".join(placed(batch, offset) for offset in range(BATCH_COUNT))


async def ask_for_all(
    server: BrokerServer, times: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send the same Fetch several times at once."""
    host, _, port = server.bootstrap_servers.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    asked = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 2**30}
    body = {"max_wait_ms": 0, "topics": [{"topic": "logs", "partitions": [asked]}]}
    frame = protocol.encode_request(FETCH, 11, 1, "test", body)
    writer.write((struct.pack(">i", len(frame)) + frame) * times)
    return reader, writer


async def fetch_all(data_dir: Path) -> tuple[bytes, bytes]:
    """Fetch a topic over a socket; return what came and what should have come."""
    server, expected = await start_filled(data_dir)
    try:
        # Two at once: the second must wait for the end of the first.
        reader, writer = await ask_for_all(server, 2)
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
        monkeypatch.setattr(os, "sendfile", no_sendfile)
    found, expected = asyncio.run(asyncio.wait_for(fetch_all(tmp_path), TIMEOUT_S))
    assert found == expected


def descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))


async def leave_within_a_reply(data_dir: Path) -> None:
    """Leave while a file is being sent; return when no descriptor is left of it."""
    server, _ = await start_filled(data_dir)
    try:
        before = descriptor_count()
        reader, writer = await ask_for_all(server, 1)
        await reader.readexactly(1000)
        assert descriptor_count() > before
        writer.transport.abort()
        while descriptor_count() != before:
            await asyncio.sleep(0.001)
    finally:
        await server.stop()


def test_a_client_that_leaves_within_a_reply_leaves_no_descriptor(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(leave_within_a_reply(tmp_path), TIMEOUT_S))
