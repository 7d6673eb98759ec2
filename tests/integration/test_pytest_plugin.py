"""The pytest plugin, run as a user runs it: in a process of its own, on files of its own."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.topic_isolated_tests import run_user_tests
from fastkafka.broker import EmbeddedBroker
from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

USER_TESTS = """
import fastkafka
import pytest

seen = []

@pytest.mark.parametrize("number", range(3))
def test_each_has_a_topic_of_its_own(number, kafka_topic, producer, consumer):
    assert kafka_topic not in seen
    seen.append(kafka_topic)
    producer.produce(kafka_topic, b"%d" % number)
    assert producer.flush(10) == 0
    assert consumer.poll(10).value() == b"%d" % number
    assert consumer.poll(0) is None

@pytest.mark.kafka(partitions=5)
class TestPartitions:
    def test_the_topic_has_as_many_as_the_marker_says(self, kafka_topic, producer, consumer):
        topic = producer.list_topics(kafka_topic, 10).topics[kafka_topic]
        assert len(topic.partitions) == len(consumer.assignment()) == 5

    @pytest.mark.kafka(config={"max.message.bytes": "1000"})
    def test_a_nearer_marker_adds_to_it(self, kafka_topic, producer):
        errors = []
        producer.produce(kafka_topic, bytes(2000), on_delivery=lambda e, m: errors.append(e))
        producer.flush(10)
        assert errors[0].name() == "MSG_SIZE_TOO_LARGE"
        assert len(producer.list_topics(kafka_topic, 10).topics[kafka_topic].partitions) == 5

def test_the_broker_is_the_cluster_of_one(kafka_broker, kafka_cluster):
    assert kafka_broker.bootstrap_servers == kafka_cluster.bootstrap_servers

class TestSettings:
    @pytest.fixture
    def producer_config(self):
        return {"client.id": "mine", "linger.ms": 1}

    def test_are_redefined_by_fixtures(self, producer_config, producer, kafka_topic):
        producer.produce(kafka_topic, b"x")
        assert producer.flush(10) == 0
"""

EMBEDDED_TESTS = """
import pytest
from fastkafka.broker import Fault

@pytest.mark.kafka(nodes=3, partitions=3)
def test_three_nodes(kafka_cluster, kafka_topic, producer):
    metadata = producer.list_topics(kafka_topic, 10)
    assert len(metadata.brokers) == 3
    leaders = {p.leader for p in metadata.topics[kafka_topic].partitions.values()}
    assert len(leaders) == 3

def test_a_fault_hits(kafka_faults, kafka_topic, producer, consumer):
    fault_id = kafka_faults.add(Fault(api="produce", drop_connection="after", times=1))
    producer.produce(kafka_topic, b"once")
    assert producer.flush(10) == 0
    assert kafka_faults.hits(fault_id) == 1
    assert consumer.poll(10).value() == b"once"
    kafka_faults.add(Fault(api="produce", error_code=6))

def test_faults_end_with_their_test(kafka_topic, producer):
    producer.produce(kafka_topic, b"unharmed")
    assert producer.flush(10) == 0

def test_a_proxy_stands_before_the_cluster(kafka_proxy, kafka_cluster):
    assert kafka_proxy.bootstrap_servers != kafka_cluster.bootstrap_servers
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the tests of a text; a warning, such as of a resource that was left, is an error."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(text: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(text)
        plugin = ("-p", "fastkafka.testing.pytest_plugin", "--strict-markers", "-W", "error")
        return pytester.runpytest_subprocess(*plugin, *options)

    return run


def topics_of(broker: EmbeddedBroker) -> set[str]:
    """Return the partitions of all topics but the broker's own, where groups commit."""
    names = {path.name for path in Path(broker.data_dir).glob("*-[0-9]*")}
    return {name for name in names if not name.startswith("__")}


def test_fixtures_serve_a_users_tests(run: Run) -> None:
    run(USER_TESTS + EMBEDDED_TESTS).assert_outcomes(passed=11)


def test_workers_of_xdist_have_brokers_of_their_own(run: Run) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is missing")
    tests = """
import os
import pytest

@pytest.mark.parametrize("number", range(4))
def test_one(number, kafka_broker, kafka_topic, producer, consumer):
    with open(os.environ["ADDRESSES"], "a") as file:
        file.write(kafka_broker.bootstrap_servers + chr(10))
    producer.produce(kafka_topic, b"x")
    producer.flush(10)
    assert consumer.poll(10).value() == b"x"
"""
    addresses = Path("addresses").absolute()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ADDRESSES", str(addresses))
        run(tests, "-n", "2").assert_outcomes(passed=4)
    assert len(set(addresses.read_text().split())) == 2


def test_the_same_tests_run_on_a_cluster_that_is_there(run: Run) -> None:
    with EmbeddedBroker(num_partitions=1) as broker:
        given = f"--kafka-bootstrap={broker.bootstrap_servers}"
        result = run(USER_TESTS + EMBEDDED_TESTS, given, "-rs")
        result.assert_outcomes(passed=9, skipped=2)
        result.stdout.fnmatch_lines(
            ["*needs 3 brokers, * has 1*", "*kafka_faults needs an embedded broker*"], consecutive=0
        )
        assert topics_of(broker) == set(), "a test run leaves no topic behind"


def test_a_marker_that_makes_no_sense_is_named(run: Run) -> None:
    said = {
        "nodes=0": "nodes and partitions are 1 or more",
        "brokers=3": "unexpected keyword argument 'brokers'",
        "3": "takes names, not order",
    }
    tests = [
        f"@pytest.mark.kafka({marker})\ndef test_{number}(kafka_topic):\n    pass\n"
        for number, marker in enumerate(said)
    ]
    result = run("import pytest\n" + "\n".join(tests))
    result.assert_outcomes(errors=len(said))
    result.stdout.fnmatch_lines([f"*test_{n}*{text}*" for n, text in enumerate(said.values())])


def test_a_run_without_kafka_pays_for_nothing(run: Run) -> None:
    tests = """
import sys

def test_nothing_was_imported():
    assert not [m for m in sys.modules if m.startswith(("fastkafka._core.", "fastkafka.broker"))]
"""
    run(tests).assert_outcomes(passed=1)


def test_pytest_finds_the_plugin_of_an_installed_package() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        entry_points = tomllib.load(file)["project"]["entry-points"]["pytest11"]
    (module_name,) = entry_points.values()
    assert callable(importlib.import_module(module_name).pytest_addoption)


@pytest.mark.resident
def test_a_hundred_tests_have_a_topic_each() -> None:
    """The short form of `make isolated-tests`, which also judges the time."""
    run_user_tests(100)


def test_the_examples_of_the_manual_run(run: Run) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    count = sum(example.count("\ndef test_") + example.startswith("def") for example in examples)
    assert count >= 6
    run("import pytest\n" + "\n".join(examples)).assert_outcomes(passed=count)
