"""A scripted broker in a process of its own, for tests that hold the GIL of theirs.

    with SpawnedBroker("accept", nodes=2, topics={"t": 4}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        ...
        broker.ask("records_count")

The behaviours are named functions here, since a closure does not travel to another process.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.scripted.broker import Produced, Reply, ScriptedBroker

Behaviour = Callable[[ScriptedBroker], None]


# Long enough for a test to hold the GIL before the first of its batches is answered.
FIRST_ANSWER_S = 0.2


def _is_first_of_many(produced: Produced, met: set[int]) -> bool:
    is_first = not met and any(batch.records_count > 1 for batch in produced.batches.values())
    if is_first:
        met.add(produced.correlation_id)
    return is_first


def accept(broker: ScriptedBroker) -> None:
    """Append and acknowledge everything; be slow with the first batch of more than one record."""
    met: set[int] = set()

    def on_produce(produced: Produced) -> Reply | None:
        if _is_first_of_many(produced, met):
            time.sleep(FIRST_ANSWER_S)
        return None

    broker.on_produce = on_produce


def move_leaders_with_a_hint(broker: ScriptedBroker) -> None:
    """Let every leader move from node 1 to node 2 once it has seen five batches of a partition.

    The first batch of more than one record is answered late.
    """
    seen: dict[tuple[str, int], int] = {}
    met: set[int] = set()

    def on_produce(produced: Produced) -> Reply | None:
        if _is_first_of_many(produced, met):
            time.sleep(FIRST_ANSWER_S)
        hints = {}
        for place in produced.batches:
            seen[place] = seen.get(place, 0) + 1
            if broker.leader_of(place)[0] == produced.node_id == 1 and seen[place] > 5:
                hints[place] = (2, broker.move_leader(*place, 2))
        return Reply(hints=hints) if hints else None

    broker.on_produce = on_produce


BEHAVIOURS: dict[str, Behaviour] = {
    "accept": accept,
    "move_leaders_with_a_hint": move_leaders_with_a_hint,
}


def _questions(broker: ScriptedBroker) -> dict[str, Callable[[], Any]]:
    return {
        "records_count": lambda: sum(log.records_count for log in list(broker.logs.values())),
        "values": lambda: {place: log.values for place, log in broker.logs.items()},
        "leaders": lambda: dict(broker.leaders),
        "arrivals": lambda: [
            (one.node_id, topic, one.arrived_at)
            for one in broker.produced
            for topic, _ in one.batches
        ],
    }


def _main(pipe: Connection, behaviour: str, arguments: dict[str, Any]) -> None:
    with ScriptedBroker(**arguments) as broker:
        BEHAVIOURS[behaviour](broker)
        questions = _questions(broker)
        pipe.send(broker.bootstrap_servers)
        while True:
            try:
                question = pipe.recv()
            except EOFError:
                return
            if question is None:
                return
            pipe.send(questions[question]())


class SpawnedBroker:
    """The parent's end of a scripted broker in another process."""

    def __init__(self, behaviour: str = "accept", **arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, behaviour, arguments))
        self._process.start()
        theirs.close()
        assert self._pipe.poll(30), "the broker's process has not started"
        self.bootstrap_servers: str = self._pipe.recv()

    def __enter__(self) -> SpawnedBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join(10)
        self._pipe.close()
        assert self._process.exitcode == 0

    def ask(self, question: str) -> Any:
        """Ask the broker one of its questions."""
        self._pipe.send(question)
        assert self._pipe.poll(30), f"no answer to {question!r}"
        return self._pipe.recv()
