"""The fixture itself: what is said of real Kafka in other tests rests on it."""

from __future__ import annotations

import subprocess

from tools.kafka_cluster import GET_OFFSET_SHELL, KafkaCluster, registered_brokers


def test_a_topic_counts_what_kcat_wrote(kafka: KafkaCluster, kcat: str) -> None:
    kafka.create_topic("cluster-kcat", partitions=2)
    lines = [b"line-%d" % number for number in range(100)]
    command = [kcat, "-P", "-b", kafka.bootstrap_servers, "-t", "cluster-kcat", "-p", "1"]
    subprocess.run(command, input=b"\n".join(lines) + b"\n", check=True, timeout=60)
    assert kafka.end_offsets("cluster-kcat") == {0: 0, 1: 100}
    assert kafka.console_consume("cluster-kcat", 100) == lines


def test_java_tools_agree_with_end_offsets(kafka: KafkaCluster) -> None:
    kafka.create_topic("cluster-empty", partitions=2)
    output = kafka.run_tool(GET_OFFSET_SHELL, "--topic", "cluster-empty").stdout
    assert sorted(output.split()) == [b"cluster-empty:0:0", b"cluster-empty:1:0"]


def test_a_killed_node_leaves_and_comes_back(kafka3: KafkaCluster) -> None:
    kafka3.create_topic("cluster-three", partitions=3)
    assert registered_brokers(kafka3.port(1)) == {1, 2, 3}
    kafka3.kill(0)
    assert registered_brokers(kafka3.port(0)) == set()
    # With two of three replicas in sync every partition finds a leader among the others.
    assert kafka3.end_offsets("cluster-three") == {0: 0, 1: 0, 2: 0}
    kafka3.start_node(0)
    assert registered_brokers(kafka3.port(0)) == {1, 2, 3}


def test_no_answer_counts_as_no_broker() -> None:
    assert registered_brokers(port=1, timeout_s=0.5) == set()
