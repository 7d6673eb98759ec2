"""Mutated requests for a living broker, over its sockets, while a bystander is served.

The seeds are the Java client's requests of every API and version that the broker offers, aimed at a
topic and a group that exist, so that mutants get past the first check.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastkafka import protocol
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import UnsupportedVersion
from tests.fuzz.mutants import mutate, twisted, vectors
from tests.integration.broker_client import Client
from tests.unit.broker_batches import build_batch

TARGET = "target"
GROUP = "group"
CONNECTIONS = 8
REQUESTS_PER_CONNECTION = 32
STALL_S = 0.2  # a long poll, a join that waits for others, acks=0: nothing to wait for
BYSTANDER_TIMEOUT_S = 20
TIDY_EVERY = 2000
TWISTED_SHARE = 0.5
WRONG_LENGTHS = (-1, 0, 7, 2**31 - 1, -(2**31))


def offered_versions(client: Client) -> dict[int, range]:
    """Return what the broker says that it speaks."""
    answer = client.ask(protocol.API_BY_NAME["api_versions"].key, 3, {})
    return {
        row["api_key"]: range(row["min_version"], row["max_version"] + 1)
        for row in answer["api_keys"]
    }


def aimed(field: str, value: Any, topic_id: bytes) -> Any:
    """Point a decoded request at what exists, and let nothing wait long."""
    if isinstance(value, dict):
        return {name: aimed(name, inner, topic_id) for name, inner in value.items()}
    if isinstance(value, list):
        return [aimed(field, inner, topic_id) for inner in value]
    if field == "records":
        return bytes(build_batch())
    exact: dict[str, Any] = {
        **dict.fromkeys(("topic", "name", "topic_name", "topics", "topic_names"), TARGET),
        **dict.fromkeys(("group_id", "groups", "groups_names", "key"), GROUP),
        **dict.fromkeys(("partition", "partition_index", "index", "partitions"), 0),
        **dict.fromkeys(("partition_indexes", "max_wait_ms", "timeout_ms", "fetch_offset"), 0),
        "rebalance_timeout_ms": 10,
        "topic_id": topic_id,
        "num_partitions": 1,
        "count": 2,
        "replication_factor": 1,
    }
    found = exact.get(field, value)
    return found if type(found) is type(value) else value


def seed_requests(versions: dict[int, range], topic_id: bytes) -> list[protocol.Request]:
    """Return a good request of every API and version, as it is and aimed at what exists."""
    requests = []
    for api in protocol.API_BY_KEY.values():
        if api.key not in versions:
            continue
        for message, version, header, body in vectors(api.name):
            if not message.endswith("Request") or version not in versions[api.key]:
                continue
            head = struct.pack(">hhi", api.key, version, 7)
            frame = head + b"\0\2me" + bytes(header - 1) + body
            request = protocol.decode_request(frame)
            requests.append(request)
            aimed_at = protocol.Request(
                api.key, version, 7, "me", body=aimed("", request.body, topic_id)
            )
            if encoded(aimed_at, aimed_at.body) is not None:
                requests.append(aimed_at)
    return requests


def encoded(request: protocol.Request, body: Any) -> bytes | None:
    """Return a request with another body, None when its version cannot say that."""
    key, version, correlation_id = request.api_key, request.api_version, request.correlation_id
    try:
        return protocol.encode_request(key, version, correlation_id, request.client_id, body)
    except (ValueError, UnsupportedVersion):
        return None


def resident_bytes(process_id: int) -> int:
    pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class BrokerFuzz:
    """Sends mutants until so many were answered, refused or left waiting."""

    def __init__(self, broker: EmbeddedBroker, seed: int) -> None:
        self._choice = random.Random(seed)
        self._broker = broker
        self._bystander = Client(broker)
        self._bystander.socket.settimeout(BYSTANDER_TIMEOUT_S)
        self._versions = offered_versions(self._bystander)
        self._bystander.create_topic(TARGET)
        self._bystander.create_topic("bystander")
        self._end_offset = 0
        self._seeds = seed_requests(self._versions, self._topic_ids()[TARGET])
        self._last_tidied = 0
        self.sent = 0
        self.hung_up = 0
        self.stalled = 0
        self.peak_bytes = 0
        self.slowest_s = 0.0

    def __enter__(self) -> BrokerFuzz:
        return self

    def __exit__(self, *_: object) -> None:
        self._bystander.__exit__()

    def run(self, count: int, on_progress: Callable[[], None] | None = None) -> None:
        """Send `count` mutants; raises when the bystander is disturbed."""
        while self.sent < count:
            asyncio.run(self._send_round(min(TIDY_EVERY, count - self.sent)))
            self._ask_as_bystander()
            self._tidy()
            if on_progress is not None:
                on_progress()

    async def _send_round(self, count: int) -> None:
        left = [self._mutant() for _ in range(count)]

        async def work() -> None:
            while left:
                batch = [left.pop() for _ in range(min(REQUESTS_PER_CONNECTION, len(left)))]
                while batch:
                    served = await self._send(batch)
                    self.sent += served
                    batch = batch[served:]

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    def _mutant(self) -> bytes:
        request = self._choice.choice(self._seeds)
        frame = None
        if self._choice.random() < TWISTED_SHARE:
            frame = encoded(request, twisted(self._choice, request.body))
        if frame is None:
            frame = mutate(self._choice, encoded(request, request.body) or b"")
        if self._choice.random() < 0.005:
            return struct.pack(">i", self._choice.choice(WRONG_LENGTHS)) + frame
        return struct.pack(">i", len(frame)) + frame

    async def _send(self, batch: list[bytes]) -> int:
        """Send a batch over a new connection; return how many of it have had their chance."""
        host, _, port = self._broker.bootstrap_servers.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        answered = 0
        try:
            writer.write(b"".join(batch))
            while answered < len(batch):
                length = await asyncio.wait_for(reader.readexactly(4), STALL_S)
                await asyncio.wait_for(reader.readexactly(int.from_bytes(length, "big")), 10)
                answered += 1
        except (asyncio.TimeoutError, TimeoutError):
            self.stalled += 1
            answered += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up += 1
            answered += 1
        finally:
            writer.transport.abort()
        return answered

    # ---- what must not be disturbed

    def _ask_as_bystander(self) -> None:
        began = time.monotonic()
        row = self._bystander.produce("bystander", build_batch([b"one"]))
        assert (row["error_code"], row["base_offset"]) == (0, self._end_offset)
        self._end_offset += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        assert self._broker.is_running
        self.peak_bytes = max(self.peak_bytes, resident_bytes(self._broker.process_id))

    def _topic_ids(self) -> dict[str, bytes]:
        answer = self._bystander.ask(protocol.API_BY_NAME["metadata"].key, 12, {"topics": None})
        return {row["name"]: bytes(row["topic_id"]) for row in answer["topics"]}

    def _tidy(self) -> None:
        """Remove the topics that mutants have made, and make the target again if it is gone."""
        made = [name for name in self._topic_ids() if name not in (TARGET, "bystander")]
        delete = protocol.API_BY_NAME["delete_topics"].key
        names = [name for name in made if not name.startswith("__")]
        self._bystander.ask(delete, 5, {"topic_names": names, "timeout_ms": 10_000})
        before = self._topic_ids().get(TARGET)
        self._bystander.create_topic(TARGET)
        after = self._topic_ids()[TARGET]
        if before != after:
            self._seeds = seed_requests(self._versions, after)
