"""A broker to read from in a process of its own, for tests that hold the GIL of theirs.

Partition 0 of t is led by node 1 and gets half of its records there, then moves to node 2, as the
answer to the next Fetch says, and gets the other half. Partition 0 of u is led by node 2 always, so
that a consumer of both has connections to both.
"""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection

from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FetchBroker
from tests.scripted.spawning import Spawned

BATCHES, BATCH_RECORDS = 40, 1000
RECORDS = BATCHES * BATCH_RECORDS
# The test begins to hold the GIL before the first of these is over.
PAUSE_S = 0.25


def value_of(number: int) -> bytes:
    """Return the value of a record of t."""
    return b"%0100d" % number


def _write_and_move(broker: FetchBroker, batches: list[bytes]) -> None:
    time.sleep(PAUSE_S)
    broker.put("t", 0, *batches[: BATCHES // 2])
    time.sleep(PAUSE_S)
    broker.move_leader("t", 0, 2)
    broker.put("t", 0, *batches[BATCHES // 2 :])


def _main(pipe: Connection) -> None:
    batches = [
        values_batch([value_of(first + number) for number in range(BATCH_RECORDS)], first)
        for first in range(0, RECORDS, BATCH_RECORDS)
    ]
    with FetchBroker(nodes=2, topics={"t": 1, "u": 1}) as broker:
        broker.hints_leaders = True
        broker.leaders[("u", 0)] = (2, 0)
        broker.put("u", 0, values_batch([b"proof"], 0))
        pipe.send(broker.bootstrap_servers)
        while (question := pipe.recv()) is not None:
            if question == "begin":
                threading.Thread(target=_write_and_move, args=(broker, batches)).start()
                pipe.send(None)
            elif question == "fetches of t":
                pipe.send(
                    [
                        (one.node_id, one.arrived_at)
                        for one in list(broker.fetched)
                        if ("t", 0) in one.offsets
                    ]
                )


def spawned_fetch_broker() -> Spawned:
    """Start the broker; it knows the questions "begin" and "fetches of t"."""
    return Spawned(_main)
