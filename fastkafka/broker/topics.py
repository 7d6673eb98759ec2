"""Topics of the broker and where they are kept.

`catalogue.json` in the data directory is the truth about which topics exist; it is replaced as a
whole. A topic is in it before its folders are made, and out of it before they go: a folder that
the catalogue does not know is what a crash left of a deletion, and is set aside as `...-stray`, as
Kafka does with folders that its metadata does not know.
"""

from __future__ import annotations

import base64
import errno
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from fastkafka.broker.catalogue import Catalogue, TopicRow, new_uuid, uuid_text
from fastkafka.broker.partition_log import AppendedBatch, LogConfig, PartitionLog
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import PARTITIONS_PER_TOPIC_MAX, BrokerSettings
from fastkafka.broker.start_errors import DataDirUnusable
from fastkafka.broker.topic_config import log_config
from fastkafka.broker.waiters import AppendWaiters
from fastkafka.errors import KafkaError

_log = logging.getLogger(__name__)

TOPIC_NAME_CHARACTERS_MAX = 249  # Topic.MAX_NAME_LENGTH
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_PARTITION_FOLDER = re.compile(r"(.+)-(\d+)")
_METADATA_FILE_NAME = "partition.metadata"  # PartitionMetadataFile.java
NO_TOPIC_ID = bytes(16)


class Partition:
    """One partition: its log, and the fetches that wait for it."""

    def __init__(self, topic_name: str, index: int, log: PartitionLog) -> None:
        self.topic_name = topic_name
        self.index = index
        self.log = log
        self.waiters = AppendWaiters()

    def append(self, batch: memoryview) -> AppendedBatch:
        """Append a produced batch and wake the fetches that wait for it; raises Refusal."""
        appended = self.log.append(batch)
        if not appended.duplicate:
            self.waiters.appended(len(batch))
        return appended

    def append_marker(
        self, producer_id: int, producer_epoch: int, commit: bool, coordinator_epoch: int
    ) -> int:
        """End a transaction, wake the fetches, return the marker's offset; raises Refusal."""
        offset = self.log.append_marker(producer_id, producer_epoch, commit, coordinator_epoch)
        # The last stable offset may have moved far more than the bytes of a marker.
        self.waiters.wake_all()
        return offset

    def check_leader_epoch(self, current_leader_epoch: int) -> None:
        """Refuse a client whose picture of the leader is older or newer than ours (KIP-320)."""
        leader_epoch = self.log.leader_epoch
        if current_leader_epoch < 0 or current_leader_epoch == leader_epoch:
            return
        where = f"{self.topic_name}-{self.index} has leader epoch {leader_epoch}"
        if current_leader_epoch < leader_epoch:
            raise Refusal(KafkaError.FENCED_LEADER_EPOCH, f"{where}, not {current_leader_epoch}")
        raise Refusal(KafkaError.UNKNOWN_LEADER_EPOCH, f"{where}, not {current_leader_epoch} yet")


