#!/usr/bin/env python3
"""Real Apache Kafka for tests and benchmarks: KRaft nodes from Maven Central's jars, on free ports.

    with KafkaCluster(nodes=3) as kafka:
        kafka.create_topic("logs", partitions=4)
        kafka.kill(0); kafka.start_node(0)
        kafka.end_offsets("logs")

    python tools/kafka_cluster.py run --nodes 1        until Ctrl-C; prints bootstrap.servers
    python tools/kafka_cluster.py fetch                only the jars
    python tools/kafka_cluster.py tool CLASS ARGS...   a Java tool on Kafka's class path

Needs Java 17 or newer, and Maven for the first fetch. Each node is broker and controller in one.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KAFKA_VERSION = "4.3.1"
JAVA_VERSION_MIN = 17
READY_TIMEOUT_S = 120.0
POLL_INTERVAL_S = 0.1

CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
GET_OFFSET_SHELL = "org.apache.kafka.tools.GetOffsetShell"
STORAGE_TOOL = "kafka.tools.StorageTool"

# A test run that is killed must not leave brokers behind: when our end of the pipe closes, whatever
# the reason, the processes named on it go, and their data ($0). (PR_SET_PDEATHSIG looks at the
# thread that started the process, and nodes are restarted from threads that end.)
GUARD = 'while read -r pid; do pids="$pids $pid"; done; kill -9 $pids 2>/dev/null; rm -rf "$0"'

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fastkafka</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)
LOGGING = (
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
    ("org.apache.logging.log4j", "log4j-core", "2.24.3"),
)
LOG4J = """<Configuration status="WARN">
  <Appenders>
    <Console name="out" target="SYSTEM_ERR"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class KafkaUnavailable(RuntimeError):
    """This machine cannot run Apache Kafka; the text says what is missing."""


def cache_directory(version: str = KAFKA_VERSION) -> Path:
    """Return the folder that keeps the jars between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fastkafka" / f"kafka-{version}"


def missing_requirement(version: str = KAFKA_VERSION) -> str | None:
    """Return what this machine lacks to run Kafka, or None."""
    if shutil.which("java") is None:
        return f"Java {JAVA_VERSION_MIN} is missing: no `java` on PATH"
    answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found.group(1)) < JAVA_VERSION_MIN:
        return f"Java {JAVA_VERSION_MIN} is missing: `java -version` says {answer.stderr[:60]!r}"
    if not (cache_directory(version) / "complete").exists() and shutil.which("mvn") is None:
        return "Maven is missing: no `mvn` on PATH to fetch Kafka's jars with"
    return None


def fetch_jars(version: str = KAFKA_VERSION) -> Path:
    """Fetch Kafka's jars with Maven, once per version, and return their folder."""
    directory = cache_directory(version)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        # Two test runs may start together; the second finds the jars of the first.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            pom = directory / "pom.xml"
            kafka = [("org.apache.kafka", name, version) for name in ("kafka_2.13", "kafka-tools")]
            wanted = "".join(DEPENDENCY.format(*row) for row in (*kafka, *LOGGING))
            pom.write_text(POM.format(dependencies=wanted))
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
            maven = subprocess.run(
                ["mvn", "-q", "-B", "-f", str(pom), *goal, f"-DoutputDirectory={directory}/jars"],
                capture_output=True,
                text=True,
                check=False,
            )
            if maven.returncode != 0:
                raise KafkaUnavailable(
                    f"Maven could not fetch Kafka's jars:\n{maven.stdout[-2000:]}"
                )
            (directory / "log4j2.xml").write_text(LOG4J)
            (directory / "complete").touch()
    return directory / "jars"


