"""SASL, the server's side: PLAIN and SCRAM with users that the settings name.

An exchange takes the client's messages one after the other and gives back the server's, until it
knows who the client is. Whatever fails, the client is told the same: that it failed.
Source: RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM); PlainSaslServer, ScramSaslServer
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping

ITERATIONS = 4096  # ScramMechanism: the least that Kafka takes
_SALT_BYTES = 16
_NONCE_BYTES = 18
_HASH_NAMES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
_CLIENT_FIRST = re.compile(r"([ny]),(?:a=([^,]*))?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)")
_CLIENT_FINAL = re.compile(r"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?),p=([^,]+)")


class AuthenticationFailed(Exception):
    """The client is not who it says it is, or does not say it as the mechanism wants."""


class SaslExchange(ABC):
    """One client saying who it is."""

    user: str | None = None  # once it is known

    @abstractmethod
    def respond(self, message: bytes) -> bytes:
        """Take a message of the client and return the server's; raises AuthenticationFailed."""


class PlainExchange(SaslExchange):
    """PLAIN: authorization id, user and password in one message."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def respond(self, message: bytes) -> bytes:
        """Check the password."""
        parts = _text(message).split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise AuthenticationFailed("PLAIN: not an authorization id, a user and a password")
        authorization_id, user, password = parts
        expected = self._users.get(user, "")
        if not hmac.compare_digest(password.encode(), expected.encode()) or not expected:
            raise AuthenticationFailed("Invalid username or password")
        if authorization_id not in ("", user):
            raise AuthenticationFailed("the authorization id is another user's")
        self.user = user
        return b""


class ScramCredential:
    """What a server keeps of a user's password for one hash."""

    def __init__(self, hash_name: str, password: str) -> None:
        self.salt = os.urandom(_SALT_BYTES)
        salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), self.salt, ITERATIONS)
        client_key = hmac.digest(salted, b"Client Key", hash_name)
        self.stored_key = hashlib.new(hash_name, client_key).digest()
        self.server_key = hmac.digest(salted, b"Server Key", hash_name)


class ScramExchange(SaslExchange):
    """SCRAM: the client proves that it knows the password, then the server does."""

    def __init__(self, server: SaslServer, hash_name: str) -> None:
        self._server = server
        self._hash_name = hash_name
        self._user = ""
        self._nonce = ""  # the server's part
        self._gs2_header = ""
        self._first_messages = ""

    def respond(self, message: bytes) -> bytes:
        """Answer the client's first message, then its proof."""
        return self._answer_first(message) if not self._nonce else self._answer_final(message)

    def _answer_first(self, message: bytes) -> bytes:
        match = _CLIENT_FIRST.fullmatch(_text(message))
        if match is None:
            raise AuthenticationFailed("SCRAM: the first message cannot be read")
        flag, authorization_id, bare, name, nonce = match.groups()
        self._user = name.replace("=2C", ",").replace("=3D", "=")
        if authorization_id and authorization_id != name:
            raise AuthenticationFailed("the authorization id is another user's")
        credential = self._server.credential(self._hash_name, self._user)
        self._gs2_header = f"{flag},{f'a={authorization_id}' if authorization_id else ''},"
        self._nonce = base64.b64encode(os.urandom(_NONCE_BYTES)).decode()
        salt = base64.b64encode(credential.salt).decode()
        first = f"r={nonce}{self._nonce},s={salt},i={ITERATIONS}"
        self._first_messages = f"{bare},{first}"
        return first.encode()

    def _answer_final(self, message: bytes) -> bytes:
        match = _CLIENT_FINAL.fullmatch(_text(message))
        if match is None:
            raise AuthenticationFailed("SCRAM: the final message cannot be read")
        without_proof, channel, nonce, proof_text = match.groups()
        # Only our part of the nonce is looked at, as in Kafka: librdkafka before 2.6.1 sends its
        # own part twice.
        if not nonce.endswith(self._nonce) or _decoded(channel) != self._gs2_header.encode():
            raise AuthenticationFailed("SCRAM: the final message is not of this exchange")
        credential = self._server.credential(self._hash_name, self._user)
        signed = f"{self._first_messages},{without_proof}".encode()
        signature = hmac.digest(credential.stored_key, signed, self._hash_name)
        proof = _decoded(proof_text)
        if len(proof) != len(signature):
            raise AuthenticationFailed("SCRAM: the proof has another length")
        client_key = bytes(ours ^ theirs for ours, theirs in zip(signature, proof, strict=True))
        stored_key = hashlib.new(self._hash_name, client_key).digest()
        if not hmac.compare_digest(stored_key, credential.stored_key):
            raise AuthenticationFailed("Invalid user credentials")
        self.user = self._user
        verifier = hmac.digest(credential.server_key, signed, self._hash_name)
        return b"v=" + base64.b64encode(verifier)


class SaslServer:
    """The mechanisms that are enabled, and the users."""

    def __init__(self, mechanisms: tuple[str, ...], users: Mapping[str, str]) -> None:
        self.mechanisms = mechanisms
        self._users = users
        self._credentials: dict[tuple[str, str], ScramCredential] = {}

    def begin(self, mechanism: str) -> SaslExchange | None:
        """Begin an exchange; None when the mechanism is not enabled."""
        if mechanism not in self.mechanisms:
            return None
        if mechanism == "PLAIN":
            return PlainExchange(self._users)
        return ScramExchange(self, _HASH_NAMES[mechanism])

    def credential(self, hash_name: str, user: str) -> ScramCredential:
        """Return a user's credential, made when it is first needed: it takes milliseconds.

        Raises: AuthenticationFailed
        """
        if user not in self._users:
            raise AuthenticationFailed("Invalid user credentials")
        found = self._credentials.get((hash_name, user))
        if found is None:
            found = ScramCredential(hash_name, self._users[user])
            self._credentials[hash_name, user] = found
        return found


def _text(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise AuthenticationFailed("the message is not UTF-8") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise AuthenticationFailed("SCRAM: not base64") from None
