"""Consumer groups while members come, go and die and coordinators are killed, on real Kafka.

    python -m tests.chaos.group_events --assignor sticky --events 200 --version 3.9.2
    python -m tests.chaos.group_events --protocol consumer --clients fastkafka confluent_kafka

Five members in processes of their own read 30 partitions that are written to all the time. Each
event is one of: a member joins, leaves, is killed with SIGKILL, is stopped past its session and
goes on, or the node of the group's coordinator is killed and started again. Within twice the
session every partition moves on. In the end the histories of all members are judged
(group_history.py).

Prints for how long a partition stood still, and exits with 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from fastkafka import Producer
from tests.chaos.group_history import GroupHistory
from tools.kafka_cluster import KAFKA_VERSION, KafkaCluster

ROOT = Path(__file__).resolve().parent.parent.parent
MEMBERS = 5
MEMBERS_MIN, MEMBERS_MAX = 2, 8
WRITE_EVERY_S = 0.1
STOPPED_FOR_LONGER_S = 2.0  # than the session
STANDSTILL_S_MAX = 120.0
EVENTS = ("join", "leave", "kill", "stop", "coordinator")
WEIGHTS = (30, 25, 20, 15, 10)
SERVER_SETTINGS = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    # What a member can answer for begins when there is a coordinator again: a cluster that misses
    # a killed node after 9 s, its default, would be most of what is measured.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
}


@dataclass
class Plan:
    """What is run."""

    clients: Sequence[str] = ("fastkafka",)
    protocol: str = "classic"
    assignor: str = "range"
    events: int = 200
    partitions: int = 30
    session_s: float = 10.0
    seed: int = 0
    version: str = KAFKA_VERSION
    overlap: bool = False
    kept_in: Path | None = None

    def server_settings(self) -> dict[str, str]:
        session_ms = str(int(1000 * self.session_s))
        return {**SERVER_SETTINGS, "group.consumer.session.timeout.ms": session_ms}

    def settings(self, client: str, bootstrap_servers: str, group: str) -> dict[str, Any]:
        """Return what a member of that client is made with."""
        session_ms = int(1000 * self.session_s)
        if client == "kafka":
            return {
                "bootstrap_servers": bootstrap_servers.split(","),
                "group_id": group,
                "session_timeout_ms": session_ms,
                "heartbeat_interval_ms": 300,
            }
        settings: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "group.id": group}
        if self.kept_in is not None:
            settings.update(debug="cgrp", log_level=7)
        if client == "confluent_kafka":
            settings["log_level"] = 0
        if self.protocol == "consumer":
            return {**settings, "group.protocol": "consumer"}
        return {
            **settings,
            "partition.assignment.strategy": self.assignor,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": 300,
        }


@dataclass
class MemberProcess:
    """A member, and the thread that reads what it says."""

    name: str
    process: subprocess.Popen[str]
    reader: threading.Thread
    errors: Path


@dataclass
class Standstill:
    """How long the slowest partition stood still during and after an event."""

    event: str
    seconds: float


@dataclass
class GroupEvents:
    """A group under way on a cluster of three nodes."""

    kafka: KafkaCluster
    plan: Plan
    history: GroupHistory = field(default_factory=GroupHistory)
    standstills: list[Standstill] = field(default_factory=list)
    left_badly: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.plan.seed)
        self._topic = f"events-{uuid.uuid4().hex[:8]}"
        self._group = f"group-{self._topic}"
        self._members: list[MemberProcess] = []
        self._made = 0
        self._has_ended = threading.Event()
        self._notes = tempfile.TemporaryDirectory(prefix="fastkafka-members-")
        self._kept_in = self.plan.kept_in or Path(self._notes.name)
        self._ends: dict[int, int] = {}
        self._written = 0  # records of each partition

    def run(self, tell: Callable[[str], None]) -> list[str]:
        """Run all events; return what broke a rule."""
        self.kafka.create_topic(self._topic, partitions=self.plan.partitions)
        writer = threading.Thread(target=self._write)
        writer.start()
        try:
            for _ in range(MEMBERS):
                self._join()
            self._strike("start", lambda: None)
            for number in range(self.plan.events):
                (event,) = self._random.choices(EVENTS, WEIGHTS)
                event = self._possible(event)
                self._strike(event, getattr(self, f"_{event}"))
                last = self.standstills[-1].seconds
                tell(f"{number + 1:4} {event:12} {len(self._members)} members, {last:.1f} s")
        finally:
            self._has_ended.set()
            writer.join()
            self._wait_for_the_rest()
            self._end_members()
        anomalies = self.history.anomalies(self._ends)
        return anomalies + self.left_badly

    def _possible(self, event: str) -> str:
        if event in ("leave", "kill") and len(self._members) <= MEMBERS_MIN:
            return "join"
        return "leave" if event == "join" and len(self._members) >= MEMBERS_MAX else event

    # events

    def _join(self) -> None:
        client = self.plan.clients[self._made % len(self.plan.clients)]
        self._made += 1
        name = f"{client}-{self._made}"
        told = {
            "client": client,
            "topic": self._topic,
            "settings": self.plan.settings(client, self.kafka.bootstrap_servers, self._group),
        }
        errors = self._kept_in / f"{name}.log"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.group_member", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors.open("w"),
            text=True,
            cwd=ROOT,
        )
        reader = threading.Thread(target=self._listen, args=(name, process))
        reader.start()
        self._members.append(MemberProcess(name, process, reader, errors))

    def _listen(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with open(self._kept_in / f"{name}.history", "w") as kept:
            for line in process.stdout:
                if line.endswith("\n"):  # the last one may be cut by a SIGKILL
                    self.history.take(name, line)
                    kept.write(line)

    def _leave(self) -> None:
        self._end(self._members.pop(self._random.randrange(len(self._members))))

    def _kill(self) -> None:
        member = self._members.pop(self._random.randrange(len(self._members)))
        member.process.kill()
        member.process.wait()
        member.reader.join()

    def _stop(self) -> None:
        member = self._random.choice(self._members)
        member.process.send_signal(signal.SIGSTOP)
        time.sleep(self.plan.session_s + STOPPED_FOR_LONGER_S)
        member.process.send_signal(signal.SIGCONT)

    def _coordinator(self) -> None:
        leader = self._coordinator_index()
        if not self.plan.overlap:
            # Of three nodes two have to be there: without them it is Kafka that stands still.
            self.kafka.wait_until_in_sync("__consumer_offsets")
            self.kafka.wait_until_in_sync(self._topic)
            self.history.take_standstill_s()
        self.kafka.kill(leader)
        time.sleep(self.plan.session_s / 2)
        self.kafka.start_node(leader, wait=False)

    def _coordinator_index(self) -> int:
        """Return the node that coordinates the group: the leader of its partition of the log."""
        parts = 4  # offsets.topic.num.partitions of the test clusters
        number = 0
        for byte in self._group.encode():  # String.hashCode of Java
            number = (31 * number + byte) & 0xFFFFFFFF
        return self.kafka.leader_index("__consumer_offsets", (number & 0x7FFFFFFF) % parts)

    # what goes on beside

    def _write(self) -> None:
        """Write to every partition, a record at a time, until the events are over."""
        settings = {"bootstrap.servers": self.kafka.bootstrap_servers, "linger.ms": 0}
        with Producer(settings) as producer:
            while not self._has_ended.wait(WRITE_EVERY_S):
                for partition in range(self.plan.partitions):
                    producer.produce(self._topic, b"%d" % self._written, partition=partition)
                self._written += 1
                producer.poll(0)
            assert producer.flush(60) == 0
        ends = self.kafka.end_offsets(self._topic)
        self._ends = {partition: ends[partition] for partition in range(self.plan.partitions)}

    def _strike(self, event: str, strike: Callable[[], None]) -> None:
        """Return when every partition was read beyond what was written when the event was over."""
        self.history.take_standstill_s()
        strike()
        written = self._written
        deadline = time.monotonic() + STANDSTILL_S_MAX
        while waiting := [p for p in range(self.plan.partitions) if self._is_behind(p, written)]:
            if time.monotonic() > deadline:
                text = f"{waiting} do not move on {STANDSTILL_S_MAX:.0f} s after {event}"
                self.left_badly.append(text)
                break
            time.sleep(0.02)
        seconds = self.history.take_standstill_s()
        self.standstills.append(Standstill(event, seconds))
        if event != "start" and not self.plan.overlap and seconds > 2 * self.plan.session_s:
            self.left_badly.append(f"a partition stood still for {seconds:.1f} s after {event}")

    def _is_behind(self, partition: int, written: int) -> bool:
        return self.history.reached[partition] <= written

    def _wait_for_the_rest(self) -> None:
        deadline = time.monotonic() + STANDSTILL_S_MAX
        while any(self.history.reached[p] < end for p, end in self._ends.items()):
            if time.monotonic() > deadline:
                return  # the judgement says what is missing
            time.sleep(0.05)

    def _end_members(self) -> None:
        while self._members:
            self._end(self._members.pop())
        self._notes.cleanup()

    def _end(self, member: MemberProcess) -> None:
        """Have a member leave in order; one that cannot is an anomaly of its own."""
        assert member.process.stdin is not None
        try:
            member.process.stdin.close()
            code = member.process.wait(STANDSTILL_S_MAX)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            member.process.kill()
            code = member.process.wait()
        member.reader.join()
        if code != 0:
            lines = member.errors.read_text().splitlines()[-15:]
            self.left_badly.append(f"{member.name} ended with {code}:\n" + "\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", nargs="+", default=["fastkafka"])
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--assignor", default="range")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--session", type=float, default=10.0, help="seconds, default: %(default)s")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--version", default=KAFKA_VERSION, help="of Apache Kafka")
    parser.add_argument(
        "--overlap",
        action="store_true",
        help="kill a coordinator also while the last one is not back; how long it takes is free",
    )
    parser.add_argument("--keep", type=Path, help="a folder for what members see, and their logs")
    options = parser.parse_args(arguments)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        clients=options.clients,
        protocol=options.protocol,
        assignor=options.assignor,
        events=options.events,
        session_s=options.session,
        seed=options.seed,
        version=options.version,
        overlap=options.overlap,
        kept_in=options.keep,
    )
    print(plan, flush=True)
    cluster = KafkaCluster(3, "512m", plan.server_settings(), version=plan.version)
    with cluster as kafka:
        events = GroupEvents(kafka, plan)
        broken = events.run(lambda line: print(line, flush=True))
    for event in ("start", *EVENTS):
        took = [row.seconds for row in events.standstills if row.event == event]
        if took:
            figures = f"{median(took):5.1f} s, {max(took):5.1f} s at most"
            print(f"{event:12} {len(took):4} times, {figures}")
    print(f"{events.history.records_read()} records returned, {len(broken)} anomalies")
    print("\n".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
