"""SASL without sockets: what each mechanism takes and refuses, and what goes before it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker.answers import HangUp
from fastkafka.broker.broker import Broker
from fastkafka.broker.dispatcher import Dispatcher
from fastkafka.broker.request import Client
from fastkafka.broker.sasl import AuthenticationFailed, SaslExchange, SaslServer
from fastkafka.broker.settings import SASL_MECHANISMS, BrokerSettings
from fastkafka.broker.tls import certificate_principal
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import joined

Body = dict[str, Any]
USERS = {"alice": "wonder=land,", "bob": "builder", "a,b=c": "odd", "nobody": ""}
SCRAM = [name for name in SASL_MECHANISMS if name != "PLAIN"]
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def begin(mechanism: str) -> SaslExchange:
    exchange = SaslServer(SASL_MECHANISMS, USERS).begin(mechanism)
    assert exchange is not None
    return exchange


class ScramClient:
    """The other side of RFC 5802, written from the RFC alone."""

    def __init__(self, mechanism: str, user: str, password: str, header: str = "n,,") -> None:
        self.hash = HASHES[mechanism]
        self.password = password
        self.header = header
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r=clientnonce"
        self.signed = b""
        self.salted = b""

    def first(self) -> bytes:
        return (self.header + self.bare).encode()

    def final(self, server_first: bytes, **changes: str) -> bytes:
        fields = dict(item.split("=", 1) for item in server_first.decode().split(","))
        salt = base64.b64decode(fields["s"])
        iterations = int(fields["i"])
        self.salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), salt, iterations)
        client_key = hmac.digest(self.salted, b"Client Key", self.hash)
        stored_key = hashlib.new(self.hash, client_key).digest()
        channel = changes.get("channel", base64.b64encode(self.header.encode()).decode())
        without_proof = f"c={channel},r={changes.get('nonce', fields['r'])}"
        self.signed = f"{self.bare},{server_first.decode()},{without_proof}".encode()
        signature = hmac.digest(stored_key, self.signed, self.hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        proof_text = changes.get("proof", base64.b64encode(proof).decode())
        return f"{without_proof},p={proof_text}".encode()

    def is_server(self, server_final: bytes) -> bool:
        server_key = hmac.digest(self.salted, b"Server Key", self.hash)
        return server_final == b"v=" + base64.b64encode(
            hmac.digest(server_key, self.signed, self.hash)
        )


# ---- mechanisms


@pytest.mark.parametrize("message", ["\0alice\0wonder=land,", "alice\0alice\0wonder=land,"])
def test_plain_takes_the_right_password(message: str) -> None:
    exchange = begin("PLAIN")
    assert exchange.respond(message.encode()) == b""
    assert exchange.user == "alice"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0alice\0builder",
        b"\0carol\0builder",
        b"\0nobody\0",
        b"\0\0wonder=land,",
        b"bob\0alice\0wonder=land,",
        b"alice\0wonder=land,",
        b"\0alice\0wonder=land,\0",
        b"\0alice\0\xff",
    ],
)
def test_plain_refuses_everything_else(message: bytes) -> None:
    exchange = begin("PLAIN")
    with pytest.raises(AuthenticationFailed):
        exchange.respond(message)
    assert exchange.user is None


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("user", ["alice", "a,b=c"])
@pytest.mark.parametrize("header", ["n,,", "y,,"])
def test_scram_convinces_both_sides(mechanism: str, user: str, header: str) -> None:
    exchange = begin(mechanism)
    client = ScramClient(mechanism, user, USERS[user], header)
    server_final = exchange.respond(client.final(exchange.respond(client.first())))
    assert client.is_server(server_final)
    assert exchange.user == user


@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_refuses_a_wrong_password_and_an_unknown_user(mechanism: str) -> None:
    exchange = begin(mechanism)
    client = ScramClient(mechanism, "alice", "guess")
    with pytest.raises(AuthenticationFailed, match="Invalid user credentials"):
        exchange.respond(client.final(exchange.respond(client.first())))
    assert exchange.user is None
    with pytest.raises(AuthenticationFailed, match="Invalid user credentials"):
        begin(mechanism).respond(ScramClient(mechanism, "carol", "x").first())


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,",
        b"n,,n=alice",
        b"n,,n=,r=x",
        b"p=tls-unique,,n=alice,r=x",
        b"n,a=bob,n=alice,r=x",
        b"n,,r=x,n=alice",
        b"n,,n=alice,r=\x7f",
        b"\xff",
    ],
)
def test_scram_refuses_a_first_message_that_is_none(first: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        begin("SCRAM-SHA-256").respond(first)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "clientnonce"},
        {"nonce": "another"},
        {"channel": base64.b64encode(b"y,,").decode()},
        {"channel": "biwsx"},
        {"proof": "AAAA"},
        {"proof": "%"},
        {"proof": base64.b64encode(bytes(32)).decode()},
    ],
)
def test_scram_refuses_a_final_message_of_another_exchange(changes: dict[str, str]) -> None:
    exchange = begin("SCRAM-SHA-256")
    client = ScramClient("SCRAM-SHA-256", "alice", USERS["alice"])
    final = client.final(exchange.respond(client.first()), **changes)
    with pytest.raises(AuthenticationFailed):
        exchange.respond(final)
    assert exchange.user is None


def test_scram_takes_the_nonce_as_old_librdkafka_repeats_it() -> None:
    """Before 2.6.1 it put its own part in front of a nonce that begins with it already."""
    exchange = begin("SCRAM-SHA-256")
    client = ScramClient("SCRAM-SHA-256", "alice", USERS["alice"])
    server_first = exchange.respond(client.first())
    nonce = server_first.decode().split(",")[0].removeprefix("r=")
    final = client.final(server_first, nonce=f"clientnonce{nonce}")
    assert client.is_server(exchange.respond(final))


@pytest.mark.parametrize("mechanism", SASL_MECHANISMS)
def test_mutated_messages_are_refused_and_nothing_else(mechanism: str) -> None:
    """Whatever bytes come, an exchange ends as failed, goes on, or has the right user."""
    draw = random.Random(mechanism)
    server = SaslServer(SASL_MECHANISMS, USERS)
    for _ in range(300):
        exchange = server.begin(mechanism)
        assert exchange is not None
        client = ScramClient(mechanism, "bob", "builder") if mechanism != "PLAIN" else None
        first = client.first() if client else b"\0bob\0builder"
        try:
            answer = exchange.respond(mutated(draw, first))
            if client:
                exchange.respond(mutated(draw, client.final(answer)))
        except AuthenticationFailed:
            assert exchange.user is None
        else:
            assert exchange.user in (None, "bob")


def mutated(draw: random.Random, message: bytes) -> bytes:
    """The message, or one with some bytes changed, cut or put in."""
    changed = bytearray(message)
    for _ in range(draw.choice((0, 0, 1, 3))):
        at = draw.randrange(len(changed) + 1)
        changed[at : at + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(changed)


def test_a_mechanism_that_is_not_enabled_is_not_begun() -> None:
    assert SaslServer(("PLAIN",), USERS).begin("SCRAM-SHA-256") is None


def test_a_certificate_names_its_owner_as_java_does() -> None:
    subject = ((("countryName", "CH"),), (("organizationName", "test"),), (("commonName", "me"),))
    assert certificate_principal({"subject": subject}) == "User:CN=me,O=test,C=CH"


# ---- what goes before requests


class Guarded:
    """A broker whose listener wants to know who asks."""

    def __init__(self, data_dir: Path) -> None:
        settings = BrokerSettings(data_dir, security_protocol="SASL_PLAINTEXT", sasl_users=USERS)
        self.broker = Broker(settings)
        self.dispatcher = Dispatcher(self.broker)
        self.client = Client(self.broker.nodes.first)

    def ask(self, api: str, version: int, body: Body | None = None) -> Body:
        key = protocol.API_BY_NAME[api].key
        frame = protocol.encode_request(key, version, 1, "test", body or {})
        answer = self.dispatcher.answer(memoryview(bytearray(frame)), self.client)
        return protocol.decode_response(key, version, joined(answer))[1]

    def log_in(self) -> None:
        assert self.ask("sasl_handshake", 1, {"mechanism": "PLAIN"})["error_code"] == 0
        token = b"\0bob\0builder"
        assert self.ask("sasl_authenticate", 2, {"auth_bytes": token})["error_code"] == 0


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    guarded.broker.close()


def test_nothing_is_answered_to_who_has_not_said_who_it_is(guarded: Guarded) -> None:
    assert guarded.ask("api_versions", 0)["error_code"] == 0
    with pytest.raises(HangUp, match="api key 3"):
        guarded.ask("metadata", 9, {"topics": None})
    assert guarded.ask("sasl_handshake", 1, {"mechanism": "PLAIN"})["mechanisms"] == [
        *SASL_MECHANISMS
    ]
    with pytest.raises(HangUp, match="api key 3"):
        guarded.ask("metadata", 9, {"topics": None})


def test_who_has_said_it_is_served_and_known(guarded: Guarded) -> None:
    guarded.log_in()
    assert guarded.client.principal == "User:bob"
    assert guarded.ask("metadata", 9, {"topics": None})["controller_id"] == 1
    again = guarded.ask("sasl_handshake", 1, {"mechanism": "PLAIN"})
    assert again["error_code"] == KafkaError.ILLEGAL_SASL_STATE
    once_more = guarded.ask("sasl_authenticate", 2, {"auth_bytes": b"\0alice\0x"})
    assert once_more["error_code"] == KafkaError.ILLEGAL_SASL_STATE
    assert guarded.client.principal == "User:bob"


def test_a_failure_is_told_and_ends_the_connection(guarded: Guarded) -> None:
    guarded.ask("sasl_handshake", 1, {"mechanism": "PLAIN"})
    answer = guarded.ask("sasl_authenticate", 2, {"auth_bytes": b"\0bob\0guess"})
    assert answer["error_code"] == KafkaError.SASL_AUTHENTICATION_FAILED
    assert "Invalid username or password" in answer["error_message"]
    assert guarded.client.is_refused and not guarded.client.is_logged_in


def test_a_mechanism_that_is_not_there_is_refused_with_those_that_are(guarded: Guarded) -> None:
    answer = guarded.ask("sasl_handshake", 1, {"mechanism": "GSSAPI"})
    assert answer["error_code"] == KafkaError.UNSUPPORTED_SASL_MECHANISM
    assert answer["mechanisms"] == [*SASL_MECHANISMS]
    assert guarded.client.is_refused


def test_a_certificate_does_not_stand_in_for_a_login(guarded: Guarded) -> None:
    guarded.client.principal = "User:CN=me"
    with pytest.raises(HangUp, match="api key 3"):
        guarded.ask("metadata", 9, {"topics": None})


def test_an_authentication_without_handshake_is_out_of_turn(guarded: Guarded) -> None:
    answer = guarded.ask("sasl_authenticate", 2, {"auth_bytes": b"\0bob\0builder"})
    assert answer["error_code"] == KafkaError.ILLEGAL_SASL_STATE


def test_after_the_first_handshake_tokens_come_without_a_header(guarded: Guarded) -> None:
    guarded.ask("sasl_handshake", 0, {"mechanism": "SCRAM-SHA-256"})
    client = ScramClient("SCRAM-SHA-256", "bob", "builder")

    def send(token: bytes) -> bytes:
        answer = guarded.dispatcher.answer(memoryview(bytearray(token)), guarded.client)
        return joined(answer)

    assert client.is_server(send(client.final(send(client.first()))))
    assert guarded.client.principal == "User:bob"
    assert guarded.ask("metadata", 9, {"topics": None})["controller_id"] == 1


def test_a_wrong_token_without_a_header_ends_the_connection(guarded: Guarded) -> None:
    guarded.ask("sasl_handshake", 0, {"mechanism": "PLAIN"})
    with pytest.raises(HangUp, match="authentication failed"):
        guarded.dispatcher.answer(memoryview(bytearray(b"\0bob\0guess")), guarded.client)