class Topic:
    """A topic: its id, its configuration and its partitions."""

    def __init__(self, name: str, topic_id: bytes, config: Mapping[str, str]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.config = dict(config)
        self.partitions: list[Partition] = []

    def partition(self, index: int) -> Partition:
        """Return a partition; raises Refusal UNKNOWN_TOPIC_OR_PARTITION."""
        if 0 <= index < len(self.partitions):
            return self.partitions[index]
        raise Refusal(
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            f"topic {self.name} has {len(self.partitions)} partitions, no partition {index}",
        )


class Topics:
    """All topics, by name and by id."""

    def __init__(self, settings: BrokerSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(sorted(self._by_name.values(), key=lambda topic: topic.name))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def by_name(self, name: str) -> Topic:
        """Return a topic; raises Refusal UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self._by_name.get(name)
        if topic is None:
            raise Refusal(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {name!r}")
        return topic

    def by_id(self, topic_id: bytes) -> Topic:
        """Return a topic; raises Refusal UNKNOWN_TOPIC_ID."""
        topic = self._by_id.get(bytes(topic_id))
        if topic is None:
            raise Refusal(
                KafkaError.UNKNOWN_TOPIC_ID,
                f"there is no topic with id {uuid_text(topic_id)}",
            )
        return topic

    # ---- life

    def load(self) -> None:
        """Open every topic of the catalogue; each leader epoch rises by one, as on any restart.

        Raises: DataDirUnusable when a log cannot be opened
        """
        rows = self._catalogue.topics
        doing = f"the folders of {self._settings.data_dir} cannot be read"
        try:
            self._set_strays_aside(rows)
            for row in rows.values():
                row.leader_epochs = [leader_epoch + 1 for leader_epoch in row.leader_epochs]
            if rows:
                self._catalogue.save(self._syncs)
            for row in rows.values():
                doing = f"the log of topic {row.name} cannot be opened"
                self._open(row)
        except OSError as error:
            raise DataDirUnusable(f"{doing}: {error}") from error

    def create(self, name: str, partition_count: int, config: Mapping[str, str]) -> Topic:
        """Create a topic that `check_new` has let through.

        Raises: Refusal KAFKA_STORAGE_ERROR
        """
        row = TopicRow(name, new_uuid(), dict(config), [0] * partition_count)
        self._catalogue.topics[name] = row
        try:
            self._make_room(row)
            self._catalogue.save(self._syncs)
            return self._open(row)
        except OSError as error:
            self._forget(name)
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR, f"topic {name} could not be created: {error}"
            ) from error

    def check_new(self, name: str, partition_count: int) -> None:
        """Raise the Refusal that creating this topic would end in."""
        if not _TOPIC_NAME.fullmatch(name) or name in (".", ".."):
            raise Refusal(
                KafkaError.TOPIC_EXCEPTION,
                f"topic name {name!r} is not letters, digits, '.', '_' and '-' only",
            )
        if len(name) > TOPIC_NAME_CHARACTERS_MAX:
            raise Refusal(
                KafkaError.TOPIC_EXCEPTION,
                f"topic name of {len(name)} characters, {TOPIC_NAME_CHARACTERS_MAX} at most",
            )
        if name in self._by_name:
            raise Refusal(KafkaError.TOPIC_ALREADY_EXISTS, f"topic {name!r} exists already")
        if not 1 <= partition_count <= PARTITIONS_PER_TOPIC_MAX:
            raise Refusal(
                KafkaError.INVALID_PARTITIONS,
                f"{partition_count} partitions, 1 to {PARTITIONS_PER_TOPIC_MAX} are possible",
            )

    def delete(self, topic: Topic) -> None:
        """Delete a topic and its records; a topic of the same name gets another id later.

        Raises: Refusal KAFKA_STORAGE_ERROR; the topic is still there then
        """
        row = self._catalogue.topics.pop(topic.name)
        try:
            self._catalogue.save(self._syncs)
        except OSError as error:
            self._catalogue.topics[topic.name] = row
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR, f"topic {topic.name} could not be deleted: {error}"
            ) from error
        del self._by_name[topic.name]
        del self._by_id[topic.topic_id]
        for partition in topic.partitions:
            partition.waiters.wake_all()
            self._remove_folder(partition.log)

    def close(self) -> None:
        """Close all logs."""
        for topic in self._by_name.values():
            for partition in topic.partitions:
                partition.waiters.wake_all()
                partition.log.close()

    # ---- folders

    @property
    def _syncs(self) -> bool:
        return self._settings.fsync == "always"

    def _folder(self, name: str, index: int) -> Path:
        return self._settings.data_dir / f"{name}-{index}"

    def _open(self, row: TopicRow) -> Topic:
        topic = Topic(row.name, row.topic_id, row.config)
        config: LogConfig = log_config(self._settings, row.config)
        for index, leader_epoch in enumerate(row.leader_epochs):
            folder = self._folder(row.name, index)
            folder.mkdir(exist_ok=True)
            if not (folder / _METADATA_FILE_NAME).exists():
                _write_metadata(folder, row.topic_id)
            log = PartitionLog(folder, config)
            log.begin_leader_epoch(leader_epoch)
            topic.partitions.append(Partition(row.name, index, log))
        self._by_name[row.name] = topic
        self._by_id[row.topic_id] = topic
        return topic

    def _forget(self, name: str) -> None:
        """Undo a creation that failed half way."""
        self._catalogue.topics.pop(name, None)
        try:
            self._catalogue.save(self._syncs)
        except OSError as error:
            _log.error("topic %s was not created, but may be there after a start: %s", name, error)

    def _make_room(self, row: TopicRow) -> None:
        """Set aside folders that a topic of the same name has left behind."""
        for index in range(len(row.leader_epochs)):
            folder = self._folder(row.name, index)
            if not folder.exists():
                continue
            if _read_metadata(folder) is None and any(folder.iterdir()):
                raise OSError(errno.EEXIST, "not a folder of this broker", str(folder))
            _set_aside(folder)

    def _remove_folder(self, log: PartitionLog) -> None:
        log.forget_files()
        doomed = _renamed(log.folder, "delete")
        try:
            os.rename(log.folder, doomed)
            _remove_tree(doomed)
        except OSError as error:
            _log.warning("%s could not be removed: %s", log.folder, error)

    def _set_strays_aside(self, rows: Mapping[str, TopicRow]) -> None:
        for folder in sorted(self._settings.data_dir.glob(f"*/{_METADATA_FILE_NAME}")):
            folder = folder.parent
            match = _PARTITION_FOLDER.fullmatch(folder.name)
            if folder.name.endswith("-delete"):
                _remove_tree(folder)
            elif match and not _belongs(folder, rows.get(match[1]), int(match[2])):
                _set_aside(folder)


def _renamed(folder: Path, why: str) -> Path:
    """Return a name for a folder that no topic can have, within the length that names may have."""
    return folder.with_name(f"{folder.name[:200]}.{new_uuid().hex()}-{why}")


def _set_aside(folder: Path) -> None:
    stray = _renamed(folder, "stray")
    _log.warning("no topic owns %s, it is set aside as %s", folder, stray.name)
    os.rename(folder, stray)


def _remove_tree(folder: Path) -> None:
    """Remove a folder of ours; it holds files only."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _belongs(folder: Path, row: TopicRow | None, index: int) -> bool:
    """Whether a folder holds a partition of the topic that has its name now."""
    if row is None or index >= len(row.leader_epochs):
        return False
    topic_id = _read_metadata(folder)
    return topic_id is None or topic_id == row.topic_id


def _write_metadata(folder: Path, topic_id: bytes) -> None:
    """Leave the topic id beside the log, in Kafka's own file, for other tools and for start."""
    text = f"version: 0\ntopic_id: {uuid_text(topic_id)}\n"
    (folder / _METADATA_FILE_NAME).write_text(text, "ascii")


def _read_metadata(folder: Path) -> bytes | None:
    try:
        text = (folder / _METADATA_FILE_NAME).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(r"^topic_id: (\S+)$", text, re.MULTILINE)
    try:
        return base64.urlsafe_b64decode(match[1] + "==") if match else None
    except ValueError:
        return None
