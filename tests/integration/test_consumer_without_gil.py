"""The data plane needs no GIL: records arrive and are decoded while Python code holds it."""

from __future__ import annotations

import ctypes
import time

from fastkafka import Consumer, TopicPartition
from tests.scripted.spawned_fetch import RECORDS, spawned_fetch_broker, value_of

HELD_S = 1.5

# PyDLL keeps the GIL during the call; CDLL would release it.
_libc = ctypes.PyDLL(None)


def test_a_leader_moves_with_a_hint_while_the_gil_is_held() -> None:
    with spawned_fetch_broker() as broker:
        conf = {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "",
            "fetch.wait.max.ms": 50,
        }
        with Consumer(conf) as consumer:
            consumer.assign([TopicPartition("t", 0, 0), TopicPartition("u", 0, 0)])
            proof = consumer.poll(30)
            assert proof is not None and proof.value() == b"proof"
            while not broker.ask("fetches of t"):
                assert consumer.poll(0.01) is None
            before = consumer.counters()["records_decoded"]
            broker.ask("begin")
            began_ns = time.monotonic_ns()
            _libc.usleep(int(HELD_S * 1_000_000))
            ended_ns = time.monotonic_ns()
            counters = consumer.counters()
            assert counters["records_decoded"] == before + RECORDS
            assert began_ns < counters["last_decoded_at_ns"] < ended_ns
            at_node_2 = [at * 1e9 for node, at in broker.ask("fetches of t") if node == 2]
            assert began_ns < at_node_2[0] < ended_ns
            messages = consumer.consume(RECORDS, 30)
            assert [message.value() for message in messages] == [
                value_of(number) for number in range(RECORDS)
            ]
