"""One client's connection: frames in, answers out, one request at a time and in order.

Bytes are received into one buffer, and a request is read where it lies, so a batch is copied once,
from the socket, before it is written to its log. The buffer grows with what has arrived, never with
what a length field promises; while an answer is under way or the client does not read its replies,
no further request is begun, and once the buffer is full nothing more is received.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from fastkafka.broker.answers import HangUp, Parts
from fastkafka.broker.dispatcher import Dispatcher, LaterReply
from fastkafka.broker.file_sender import FileSender, NoSendfileError
from fastkafka.broker.log_segment import FileRegion
from fastkafka.broker.nodes import Node
from fastkafka.broker.request import Client
from fastkafka.broker.tls import certificate_principal

_log = logging.getLogger(__name__)

_LENGTH_BYTES = 4
_PEEK_BYTES = 6  # the length and the api key
_REQUEST_HEADER_BYTES_MIN = 8
_PRODUCE_KEY = 0
_RECEIVE_BYTES = 64 * 1024
_RECEIVE_BYTES_KEPT_MAX = 4 * 1024 * 1024
# What becomes Python objects is bounded by its elements too (request_reader.py); only Produce,
# which is mostly records, has a reason to be larger.
CONTROL_REQUEST_BYTES_MAX = 16 * 1024 * 1024
AUTHENTICATION_BYTES_MAX = 524_288  # sasl.server.max.receive.size
# Below this a read into memory is cheaper than the system calls and loop steps of sendfile.
_SENDFILE_BYTES_MIN = 128 * 1024
_COPY_BYTES = 256 * 1024
# What the system would let grow to megabytes leaves the cache before a local client has read it:
# fetches are a fifth slower then. Kafka's socket.send.buffer.bytes is smaller yet.
_SEND_BUFFER_BYTES = 300_000
# Replies collected before they are written: past it the transport says whether the client reads.
_REPLY_BYTES_COLLECTED_MAX = 64 * 1024


class Connection(asyncio.BufferedProtocol):
    """Serves one socket; everything runs on the event loop."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        node: Node,
        request_bytes_max: int,
        connections: set[Connection],
    ) -> None:
        self._dispatcher = dispatcher
        self._client = Client(node)
        self._request_bytes_max = request_bytes_max
        self._connections = connections
        self._transport: asyncio.Transport
        self._peer = "?"
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._start = 0  # of what is not yet served
        self._end = 0  # of what was received
        self._replies = bytearray()  # of the requests served in this turn of the loop
        self._task: asyncio.Task[None] | None = None
        self._file_sender: FileSender | None = None
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: no Nagle, since replies are small and clients wait for them."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._peer = f"{peer[0]}:{peer[1]}"
            self._client.host, self._client.port = peer[:2]
        connection_socket = transport.get_extra_info("socket")
        connection_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        certificate = transport.get_extra_info("peercert")
        if certificate:
            self._client.principal = certificate_principal(certificate)
        self._connections.add(self)
        if not self._client.node.is_alive:
            # Accepted in the very turn of the loop in which the node was killed.
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: a long poll of this client is of no use any more."""
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._file_sender is not None:
            self._file_sender.close()

    def pause_writing(self) -> None:
        """Note that the client does not keep up with its replies."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on with the reply that is being sent, or with the requests that wait."""
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._serve_frames()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go; there is always room, or reading would be paused."""
        if not self._is_busy():
            self._make_room()
        return memoryview(self._buffer)[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Serve the requests that are complete now."""
        self._end += nbytes
        self._serve_frames()

    def eof_received(self) -> bool:
        """Close: a client that has no more requests has no use for replies."""
        return False

    # ---- receiving

    def _is_busy(self) -> bool:
        return self._task is not None or self._write_paused

    def _make_room(self) -> None:
        """Make sure that the request at `_start` fits from there, as far as it may grow now."""
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._buffer) > _RECEIVE_BYTES_KEPT_MAX:
                self._buffer = bytearray(_RECEIVE_BYTES)
        received = self._end - self._start
        needed = _LENGTH_BYTES + self._announced_length() if received >= _LENGTH_BYTES else 0
        if self._start + needed <= len(self._buffer) and self._end < len(self._buffer):
            return
        capacity = max(len(self._buffer), min(needed, 2 * received + _RECEIVE_BYTES))
        if capacity == len(self._buffer):
            self._buffer[:received] = self._buffer[self._start : self._end]
        else:
            grown = bytearray(capacity)
            grown[:received] = memoryview(self._buffer)[self._start : self._end]
            self._buffer = grown
        self._start, self._end = 0, received

    def _announced_length(self) -> int:
        start = self._start
        return int.from_bytes(self._buffer[start : start + _LENGTH_BYTES], "big", signed=True)

    def _take_frame(self) -> memoryview | None:
        """Return the next request without its length, None while it is not complete.

        Raises: HangUp when the length cannot be that of a request
        """
        received = self._end - self._start
        if received < _LENGTH_BYTES:
            return None
        length = self._announced_length()
        bytes_min = 0 if self._client.sends_bare_tokens else _REQUEST_HEADER_BYTES_MIN
        if not bytes_min <= length <= self._request_bytes_max:
            raise HangUp(self._describe_bad_length(length))
        if length > AUTHENTICATION_BYTES_MAX and self._dispatcher.has_to_authenticate(self._client):
            raise HangUp(f"a frame of {length} bytes before the client said who it is")
        if length > CONTROL_REQUEST_BYTES_MAX and received >= _PEEK_BYTES:
            start = self._start + _LENGTH_BYTES
            api_key = int.from_bytes(self._buffer[start : start + 2], "big")
            if api_key != _PRODUCE_KEY:
                raise HangUp(
                    f"a request of {length} bytes with api key {api_key}, "
                    f"{CONTROL_REQUEST_BYTES_MAX} at most"
                )
        frame_end = self._start + _LENGTH_BYTES + length
        if frame_end > self._end:
            return None
        frame = memoryview(self._buffer)[self._start + _LENGTH_BYTES : frame_end]
        self._start = frame_end
        return frame

    def _describe_bad_length(self, length: int) -> str:
        first = bytes(self._buffer[self._start : self._start + _LENGTH_BYTES])
        text = f"a frame of {length} bytes, {self._request_bytes_max} at most"
        if first[:1] == b"\x16":
            return f"{text}: the client speaks TLS, this listener does not"
        if first.isalpha() or first == b"GET ":
            return f"{text}: the client speaks HTTP, not Kafka"
        return text

    # ---- serving

    def _serve_frames(self) -> None:
        """Serve complete requests until one has to wait."""
        try:
            while not self._is_busy() and not self._transport.is_closing():
                if self._client.is_refused:
                    raise HangUp("authentication failed")
                frame = self._take_frame()
                if frame is None:
                    break
                self._serve(frame)
            self._write_replies()
        except HangUp as hang_up:
            self._write_replies()
            self._hang_up(hang_up)
        self._pause_or_resume_reading()

    def _serve(self, frame: memoryview) -> None:
        answer = self._dispatcher.answer(frame, self._client)
        if callable(answer):
            self._task = asyncio.get_running_loop().create_task(self._finish(answer))
        elif answer is not None:
            if any(isinstance(part, FileRegion) for part in answer.parts):
                self._task = asyncio.get_running_loop().create_task(self._send(answer))
            else:
                self._collect(answer)
        if self._task is not None:
            self._write_replies()
            self._task.add_done_callback(self._finished)

    async def _finish(self, later: LaterReply) -> None:
        reply = await later()
        if reply is None:
            return
        for _ in range(reply.copies):
            await self._send(reply)
        if reply.mute_ms:
            await asyncio.sleep(reply.mute_ms / 1000)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, HangUp):
            self._hang_up(error)
        elif error is not None:
            # The client went away while its answer was being sent, or a log file shrank.
            _log.info("%s: connection closed: %r", self._peer, error)
            self._transport.abort()
        elif not task.cancelled():
            self._serve_frames()

    def _pause_or_resume_reading(self) -> None:
        """Receive unless the buffer is full of what cannot be served yet."""
        if self._transport.is_closing():
            return
        should_pause = self._is_busy() and self._end == len(self._buffer)
        if should_pause and not self._read_paused:
            self._transport.pause_reading()
        elif self._read_paused and not should_pause:
            self._transport.resume_reading()
        self._read_paused = should_pause

    # ---- sending

    def _collect(self, reply: Parts) -> None:
        """Keep a reply until the requests at hand are served: one system call sends many."""
        self._replies += reply.length.to_bytes(_LENGTH_BYTES, "big")
        for part in reply.parts:
            self._replies += cast(bytes, part)
        if len(self._replies) >= _REPLY_BYTES_COLLECTED_MAX:
            self._write_replies()

    def _write_replies(self) -> None:
        if self._replies:
            self._transport.write(bytes(self._replies))
            self._replies.clear()

    async def _send(self, reply: Parts) -> None:
        """Send a reply whose records come from log files."""
        pending: list[bytes] = [reply.length.to_bytes(_LENGTH_BYTES, "big")]
        for part in reply.parts:
            if isinstance(part, bytes):
                pending.append(part)
            elif part.length < _SENDFILE_BYTES_MIN:
                pending.append(_read_whole(part))
            else:
                self._transport.write(b"".join(pending))
                pending = []
                await self._send_file(part)
        if pending:
            self._transport.write(b"".join(pending))

    async def _send_file(self, region: FileRegion) -> None:
        if self._transport.get_extra_info("ssl_object") is not None:
            await self._send_copied(region)
            return
        await self._empty_transport()
        if self._file_sender is None:
            self._file_sender = FileSender(self._transport.get_extra_info("socket"))
        try:
            sent = await self._file_sender.send(region)
        except NoSendfileError:
            await self._send_copied(region)
            return
        if sent != region.length:
            raise HangUp("a log file is shorter than its index says")

    async def _empty_transport(self) -> None:
        """Wait until the socket has taken all that the transport keeps: a file goes past it."""
        self._transport.set_write_buffer_limits(high=0)  # tells at once whether there is something
        if self._write_paused:
            await self._wait_until_writable()
        self._transport.set_write_buffer_limits()

    async def _wait_until_writable(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        await self._writable

    async def _send_copied(self, region: FileRegion) -> None:
        """Send a region through memory, a piece at a time, as fast as the client reads."""
        for position in range(region.position, region.position + region.length, _COPY_BYTES):
            length = min(_COPY_BYTES, region.position + region.length - position)
            if self._transport.is_closing():
                raise ConnectionResetError("the client has left")
            self._transport.write(_read_whole(region._replace(position=position, length=length)))
            if self._write_paused:
                await self._wait_until_writable()

    # ---- the end

    def _hang_up(self, why: HangUp) -> None:
        _log.warning("%s: connection closed: %s", self._peer, why)
        self._transport.close()

    def close(self) -> None:
        """Close the connection; what was written to the transport still goes out."""
        if self._task is not None:
            self._task.cancel()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection and send nothing more."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()


def _read_whole(region: FileRegion) -> bytes:
    content = region.read()
    if len(content) != region.length:
        raise HangUp("a log file is shorter than its index says")
    return content
