"""Histories with one anomaly each, planted by hand: what the history checker has to find."""

from __future__ import annotations

from collections.abc import Callable

from fastkafka.testing import AnomalyKind, History, find_anomalies
from fastkafka.testing.history import Reader, Send, Transaction, Writer

TOPIC = "orders"


class Scene:
    """Two producers, two consumers, and a log that behaves until told otherwise."""

    def __init__(self) -> None:
        self.history = History()
        self.writer = self.history.writer("p1")
        self.other = self.history.writer("p2")
        self.reader = self.history.reader("c1")
        self.dirty_reader = self.history.reader("c2", read_committed=False)
        self.end_offsets = {0: 0, 1: 0}

    def send(
        self,
        value: str,
        partition: int = 0,
        transaction: Transaction | None = None,
        writer: Writer | None = None,
    ) -> Send:
        """Send a record, have it acknowledged at the end of the log."""
        writer = writer or self.writer
        sent = writer.send(TOPIC, value, partition=partition, transaction=transaction)
        sent.delivered(partition, self.end_offsets[partition])
        self.end_offsets[partition] += 1
        return sent

    def read(
        self,
        sent: Send,
        reader: Reader | None = None,
        transaction: Transaction | None = None,
        offset: int | None = None,
    ) -> None:
        """Read a record where it was acknowledged, or at another offset."""
        assert sent.position is not None
        at = sent.position[1] if offset is None else offset
        reader = reader or self.reader
        reader.read(TOPIC, sent.position[0], at, sent.value, key=sent.key, transaction=transaction)

    def marker(self, partition: int = 0) -> None:
        """A transaction marker takes an offset and is never read."""
        self.end_offsets[partition] += 1

    def found(self) -> set[AnomalyKind]:
        """Every kind that the checker reports, what Kafka allows included."""
        return {anomaly.kind for anomaly in find_anomalies(self.history, allowed=())}


def commit(transaction: Transaction) -> None:
    transaction.asked_to_commit()
    transaction.committed()


# ---- records


def plant_lost(scene: Scene) -> None:
    scene.send("lost")
    scene.read(scene.send("after it"))


def plant_lost_at_the_end(scene: Scene) -> None:
    scene.send("lost")
    scene.history.has_read_to(TOPIC, 0, scene.end_offsets[0])


def plant_lost_at_an_offset_nobody_told(scene: Scene) -> None:
    scene.writer.send(TOPIC, "lost", partition=0).delivered(0)
    scene.history.has_read_to(TOPIC, 0, scene.end_offsets[0])


def plant_unseen(scene: Scene) -> None:
    scene.send("not read yet")


def plant_duplicated(scene: Scene) -> None:
    sent = scene.writer.send(TOPIC, "twice", partition=0)
    sent.delivered(0)
    scene.read(sent, offset=3)
    scene.read(sent, offset=4)


def plant_duplicated_of_an_unknown(scene: Scene) -> None:
    scene.writer.send(TOPIC, "twice", partition=0).unknown()
    scene.reader.read(TOPIC, 0, 3, "twice")
    scene.reader.read(TOPIC, 0, 4, "twice")


def plant_reordered(scene: Scene) -> None:
    first = scene.writer.send(TOPIC, "first", partition=0)
    second = scene.send("second")
    first.delivered(0, scene.end_offsets[0])
    scene.read(second)
    scene.read(first)


def plant_reordered_as_acknowledged(scene: Scene) -> None:
    first = scene.writer.send(TOPIC, "first", partition=1)
    scene.send("second", partition=1)
    first.delivered(1, scene.end_offsets[1])
    scene.history.removed_before(TOPIC, 1, 2)


def plant_invented(scene: Scene) -> None:
    scene.reader.read(TOPIC, 0, scene.end_offsets[0], "out of nowhere")


def plant_another_key(scene: Scene) -> None:
    scene.writer.send(TOPIC, "keyed", key=b"right", partition=0).delivered(0, 3)
    scene.reader.read(TOPIC, 0, 3, "keyed", key=b"wrong")


def plant_another_partition(scene: Scene) -> None:
    scene.writer.send(TOPIC, "astray", partition=0).delivered(1, 0)
    scene.reader.read(TOPIC, 1, 0, "astray")


