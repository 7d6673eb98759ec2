"""A member whose process holds the GIL for longer than its session is still in its group.

    python -m tests.chaos.held_gil --bootstrap-servers HOST:PORT --protocol consumer --seconds 60

The topic grows while the GIL is held: what was prefetched by then is counted afterwards.
Prints one line of JSON; tests/interop/test_groups_on_kafka.py runs it for some seconds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import time
import uuid

from fastkafka import Consumer, Message, Producer, TopicPartition

TIMEOUT_S = 60.0
RECORDS = 1000
# The other process writes when the GIL has been held for so long.
WRITE_AFTER_S = 2.0
WRITER = """
import sys, time
from fastkafka import Producer
time.sleep(float(sys.argv[3]))
with Producer({"bootstrap.servers": sys.argv[1]}) as producer:
    values = [b"%d" % number for number in range(int(sys.argv[4]))]
    producer.produce_many(sys.argv[2], values, partition=0)
    assert producer.flush(60) == 0
"""

# PyDLL keeps the GIL during the call; CDLL would release it.
_libc = ctypes.PyDLL(None)


def hold_gil(
    bootstrap_servers: str, protocol: str, seconds: float, session_ms: int
) -> dict[str, object]:
    """Return what was seen before, during and after."""
    topic = f"held-{uuid.uuid4().hex[:8]}"
    conf: dict[str, object] = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": topic,
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
    }
    if protocol == "classic":
        conf["session.timeout.ms"] = session_ms
    with Producer({"bootstrap.servers": bootstrap_servers}) as producer:
        producer.produce(topic, b"proof", partition=0)
        assert producer.flush(TIMEOUT_S) == 0
    lost: list[str] = []

    def note(name: str) -> object:
        return lambda consumer, places: lost.append(name)

    with Consumer(conf) as consumer:
        consumer.subscribe([topic], on_revoke=note("revoked"), on_lost=note("lost"))
        proof = next_record(consumer)
        assert proof.value() == b"proof"
        before = consumer.consumer_group_metadata()
        decoded = consumer.counters()["records_decoded"]
        writer = [sys.executable, "-c", WRITER, bootstrap_servers, topic]
        writing = subprocess.Popen([*writer, str(WRITE_AFTER_S), str(RECORDS)])
        began_s = time.monotonic()
        _libc.usleep(int(seconds * 1_000_000))
        held_s = time.monotonic() - began_s
        counters = consumer.counters()
        assert writing.wait(TIMEOUT_S) == 0
        values = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(values) < RECORDS and time.monotonic() < deadline:
            values += [message.value() for message in consumer.consume(RECORDS, 0.5)]
        consumer.commit(asynchronous=False)
        committed = consumer.committed([TopicPartition(topic, 0)], TIMEOUT_S)
        after = consumer.consumer_group_metadata()
        return {
            "protocol": protocol,
            "held_s": round(held_s, 1),
            "is_same_member": before == after,
            "lost": lost.copy(),
            "decoded_meanwhile": counters["records_decoded"] - decoded,
            "decoded_before_the_end_s": round(
                time.monotonic() - counters["last_decoded_at_ns"] / 1e9, 1
            ),
            "read_afterwards": len(values),
            "committed": committed[0].offset,
        }


def next_record(consumer: Consumer) -> Message:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            return message
    raise TimeoutError("no record came")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--session-timeout-ms", type=int, default=45000, help="of classic")
    options = parser.parse_args()
    seen = hold_gil(
        options.bootstrap_servers, options.protocol, options.seconds, options.session_timeout_ms
    )
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
