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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fastkafka.broker.catalogue import Catalogue, TopicRow, new_uuid, uuid_text
from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.log_start_offsets import LogStartOffsets
from fastkafka.broker.nodes import Node, Nodes
from fastkafka.broker.partition_log import AppendedBatch, PartitionLog
from fastkafka.broker.refusal import NotLeader, Refusal
from fastkafka.broker.request import Request
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
INTERNAL_TOPICS = ("__consumer_offsets", "__transaction_state")


class Partition:
    """One partition: its log, its leader and replicas, and the fetches that wait for it."""

    def __init__(
        self,
        topic_name: str,
        index: int,
        log: PartitionLog,
        replica_ids: list[int],
        leader_id: int,
    ) -> None:
        self.topic_name = topic_name
        self.index = index
        self.log = log
        self.replica_ids = replica_ids
        self.leader_id = leader_id
        self.waiters = AppendWaiters()

    def append(self, batch: memoryview) -> AppendedBatch:
        """Append a produced batch and wake the fetches that wait for it; raises Refusal."""
        appended = self.log.append(batch)
        if not appended.duplicate:
            self.waiters.appended(len(batch))
        return appended

    def append_from_coordinator(self, batch: bytes) -> None:
        """Append what a coordinator has built and wake the fetches that wait; raises Refusal."""
        self.log.append_from_coordinator(batch)
        self.waiters.appended(len(batch))

    def append_marker(
        self, producer_id: int, producer_epoch: int, commit: bool, coordinator_epoch: int
    ) -> int:
        """End a transaction, wake the fetches, return the marker's offset; raises Refusal."""
        offset = self.log.append_marker(producer_id, producer_epoch, commit, coordinator_epoch)
        # The last stable offset may have moved far more than the bytes of a marker.
        self.waiters.wake_all()
        return offset

    def check_request(self, request: Request, current_leader_epoch: int = -1) -> None:
        """Refuse what a fault wants refused, and a client that asks the wrong node.

        Raises: Refusal, as check_leader and as the fault says
        """
        error_code = request.topic_errors.get(self.topic_name)
        if error_code is not None:
            raise Refusal(error_code, f"fault: {self.topic_name} is refused")
        self.check_leader(request.node, current_leader_epoch)

    def check_leader(self, node: Node, current_leader_epoch: int = -1) -> None:
        """Refuse a client that asks the wrong node, or whose picture of the leader is not ours.

        Raises: NotLeader NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH; Refusal UNKNOWN_LEADER_EPOCH
        Source: KIP-320, KIP-951; Partition.localLogWithEpochOrThrow looks at the epoch first
        """
        leader_epoch = self.log.leader_epoch
        where = f"{self.topic_name}-{self.index} has leader epoch {leader_epoch}"
        if current_leader_epoch > leader_epoch:
            raise Refusal(
                KafkaError.UNKNOWN_LEADER_EPOCH, f"{where}, not {current_leader_epoch} yet"
            )
        if 0 <= current_leader_epoch < leader_epoch:
            code, reason = KafkaError.FENCED_LEADER_EPOCH, f"{where}, not {current_leader_epoch}"
        elif node.node_id != self.leader_id:
            code = KafkaError.NOT_LEADER_FOR_PARTITION
            reason = f"{where} and leader {self.leader_id}, not {node.node_id}"
        else:
            return
        raise NotLeader(code, reason, self.leader_id, leader_epoch)


