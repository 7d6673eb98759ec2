"""Committed offsets: what is kept, what is refused, what goes, and what a restart finds again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker.coordinator_log import StateRecord, TransactionalProducer, clock_ms, slot_of
from fastkafka.broker.groups.committed_offsets import CommittedOffset, TopicPartition
from fastkafka.broker.groups.offset_commits import Commit, Committer
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, join
from tests.unit.broker_batches import SMALL_SEGMENTS

Body = dict[str, Any]
LATEST = 9
DAY_MS = 86_400_000


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    asker.broker.topics.create("logs", 2, {})
    yield asker
    asker.broker.close()


def restarted(asker: Asker, tmp_path: Path) -> Asker:
    asker.broker.close()
    return Asker(tmp_path)


def commit(
    asker: Asker, offset: int, partition: int = 0, group_id: str = "group", **row: Any
) -> int:
    """Commit as a simple consumer does, and return the error code."""
    rows = [{"partition_index": partition, "committed_offset": offset, **row}]
    body = {"group_id": group_id, "topics": [{"name": "logs", "partitions": rows}]}
    answer = asker.ask("offset_commit", LATEST, body)
    code: int = answer["topics"][0]["partitions"][0]["error_code"]
    return code


def committed(asker: Asker, group_id: str = "group") -> dict[tuple[str, int], int]:
    """Return all offsets of a group."""
    body = {"groups": [{"group_id": group_id, "topics": None}]}
    (group,) = asker.ask("offset_fetch", LATEST, body)["groups"]
    return {
        (topic["name"], row["partition_index"]): row["committed_offset"]
        for topic in group["topics"]
        for row in topic["partitions"]
    }


def listed(asker: Asker) -> list[str]:
    return [row["group_id"] for row in asker.ask("list_groups", 5)["groups"]]


# ---- committing and fetching


def test_last_commit_counts_and_unknown_partitions_have_none(asker: Asker) -> None:
    commit(asker, 3)
    commit(asker, 5, committed_metadata="here", committed_leader_epoch=2)
    asked = {"group_id": "group", "topics": [{"name": "logs", "partition_indexes": [0, 1]}]}
    (group,) = asker.ask("offset_fetch", LATEST, {"groups": [asked]})["groups"]
    first, second = group["topics"][0]["partitions"]
    assert (first["committed_offset"], first["metadata"]) == (5, "here")
    assert first["committed_leader_epoch"] == 2
    assert (second["committed_offset"], second["error_code"]) == (-1, 0)


def test_commit_for_what_is_not_there_is_refused_alone(asker: Asker) -> None:
    assert commit(asker, 1, partition=2) == KafkaError.UNKNOWN_TOPIC_OR_PART
    too_long = "x" * 4097
    assert commit(asker, 1, committed_metadata=too_long) == KafkaError.OFFSET_METADATA_TOO_LARGE
    assert (committed(asker), listed(asker)) == ({}, [])


def test_commit_larger_than_a_batch_may_be_changes_nothing(asker: Asker) -> None:
    asker.broker.topics.create("wide", 2000, {})
    rows = [
        {"partition_index": index, "committed_offset": 1, "committed_metadata": "x" * 4096}
        for index in range(300)
    ]
    body = {"group_id": "group", "topics": [{"name": "wide", "partitions": rows}]}
    answer = asker.ask("offset_commit", LATEST, body)
    codes = {row["error_code"] for row in answer["topics"][0]["partitions"]}
    assert codes == {KafkaError.UNKNOWN}
    assert committed(asker) == {}


def test_commit_of_a_generation_needs_the_group(asker: Asker) -> None:
    rows = [{"partition_index": 0, "committed_offset": 1}]
    body = {
        "group_id": "group",
        "generation_id_or_member_epoch": 1,
        "member_id": "somebody",
        "topics": [{"name": "logs", "partitions": rows}],
    }
    for version, code in ((8, KafkaError.ILLEGAL_GENERATION), (9, KafkaError.GROUP_ID_NOT_FOUND)):
        answer = asker.ask("offset_commit", version, body)
        assert answer["topics"][0]["partitions"][0]["error_code"] == code


# ---- removing


def test_offsets_go_with_their_topic(asker: Asker, tmp_path: Path) -> None:
    commit(asker, 3)
    asker.ask("delete_topics", 6, {"topics": [{"name": "logs"}]})
    assert committed(asker) == {}
    after = restarted(asker, tmp_path)
    assert committed(after) == {}
    after.broker.close()


def test_offsets_of_a_topic_in_use_are_not_deleted(asker: Asker) -> None:
    member_id = join(asker, "group")["member_id"]
    join(asker, "group", member_id)
    topics = [{"name": "logs", "partitions": [{"partition_index": 0}]}]
    answer = asker.ask("offset_delete", 0, {"group_id": "group", "topics": topics})
    # What this member subscribes to cannot be read, so all of it may be in use.
    assert answer["error_code"] == KafkaError.NON_EMPTY_GROUP
    answer = asker.ask("offset_delete", 0, {"group_id": "unknown", "topics": topics})
    assert answer["error_code"] == KafkaError.GROUP_ID_NOT_FOUND


def test_deleted_group_leaves_nothing_behind(asker: Asker, tmp_path: Path) -> None:
    member_id = join(asker, "group")["member_id"]
    join(asker, "group", member_id)
    commit(asker, 3, group_id="simple")
    names = {"groups_names": ["group", "simple", "unknown"]}
    results = asker.ask("delete_groups", 2, names)["results"]
    assert [row["error_code"] for row in results] == [
        KafkaError.NON_EMPTY_GROUP,
        KafkaError.NO_ERROR,
        KafkaError.GROUP_ID_NOT_FOUND,
    ]
    asker.ask("leave_group", 3, {"group_id": "group", "members": [{"member_id": member_id}]})
    asker.ask("delete_groups", 2, names)
    assert listed(asker) == []
    after = restarted(asker, tmp_path)
    assert listed(after) == []
    after.broker.close()


def test_offsets_that_nobody_used_for_a_week_are_forgotten(asker: Asker, tmp_path: Path) -> None:
    now_ms = clock_ms()
    for partition, age_days in ((0, 8), (1, 6)):
        old = CommittedOffset(3, -1, "", now_ms - age_days * DAY_MS)
        commits: list[Commit] = [(TopicPartition("logs", partition), old)]
        asker.broker.groups.offsets.commit(Committer("group", -1, "", None), commits, LATEST)
    asker.broker.upkeep()
    assert committed(asker) == {("logs", 1): 3}
    after = restarted(asker, tmp_path)
    assert committed(after) == {("logs", 1): 3}
    after.broker.close()


# ---- the log


def test_damaged_and_unknown_records_are_passed_over(asker: Asker, tmp_path: Path) -> None:
    commit(asker, 3)
    log = asker.broker.groups.store.log
    for key, value in (
        (b"", b""),
        (b"\0\1", None),
        (b"\0\2\0\5gro", b"\0\3"),
        (struct.pack(">h", 99) + b"future", b"\0\0"),
        (b"\0\1\0\1g\0\1t\0\0\0\0", struct.pack(">h", 77) + b"future"),
    ):
        log.append(log.slot_of("group"), [StateRecord(key, value)])
    commit(asker, 5)
    after = restarted(asker, tmp_path)
    assert committed(after) == {("logs", 0): 5}
    after.broker.close()


def test_compaction_keeps_what_counts(asker: Asker, tmp_path: Path) -> None:
    log = asker.broker.groups.store.log
    partition = log.partition(log.slot_of("group"))
    partition.log.config = partition.log.config._replace(segment_bytes=SMALL_SEGMENTS.segment_bytes)
    for offset in range(100):
        commit(asker, offset, partition=offset % 2)
    before_bytes = partition.log.size_bytes
    partition.log.compact()
    assert partition.log.size_bytes < before_bytes / 10
    after = restarted(asker, tmp_path)
    assert committed(after) == {("logs", 0): 98, ("logs", 1): 99}
    after.broker.close()


def test_offsets_within_transactions_are_read_again_in_their_order(
    asker: Asker, tmp_path: Path
) -> None:
    offsets = asker.broker.groups.offsets
    log = asker.broker.groups.store.log
    partition = log.partition(log.slot_of("group"))

    def commit_in_transaction(producer_id: int, offset: int) -> None:
        row = (TopicPartition("logs", 0), CommittedOffset(offset, -1, "", 0))
        simple = Committer("group", -1, "", None)
        offsets.commit_in_transaction(simple, [row], TransactionalProducer(producer_id, 0))

    commit(asker, 1)
    commit_in_transaction(7, 2)
    partition.append_marker(7, 0, True, 0)
    commit_in_transaction(8, 3)
    partition.append_marker(8, 0, False, 0)
    commit_in_transaction(9, 4)
    after = restarted(asker, tmp_path)
    assert committed(after) == {("logs", 0): 2}
    assert after.broker.groups.offsets.is_unstable("group", TopicPartition("logs", 0))
    stable = {"groups": [{"group_id": "group", "topics": None}], "require_stable": True}
    (group,) = after.ask("offset_fetch", LATEST, stable)["groups"]
    code = group["topics"][0]["partitions"][0]["error_code"]
    assert code == KafkaError.UNSTABLE_OFFSET_COMMIT
    after.broker.close()


@pytest.mark.parametrize(
    ("key", "slot"),
    [("group", 47), ("", 0), ("polygenelubricants", 0), ("my-consumer-group", None), ("Ω𝄞", None)],
)
def test_group_falls_to_the_partition_that_java_computes(key: str, slot: int | None) -> None:
    hash_code = 0
    units = struct.unpack(f">{len(key.encode('utf-16-be')) // 2}H", key.encode("utf-16-be"))
    for unit in units:
        hash_code = (31 * hash_code + unit + 2**31) % 2**32 - 2**31
    expected = 0 if hash_code == -(2**31) else abs(hash_code) % 50
    assert slot_of(key, 50) == expected
    if slot is not None:
        assert expected == slot
