"""The data plane needs no GIL: what is queued reaches the broker while Python code holds it."""

from __future__ import annotations

import ctypes
import time

from tests.scripted.client import FLUSH_S, make_producer, prove
from tests.scripted.spawned import spawned_broker

RECORDS = 60_000  # under what bulk calls queue before they wait for used memory
HELD_S = 1.0

# PyDLL keeps the GIL during the call; CDLL would release it.
_libc = ctypes.PyDLL(None)


def hold_the_gil() -> tuple[int, int]:
    """Keep the GIL for a second; returns CLOCK_MONOTONIC before and after."""
    before = time.monotonic_ns()
    _libc.usleep(int(HELD_S * 1_000_000))
    return before, time.monotonic_ns()


def test_queued_records_are_acknowledged_while_the_gil_is_held() -> None:
    values = [b"%099d" % number for number in range(RECORDS)]
    with spawned_broker("accept", topics={"t": 4}) as broker:
        with make_producer(broker.bootstrap_servers, **{"linger.ms": 5}) as producer:
            prove(producer, 0, 1, 2, 3)
            producer.produce_many("t", values)
            before, after = hold_the_gil()
            arrived_at = [arrival[2] * 1e9 for arrival in broker.ask("arrivals")]
            assert sum(before < moment < after for moment in arrived_at) >= 2
            counters = producer.counters()
            assert after - before >= HELD_S * 1e9
            assert counters["records_acknowledged"] == RECORDS + 4
            assert counters["last_acknowledged_at_ns"] < after
            # Not merely before we looked: well before the GIL was free again.
            assert counters["last_acknowledged_at_ns"] < after - HELD_S * 1e9 * 0.1
            assert broker.ask("records_count") == RECORDS + 4
            arrived = [value for log in broker.ask("values").values() for value in log]
            assert sorted(arrived) == sorted([*values, *[b"proof"] * 4])
            assert producer.flush(FLUSH_S) == 0


def test_a_leader_moves_with_a_hint_while_the_gil_is_held() -> None:
    values = [b"%099d" % number for number in range(RECORDS)]
    with spawned_broker("move_leaders_with_a_hint", nodes=2, topics={"t": 2, "u": 2}) as broker:
        # Small batches, so that the leaders move amid the records; u keeps node 2's connection up.
        conf = {"linger.ms": 5, "batch.size": 200_000}
        with make_producer(broker.bootstrap_servers, **conf) as producer:
            prove(producer, 0, 1)
            for _ in range(6):
                prove(producer, 0, 1, topic="u")
            assert broker.ask("leaders") == {("u", 0): (2, 1), ("u", 1): (2, 1)}
            taken_before = producer.counters()["records_acknowledged"]
            producer.produce_many("t", values[: RECORDS // 2], partition=0)
            producer.produce_many("t", values[RECORDS // 2 :], partition=1)
            before, after = hold_the_gil()
            counters = producer.counters()
            assert after - before >= HELD_S * 1e9
            assert counters["records_acknowledged"] == taken_before + RECORDS
            assert counters["last_acknowledged_at_ns"] < after
            assert broker.ask("leaders")[("t", 0)] == (2, 1)
            assert broker.ask("leaders")[("t", 1)] == (2, 1)
            moved_at = [
                arrived_at * 1e9
                for node_id, topic, arrived_at in broker.ask("arrivals")
                if (node_id, topic) == (2, "t")
            ]
            assert before < min(moved_at) < max(moved_at) < after
            logs = broker.ask("values")
            assert logs[("t", 0)] == [b"proof", *values[: RECORDS // 2]]
            assert logs[("t", 1)] == [b"proof", *values[RECORDS // 2 :]]
            assert producer.flush(FLUSH_S) == 0
