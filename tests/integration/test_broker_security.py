"""TLS and SASL listeners, judged by clients that others wrote."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import confluent_kafka as confluent
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from fastkafka.broker import EmbeddedBroker
from fastkafka.broker.connection import AUTHENTICATION_BYTES_MAX
from fastkafka.errors import ConfigError
from tests.conftest import skip_or_fail
from tools.kafka_cluster import fetch_jars, java_command, missing_requirement

ForeignClient = Callable[[str], ModuleType]

# The foreign packages use what newer Pythons deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TIMEOUT_S = 30.0
USERS = {"alice": "wonder=land # \\ é", "bob": "builder"}
PASSWORD = USERS["alice"]
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Certificates:
    """An authority, a server's key with its certificate, and a client's: all PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = self._issue("authority", "/CN=authority")
        self.server = self._issue("server", "/CN=localhost", signed=True)
        self.client = self._issue("client", "/C=CH/O=tests/CN=a client", signed=True)

    def _issue(self, name: str, subject: str, signed: bool = False) -> Path:
        key, certificate = self._folder / f"{name}.key", self._folder / f"{name}.crt"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", subject, "-keyout", str(key), "-out", str(certificate)]
        if signed:
            command += ["-CA", f"{self._folder}/authority.crt", "-CAkey"]
            command += [f"{self._folder}/authority.key", "-addext", "basicConstraints=CA:FALSE"]
            command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        else:  # Python 3.13 and later check what RFC 5280 asks of an authority
            command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
        both = self._folder / f"{name}.pem"
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return both if signed else certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(certificates: Certificates) -> Iterator[EmbeddedBroker]:
    """A broker with TLS and SASL."""
    with EmbeddedBroker(
        security_protocol="SASL_SSL", ssl_keystore_location=certificates.server, sasl_users=USERS
    ) as broker:
        yield broker


def sasl_config(broker: EmbeddedBroker, mechanism: str, ca: Path, password: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": broker.bootstrap_servers,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(ca),
        "sasl.mechanism": mechanism,
        "sasl.username": "alice",
        "sasl.password": password,
        "log_level": 0,
    }


def confluent_roundtrip(config: dict[str, Any], topic: str, size_bytes: int) -> None:
    value = bytes(size_bytes)
    producer = confluent.Producer({**config, "message.max.bytes": 8_000_000})
    for _ in range(10):
        producer.produce(topic, value)
    assert producer.flush(TIMEOUT_S) == 0
    consumer = confluent.Consumer({**config, "group.id": "g", "enable.auto.commit": False})
    try:
        consumer.assign([confluent.TopicPartition(topic, 0, 0)])
        found: list[bytes] = []
        while len(found) < 10:
            messages = consumer.consume(10, timeout=TIMEOUT_S)
            assert messages, "nothing came"
            assert [message.error() for message in messages] == [None] * len(messages)
            found += [message.value() for message in messages]
    finally:
        consumer.close()
    assert found == [value] * 10


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.interop
def test_librdkafka_logs_in_and_gets_its_records(
    guarded: EmbeddedBroker, certificates: Certificates, mechanism: str
) -> None:
    config = sasl_config(guarded, mechanism, certificates.authority, PASSWORD)
    confluent_roundtrip(config, f"rd-{mechanism}", 90_000)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.interop
def test_librdkafka_is_told_that_its_password_is_wrong(
    guarded: EmbeddedBroker, certificates: Certificates, mechanism: str
) -> None:
    errors: list[confluent.KafkaError] = []
    config = sasl_config(guarded, mechanism, certificates.authority, "guess")
    admin = AdminClient({**config, "error_cb": errors.append})
    with pytest.raises(confluent.KafkaException):
        admin.list_topics(timeout=2)
    admin.poll(0)
    assert confluent.KafkaError._AUTHENTICATION in [error.code() for error in errors]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.interop
