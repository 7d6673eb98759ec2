"""A member of a consumer group in a process of its own, so that it can be killed or stopped.

    python -m tests.chaos.group_member '{"client": "fastkafka", "topic": "t", "settings": {...}}'

Writes a line for all that it sees, times in nanoseconds of the clock that processes share:

    R <poll began> <partition> <offset>           a record was returned
    C <began> <ended> <partition>:<offset> ...    a commit succeeded
    A <at> <partition> ...                        partitions were assigned
    V <at> <partition> ...                        partitions were revoked, or lost

It commits now and then and before partitions go, as applications do. It leaves when its input
ends.
"""

from __future__ import annotations

import importlib
import json
import logging
import select
import sys
import time
from typing import Any

COMMIT_EVERY_S = 0.2
POLL_S = 0.05


def say(*words: object) -> None:
    """Write one line, at once: the next moment may be the last."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def was_told_to_leave() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


class OfConfluentsApi:
    """fastkafka or confluent_kafka, which are used alike."""

    def __init__(self, client_name: str, topic: str, settings: dict[str, Any]) -> None:
        self._client = importlib.import_module(client_name)
        self._topic = topic
        self._reached: dict[int, int] = {}  # by partition, the offset to commit
        self._commit_at = 0.0
        self._consumer = self._client.Consumer(
            {"auto.offset.reset": "earliest", "enable.auto.commit": False, **settings}
        )
        self._consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _on_assign(self, consumer: Any, places: list[Any]) -> None:
        say("A", time.monotonic_ns(), *(place.partition for place in places))

    def _on_revoke(self, consumer: Any, places: list[Any]) -> None:
        self._commit()
        self._let_go(places)

    def _on_lost(self, consumer: Any, places: list[Any]) -> None:
        self._let_go(places)

    def _let_go(self, places: list[Any]) -> None:
        for place in places:
            self._reached.pop(place.partition, None)
        say("V", time.monotonic_ns(), *(place.partition for place in places))

    def _commit(self) -> None:
        if not self._reached:
            return
        began = time.monotonic_ns()
        offsets = [self._client.TopicPartition(self._topic, *row) for row in self._reached.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except self._client.KafkaException as problem:
            print("commit:", problem, file=sys.stderr)  # the group moved on, or its coordinator
            return
        rows = (f"{partition}:{offset}" for partition, offset in self._reached.items())
        say("C", began, time.monotonic_ns(), *rows)
        self._reached.clear()

    def work(self) -> None:
        """Read once, and commit when it is time."""
        began = time.monotonic_ns()
        for message in self._consumer.consume(100, POLL_S):
            if message.error() is not None:
                print("poll:", message.error(), file=sys.stderr)
                continue
            say("R", began, message.partition(), message.offset())
            self._reached[message.partition()] = message.offset() + 1
        if time.monotonic() >= self._commit_at:
            self._commit()
            self._commit_at = time.monotonic() + COMMIT_EVERY_S

    def leave(self) -> None:
        """Commit, and tell the group."""
        self._commit()
        self._consumer.close()


class OfKafkaPython:
    """kafka-python, which has its own."""

    def __init__(self, client_name: str, topic: str, settings: dict[str, Any]) -> None:
        self._client = importlib.import_module(client_name)
        self._topic = topic
        self._commit_at = 0.0
        self._reached: dict[Any, Any] = {}
        self._consumer = self._client.KafkaConsumer(
            auto_offset_reset="earliest", enable_auto_commit=False, **settings
        )
        member = self

        class Listener(self._client.ConsumerRebalanceListener):  # type: ignore[misc, name-defined]
            def on_partitions_assigned(self, assigned: Any) -> None:
                say("A", time.monotonic_ns(), *(place.partition for place in assigned))

            def on_partitions_revoked(self, revoked: Any) -> None:
                # A commit inside a listener makes kafka-python 3 fail: what was read since the last
                # one comes again.
                member._reached.clear()
                say("V", time.monotonic_ns(), *(place.partition for place in revoked))

        self._consumer.subscribe([topic], listener=Listener())

    def _commit(self) -> None:
        if not self._reached:
            return
        began = time.monotonic_ns()
        structs = self._client.structs
        offsets = {
            place: structs.OffsetAndMetadata(offset, "", -1)
            for place, offset in self._reached.items()
        }
        try:
            self._consumer.commit(offsets)
        except self._client.errors.KafkaError as problem:
            print("commit:", repr(problem), file=sys.stderr)
            return
        rows = (f"{place.partition}:{offset}" for place, offset in self._reached.items())
        say("C", began, time.monotonic_ns(), *rows)
        self._reached.clear()

    def work(self) -> None:
        """Read once, and commit when it is time."""
        began = time.monotonic_ns()
        found = self._consumer.poll(timeout_ms=int(1000 * POLL_S))
        for place, rows in found.items():
            for row in rows:
                say("R", began, place.partition, row.offset)
            self._reached[place] = rows[-1].offset + 1
        if time.monotonic() >= self._commit_at:
            self._commit()
            self._commit_at = time.monotonic() + COMMIT_EVERY_S

    def leave(self) -> None:
        """Commit, and tell the group."""
        self._commit()
        self._consumer.close()


def main() -> None:
    """Be a member until the input ends or says something."""
    told = json.loads(sys.argv[1])
    if "debug" in told["settings"]:
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(message)s")
    kind = OfKafkaPython if told["client"] == "kafka" else OfConfluentsApi
    member = kind(told["client"], told["topic"], told["settings"])
    while not was_told_to_leave():
        member.work()
    member.leave()


if __name__ == "__main__":
    main()
