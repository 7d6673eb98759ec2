"""The catalogue: what the broker knows of itself and its topics, in one small file.

`catalogue.json` holds the cluster id, the ids of the nodes, the first producer id that was never
reserved, and each topic with its id, configuration, leader epochs and replicas. It is replaced as a
whole, so a crash leaves the old or the new one; producer ids are on the disk before they are given,
topics when fsync=always says so.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastkafka.broker.data_dir import replace_file
from fastkafka.broker.start_errors import DataDirUnusable

FILE_NAME = "catalogue.json"
VERSION = 2


@dataclass
class TopicRow:
    """A topic as the catalogue has it: leader epoch and replicas of each partition."""

    name: str
    topic_id: bytes
    config: dict[str, str]
    leader_epochs: list[int]
    replicas: list[list[int]]


@dataclass
class Catalogue:
    """The content of the file; `save` after each change."""

    path: Path
    cluster_id: str
    node_ids: list[int] = field(default_factory=list)
    next_producer_id: int = 0
    topics: dict[str, TopicRow] = field(default_factory=dict)

    @classmethod
    def open(cls, data_dir: Path) -> Catalogue:
        """Read the catalogue of a data directory, or begin one.

        Raises: DataDirUnusable when it cannot be read, understood or written
        """
        path = data_dir / FILE_NAME
        try:
            if path.exists():
                return cls._parse(path, json.loads(path.read_bytes()))
            catalogue = cls(path, cluster_id=uuid_text(new_uuid()))
            catalogue.save(sync=True)
            return catalogue
        except OSError as error:
            raise DataDirUnusable(f"{path} cannot be used: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataDirUnusable(
                f"{path} is not a catalogue of this broker: {error!r}",
                hint="Restore it, or name another data directory.",
            ) from error

    @classmethod
    def _parse(cls, path: Path, content: dict[str, Any]) -> Catalogue:
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']} where {VERSION} is known")
        topics = {
            name: TopicRow(
                name,
                base64.b64decode(row["topic_id"], validate=True),
                {key: str(value) for key, value in row["config"].items()},
                [int(leader_epoch) for leader_epoch in row["leader_epochs"]],
                [[int(node_id) for node_id in node_ids] for node_ids in row["replicas"]],
            )
            for name, row in content["topics"].items()
        }
        return cls(
            path,
            str(content["cluster_id"]),
            [int(node_id) for node_id in content["node_ids"]],
            int(content["next_producer_id"]),
            topics,
        )

    def save(self, sync: bool) -> None:
        """Write the file, with `sync` to the disk; after an OSError the old one is still there."""
        content = {
            "version": VERSION,
            "cluster_id": self.cluster_id,
            "node_ids": self.node_ids,
            "next_producer_id": self.next_producer_id,
            "topics": {
                row.name: {
                    "topic_id": base64.b64encode(row.topic_id).decode("ascii"),
                    "config": row.config,
                    "leader_epochs": row.leader_epochs,
                    "replicas": row.replicas,
                }
                for row in self.topics.values()
            },
        }
        replace_file(self.path, json.dumps(content, indent=1).encode(), sync)


def new_uuid() -> bytes:
    """Return a random UUID (RFC 9562, version 4); the uuid module takes 10 ms to import."""
    random = bytearray(os.urandom(16))
    random[6] = random[6] & 0x0F | 0x40
    random[8] = random[8] & 0x3F | 0x80
    return bytes(random)


def uuid_text(uuid: bytes) -> str:
    """Return a UUID as Kafka prints it: base64url without padding (Uuid.java)."""
    return base64.urlsafe_b64encode(uuid).decode("ascii").rstrip("=")
