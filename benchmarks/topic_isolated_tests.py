"""How long tests of a user's kind take: each with a topic, a producer and a consumer of its own.

    python benchmarks/topic_isolated_tests.py --tests 1000 --seconds-max 30

Runs pytest with the plugin in a process of its own, start and end of the broker included, and
prints the time. Exit status 1 when a test failed or the time was exceeded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER_TESTS = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_an_order_comes_back(number, kafka_topic, producer, consumer):
    producer.produce(kafka_topic, b"order %d" % number, key=b"customer")
    assert producer.flush(10) == 0
    message = consumer.poll(10)
    assert (message.topic(), message.value()) == (kafka_topic, b"order %d" % number)
"""


def run_user_tests(tests: int, *options: str) -> float:
    """Run so many tests and return the seconds; raises CalledProcessError when one fails."""
    with tempfile.TemporaryDirectory(prefix="fastkafka-tests-") as folder:
        path = Path(folder, "test_user.py")
        path.write_text(USER_TESTS.format(tests=tests))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "fastkafka.testing.pytest_plugin"]
        began = time.monotonic()
        subprocess.run(
            [*command, "-p", "no:cacheprovider", *options, str(path)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
        return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--seconds-max", type=float, default=30.0)
    options, pytest_options = parser.parse_known_args(arguments)
    try:
        seconds = run_user_tests(options.tests, *pytest_options)
    except subprocess.CalledProcessError as problem:
        print(problem.stdout.decode(errors="replace")[-4000:], file=sys.stderr)
        return 1
    print(
        f"{options.tests} tests in {seconds:.1f} s: {1000 * seconds / options.tests:.1f} ms each,"
        f" {options.seconds_max:.0f} s allowed"
    )
    return 0 if seconds <= options.seconds_max else 1


if __name__ == "__main__":
    sys.exit(main())
