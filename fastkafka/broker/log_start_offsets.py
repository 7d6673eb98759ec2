"""Log start offsets that DeleteRecords has set, in Kafka's own file.

`log-start-offset-checkpoint` in a log directory: the version 0, the count of entries, then a line
`topic partition offset` each. An entry is on the disk before its records are gone.
Source: CheckpointFile.java, OffsetCheckpointFile.java; LogManager.LOG_START_OFFSET_CHECKPOINT_FILE
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from fastkafka.broker.data_dir import replace_file

_log = logging.getLogger(__name__)

FILE_NAME = "log-start-offset-checkpoint"
_VERSION = "0"


class LogStartOffsets:
    """The entries of one log directory."""

    def __init__(self, log_dir: Path) -> None:
        """Read the file; one that cannot be understood is as good as none, as in Kafka."""
        self._path = log_dir / FILE_NAME
        self._entries: dict[tuple[str, int], int] = {}
        try:
            version, _, *lines = self._path.read_text("utf-8").splitlines()
            if version != _VERSION:
                raise ValueError(f"version {version}")
            for line in lines:
                topic, index, offset = line.split(" ")
                self._entries[topic, int(index)] = int(offset)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.error("%s cannot be read: %s", self._path, error)

    def get(self, topic: str, index: int) -> int:
        """Return where a log starts at the least."""
        return self._entries.get((topic, index), 0)

    def put(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Keep where logs start, by topic and partition; after an OSError nothing is kept."""
        before = dict(self._entries)
        self._entries.update(offsets)
        self._save_or_restore(before)

    def forget(self, topic: str) -> None:
        """Forget a topic that is deleted or begins anew; raises OSError."""
        before = dict(self._entries)
        self._entries = {key: offset for key, offset in before.items() if key[0] != topic}
        if self._entries != before:
            self._save_or_restore(before)

    def _save_or_restore(self, before: dict[tuple[str, int], int]) -> None:
        lines = [_VERSION, str(len(self._entries))]
        lines += [f"{topic} {index} {offset}" for (topic, index), offset in self._entries.items()]
        try:
            replace_file(self._path, ("\n".join(lines) + "\n").encode(), sync=True)
        except OSError:
            self._entries = before
            raise
