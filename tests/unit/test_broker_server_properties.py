"""server.properties of Kafka as settings of the broker, and what the command line puts above it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fastkafka.broker.broker_properties import BROKER_PROPERTIES, BrokerProperty
from fastkafka.broker.command_line import parse_command_line
from fastkafka.broker.server_properties import parse_properties, settings_of
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import ConfigError

USUAL = """
# what Kafka's own example sets, and more
process.roles=broker,controller
node.id=7
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9192,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://kafka.test:9192,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=4
auto.create.topics.enable=false
log.retention.hours=168
log.retention.bytes=1073741824
log.segment.bytes=1048576
log.retention.check.interval.ms=1000
message.max.bytes=2000000
offsets.topic.num.partitions=5
offsets.retention.minutes=60
"""


def settings(text: str) -> dict[str, object]:
    return settings_of(parse_properties(text), where="test")


def test_the_usual_keys_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = settings(USUAL)
    assert not caplog.records
    assert found == {
        "node_id": 7,
        "host": "127.0.0.1",
        "port": 9192,
        "security_protocol": "PLAINTEXT",
        "advertised_host": "kafka.test",
        "advertised_port": 0,
        "data_dir": Path("/tmp/kraft-combined-logs"),
        "socket_request_max_bytes": 104857600,
        "num_partitions": 4,
        "auto_create_topics": False,
        "retention_ms": 168 * 3_600_000,
        "retention_bytes": 1073741824,
        "segment_bytes": 1048576,
        "retention_check_interval_ms": 1000,
        "message_max_bytes": 2000000,
        "offsets_topic_num_partitions": 5,
        "offsets_retention_minutes": 60,
    }
    BrokerSettings(**found).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("known", BROKER_PROPERTIES, ids=lambda known: known.name)
def test_what_is_shown_of_a_setting_can_be_read_again(known: BrokerProperty) -> None:
    paths = {"ssl_keystore_location": Path("/a"), "ssl_truststore_location": Path("/b")}
    value = getattr(BrokerSettings(Path(), **paths), known.field)
    assert known.read(known.write(value)) == value
    assert settings(f"{known.name}={known.write(value)}") == {known.field: value}


def test_a_key_that_is_not_known_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert settings("broker.id=3\nlog.retentoin.ms=5") == {"node_id": 3}
    assert "log.retentoin.ms" in caplog.text


@pytest.mark.parametrize(
    ("text", "retention_ms"),
    [
        ("log.retention.hours=1", 3_600_000),
        ("log.retention.minutes=2\nlog.retention.hours=1", 120_000),
        ("log.retention.ms=5\nlog.retention.minutes=2\nlog.retention.hours=1", 5),
        ("log.retention.hours=-1", -1),
    ],
)
def test_the_finest_unit_of_retention_wins(text: str, retention_ms: int) -> None:
    assert settings(text)["retention_ms"] == retention_ms


@pytest.mark.parametrize(
    ("listeners", "host", "port"),
    [
        ("PLAINTEXT://0.0.0.0:9092", "0.0.0.0", 9092),
        ("PLAINTEXT://[::1]:9092", "::1", 9092),
        ("PLAINTEXT://:0", "127.0.0.1", 0),
        ("A://h:1,B://h:2", "h", 1),
    ],
)
def test_the_first_listener_is_the_address(listeners: str, host: str, port: int) -> None:
    text = f"listeners={listeners}\nlistener.security.protocol.map=A:SASL_SSL,B:PLAINTEXT"
    found = settings(text)
    assert (found["host"], found["port"]) == (host, port)
    expected = "SASL_SSL" if listeners[0] == "A" else "PLAINTEXT"
    assert found["security_protocol"] == expected


def test_clients_may_be_told_another_port() -> None:
    text = "listeners=A://0.0.0.0:9092\nadvertised.listeners=A://docker.host:29092"
    found = settings(f"{text}\nlistener.security.protocol.map=A:PLAINTEXT")
    assert (found["port"], found["advertised_port"]) == (9092, 29092)
    of_nodes = BrokerSettings(Path(), brokers=2, advertised_port=29092)
    assert [of_nodes.node_advertised_port(index) for index in range(2)] == [29092, 29093]
    assert BrokerSettings(Path()).node_advertised_port(0) == 0


def test_users_come_from_jaas_lines() -> None:
    text = (
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n"
        "listener.name.sasl_plaintext.plain.sasl.jaas.config="
        "org.apache.kafka.common.security.plain.PlainLoginModule required \\\n"
        '  username="admin" password="own" user_admin="own" user_al-ice="a=\\\\"b";\n'
    )
    found = settings(text)
    assert found["sasl_users"] == {"admin": "own", "al-ice": 'a="b'}
    assert found["sasl_enabled_mechanisms"] == ("PLAIN", "SCRAM-SHA-256")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("num.partitions=many", "num.partitions"),
        ("auto.create.topics.enable=yes", "auto.create.topics.enable"),
        ("log.retention.hours=long", "log.retention.hours"),
        ("listeners=9092", "9092"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        settings(text)


def test_files_are_read_as_java_reads_them() -> None:
    text = "a=1\n  b : 2\nc 3\n! no\n# no=1\nd=x\\\n   y\\\\\ne\\=f=\\u0041\\tz\ng=\nh"
    assert parse_properties(text) == {
        "a": "1",
        "b": "2",
        "c": "3",
        "d": "xy\\",
        "e=f": "A\tz",
        "g": "",
        "h": "",
    }


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text(USUAL)
    line = parse_command_line(
        ["--config", str(path), "--port", "0", "--num-partitions", "9", "--print-bootstrap"], "test"
    )
    assert (line.settings["port"], line.settings["num_partitions"]) == (0, 9)
    assert line.settings["node_id"] == 7
    assert line.prints_bootstrap


def test_ports_of_each_node_say_how_many_there_are() -> None:
    line = parse_command_line(["--port", "1,2,3", "--rack", "a,b"], "test")
    assert line.settings == {"ports": (1, 2, 3), "brokers": 3, "racks": ("a", "b")}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        parse_command_line(["--config", str(tmp_path / "nowhere")], "test")


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    found = BrokerSettings(tmp_path, sasl_users={"a": "secret"}, ssl_key_password="secret")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"security_protocol": "SSH"}, "security_protocol"),
        ({"security_protocol": "SSL"}, "ssl_keystore_location"),
        ({"security_protocol": "SASL_PLAINTEXT"}, "sasl_users"),
        ({"sasl_enabled_mechanisms": ("GSSAPI",)}, "GSSAPI"),
        ({"ssl_client_auth": "maybe"}, "ssl_client_auth"),
    ],
)
def test_security_that_cannot_be_is_refused(
    tmp_path: Path, fields: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        BrokerSettings(tmp_path, **fields).check()  # type: ignore[arg-type]
