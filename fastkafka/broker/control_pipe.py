"""The pipe between an EmbeddedBroker and its process: faults come in, and the end of the parent.

The parent writes one fault command (fault_commands.py) as a JSON object per line to the broker's
standard input and reads one line of answer from its standard output. When the parent goes away,
however it ends, the pipe is closed by the kernel and the broker stops: no broker outlives its test
run.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from fastkafka.broker.fault_commands import FaultCommands
from fastkafka.errors import KafkaException


class ControlPipe(asyncio.Protocol):
    """Reads commands from standard input; the next one is begun when the last is answered."""

    def __init__(self, commands: FaultCommands, parent_is_gone: Callable[[], None]) -> None:
        self._commands = commands
        self._parent_is_gone = parent_is_gone
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._received = b""

    @classmethod
    async def open(cls, commands: FaultCommands, parent_is_gone: Callable[[], None]) -> ControlPipe:
        """Begin to read standard input."""
        loop = asyncio.get_running_loop()
        _, pipe = await loop.connect_read_pipe(lambda: cls(commands, parent_is_gone), sys.stdin)
        pipe._reader = loop.create_task(pipe._answer_lines())
        return pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to close it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the commands that are complete."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the broker."""
        self._parent_is_gone()

    async def _answer_lines(self) -> None:
        while True:
            answer = await self._carry_out(await self._lines.get())
            print(json.dumps(answer), flush=True)

    async def _carry_out(self, line: bytes) -> dict[str, Any]:
        try:
            return {"result": await self._commands.carry_out(json.loads(line))}
        except KafkaException as error:
            return {"error": error.error.str()}
        except (ValueError, TypeError) as error:
            return {"error": str(error)}

    def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.cancel()
        if self._transport is not None:
            self._transport.close()
