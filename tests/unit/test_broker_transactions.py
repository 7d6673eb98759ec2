"""The transaction coordinator: who owns a transactional id, and how transactions end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker.broker import Broker
from fastkafka.broker.coordinator_log import TransactionalProducer
from fastkafka.broker.groups.committed_offsets import CommittedOffset, TopicPartition
from fastkafka.broker.groups.offset_commits import Committer
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.transactions.transaction import PRODUCER_EPOCH_MAX, TransactionPartition
from fastkafka.broker.transactions.transaction_coordinator import Producer
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker
from tests.unit.broker_batches import TRANSACTIONAL, build_batch
from tests.unit.broker_refusals import code_of
from tests.unit.virtual_time import pass_ms, run

LOGS = TransactionPartition("logs", 0)
TIMEOUT_MS = 10_000
NEW = (-1, -1)
SIMPLE = Committer("group", -1, "", None)


class Transactions:
    """A broker with a topic, and producers that speak to its coordinator."""

    def __init__(self, data_dir: Path) -> None:
        self.broker = Broker(
            BrokerSettings(
                data_dir,
                port=1234,
                num_partitions=2,
                offsets_topic_num_partitions=2,
                transaction_state_log_num_partitions=2,
            )
        )
        if "logs" not in self.broker.topics:
            self.broker.topics.create("logs", 2, {})
        self.coordinator = self.broker.transactions

    def init(self, has: tuple[int, int] = NEW, timeout_ms: int = TIMEOUT_MS) -> Producer:
        return self.coordinator.init_producer_id("mine", timeout_ms, *has)

    def write(self, producer: Producer, sequence: int = 0) -> None:
        """Write a record within the producer's transaction."""
        self.coordinator.add_partitions(producer, [LOGS])
        batch = build_batch(
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            base_sequence=sequence,
            attributes=TRANSACTIONAL,
        )
        self.broker.topics.by_name("logs").partition(0).append(batch)

    def commit_offset(self, producer: Producer, offset: int) -> None:
        """Commit an offset within the producer's transaction."""
        self.coordinator.add_offsets(producer, "group")
        committed = CommittedOffset(offset, -1, "", 0)
        self.broker.groups.offsets.commit_in_transaction(
            SIMPLE,
            [(TopicPartition("logs", 1), committed)],
            TransactionalProducer(producer.producer_id, producer.producer_epoch),
        )

    @property
    def state(self) -> str:
        return str(self.coordinator.describe("mine")["transaction_state"])

    @property
    def is_open(self) -> bool:
        """Whether read_committed consumers have to wait."""
        log = self.broker.topics.by_name("logs").partition(0).log
        return log.last_stable_offset < log.high_watermark

    @property
    def aborted(self) -> list[tuple[int, int]]:
        log = self.broker.topics.by_name("logs").partition(0).log
        return log.aborted_transactions(0, log.log_end_offset)

    @property
    def committed_offset(self) -> int | None:
        committed = self.broker.groups.offsets.committed("group").get(TopicPartition("logs", 1))
        return None if committed is None else committed.offset

    @property
    def is_unstable(self) -> bool:
        return self.broker.groups.offsets.is_unstable("group", TopicPartition("logs", 1))


@pytest.fixture
def transactions(tmp_path: Path) -> Iterator[Transactions]:
    transactions = Transactions(tmp_path)
    yield transactions
    transactions.broker.close()


def on_loop(test: Callable[[Transactions], Any]) -> Callable[[Transactions], None]:
    def runs(transactions: Transactions) -> None:
        async def main() -> None:
            test(transactions)

        run(main())

    runs.__name__, runs.__doc__ = test.__name__, test.__doc__
    return runs


# ---- who owns the transactional id


@on_loop
def test_each_producer_gets_the_same_id_and_the_next_epoch(transactions: Transactions) -> None:
    first, second = transactions.init(), transactions.init()
    assert (first.producer_epoch, second.producer_epoch) == (0, 1)
    assert first.producer_id == second.producer_id
    other = transactions.coordinator.init_producer_id("other", TIMEOUT_MS, *NEW)
    assert other.producer_id != first.producer_id


@on_loop
def test_new_producer_fences_the_one_before_and_aborts_what_it_left(
    transactions: Transactions,
) -> None:
    first = transactions.init()
    transactions.write(first)
    second = transactions.init()
    assert not transactions.is_open
    assert transactions.aborted == [(first.producer_id, 0)]
    coordinator = transactions.coordinator
    assert code_of(coordinator.end, first, True) == KafkaError.PRODUCER_FENCED
    assert code_of(coordinator.add_partitions, first, [LOGS]) == KafkaError.PRODUCER_FENCED
    transactions.write(second)
    coordinator.end(second, True)
    assert transactions.state == "CompleteCommit"


@on_loop
def test_producer_raises_its_own_epoch_and_may_ask_again(transactions: Transactions) -> None:
    first = transactions.init()
    second = transactions.init((first.producer_id, first.producer_epoch))
    assert second.producer_epoch == first.producer_epoch + 1
    # The answer was lost: asked again with the old epoch, it is the same.
    assert transactions.init((first.producer_id, first.producer_epoch)) == second
    third = transactions.init((second.producer_id, second.producer_epoch))
    assert third.producer_epoch == second.producer_epoch + 1
    assert code_of(transactions.init, (first.producer_id, first.producer_epoch)) == (
        KafkaError.PRODUCER_FENCED
    )