def plant_another_topic(scene: Scene) -> None:
    scene.writer.send(TOPIC, "astray").delivered(0)
    scene.reader.read("other", 0, 0, "astray")


def plant_another_offset(scene: Scene) -> None:
    scene.read(scene.send("astray"), offset=7)


def plant_inconsistent_offset(scene: Scene) -> None:
    scene.read(scene.send("one"))
    scene.other.send(TOPIC, "two", partition=0).unknown()
    scene.dirty_reader.read(TOPIC, 0, 3, "two")


def plant_read_though_not_written(scene: Scene) -> None:
    scene.writer.send(TOPIC, "refused", partition=0).not_written()
    scene.reader.read(TOPIC, 0, 3, "refused")


def plant_no_outcome(scene: Scene) -> None:
    scene.writer.send(TOPIC, "silence", partition=0)


def plant_many_outcomes(scene: Scene) -> None:
    sent = scene.send("told twice")
    sent.delivered(0, 3)
    scene.read(sent)


def plant_nonmonotonic_poll(scene: Scene) -> None:
    scene.reader.read(TOPIC, 0, 1, "before 1")


def plant_the_same_offset_again(scene: Scene) -> None:
    scene.reader.read(TOPIC, 0, 2, "before 2")


def plant_poll_skip(scene: Scene) -> None:
    scene.dirty_reader.read(TOPIC, 0, 0, "before 0")
    scene.dirty_reader.read(TOPIC, 0, 2, "before 2")


# ---- transactions


