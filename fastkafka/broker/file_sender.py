"""Bytes of log files to one socket, past asyncio's transport: sendfile until all of it is gone.

asyncio's own `loop.sendfile` wakes a task and registers the socket again for each piece that the
socket takes, which costs about as much as the piece; here the piece is sent in the very callback
that says that the socket has room.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from fastkafka.broker.log_segment import FileRegion

# What sendfile says of a file system that does not have it.
_NOT_SUPPORTED = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP))


class NoSendfileError(Exception):
    """The file system of the log has no sendfile; nothing was sent."""


class FileSender:
    """Sends regions one after the other; the transport's own buffer must be empty meanwhile.

    Thread: that of the event loop. The socket is a duplicate, since asyncio lets nobody but the
    transport watch the original.
    """

    def __init__(self, connection_socket: socket.socket) -> None:
        self._socket = connection_socket.dup()
        self._loop = asyncio.get_running_loop()
        self._sent: asyncio.Future[None] | None = None

    async def send(self, region: FileRegion) -> int:
        """Send a region; return how many bytes of it the file had.

        Raises: NoSendfileError before anything was sent; OSError when the client has left
        """
        self._region = region
        self._position = region.position
        if self._send_some():
            return self._position - region.position
        self._sent = self._loop.create_future()
        self._loop.add_writer(self._socket, self._on_writable)
        try:
            await self._sent
        finally:
            self._stop_watching()
        return self._position - region.position

    def close(self) -> None:
        """Close the duplicate; a region that is being sent has been given up before."""
        self._stop_watching()
        self._socket.close()

    def _stop_watching(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)

    def _send_some(self) -> bool:
        """Send what the socket takes; say whether the region, or its file, is at its end."""
        end = self._region.position + self._region.length
        while self._position < end:
            try:
                sent = os.sendfile(
                    self._socket.fileno(),
                    self._region.file.fileno(),
                    self._position,
                    end - self._position,
                )
            except BlockingIOError:
                return False
            except OSError as problem:
                if problem.errno in _NOT_SUPPORTED and self._position == self._region.position:
                    raise NoSendfileError from problem
                raise
            if sent == 0:
                break
            self._position += sent
        return True

    def _on_writable(self) -> None:
        if self._sent is None or self._sent.done():
            return
        try:
            if self._send_some():
                self._sent.set_result(None)
        except (OSError, NoSendfileError) as problem:
            self._sent.set_exception(problem)