@on_loop
def test_producer_whose_epoch_is_used_up_gets_a_new_id(transactions: Transactions) -> None:
    producer = transactions.init()
    transactions.coordinator._transactions["mine"].producer_epoch = PRODUCER_EPOCH_MAX
    renewed = transactions.init((producer.producer_id, PRODUCER_EPOCH_MAX))
    assert renewed.producer_id != producer.producer_id
    assert renewed.producer_epoch == 0
    assert transactions.init((producer.producer_id, PRODUCER_EPOCH_MAX)) == renewed


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_timeout_beyond_the_bounds_is_refused(transactions: Transactions, timeout_ms: int) -> None:
    code = code_of(transactions.init, NEW, timeout_ms)
    assert code == KafkaError.INVALID_TRANSACTION_TIMEOUT


@on_loop
def test_producer_id_of_another_is_refused(transactions: Transactions) -> None:
    producer = transactions.init()
    stranger = producer._replace(producer_id=producer.producer_id + 1)
    coordinator = transactions.coordinator
    for wrong in (stranger, producer._replace(transactional_id="unknown")):
        code = code_of(coordinator.add_partitions, wrong, [LOGS])
        assert code == KafkaError.INVALID_PRODUCER_ID_MAPPING


def test_transactional_ids_are_listed_by_what_is_asked_for(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    for name in ("copy-1", "copy-2", "other"):
        init = {"transactional_id": name, "transaction_timeout_ms": 1000}
        asker.ask("init_producer_id", 4, init)
    asker.broker.topics.create("logs", 1, {})
    found = asker.broker.transactions.describe("copy-2")
    owner = Producer("copy-2", found["producer_id"], found["producer_epoch"])

    async def begin() -> None:
        asker.broker.transactions.add_partitions(owner, [LOGS])

    run(begin())

    def listed(**filters: Any) -> list[str]:
        answer = asker.ask("list_transactions", 2, filters)
        return [row["transactional_id"] for row in answer["transaction_states"]]

    assert listed() == ["copy-1", "copy-2", "other"]
    assert listed(transactional_id_pattern="copy-.*") == ["copy-1", "copy-2"]
    assert listed(state_filters=["Ongoing"]) == ["copy-2"]
    assert listed(producer_id_filters=[owner.producer_id]) == ["copy-2"]
    assert listed(duration_filter=60_000) == []
    wrong = asker.ask("list_transactions", 2, {"transactional_id_pattern": "("})
    assert wrong["error_code"] == KafkaError.INVALID_REGULAR_EXPRESSION
    unknown = asker.ask("list_transactions", 0, {"state_filters": ["Asleep"]})
    assert (unknown["unknown_state_filters"], unknown["transaction_states"]) == (["Asleep"], [])
    asker.broker.close()


# ---- the end of a transaction


@pytest.mark.parametrize("commit", [True, False])
def test_records_and_offsets_count_together(transactions: Transactions, commit: bool) -> None:
    async def main() -> None:
        producer = transactions.init()
        transactions.write(producer)
        transactions.commit_offset(producer, 5)
        assert (transactions.is_open, transactions.is_unstable) == (True, True)
        assert transactions.committed_offset is None
        transactions.coordinator.end(producer, commit)
        assert (transactions.is_open, transactions.is_unstable) == (False, False)
        assert transactions.committed_offset == (5 if commit else None)
        assert bool(transactions.aborted) is not commit
        # The first answer was lost; the other decision is refused.
        transactions.coordinator.end(producer, commit)
        code = code_of(transactions.coordinator.end, producer, not commit)
        assert code == KafkaError.INVALID_TXN_STATE

    run(main())


@on_loop
def test_commit_outside_that_came_later_outlives_the_transaction(
    transactions: Transactions,
) -> None:
    producer = transactions.init()
    transactions.commit_offset(producer, 5)
    later = CommittedOffset(7, -1, "", 0)
    transactions.broker.groups.offsets.commit(SIMPLE, [(TopicPartition("logs", 1), later)], 8)
    transactions.coordinator.end(producer, True)
    assert transactions.committed_offset == 7


@on_loop
def test_transaction_that_did_not_begin_has_no_end(transactions: Transactions) -> None:
    producer = transactions.init()
    code = code_of(transactions.coordinator.end, producer, True)
    assert code == KafkaError.INVALID_TXN_STATE


@on_loop
def test_partition_that_was_not_added_is_not_part_of_it(transactions: Transactions) -> None:
    producer = transactions.init()
    check = transactions.coordinator.check_partition
    assert code_of(check, producer, LOGS) == KafkaError.INVALID_TXN_STATE
    transactions.coordinator.add_partitions(producer, [LOGS])
    check(producer, LOGS)
    transactions.coordinator.end(producer, True)
    assert code_of(check, producer, LOGS) == KafkaError.INVALID_TXN_STATE


def test_batch_that_comes_after_the_end_is_refused(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.broker.topics.create("logs", 1, {})
    init = {"transactional_id": "mine", "transaction_timeout_ms": 1000}
    owner = asker.ask("init_producer_id", 4, init)
    producer = Producer("mine", owner["producer_id"], owner["producer_epoch"])

    def produce(sequence: int, producer_epoch: int = 0) -> int:
        batch = build_batch(
            producer_id=producer.producer_id,
            producer_epoch=producer_epoch,
            base_sequence=sequence,
            attributes=TRANSACTIONAL,
        )
        data = [{"index": 0, "records": bytes(batch)}]
        topics = [{"name": "logs", "partition_data": data}]
        body = {"transactional_id": "mine", "acks": -1, "topic_data": topics}
        answer = asker.ask("produce", 9, body)
        code: int = answer["responses"][0]["partition_responses"][0]["error_code"]
        return code

    async def add_and_end(commit: bool | None) -> None:
        if commit is None:
            asker.broker.transactions.add_partitions(producer, [LOGS])
        else:
            asker.broker.transactions.end(producer, commit)

    assert produce(0) == KafkaError.INVALID_TXN_STATE
    run(add_and_end(None))
    assert produce(0) == KafkaError.NO_ERROR
    assert produce(1) == KafkaError.NO_ERROR
    run(add_and_end(False))
    assert produce(2) == KafkaError.INVALID_TXN_STATE
    assert produce(0, producer_epoch=7) == KafkaError.INVALID_PRODUCER_EPOCH
    asker.broker.close()


@on_loop
def test_topic_that_was_deleted_meanwhile_does_not_keep_it_open(transactions: Transactions) -> None:
    producer = transactions.init()
    transactions.write(producer)
    transactions.broker.topics.delete(transactions.broker.topics.by_name("logs"))
    transactions.coordinator.end(producer, True)
    assert transactions.state == "CompleteCommit"


def test_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(
    transactions: Transactions,
) -> None:
    async def main() -> None:
        producer = transactions.init()
        transactions.write(producer)
        await pass_ms(TIMEOUT_MS - 100)
        transactions.write(producer, 1)
        assert transactions.state == "Ongoing"
        await pass_ms(TIMEOUT_MS)
        assert transactions.state == "CompleteAbort"
        assert not transactions.is_open
        code = code_of(transactions.coordinator.end, producer, True)
        assert code == KafkaError.PRODUCER_FENCED

    run(main())


def test_marker_that_cannot_be_written_is_written_later(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = transactions.broker.topics.by_name("logs").partition(0).log

    def no_space(*_: object) -> int:
        raise Refusal(KafkaError.KAFKA_STORAGE_ERROR, "no space left on device")

    async def main() -> None:
        producer = transactions.init()
        transactions.write(producer)
        with monkeypatch.context() as broken:
            broken.setattr(log, "append_marker", no_space)
            transactions.coordinator.end(producer, True)  # decided, and that is in the log
            assert transactions.state == "PrepareCommit"
            for ask in (lambda: transactions.init(), lambda: transactions.write(producer)):
                assert code_of(ask) == KafkaError.CONCURRENT_TRANSACTIONS
        await pass_ms(1000)
        assert transactions.state == "CompleteCommit"
        assert not transactions.is_open

    run(main())


# ---- restarts


def test_open_transaction_survives_a_restart_and_can_be_committed(tmp_path: Path) -> None:
    before = Transactions(tmp_path)

    async def begin() -> Producer:
        producer = before.init()
        before.write(producer)
        before.commit_offset(producer, 5)
        return producer

    producer = run(begin())
    before.broker.close()
    after = Transactions(tmp_path)

    async def end() -> None:
        after.broker.begin()
        assert (after.state, after.is_open, after.is_unstable) == ("Ongoing", True, True)
        after.coordinator.end(producer, True)
        assert (after.is_open, after.committed_offset) == (False, 5)

    run(end())
    after.broker.close()


def test_decision_that_a_crash_interrupted_is_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Transactions(tmp_path)

    async def begin() -> None:
        producer = before.init()
        before.write(producer)
        monkeypatch.setattr(before.coordinator, "_complete", lambda _: None)
        before.coordinator.end(producer, True)

    run(begin())
    before.broker.close()
    after = Transactions(tmp_path)

    async def go_on() -> None:
        assert after.is_open
        after.broker.begin()
        assert (after.state, after.is_open, after.aborted) == ("CompleteCommit", False, [])

    run(go_on())
    after.broker.close()


def test_time_goes_on_for_a_transaction_while_the_broker_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Transactions(tmp_path)

    async def begin() -> None:
        before.write(before.init())

    run(begin())
    before.broker.close()
    after = Transactions(tmp_path)
    later_ns = time.time_ns() + TIMEOUT_MS * 1_000_000

    async def go_on() -> None:
        monkeypatch.setattr(time, "time_ns", lambda: later_ns)
        after.broker.begin()
        await pass_ms(1)
        assert after.state == "CompleteAbort"

    run(go_on())
    after.broker.close()