def java_command(
    main_class: str, *args: str, heap: str = "512m", version: str = KAFKA_VERSION
) -> list[str]:
    """Return the command line that runs a class of Kafka's jars."""
    jars = fetch_jars(version)
    return [
        "java",
        f"-Xmx{heap}",
        f"-Dlog4j2.configurationFile={jars.parent / 'log4j2.xml'}",
        "-cp",
        f"{jars}/*",
        main_class,
        *args,
    ]


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses, below the range that the kernel gives to outgoing connections.

    A node that is killed and started again needs its old port; from the ephemeral range a client's
    own connection could have taken it meanwhile.
    """
    ports: list[int] = []
    for port in random.sample(range(20000, 32000), 2000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        if len(ports) == count:
            return ports
    raise KafkaUnavailable("no free ports between 20000 and 32000")


def registered_brokers(port: int, timeout_s: float = 2.0) -> set[int]:
    """Ask the broker at `port` which nodes are alive (Metadata v0); empty without an answer."""
    # Request header v1: api key 3, version 0, correlation id, client id. An empty list of topics
    # means all of them in this version; only the brokers, first in the answer, are read.
    request = struct.pack(">hhih4si", 3, 0, 1, 4, b"wait", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                (size_bytes,) = struct.unpack(">i", stream.read(4))
                frame = stream.read(size_bytes)
    except (OSError, struct.error):
        return set()
    count, position = struct.unpack_from(">i", frame, 4)[0], 8
    nodes = set()
    for _ in range(count):
        node_id, host_bytes = struct.unpack_from(">ih", frame, position)
        nodes.add(node_id)
        position += 4 + 2 + host_bytes + 4
    return nodes


@dataclass
class KafkaNode:
    """One process of the cluster, broker and controller in one."""

    node_id: int
    port: int
    controller_port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Say whether the process runs (a paused one does)."""
        return self.process is not None and self.process.poll() is None

    def last_log_lines(self, count: int = 20) -> str:
        """Return the end of the node's log, for error messages."""
        path = self.directory / "broker.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-count:])


