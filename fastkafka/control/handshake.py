"""The handshake of a connection: which versions of which APIs does the broker speak?

In:     a connection that is connected
Out:    connection_up with the versions, or close_connection with the reason
Thread: the control thread only; one coroutine for each connection
Source: KIP-511: an ApiVersions request that is too new is answered in version 0 with error 35
"""

from __future__ import annotations

from typing import Any

from fastkafka import protocol
from fastkafka.control.brokers import Brokers
from fastkafka.control.conversations import ConnectionLost, Conversations, Versions
from fastkafka.control.core_face import CoreReference
from fastkafka.control.error_reports import ErrorReports
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import (
    ClosedError,
    CorruptFrame,
    KafkaError,
    KafkaException,
    ProtocolError,
    TransportError,
    UnsupportedVersion,
    exception_for,
)

_API_VERSIONS = protocol.API_BY_NAME["api_versions"]
_METADATA = protocol.API_BY_NAME["metadata"]
_UNSUPPORTED_VERSION = KafkaError.UNSUPPORTED_VERSION
_HINT = "Is it a plaintext listener of Apache Kafka? Check security.protocol and the port."


def software_version() -> str:
    """Return the version of this package."""
    from importlib import metadata  # slow to import, and needed once per client only

    try:
        return metadata.version("fastkafka-native")
    except metadata.PackageNotFoundError:
        return "0.0.0"


class Handshakes:
    """Drive each connection from connected to up."""

    def __init__(
        self,
        core: CoreReference,
        conversations: Conversations,
        brokers: Brokers,
        reports: ErrorReports,
        *,
        timeout_ms: int,
        software_name: str,
        software_version: str,
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._brokers = brokers
        self._reports = reports
        self._timeout_ms = timeout_ms
        self._software = {
            "client_software_name": software_name,
            "client_software_version": software_version,
        }
        self._tasks = RunningTasks()

    def begin(self, connection_id: int, node_id: int, role: int) -> None:
        """Start the handshake of a connection."""
        self._conversations.on_connected(connection_id, node_id, role)
        self._tasks.begin(self._shake_hands(connection_id, node_id))

    async def _shake_hands(self, connection_id: int, node_id: int) -> None:
        where = self._brokers.describe(node_id)
        try:
            versions = await self._ask_versions(connection_id, where)
        except (ClosedError, ConnectionLost):
            return
        except KafkaException as exception:
            error = _explained(exception, where)
            self._reports.tell(error, where)
            self._core().close_connection(connection_id, error.str(), error.code())
            self._conversations.on_disconnected(connection_id, node_id, error)
            return
        self._reports.forget(where)
        self._core().connection_up(connection_id, versions)
        self._conversations.on_up(connection_id, versions)

    async def _ask_versions(self, connection_id: int, where: str) -> Versions:
        body = await self._ask(connection_id, _API_VERSIONS.max_version)
        if body["error_code"] == _UNSUPPORTED_VERSION:
            # Once only: a broker that says so for ever must not keep us asking.
            body = await self._ask(connection_id, _older_version(body))
        if body["error_code"]:
            raise exception_for(KafkaError(body["error_code"]))
        return checked_versions(body, where)

    async def _ask(self, connection_id: int, version: int) -> dict[str, Any]:
        return await self._conversations.shake_hands(
            connection_id, version, self._software if version >= 3 else {}, self._timeout_ms
        )


def _older_version(body: dict[str, Any]) -> int:
    """Return the version of ApiVersions to ask again in, after the newest was refused."""
    for row in body["api_keys"]:
        if row["api_key"] == _API_VERSIONS.key:
            newest: int = row["max_version"]
            return max(0, min(newest, _API_VERSIONS.max_version - 1))
    return 0


def checked_versions(body: dict[str, Any], where: str) -> Versions:
    """Return the versions of each API, after a check that they make sense.

    Raises: CorruptFrame for ranges that are none; UnsupportedVersion for brokers too old or new
    """
    versions: Versions = {}
    for row in body["api_keys"]:
        low, high = row["min_version"], row["max_version"]
        if low < 0 or high < low or row["api_key"] < 0:
            raise CorruptFrame(
                f"api_versions: key {row['api_key']} has versions {low} to {high}", where=where
            )
        versions[row["api_key"]] = (low, high)
    low, high = versions.get(_METADATA.key, (0, -1))
    if min(high, _METADATA.max_version) < max(low, _METADATA.min_version):
        raise UnsupportedVersion(
            f"no version of metadata is spoken by both sides: {low} to {high} there, "
            f"{_METADATA.min_version} to {_METADATA.max_version} here",
            where=where,
            hint="Brokers from Apache Kafka 2.1 on are supported.",
        )
    return versions


def _explained(exception: KafkaException, where: str) -> KafkaError:
    """Say of a failed handshake what the other side may be."""
    error = exception.error
    if isinstance(exception, UnsupportedVersion):
        return error
    if isinstance(exception, (ProtocolError, TransportError)):
        return KafkaError(error.code(), f"{where}: handshake failed: {error.str()}. {_HINT}")
    return KafkaError(error.code(), f"{where}: handshake failed: {error.str()}")