def test_kafka_python_logs_in(
    guarded: EmbeddedBroker,
    certificates: Certificates,
    foreign_client: ForeignClient,
    mechanism: str,
) -> None:
    kafka = foreign_client("kafka")
    security = {
        "bootstrap_servers": guarded.bootstrap_servers,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(certificates.authority),
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "alice",
        "sasl_plain_password": PASSWORD,
    }
    producer = kafka.KafkaProducer(**security)
    assert producer.send(f"kp-{mechanism}", b"value").get(TIMEOUT_S).offset == 0
    producer.close()
    consumer = kafka.KafkaConsumer(
        **security, auto_offset_reset="earliest", consumer_timeout_ms=30_000
    )
    consumer.assign([kafka.TopicPartition(f"kp-{mechanism}", 0)])
    assert next(consumer).value == b"value"
    consumer.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.interop
def test_aiokafka_logs_in(
    guarded: EmbeddedBroker,
    certificates: Certificates,
    foreign_client: ForeignClient,
    mechanism: str,
) -> None:
    aiokafka = foreign_client("aiokafka")

    async def roundtrip() -> bytes:
        security = {
            "bootstrap_servers": guarded.bootstrap_servers,
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(certificates.authority)),
            "sasl_mechanism": mechanism,
            "sasl_plain_username": "bob",
            "sasl_plain_password": "builder",
        }
        async with aiokafka.AIOKafkaProducer(**security) as producer:
            await producer.send_and_wait(f"aio-{mechanism}", b"value")
        consumer = aiokafka.AIOKafkaConsumer(**security, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([aiokafka.TopicPartition(f"aio-{mechanism}", 0)])
            return (await consumer.getone()).value
        finally:
            await consumer.stop()

    assert asyncio.run(asyncio.wait_for(roundtrip(), TIMEOUT_S)) == b"value"


@pytest.mark.interop
def test_kcat_logs_in(guarded: EmbeddedBroker, certificates: Certificates, kcat: str) -> None:
    command = [kcat, "-b", guarded.bootstrap_servers, "-L", "-J"]
    config = sasl_config(guarded, "SCRAM-SHA-512", certificates.authority, PASSWORD)
    for name in ("security.protocol", "ssl.ca.location", "sasl.username", "sasl.password"):
        command += ["-X", f"{name}={config[name]}"]
    command += ["-X", "sasl.mechanism=SCRAM-SHA-512"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ended.returncode == 0, ended.stderr
    assert '"controllerid":1' in ended.stdout


@pytest.mark.kafka
@pytest.mark.interop
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_java_tool_logs_in(
    guarded: EmbeddedBroker, certificates: Certificates, tmp_path: Path, mechanism: str
) -> None:
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    config = tmp_path / "client.properties"
    config.write_text(
        "security.protocol=SASL_SSL\nssl.truststore.type=PEM\n"
        f"ssl.truststore.location={certificates.authority}\nsasl.mechanism={mechanism}\n"
        f"sasl.jaas.config=org.apache.kafka.common.security.{module} required "
        'username="bob" password="builder";\n'
    )
    lacking = missing_requirement()
    if lacking is not None:
        skip_or_fail(lacking)
    fetch_jars()
    ended = subprocess.run(
        java_command(
            "org.apache.kafka.tools.TopicCommand",
            *("--bootstrap-server", guarded.bootstrap_servers, "--command-config", str(config)),
            *("--create", "--topic", f"java-{mechanism}", "--partitions", "2"),
            heap="256m",
        ),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert f"Created topic java-{mechanism}" in ended.stdout, ended.stderr


def test_large_fetches_go_through_tls(certificates: Certificates) -> None:
    with EmbeddedBroker(
        security_protocol="SSL",
        ssl_keystore_location=certificates.server,
        message_max_bytes=8_000_000,
    ) as broker:
        config = {
            "bootstrap.servers": broker.bootstrap_servers,
            "security.protocol": "SSL",
            "ssl.ca.location": str(certificates.authority),
        }
        confluent_roundtrip(config, "large", 3_000_000)


def test_a_client_needs_its_certificate_where_one_is_required(certificates: Certificates) -> None:
    with EmbeddedBroker(
        security_protocol="SSL",
        ssl_keystore_location=certificates.server,
        ssl_truststore_location=certificates.authority,
        ssl_client_auth="required",
    ) as broker:
        config = {
            "bootstrap.servers": broker.bootstrap_servers,
            "security.protocol": "SSL",
            "ssl.ca.location": str(certificates.authority),
            "log_level": 0,
        }
        with pytest.raises(confluent.KafkaException):
            AdminClient(config).list_topics(timeout=2)
        pem = str(certificates.client)
        owner = {"ssl.certificate.location": pem, "ssl.key.location": pem}
        assert AdminClient({**config, **owner}).list_topics(timeout=TIMEOUT_S).brokers


def test_a_certificate_does_not_stand_in_for_a_password(certificates: Certificates) -> None:
    with EmbeddedBroker(
        security_protocol="SASL_SSL",
        ssl_keystore_location=certificates.server,
        ssl_truststore_location=certificates.authority,
        ssl_client_auth="required",
        sasl_users=USERS,
    ) as broker:
        config = sasl_config(broker, "PLAIN", certificates.authority, PASSWORD)
        pem = str(certificates.client)
        owner = {"ssl.certificate.location": pem, "ssl.key.location": pem}
        assert AdminClient({**config, **owner}).list_topics(timeout=TIMEOUT_S).brokers
        without_login = {**config, **owner, "security.protocol": "SSL"}
        del without_login["sasl.mechanism"]
        with pytest.raises(confluent.KafkaException):
            AdminClient(without_login).list_topics(timeout=2)


def test_a_client_without_tls_is_turned_away_and_others_go_on(
    guarded: EmbeddedBroker, certificates: Certificates
) -> None:
    host, _, port = guarded.bootstrap_servers.rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">ihhi", 10, 18, 0, 1) + b"\xff\xff")
        try:
            assert connection.recv(100)[:1] in (b"", b"\x15")  # nothing, or a TLS alert
        except ConnectionResetError:
            pass
    config = sasl_config(guarded, "PLAIN", certificates.authority, PASSWORD)
    assert AdminClient(config).list_topics(timeout=TIMEOUT_S).brokers


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">ihhih", 10, 3, 9, 1, -1),
        struct.pack(">i", AUTHENTICATION_BYTES_MAX + 1),
    ],
    ids=["another request first", "too large a request"],
)
def test_who_has_not_logged_in_gets_nothing(frame: bytes) -> None:
    with EmbeddedBroker(security_protocol="SASL_PLAINTEXT", sasl_users=USERS) as broker:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
            connection.sendall(frame)
            assert connection.recv(100) == b""


