"""A scripted broker in a process of its own, for tests that hold the GIL of theirs.

    with spawned_broker("accept", nodes=2, topics={"t": 4}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        ...
        broker.ask("records_count")

The behaviours are named functions here, since a closure does not travel to another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.scripted.broker import Produced, Reply, ScriptedBroker
from tests.scripted.spawning import Spawned

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


def spawned_broker(behaviour: str = "accept", **arguments: Any) -> Spawned:
    """Start a ScriptedBroker with one of BEHAVIOURS; its questions are those above."""
    return Spawned(_main, behaviour, arguments)
