"""The data directory: one broker at a time, and small files that are replaced as a whole."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from fastkafka.broker.start_errors import DataDirLocked, DataDirUnusable

LOCK_FILE_NAME = ".lock"  # LogManager.LOCK_FILE_NAME


class DataDir:
    """An existing, writable directory that this process has locked."""

    def __init__(self, path: Path) -> None:
        """Make the directory if need be and lock it.

        Raises: DataDirUnusable, DataDirLocked
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(
                path / LOCK_FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            raise DataDirUnusable(
                f"the data directory {path} cannot be used: {error.strerror}",
                hint="Name a directory that this user may write to.",
            ) from error
        try:
            # The kernel drops the lock with the process, so that kill -9 leaves nothing behind.
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise DataDirUnusable(
                    f"the data directory {path} cannot be locked: {error.strerror}"
                ) from error
            raise DataDirLocked(
                f"another broker uses the data directory {path}",
                hint="Stop it, or name another directory.",
            ) from error

    def close(self) -> None:
        """Give the lock back."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def replace_file(path: Path, content: bytes, sync: bool) -> None:
    """Give the file a new content at once: a reader, or a start after a crash, sees old or new.

    With `sync` the new content has reached the disk when this returns.
    """
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if sync:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names that were added to or removed from `folder` to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