def plant_aborted_read(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    sent = scene.send("aborted", transaction=transaction)
    transaction.aborted()
    scene.read(sent)


def plant_intermediate_read(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    scene.read(scene.send("early", transaction=transaction))
    commit(transaction)


def plant_a_read_of_an_open_transaction(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    scene.read(scene.send("early", transaction=transaction))


def plant_torn_transaction(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    here = scene.send("this half", transaction=transaction)
    scene.send("that half", partition=1, transaction=transaction)
    commit(transaction)
    scene.read(here)
    scene.history.has_read_to(TOPIC, 1, 1)


def plant_torn_transaction_with_unknown_end(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    here = scene.send("this half", transaction=transaction)
    scene.send("that half", partition=1, transaction=transaction)
    transaction.asked_to_commit()
    scene.read(here)
    scene.history.has_read_to(TOPIC, 1, 1)


def plant_lost_commit(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    sents = [scene.send(f"half {n}", partition=n, transaction=transaction) for n in range(2)]
    commit(transaction)
    # read_uncommitted shows that they are in the log: it is the commit that is lost
    for sent in sents:
        scene.read(sent, reader=scene.history.reader("c3", read_committed=False))
    for partition in range(2):
        scene.marker(partition)
        scene.read(scene.send(f"after {partition}", partition=partition))


def plant_a_commit_not_read_to_its_end(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    scene.send("later", transaction=transaction)
    commit(transaction)


def plant_write_cycle(scene: Scene) -> None:
    one, two = scene.writer.begin_transaction(), scene.other.begin_transaction()
    sents = [
        scene.send("one in 0", 0, one),
        scene.send("two in 0", 0, two, scene.other),
        scene.send("two in 1", 1, two, scene.other),
        scene.send("one in 1", 1, one),
    ]
    commit(one)
    commit(two)
    for sent in sents:
        scene.read(sent)


def plant_read_cycle(scene: Scene) -> None:
    one, two = scene.writer.begin_transaction(), scene.other.begin_transaction()
    sent_by_one = scene.send("by one", 0, one)
    sent_by_two = scene.send("by two", 1, two, scene.other)
    one.asked_to_commit()
    two.asked_to_commit()
    scene.read(sent_by_two, transaction=one)
    scene.read(sent_by_one, transaction=two)
    one.committed()
    two.committed()


def plant_read_write_cycle(scene: Scene) -> None:
    one, two = scene.writer.begin_transaction(), scene.other.begin_transaction()
    first = scene.send("one", 0, one)
    second = scene.send("two", 0, two, scene.other)
    commit(two)
    scene.read(second, reader=scene.history.reader("c3"), transaction=one)
    commit(one)
    scene.read(first)


def plant_internal_nonmonotonic_send(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    first = scene.writer.send(TOPIC, "first", partition=0, transaction=transaction)
    second = scene.send("second", transaction=transaction)
    first.delivered(0, scene.end_offsets[0])
    commit(transaction)
    scene.read(second)
    scene.read(first)


def plant_internal_send_skip(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    first = scene.send("first", transaction=transaction)
    between = scene.send("of another", writer=scene.other)
    second = scene.send("second", transaction=transaction)
    commit(transaction)
    for sent in (first, between, second):
        scene.read(sent)


def plant_internal_nonmonotonic_poll(scene: Scene) -> None:
    transaction = scene.other.begin_transaction()
    reader = scene.history.reader("c3")
    reader.read(TOPIC, 0, 1, "before 1", transaction=transaction)
    reader.read(TOPIC, 0, 0, "before 0", transaction=transaction)


def plant_internal_poll_skip(scene: Scene) -> None:
    transaction = scene.other.begin_transaction()
    reader = scene.history.reader("c3")
    reader.read(TOPIC, 0, 0, "before 0", transaction=transaction)
    reader.read(TOPIC, 0, 2, "before 2", transaction=transaction)


PLANTED: list[tuple[Callable[[Scene], None], set[AnomalyKind]]] = [
    (plant_lost, {AnomalyKind.LOST}),
    (plant_lost_at_the_end, {AnomalyKind.LOST}),
    (plant_lost_at_an_offset_nobody_told, {AnomalyKind.LOST}),
    (plant_unseen, {AnomalyKind.UNSEEN}),
    (plant_duplicated, {AnomalyKind.DUPLICATED}),
    (plant_duplicated_of_an_unknown, {AnomalyKind.DUPLICATED}),
    (plant_reordered, {AnomalyKind.REORDERED}),
    (plant_reordered_as_acknowledged, {AnomalyKind.REORDERED}),
    (plant_invented, {AnomalyKind.INVENTED}),
    (plant_another_key, {AnomalyKind.INVENTED}),
    (plant_another_partition, {AnomalyKind.MISPLACED}),
    (plant_another_topic, {AnomalyKind.MISPLACED}),
    (plant_another_offset, {AnomalyKind.MISPLACED}),
    (plant_inconsistent_offset, {AnomalyKind.INCONSISTENT_OFFSET}),
    (plant_read_though_not_written, {AnomalyKind.READ_THOUGH_NOT_WRITTEN}),
    (plant_no_outcome, {AnomalyKind.NO_OUTCOME}),
    (plant_many_outcomes, {AnomalyKind.MANY_OUTCOMES}),
    (plant_nonmonotonic_poll, {AnomalyKind.NONMONOTONIC_POLL}),
    (plant_the_same_offset_again, {AnomalyKind.NONMONOTONIC_POLL}),
    (plant_poll_skip, {AnomalyKind.POLL_SKIP}),
    (plant_aborted_read, {AnomalyKind.ABORTED_READ}),
    (plant_intermediate_read, {AnomalyKind.INTERMEDIATE_READ}),
    (plant_a_read_of_an_open_transaction, {AnomalyKind.INTERMEDIATE_READ}),
    (plant_torn_transaction, {AnomalyKind.TORN_TRANSACTION}),
    (plant_torn_transaction_with_unknown_end, {AnomalyKind.TORN_TRANSACTION}),
    (plant_lost_commit, {AnomalyKind.LOST_COMMIT}),
    (plant_a_commit_not_read_to_its_end, {AnomalyKind.UNSEEN}),
    (plant_write_cycle, {AnomalyKind.WRITE_CYCLE}),
    (plant_read_cycle, {AnomalyKind.READ_CYCLE}),
    (plant_read_write_cycle, {AnomalyKind.READ_WRITE_CYCLE}),
    (plant_internal_nonmonotonic_send, {AnomalyKind.INTERNAL_NONMONOTONIC_SEND}),
    (plant_internal_send_skip, {AnomalyKind.INTERNAL_SEND_SKIP}),
    (plant_internal_nonmonotonic_poll, {AnomalyKind.INTERNAL_NONMONOTONIC_POLL}),
    (plant_internal_poll_skip, {AnomalyKind.INTERNAL_POLL_SKIP}),
]
