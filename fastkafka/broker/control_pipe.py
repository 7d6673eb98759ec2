"""The pipe between an EmbeddedBroker and its process: faults come in, and the end of the parent.

The parent writes one JSON object per line to the broker's standard input and reads one line of
answer from its standard output. When the parent goes away, however it ends, the pipe is closed by
the kernel and the broker stops: no broker outlives its test run.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from fastkafka.broker.faults import Fault, Faults
from fastkafka.errors import KafkaException


class ControlPipe(asyncio.Protocol):
    """Reads commands from standard input: {"add": {...}}, {"remove": id} and {"clear": true}."""

    def __init__(self, faults: Faults, parent_is_gone: Callable[[], None]) -> None:
        self._faults = faults
        self._parent_is_gone = parent_is_gone
        self._transport: asyncio.BaseTransport | None = None
        self._received = b""

    @classmethod
    async def open(cls, faults: Faults, parent_is_gone: Callable[[], None]) -> ControlPipe:
        """Begin to read standard input."""
        loop = asyncio.get_running_loop()
        _, pipe = await loop.connect_read_pipe(lambda: cls(faults, parent_is_gone), sys.stdin)
        return pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to close it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Carry out the commands that are complete."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            print(json.dumps(self._carry_out(line)), flush=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the broker."""
        self._parent_is_gone()

    def _carry_out(self, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)
            if "add" in command:
                return {"id": self._faults.add(Fault.from_mapping(command["add"]))}
            if "remove" in command:
                self._faults.remove(int(command["remove"]))
            if "clear" in command:
                self._faults.clear()
            return {"id": 0}
        except KafkaException as error:
            return {"error": error.error.str()}
        except (ValueError, TypeError) as error:
            return {"error": str(error)}

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()
