"""Topics, producer ids and the data directory: what survives a start, a crash, a full disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastkafka.broker import catalogue as catalogue_room
from fastkafka.broker.broker import Broker
from fastkafka.broker.producer_ids import BLOCK_SIZE
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.start_errors import DataDirLocked, DataDirUnusable
from fastkafka.broker.topic_config import check_config, log_config
from fastkafka.errors import ConfigError, KafkaError
from tests.unit.broker_batches import build_batch, build_idempotent

OpenBroker = Callable[[], Broker]


@pytest.fixture
def open_broker(tmp_path: Path) -> Iterator[OpenBroker]:
    """Open the broker of one data directory, closing the one before: a clean restart."""
    opened: list[Broker] = []

    def open_again() -> Broker:
        while opened:
            opened.pop().close()
        opened.append(Broker(BrokerSettings(tmp_path / "data")))
        return opened[0]

    yield open_again
    while opened:
        opened.pop().close()


def refusal_of(call: Callable[[], object]) -> int:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


def fail_to_save(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_topics_and_records_survive_a_restart(open_broker: OpenBroker) -> None:
    broker = open_broker()
    topic = broker.topics.create("logs", 3, {"retention.bytes": "5"})
    topic.partition(1).append(build_batch([b"a", b"b"]))
    cluster_id = broker.cluster_id
    broker = open_broker()
    again = broker.topics.by_name("logs")
    assert broker.cluster_id == cluster_id
    assert again.topic_id == topic.topic_id
    assert broker.topics.by_id(topic.topic_id) is again
    assert again.config == {"retention.bytes": "5"}
    assert [partition.log.log_end_offset for partition in again.partitions] == [0, 2, 0]
    assert again.partition(0).log.config.retention_bytes == 5


def test_the_leader_epoch_rises_with_each_start(open_broker: OpenBroker) -> None:
    open_broker().topics.create("logs", 1, {})
    assert [open_broker().topics.by_name("logs").partition(0).log.leader_epoch for _ in "ab"] == [
        1,
        2,
    ]


def test_a_topic_made_again_has_another_id_and_none_of_the_records(
    open_broker: OpenBroker, tmp_path: Path
) -> None:
    topics = open_broker().topics
    first = topics.create("logs", 1, {})
    first.partition(0).append(build_batch())
    topics.delete(first)
    assert refusal_of(lambda: topics.by_name("logs")) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert refusal_of(lambda: topics.by_id(first.topic_id)) == KafkaError.UNKNOWN_TOPIC_ID
    second = topics.create("logs", 1, {})
    assert second.topic_id != first.topic_id
    assert second.partition(0).log.log_end_offset == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir() if path.is_dir()) == [
        "logs-0"
    ]


def test_a_deletion_that_a_crash_cut_short_is_finished_without_old_records(
    open_broker: OpenBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = open_broker().topics
    first = topics.create("logs", 1, {})
    first.partition(0).append(build_batch())
    with monkeypatch.context() as patched:
        patched.setattr("fastkafka.broker.topics.os.rename", fail_to_save)
        topics.delete(first)
    # The folder is still there; neither a topic made at once nor one after a start may get it.
    assert topics.create("logs", 1, {}).partition(0).log.log_end_offset == 0
    assert open_broker().topics.by_name("logs").partition(0).log.log_end_offset == 0
    strays = list((tmp_path / "data").glob("logs-0.*-stray"))
    assert len(strays) == 1 and (strays[0] / "00000000000000000000.log").stat().st_size > 0


def test_folders_of_topics_that_are_not_in_the_catalogue_are_set_aside(
    open_broker: OpenBroker, tmp_path: Path
) -> None:
    open_broker().topics.create("logs", 1, {}).partition(0).append(build_batch())
    data_dir = tmp_path / "data"
    (data_dir / "logs-0").rename(data_dir / "other-0")
    (data_dir / "mine-1").mkdir()
    (data_dir / "mine-1" / "notes.txt").write_text("not the broker's")
    topics = open_broker().topics
    assert [topic.name for topic in topics] == ["logs"]
    assert topics.by_name("logs").partition(0).log.log_end_offset == 0
    assert len(list(data_dir.glob("other-0.*-stray"))) == 1
    assert (data_dir / "mine-1" / "notes.txt").exists()
    code = refusal_of(lambda: topics.create("mine", 2, {}))
    assert code == KafkaError.KAFKA_STORAGE_ERROR
    assert "mine" not in topics
    assert (data_dir / "mine-1" / "notes.txt").exists()


def test_a_topic_that_cannot_be_saved_is_not_there(
    open_broker: OpenBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = open_broker().topics
    with monkeypatch.context() as patched:
        patched.setattr(catalogue_room, "replace_file", fail_to_save)
        code = refusal_of(lambda: topics.create("logs", 1, {}))
    assert code == KafkaError.KAFKA_STORAGE_ERROR
    assert "logs" not in topics
    assert topics.create("logs", 1, {}).partition(0).log.log_end_offset == 0


def test_a_deletion_that_cannot_be_saved_leaves_the_topic(
    open_broker: OpenBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = open_broker().topics
    topic = topics.create("logs", 1, {})
    with monkeypatch.context() as patched:
        patched.setattr(catalogue_room, "replace_file", fail_to_save)
        assert refusal_of(lambda: topics.delete(topic)) == KafkaError.KAFKA_STORAGE_ERROR
    topics.by_name("logs").partition(0).append(build_batch())
    assert open_broker().topics.by_name("logs").partition(0).log.log_end_offset == 1


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "a\0", "x" * 250])
def test_names_that_no_topic_may_have(open_broker: OpenBroker, name: str) -> None:
    topics = open_broker().topics
    assert refusal_of(lambda: topics.check_new(name, 1)) == KafkaError.TOPIC_EXCEPTION


def test_names_that_a_topic_may_have(open_broker: OpenBroker) -> None:
    topics = open_broker().topics
    for name in ("a", "A.b_c-9", "...", "x" * 249, "logs-0"):
        topics.check_new(name, 1)
        topics.create(name, 1, {}).partition(0).append(build_batch())
    again = open_broker().topics
    assert [topic.partition(0).log.log_end_offset for topic in again] == [1] * 5
    for name in ("x" * 249, "a"):
        again.delete(again.by_name(name))
    assert [topic.name for topic in open_broker().topics] == ["...", "A.b_c-9", "logs-0"]


@pytest.mark.parametrize("partition_count", [0, -1, 10_001])
def test_partition_counts_out_of_range(open_broker: OpenBroker, partition_count: int) -> None:
    topics = open_broker().topics
    code = refusal_of(lambda: topics.check_new("logs", partition_count))
    assert code == KafkaError.INVALID_PARTITIONS


def test_producer_ids_are_never_given_twice(open_broker: OpenBroker) -> None:
    given: list[int] = []
    for _ in range(3):
        ids = open_broker().producer_ids
        given += [ids.take() for _ in range(BLOCK_SIZE + 1)]
    assert len(set(given)) == 3 * (BLOCK_SIZE + 1)
    assert given[:2] == [0, 1]
    assert given[BLOCK_SIZE + 1] == 2 * BLOCK_SIZE


def test_no_producer_id_is_given_that_could_be_given_again(
    open_broker: OpenBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = open_broker().producer_ids
    with monkeypatch.context() as patched:
        patched.setattr(catalogue_room, "replace_file", fail_to_save)
        assert refusal_of(ids.take) == KafkaError.KAFKA_STORAGE_ERROR
    assert ids.take() == 0


def test_upkeep_applies_retention_and_forgets_old_producers(tmp_path: Path) -> None:
    settings = BrokerSettings(
        tmp_path, segment_bytes=100, retention_ms=-1, producer_id_expiration_ms=10_000
    )
    broker = Broker(settings)
    log = broker.topics.create("logs", 1, {}).partition(0).log
    for sequence in range(4):
        log.append(build_idempotent(sequence))
    broker.upkeep()
    assert (log.log_start_offset, len(log.producer_state)) == (0, 1)
    log.config = log.config._replace(retention_bytes=80)
    log.producer_state.expire(before_ms=0)
    broker.upkeep()
    assert (log.log_start_offset, len(log.producer_state)) == (2, 1)
    broker.close()


def test_a_second_broker_on_the_same_data_is_refused(tmp_path: Path) -> None:
    broker = Broker(BrokerSettings(tmp_path))
    with pytest.raises(DataDirLocked, match="another broker uses the data directory"):
        Broker(BrokerSettings(tmp_path))
    broker.close()
    Broker(BrokerSettings(tmp_path)).close()


def test_a_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataDirUnusable, match=f"{path} cannot be used"):
        Broker(BrokerSettings(path))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "cluster_id": "x"}']
)
def test_a_catalogue_that_is_none_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(DataDirUnusable, match="is not a catalogue"):
        Broker(BrokerSettings(tmp_path))
    assert path.read_text() == content
    path.unlink()
    Broker(BrokerSettings(tmp_path)).close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", 65536), ("port", -1), ("num_partitions", 0), ("segment_bytes", 2**31), ("fsync", "")],
)
def test_settings_out_of_range_name_the_setting(tmp_path: Path, name: str, value: object) -> None:
    settings = BrokerSettings(tmp_path, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=name):
        Broker(settings)


def test_topic_configuration_overrides_the_broker(tmp_path: Path) -> None:
    config = check_config({"segment.bytes": "1000", "cleanup.policy": "delete"})
    found = log_config(BrokerSettings(tmp_path, retention_bytes=9), config)
    assert (found.segment_bytes, found.retention_bytes) == (1000, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment.bytes", "13"),
        ("segment.bytes", "many"),
        ("segment.bytes", None),
        ("cleanup.policy", "compact,shrink"),
        ("cleanup.policy", ""),
        ("message.timestamp.type", "NoTime"),
        ("min.cleanable.dirty.ratio", "1.1"),
        ("retention.ms", "-2"),
        ("no.such.property", "1"),
    ],
)
def test_topic_configuration_that_would_not_be_obeyed_is_refused(
    name: str, value: str | None
) -> None:
    assert refusal_of(lambda: check_config({name: value})) == KafkaError.INVALID_CONFIG


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    broker = Broker(BrokerSettings(tmp_path))
    broker.topics.create("logs", 1, {})
    broker.close()
    path = tmp_path / "logs-0" / "00000000000000000000.log"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataDirUnusable, match="the log of topic logs cannot be opened.*directory"):
        Broker(BrokerSettings(tmp_path))


def test_files_of_others_in_a_log_folder_are_left_alone(open_broker: OpenBroker) -> None:
    folder = open_broker().topics.create("logs", 1, {}).partition(0).log.folder
    (folder / "notes.log").write_text("not a segment")
    assert open_broker().topics.by_name("logs").partition(0).log.log_end_offset == 0
    assert (folder / "notes.log").read_text() == "not a segment"


def test_upkeep_of_one_log_that_fails_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(BrokerSettings(tmp_path, segment_bytes=100))
    first, second = broker.topics.create("logs", 2, {"retention.ms": "1"}).partitions
    for partition in (first, second):
        partition.append(build_idempotent(0))

    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    first.log.remove_old_segments = fail  # type: ignore[method-assign]
    broker.upkeep()
    assert (first.log.log_start_offset, second.log.log_start_offset) == (0, 1)
    assert "upkeep failed" in caplog.text and "logs-0" in caplog.text
    broker.close()
