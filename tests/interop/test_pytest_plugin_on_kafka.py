"""The pytest plugin on Apache Kafka: a user's tests do not notice which cluster they run on."""

from __future__ import annotations

from tests.integration.test_pytest_plugin import EMBEDDED_TESTS, USER_TESTS, Run, run
from tools.kafka_cluster import KafkaCluster

pytest_plugins = ["pytester"]
__all__ = ["run"]


def test_a_users_tests_pass_on_apache_kafka(run: Run, kafka: KafkaCluster) -> None:
    given = f"--kafka-bootstrap={kafka.bootstrap_servers}"
    run(USER_TESTS + EMBEDDED_TESTS, given).assert_outcomes(passed=9, skipped=2)
    left = kafka.run_tool("org.apache.kafka.tools.TopicCommand", "--list").stdout.split()
    assert [topic for topic in left if topic.startswith(b"test-")] == []
