"""The programs that are compared: how each is built and called, and what is missing to run it.

In:     the sources beside this file; gcc, go, javac and the Python packages that are there
Out:    a command line that takes the options of README.md; or the reason why there is none
Thread: one
Next:   compare.py runs them
"""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tools.kafka_cluster import KAFKA_VERSION, KafkaUnavailable, fetch_jars, missing_requirement

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILT = ROOT / "build" / "peers"
JAVA_CLASS = "org.apache.kafka.tools.MeasuredProducerPerformance"
COMPILE_TIMEOUT_S = 600


class PeerMissing(RuntimeError):
    """This machine cannot run a peer; the text says what is missing."""


def needs(tool: str) -> None:
    """Raise PeerMissing when a tool is not on PATH."""
    if shutil.which(tool) is None:
        raise PeerMissing(f"no `{tool}` on PATH")


def compile_when_older(target: Path, sources: list[Path], command: list[str], cwd: Path) -> None:
    """Run a compiler unless its result is younger than the sources."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / "lock", "w") as lock:
        # Two runs may start together; the second finds what the first has built.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists() and all(target.stat().st_mtime > one.stat().st_mtime for one in sources):
            return
        result = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S
        )
        if result.returncode != 0:
            target.unlink(missing_ok=True)
            raise PeerMissing(f"{command[0]} failed: {result.stderr.strip()[-500:]}")


def compiled_c(name: str, flags: list[str], variant: str = "") -> list[str]:
    """Compile a C program that stands here, when it is not yet; return how to call it.

    A variant is the same program with other flags.
    """
    needs("gcc")
    source, target = HERE / f"{name}.c", BUILT / f"{name}{variant}"
    strict = ["-O2", "-Wall", "-Wextra", "-Werror"]
    command = ["gcc", *strict, "-o", str(target), str(source), *flags]
    compile_when_older(target, [source, *HERE.glob("*.h")], command, HERE)
    return [str(target)]


def python_peer(module: str, package: str) -> list[str]:
    """Return how to call a Python peer, whose package must be installed."""
    if importlib.util.find_spec(package) is None:
        raise PeerMissing(f"no Python package `{package}`")
    return [sys.executable, "-m", f"benchmarks.peers.{module}"]


def librdkafka_library() -> Path:
    """Return librdkafka's shared library: the one in confluent-kafka's wheel, or the system's."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent.parent / "confluent_kafka.libs"
        for library in sorted(bundled.glob("librdkafka*.so*")):
            return library
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"):
        for library in sorted(Path(folder).glob("librdkafka.so.*")):
            return library
    raise PeerMissing("no librdkafka: neither in confluent-kafka's wheel nor on the system")


def librdkafka_peer(program: str) -> list[str]:
    """Return how to call a C program on librdkafka."""
    library = librdkafka_library()
    return compiled_c(program, [str(library), f"-Wl,-rpath,{library.parent}"])


def franz_go_peer() -> list[str]:
    """Return how to call the Go program on franz-go."""
    needs("go")
    folder, target = HERE / "franz_go", BUILT / "franz_go"
    sources = [folder / name for name in ("main.go", "go.mod", "go.sum")]
    compile_when_older(target, sources, ["go", "build", "-o", str(target), "."], folder)
    return [str(target)]


def java_peer() -> list[str]:
    """Return how to call Kafka's ProducerPerformance."""
    needs("javac")
    lacking = missing_requirement()
    if lacking is not None:
        raise PeerMissing(lacking)
    try:
        class_path = f"{fetch_jars()}/*"
    except KafkaUnavailable as problem:
        raise PeerMissing(str(problem)) from problem
    source = HERE / "java" / "MeasuredProducerPerformance.java"
    target = BUILT / "java" / (JAVA_CLASS.replace(".", "/") + ".class")
    command = ["javac", "-d", str(BUILT / "java"), "-cp", class_path, str(source)]
    compile_when_older(target, [source], command, HERE)
    return ["java", "-Xmx1g", "-cp", f"{BUILT / 'java'}:{class_path}", JAVA_CLASS]


PEERS: dict[str, Callable[[], list[str]]] = {
    "fastkafka": lambda: python_peer("fastkafka_producer", "fastkafka"),
    "pre-encoded": lambda: python_peer("pre_encoded_producer", "fastkafka"),
    "confluent-kafka": lambda: python_peer("confluent_kafka_producer", "confluent_kafka"),
    "kafka-python": lambda: python_peer("kafka_python_producer", "kafka"),
    "aiokafka": lambda: python_peer("aiokafka_producer", "aiokafka"),
    "librdkafka": lambda: librdkafka_peer("librdkafka_producer"),
    "franz-go": franz_go_peer,
    "java": java_peer,
    "fastkafka consumer": lambda: python_peer("fastkafka_consumer", "fastkafka"),
    "confluent-kafka consumer": lambda: python_peer("confluent_kafka_consumer", "confluent_kafka"),
    "kafka-python consumer": lambda: python_peer("kafka_python_consumer", "kafka"),
    "aiokafka consumer": lambda: python_peer("aiokafka_consumer", "aiokafka"),
    "librdkafka consumer": lambda: librdkafka_peer("librdkafka_consumer"),
}


def peer_versions() -> dict[str, str]:
    """Return the versions of what the peers stand for, as far as they are known without a run."""
    versions = {"java": f"kafka-clients {KAFKA_VERSION}"}
    for package in ("confluent-kafka", "kafka-python", "aiokafka"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    for line in (HERE / "franz_go" / "go.mod").read_text().splitlines():
        words = line.replace("require", "").split()
        if len(words) == 2 and words[0] == "github.com/twmb/franz-go":
            versions["franz-go"] = words[1]
    return versions