class Topic:
    """A topic: its id, its configuration and its partitions."""

    def __init__(self, name: str, topic_id: bytes, config: Mapping[str, str]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.config = dict(config)
        self.partitions: list[Partition] = []

    @property
    def is_internal(self) -> bool:
        """Whether the topic belongs to the coordinators (Topic.INTERNAL_TOPICS)."""
        return self.name in INTERNAL_TOPICS

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

    def __init__(self, settings: BrokerSettings, catalogue: Catalogue, nodes: Nodes) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._nodes = nodes
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}
        self._log_starts: dict[Path, LogStartOffsets] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(sorted(self._by_name.values(), key=lambda topic: topic.name))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def has_id(self, topic_id: bytes) -> bool:
        """Whether there is a topic with this id."""
        return bytes(topic_id) in self._by_id

    def by_name(self, name: str) -> Topic:
        """Return a topic; raises Refusal UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self._by_name.get(name)
        if topic is None:
            raise Refusal(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {name!r}")
        return topic

    def has_partition(self, name: str, index: int) -> bool:
        """Whether there is this partition of this topic."""
        topic = self._by_name.get(name)
        return topic is not None and 0 <= index < len(topic.partitions)

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
        self._check_node_ids()
        try:
            for node in self._nodes:
                node.log_dir.mkdir(exist_ok=True)
                self._log_starts[node.log_dir] = LogStartOffsets(node.log_dir)
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

    def _check_node_ids(self) -> None:
        """Take the ids of the nodes; several nodes keep what they have in folders of their own."""
        node_ids = [node.node_id for node in self._nodes]
        known = self._catalogue.node_ids
        if known and known != node_ids and max(len(known), len(node_ids)) > 1:
            raise DataDirUnusable(
                f"{self._settings.data_dir} belongs to the nodes {known}, not {node_ids}",
                hint="Start as many brokers with the same ids, or name another data directory.",
            )
        if known != node_ids:
            for row in self._catalogue.topics.values():
                row.replicas = [node_ids for _ in row.replicas]
        self._catalogue.node_ids = node_ids

    def create(
        self,
        name: str,
        partition_count: int,
        config: Mapping[str, str],
        replicas: Sequence[list[int]] | None = None,
    ) -> Topic:
        """Create a topic that `check_new` has let through.

        Args: replicas: node ids of each partition; None lets the broker place them
        Raises: Refusal KAFKA_STORAGE_ERROR
        """
        if replicas is None:
            replicas = self._nodes.place_replicas(
                name, range(partition_count), self._settings.default_replication_factor
            )
        row = TopicRow(name, new_uuid(), dict(config), [0] * partition_count, list(replicas))
        self._catalogue.topics[name] = row
        try:
            self._make_room(row, range(partition_count))
            for log_starts in self._log_starts.values():
                log_starts.forget(name)
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

    def add_partitions(self, topic: Topic, replicas: Sequence[list[int]]) -> None:
        """Add a partition to a topic for each row of `replicas`.

        Raises: Refusal KAFKA_STORAGE_ERROR; the topic is as it was then
        """
        row = self._catalogue.topics[topic.name]
        present = len(topic.partitions)
        row.replicas = [*row.replicas, *replicas]
        row.leader_epochs = [*row.leader_epochs, *(0 for _ in replicas)]
        added = range(present, len(row.replicas))
        config = log_config(self._settings, row.config)
        try:
            self._make_room(row, added)
            partitions = [self._open_partition(row, index, config) for index in added]
            self._catalogue.save(self._syncs)
        except OSError as error:
            del row.replicas[present:], row.leader_epochs[present:]
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR,
                f"topic {topic.name} could not get {len(replicas)} more partitions: {error}",
            ) from error
        topic.partitions += partitions

    def set_config(self, topic: Topic, config: Mapping[str, str]) -> None:
        """Give a topic another configuration, which holds from now on.

        Raises: Refusal KAFKA_STORAGE_ERROR; the topic is as it was then
        """
        row = self._catalogue.topics[topic.name]
        row.config = dict(config)
        try:
            self._catalogue.save(self._syncs)
        except OSError as error:
            row.config = dict(topic.config)
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR,
                f"the configuration of {topic.name} could not be changed: {error}",
            ) from error
        topic.config = dict(config)
        for partition in topic.partitions:
            partition.log.config = log_config(self._settings, config)

    def delete_records(self, before_offsets: Mapping[Partition, int]) -> None:
        """Let logs start later, also after a crash; raises Refusal KAFKA_STORAGE_ERROR."""
        by_log_dir: dict[Path, dict[tuple[str, int], int]] = {}
        for partition, offset in before_offsets.items():
            offsets = by_log_dir.setdefault(partition.log.folder.parent, {})
            offsets[partition.topic_name, partition.index] = offset
        try:
            for log_dir, offsets in by_log_dir.items():
                self._log_starts[log_dir].put(offsets)
            for partition, offset in before_offsets.items():
                partition.log.delete_records(offset)
        except OSError as error:
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR, f"records could not be deleted: {error}"
            ) from error

    def set_leaders(self, leaders: Sequence[tuple[Partition, int]]) -> None:
        """Give partitions other leaders, -1 for none, and their next leader epochs.

        A leader that was no replica becomes one. The catalogue is written once for all of them.
        Raises: Refusal KAFKA_STORAGE_ERROR; no leader has changed then
        """
        rows = [self._catalogue.topics[partition.topic_name] for partition, _ in leaders]
        for row, (partition, leader_id) in zip(rows, leaders, strict=True):
            row.leader_epochs[partition.index] += 1
            if leader_id >= 0 and leader_id not in partition.replica_ids:
                partition.replica_ids.append(leader_id)
        try:
            self._catalogue.save(self._syncs)
        except OSError as error:
            for row, (partition, _) in zip(rows, leaders, strict=True):
                row.leader_epochs[partition.index] -= 1
            raise Refusal(
                KafkaError.KAFKA_STORAGE_ERROR, f"leaders could not be changed: {error}"
            ) from error
        for row, (partition, leader_id) in zip(rows, leaders, strict=True):
            partition.log.begin_leader_epoch(row.leader_epochs[partition.index])
            partition.leader_id = leader_id
            partition.waiters.wake_all()

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

    def _folder(self, row: TopicRow, index: int) -> Path:
        return self._nodes.by_id(row.replicas[index][0]).log_dir / f"{row.name}-{index}"

    def _open(self, row: TopicRow) -> Topic:
        topic = Topic(row.name, row.topic_id, row.config)
        config = log_config(self._settings, row.config)
        for index in range(len(row.leader_epochs)):
            topic.partitions.append(self._open_partition(row, index, config))
        self._by_name[row.name] = topic
        self._by_id[row.topic_id] = topic
        return topic

    def _open_partition(self, row: TopicRow, index: int, config: LogConfig) -> Partition:
        folder = self._folder(row, index)
        folder.mkdir(exist_ok=True)
        if not (folder / _METADATA_FILE_NAME).exists():
            _write_metadata(folder, row.topic_id)
        log = PartitionLog(folder, config, self._log_starts[folder.parent].get(row.name, index))
        log.begin_leader_epoch(row.leader_epochs[index])
        replica_ids = row.replicas[index]
        return Partition(row.name, index, log, replica_ids, self._nodes.first_alive(replica_ids))

    def _forget(self, name: str) -> None:
        """Undo a creation that failed half way."""
        self._catalogue.topics.pop(name, None)
        try:
            self._catalogue.save(self._syncs)
        except OSError as error:
            _log.error("topic %s was not created, but may be there after a start: %s", name, error)

    def _make_room(self, row: TopicRow, indexes: range) -> None:
        """Set aside folders that a topic of the same name has left behind."""
        for index in indexes:
            folder = self._folder(row, index)
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
        for file in sorted(
            file for node in self._nodes for file in node.log_dir.glob(f"*/{_METADATA_FILE_NAME}")
        ):
            folder = file.parent
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