def test_passwords_are_neither_on_the_command_line_nor_in_the_log() -> None:
    with EmbeddedBroker(
        security_protocol="SASL_PLAINTEXT", sasl_users=USERS, log_level="DEBUG"
    ) as broker:
        config = {
            "bootstrap.servers": broker.bootstrap_servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "bob",
            "sasl.password": "builder",
        }
        assert AdminClient(config).list_topics(timeout=TIMEOUT_S).brokers
        arguments = Path(f"/proc/{broker.process_id}/cmdline").read_bytes()
        assert b"builder" not in arguments and b"bob" not in arguments
        assert "builder" not in broker.log_text()


def test_a_key_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "no.pem"
    with pytest.raises(ConfigError, match=r"no\.pem"):
        EmbeddedBroker(security_protocol="SSL", ssl_keystore_location=path).start()


def test_acls_are_not_pretended() -> None:
    with EmbeddedBroker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        rule = AclBinding(
            *(ResourceType.TOPIC, "logs", ResourcePatternType.LITERAL, "User:alice", "*"),
            *(AclOperation.READ, AclPermissionType.ALLOW),
        )
        every = AclBindingFilter(
            *(ResourceType.ANY, None, ResourcePatternType.ANY, None, None),
            *(AclOperation.ANY, AclPermissionType.ANY),
        )
        for future in (admin.create_acls([rule])[rule], admin.delete_acls([every])[every]):
            with pytest.raises(confluent.KafkaException) as caught:
                future.result(TIMEOUT_S)
            assert caught.value.args[0].code() == confluent.KafkaError.SECURITY_DISABLED