@dataclass
class KafkaCluster:
    """A cluster of `nodes` KRaft nodes on 127.0.0.1; replication factor min(3, nodes).

    `settings` are server properties that win over the defaults below. Nodes are named by index,
    0-based; their node ids are index + 1.
    """

    nodes: int = 1
    heap: str = "768m"
    settings: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    version: str = KAFKA_VERSION
    _members: list[KafkaNode] = field(default_factory=list, init=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> KafkaCluster:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # --- life cycle

    def start(self) -> None:
        """Format the storage, start every node, return when each answers and knows the others."""
        lacking = missing_requirement(self.version)
        if lacking is not None:
            raise KafkaUnavailable(lacking)
        fetch_jars(self.version)
        self.directory = Path(tempfile.mkdtemp(prefix="fastkafka-kafka-", dir=self.directory))
        ports = free_ports(2 * self.nodes)
        for index in range(self.nodes):
            directory = self.directory / f"node-{index}"
            directory.mkdir()
            node = KafkaNode(index + 1, ports[index], ports[self.nodes + index], directory)
            self._members.append(node)
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, str(self.directory)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            self._format_storage()
            for index in range(self.nodes):
                self._launch(self._members[index])
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every node and remove all data."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        # Topics are thrown away with the folder, so nothing is gained by an orderly shutdown.
        for node in self._members:
            if node.process is not None:
                node.process.kill()
                node.process.wait()
        self._members.clear()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start_node(self, index: int, wait: bool = True) -> None:
        """Start a node that was stopped or killed, with its data; wait until it serves."""
        self._launch(self._members[index])
        if wait:
            self.wait_until_ready()

    def stop_node(self, index: int) -> None:
        """Stop a node in order (SIGTERM): its leaders move first."""
        self._end(index, signal.SIGTERM)

    def kill(self, index: int) -> None:
        """End a node with SIGKILL; what it had not written is lost."""
        self._end(index, signal.SIGKILL)

    def restart(self, index: int) -> None:
        """Kill a node and start it again."""
        self.kill(index)
        self.start_node(index)

    def pause(self, index: int) -> None:
        """Stop a node's clock (SIGSTOP): its connections stay open and silent."""
        self._process(index).send_signal(signal.SIGSTOP)

    def resume(self, index: int) -> None:
        """Let a paused node go on (SIGCONT)."""
        self._process(index).send_signal(signal.SIGCONT)

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return when every running node answers and sees every other running node."""
        deadline = time.monotonic() + timeout_s
        running = [node for node in self._members if node.process is not None]
        expected = {node.node_id for node in running}
        for node in running:
            while not expected <= registered_brokers(node.port):
                if not node.alive():
                    raise KafkaUnavailable(
                        f"Kafka node {node.node_id} ended:\n{node.last_log_lines()}"
                    )
                if time.monotonic() > deadline:
                    raise KafkaUnavailable(
                        f"Kafka node {node.node_id} was not ready after {timeout_s:.0f} s:\n"
                        f"{node.last_log_lines()}"
                    )
                time.sleep(POLL_INTERVAL_S)

    # --- what tests ask

    @property
    def bootstrap_servers(self) -> str:
        """The listeners of all nodes, as bootstrap.servers wants them."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self._members)

    def port(self, index: int) -> int:
        """Return the client port of a node."""
        return self._members[index].port

    def process_id(self, index: int) -> int:
        """Return the process id of a node."""
        return self._process(index).pid

    def create_topic(
        self,
        topic: str,
        partitions: int = 4,
        replication_factor: int | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic and return when the cluster has leaders for it."""
        from confluent_kafka.admin import NewTopic

        factor = min(3, self.nodes) if replication_factor is None else replication_factor
        new_topic = NewTopic(topic, partitions, factor, config=dict(config or {}))
        admin = self._admin()  # kept by name: its futures die with it
        admin.create_topics([new_topic])[topic].result(timeout=60)
        # The leaders answer only after they have heard of it too.
        while len(self.end_offsets(topic)) != partitions:
            time.sleep(POLL_INTERVAL_S)

    def delete_topic(self, topic: str) -> None:
        """Delete a topic and its data."""
        admin = self._admin()
        admin.delete_topics([topic])[topic].result(timeout=60)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the high watermark of each partition; while leaders move, wait for them."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            offsets = self._ask_end_offsets(topic)
            # A leader that died or moved gives an error or a negative offset until the election.
            if offsets and min(offsets.values()) >= 0:
                return offsets
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic {topic}: some partition had no leader: {offsets}")
            time.sleep(POLL_INTERVAL_S)

    def leader_index(self, topic: str, partition: int) -> int:
        """Return the index of the node that leads a partition."""
        admin = self._admin()
        return (
            int(admin.list_topics(topic, timeout=30).topics[topic].partitions[partition].leader) - 1
        )

    def wait_until_in_sync(self, topic: str) -> None:
        """Return when every replica of a topic has all that its leader has.

        Raises: TimeoutError
        """
        admin = self._admin()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            partitions = admin.list_topics(topic, timeout=30).topics[topic].partitions.values()
            if partitions and all(len(one.isrs) == len(one.replicas) for one in partitions):
                return
            time.sleep(POLL_INTERVAL_S)
        raise TimeoutError(f"replicas of {topic} stay behind: {partitions}")

    def run_tool(
        self, main_class: str, *args: str, stdin: bytes | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of Kafka's Java tools against this cluster; a failure raises with its output."""
        command = java_command(main_class, "--bootstrap-server", self.bootstrap_servers, *args)
        result = subprocess.run(
            command, input=stdin, capture_output=True, timeout=timeout_s, check=False
        )
        if result.returncode != 0:
            raise RuntimeError(
                f"{main_class} failed:\n{result.stderr.decode(errors='replace')[-2000:]}"
            )
        return result

    def console_consume(self, topic: str, max_messages: int, *args: str) -> list[bytes]:
        """Read a topic from the beginning with the Java console consumer, one value per line."""
        wanted = ["--topic", topic, "--from-beginning", "--max-messages", str(max_messages)]
        output = self.run_tool(CONSOLE_CONSUMER, *wanted, "--timeout-ms", "60000", *args).stdout
        return output.split(b"\n")[:-1]

    # --- inside

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _ask_end_offsets(self, topic: str) -> dict[int, int]:
        from concurrent.futures import TimeoutError as FutureTimeout  # Python 3.10: its own class

        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        admin = self._admin()
        try:
            partitions = admin.list_topics(topic, timeout=30).topics[topic].partitions
            asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}
            answers = admin.list_offsets(asked, request_timeout=3)
            return {at.partition: answer.result(5).offset for at, answer in answers.items()}
        except (KafkaException, TimeoutError, FutureTimeout):
            return {}

    def _process(self, index: int) -> subprocess.Popen[bytes]:
        process = self._members[index].process
        if process is None:
            raise RuntimeError(f"node {index} does not run")
        return process

    def _end(self, index: int, how: signal.Signals) -> None:
        process = self._process(index)
        process.send_signal(how)
        process.wait(timeout=60)
        self._members[index].process = None

    def _launch(self, node: KafkaNode) -> None:
        command = java_command(
            "kafka.Kafka",
            str(node.directory / "server.properties"),
            heap=self.heap,
            version=self.version,
        )
        with open(node.directory / "broker.log", "ab") as log:
            node.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(b"%d\n" % node.process.pid)
            self._guard.stdin.flush()

    def _format_storage(self) -> None:
        formatting = []
        for node in self._members:
            path = node.directory / "server.properties"
            path.write_text(
                "".join(f"{name}={value}\n" for name, value in self._properties(node).items())
            )
            # The cluster id is any 16 bytes in base64; the nodes only have to agree.
            format_it = ("format", "-t", "ZmFzdGthZmthLXRlc3RzIQ", "-c", str(path))
            command = java_command(STORAGE_TOOL, *format_it, version=self.version)
            formatting.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            )
        for process in formatting:
            output, _ = process.communicate(timeout=READY_TIMEOUT_S)
            if process.returncode != 0:
                raise KafkaUnavailable(
                    f"the storage could not be formatted:\n{output.decode()[-2000:]}"
                )

    def _properties(self, node: KafkaNode) -> dict[str, str]:
        replicas = min(3, self.nodes)
        in_sync_min = max(1, replicas - 1)
        voters = ",".join(f"{n.node_id}@127.0.0.1:{n.controller_port}" for n in self._members)
        listener = f"PLAINTEXT://127.0.0.1:{node.port}"
        properties: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": node.node_id,
            "broker.rack": f"rack-{node.node_id}",
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{listener},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": listener,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": node.directory / "data",
            "num.partitions": 4,
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync_min,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync_min,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync_min,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 2,
            "num.io.threads": 4,
            # A bound on the disk: about 1 GiB per partition, old segments gone within seconds.
            "log.retention.bytes": 1 << 30,
            "log.segment.bytes": 1 << 27,
            "log.retention.check.interval.ms": 3000,
            "log.segment.delete.delay.ms": 1000,
            # A killed node is fenced after this long, and only then do its leaders move.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
        }
        if self.version.startswith("3."):  # KIP-848 is a preview there
            properties["group.coordinator.rebalance.protocols"] = "classic,consumer"
        properties.update(self.settings)
        return {name: str(value) for name, value in properties.items()}


