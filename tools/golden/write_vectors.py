#!/usr/bin/env python3
"""Write tests/protocol/vectors/ with the Java program beside this file.

    tools/golden/write_vectors.py             write the vectors
    tools/golden/write_vectors.py --check     fail when a file on disk differs

Needs a JDK of version 17 or newer, and Maven, which fetches kafka-clients and Jackson. One file
per API (and one for what belongs to none), one line per vector.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VECTORS = ROOT / "tests" / "protocol" / "vectors"
BUILD = ROOT / "build" / "golden"
JACKSON_VERSION = "2.19.0"
TOOL_TIMEOUT_S = 100

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>golden</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId>
<version>{kafka}</version></dependency>
<dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-databind</artifactId>
<version>{jackson}</version></dependency>
</dependencies></project>
"""


class ToolMissing(Exception):
    """Java or Maven is not here, or failed; the text says which."""


def generator() -> object:
    """The module tools/generate_messages.py, which knows Kafka's version and our file names."""
    path = ROOT / "tools" / "generate_messages.py"
    spec = importlib.util.spec_from_file_location("generate_messages", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*command: str) -> str:
    """Standard output of a tool that must be there and must succeed."""
    if shutil.which(command[0]) is None:
        raise ToolMissing(f"{command[0]} is not installed (Debian: openjdk-17-jdk-headless, maven)")
    try:
        result = subprocess.run(
            command, cwd=BUILD, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{command[0]} did not end within {TOOL_TIMEOUT_S} s") from None
    if result.returncode:
        raise ToolMissing(f"{command[0]} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout


def java_lines(kafka_version: str) -> list[str]:
    """What GoldenVectors prints."""
    BUILD.mkdir(parents=True, exist_ok=True)
    jars = BUILD / f"jars-{kafka_version}-{JACKSON_VERSION}"
    if not (jars / "ready").exists():
        (BUILD / "pom.xml").write_text(POM.format(kafka=kafka_version, jackson=JACKSON_VERSION))
        copy = ("dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        run("mvn", "-q", "-B", "-f", "pom.xml", *copy)
        (jars / "ready").touch()
    run("javac", "-cp", f"{jars}/*", "-d", str(BUILD), str(HERE / "GoldenVectors.java"))
    java = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*:{BUILD}")
    return run(*java, "GoldenVectors").splitlines()


def vector_files() -> dict[str, str]:
    """All files: name -> text."""
    messages = generator()
    lines = java_lines(messages.KAFKA_VERSION)  # type: ignore[attr-defined]
    by_file: dict[str, list[str]] = {}
    for line in lines:
        name = json.loads(line)["message"]
        stem = name.removesuffix("Request").removesuffix("Response")
        if name.endswith("Header") or name.startswith("ConsumerProtocol"):
            stem = "NoApi"
        file_name = messages.snake_case(stem) + ".json"  # type: ignore[attr-defined]
        by_file.setdefault(file_name, []).append(line)
    head = f'{{"producer": "tools/golden, kafka-clients {messages.KAFKA_VERSION}", "vectors": [\n'  # type: ignore[attr-defined]
    return {name: head + ",\n".join(rows) + "\n]}\n" for name, rows in by_file.items()}


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    arguments = parser.parse_args()
    try:
        files = vector_files()
    except ToolMissing as error:
        print(f"write_vectors: {error}", file=sys.stderr)
        return 2
    on_disk = {path.name: path.read_text() for path in VECTORS.glob("*.json")}
    if arguments.check:
        different = sorted(
            n for n in files.keys() | on_disk.keys() if files.get(n) != on_disk.get(n)
        )
        for name in different:
            print(f"{VECTORS.relative_to(ROOT)}/{name}: differs; run tools/golden/write_vectors.py")
        return 1 if different else 0
    VECTORS.mkdir(parents=True, exist_ok=True)
    for name in on_disk.keys() - files.keys():
        (VECTORS / name).unlink()
    for name, text in files.items():
        (VECTORS / name).write_text(text)
    count = sum(text.count('{"message"') for text in files.values())
    print(f"{count} vectors in {len(files)} files written to {VECTORS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
