"""Fetch sessions: what a client has to say once only, and what it is told again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker import fetch_sessions
from fastkafka.broker.fetch_sessions import FetchSessions
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, Body
from tests.unit.broker_batches import build_batch

VERSIONS = (7, 12, 17)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    asker.broker.topics.create("logs", 3, {})
    yield asker
    asker.broker.close()


class Client:
    """Fetches in one session; offsets are told when they change."""

    def __init__(self, asker: Asker, version: int = 12) -> None:
        self.asker = asker
        self.version = version
        self.session_id = 0
        self.epoch = 0

    def fetch(self, offsets: dict[int, int], **fields: Any) -> Body:
        key = self.asker.topic_key("logs", self.version >= 13, "topic")
        asked = [
            {"partition": index, "fetch_offset": offset, "partition_max_bytes": 2**20}
            for index, offset in offsets.items()
        ]
        body = {
            "session_id": self.session_id,
            "session_epoch": self.epoch,
            "topics": [{**key, "partitions": asked}] if asked else [],
            **fields,
        }
        answer = self.asker.ask("fetch", self.version, body)
        if answer["error_code"] == KafkaError.NO_ERROR:
            self.session_id = answer["session_id"]
            self.epoch += 1
        return answer

    def forget(self, *indexes: int) -> list[Body]:
        key = self.asker.topic_key("logs", self.version >= 13, "topic")
        return [{**key, "partitions": list(indexes)}]


def told(answer: Body) -> list[tuple[int, int]]:
    """Return (partition, bytes of records) as the answer lists them."""
    return [
        (row["partition_index"], len(row["records"]))
        for topic in answer["responses"]
        for row in topic["partitions"]
    ]


def append(asker: Asker, index: int) -> int:
    batch = build_batch()
    asker.broker.topics.by_name("logs").partition(index).append(batch)
    return len(batch)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_tells_only_what_is_new(asker: Asker, version: int) -> None:
    client = Client(asker, version)
    size = append(asker, 0)
    assert told(client.fetch({0: 0, 1: 0, 2: 0})) == [(0, size), (1, 0), (2, 0)]
    assert client.session_id > 0
    assert told(client.fetch({0: 1})) == []
    append(asker, 1)
    assert told(client.fetch({})) == [(1, size)]
    assert told(client.fetch({})) == [(1, size)]
    assert told(client.fetch({1: 1})) == []


def test_another_high_watermark_is_told_without_records(asker: Asker) -> None:
    client = Client(asker)
    client.fetch({0: 0, 1: 0})
    log = asker.broker.topics.by_name("logs").partition(0).log
    append(asker, 0)
    client.fetch({0: 1})
    log.delete_records(1)
    (row,) = client.fetch({})["responses"][0]["partitions"]
    assert (row["partition_index"], row["log_start_offset"], row["records"]) == (0, 1, b"")


def test_partitions_are_added_and_forgotten(asker: Asker) -> None:
    client = Client(asker)
    size = append(asker, 0)
    append(asker, 1)
    assert told(client.fetch({0: 0})) == [(0, size)]
    assert told(client.fetch({1: 0})) == [(0, size), (1, size)]
    forgotten = client.forget(0)
    assert told(client.fetch({}, forgotten_topics_data=forgotten)) == [(1, size)]


def test_partitions_with_records_take_turns_at_the_limit(asker: Asker) -> None:
    client = Client(asker)
    for index in range(3):
        append(asker, index)
    first = [told(client.fetch({0: 0, 1: 0, 2: 0}, max_bytes=1))]
    first += [told(client.fetch({}, max_bytes=1)) for _ in range(5)]
    served = [index for answer in first for index, size in answer if size]
    assert served == [0, 1, 2, 0, 1, 2]


def test_an_error_is_told_every_time(asker: Asker) -> None:
    client = Client(asker)
    client.fetch({0: 0, 9: 0})
    for _ in range(2):
        (row,) = client.fetch({})["responses"][0]["partitions"]
        assert row["error_code"] == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_unknown_sessions_and_wrong_epochs_are_refused(asker: Asker) -> None:
    client = Client(asker)
    client.fetch({0: 0})
    client.epoch += 1
    answer = client.fetch({})
    assert answer["error_code"] == KafkaError.INVALID_FETCH_SESSION_EPOCH
    assert (answer["session_id"], answer["responses"]) == (0, [])
    client.epoch -= 1
    assert client.fetch({})["error_code"] == KafkaError.NO_ERROR
    client.session_id += 1
    assert client.fetch({})["error_code"] == KafkaError.FETCH_SESSION_ID_NOT_FOUND


def test_names_and_ids_do_not_mix_in_a_session(asker: Asker) -> None:
    client = Client(asker, 12)
    client.fetch({0: 0})
    client.version = 13
    assert client.fetch({})["error_code"] == KafkaError.FETCH_SESSION_TOPIC_ID_ERROR


def test_the_final_epoch_closes_the_session_and_the_first_begins_another(asker: Asker) -> None:
    client = Client(asker)
    first = client.fetch({0: 0})["session_id"]
    client.epoch = 0
    second = client.fetch({0: 0})["session_id"]
    assert second not in (0, first)
    assert len(asker.broker.fetch_sessions) == 1
    client.epoch = -1
    assert client.fetch({0: 0})["session_id"] == 0
    assert len(asker.broker.fetch_sessions) == 0


def body(session_id: int, epoch: int, partitions: int = 1) -> Body:
    asked = [{"partition": index} for index in range(partitions)]
    topics = [{"topic": "logs", "topic_id": bytes(16), "partitions": asked}]
    return {
        "session_id": session_id,
        "session_epoch": epoch,
        "topics": topics,
        "forgotten_topics_data": [],
    }


def test_sessions_and_their_partitions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "PARTITIONS_MAX", 10)
    monkeypatch.setattr(fetch_sessions, "SESSIONS_MAX", 3)
    sessions = FetchSessions()
    kept = [sessions.plan(body(0, 0, partitions=2), by_id=False).session for _ in range(3)]
    assert None not in kept
    assert sessions.plan(body(0, 0), by_id=False).session is None
    assert kept[0] is not None
    with pytest.raises(Refusal) as caught:
        sessions.plan(body(kept[0].session_id, 1, partitions=9), by_id=False)
    assert caught.value.code == KafkaError.FETCH_SESSION_ID_NOT_FOUND
    assert len(sessions) == 2
    monkeypatch.setattr(fetch_sessions, "IDLE_S_MIN", -1.0)
    assert sessions.plan(body(0, 0, partitions=10), by_id=False).session is not None
    assert len(sessions) == 1