@contextlib.contextmanager
def running_until_interrupt(cluster: KafkaCluster) -> Iterator[None]:
    """Hold a cluster until Ctrl-C or SIGTERM, then stop it."""
    # A shell starts background jobs with Ctrl-C ignored; asked by name, this one still stops.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.default_int_handler)
    with cluster, contextlib.suppress(KeyboardInterrupt):
        yield
        signal.pause()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start a cluster and hold it until Ctrl-C")
    run.add_argument("--nodes", type=int, default=1)
    run.add_argument("--heap", default="768m")
    run.add_argument("--version", default=KAFKA_VERSION, help="default: %(default)s")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    commands.add_parser("fetch", help="fetch the jars and print their folder")
    tool = commands.add_parser("tool", help="run a Java tool")
    tool.add_argument("main_class")
    tool.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        if options.command == "fetch":
            print(fetch_jars())
        elif options.command == "tool":
            command = java_command(options.main_class, *options.arguments)
            os.execvp(command[0], command)
        else:
            settings = dict(setting.split("=", 1) for setting in options.set)
            cluster = KafkaCluster(options.nodes, options.heap, settings, version=options.version)
            with running_until_interrupt(cluster):
                print(cluster.bootstrap_servers, flush=True)
    except KafkaUnavailable as problem:
        print(f"kafka_cluster: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
