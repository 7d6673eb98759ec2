"""Names of brokers to addresses: bootstrap.servers, getaddrinfo on the worker pool, time to live.

In:     the text of bootstrap.servers; host names that brokers advertise
Out:    (host, port) pairs; lists of (address, port), all that a name has, in the system's order
Thread: parse_bootstrap any; Names the control thread only
Next:   brokers.py hands the addresses to the core
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from fastkafka.control.core_face import Address
from fastkafka.control.worker_pool import WorkerPool
from fastkafka.errors import ConfigError, KafkaError, TransportError

DEFAULT_PORT = 9092

_FAMILIES = {"any": socket.AF_UNSPEC, "v4": socket.AF_INET, "v6": socket.AF_INET6}


def parse_bootstrap(text: str) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of bootstrap.servers, each once, in order.

    Entries are host, host:port, [IPv6]:port or a bare IPv6 address; PLAINTEXT:// may stand before.
    Raises: ConfigError that names the entry
    """
    found: list[tuple[str, int]] = []
    for entry in text.split(","):
        entry = entry.strip()
        if not entry:
            continue
        pair = _parse_entry(entry)
        if pair not in found:
            found.append(pair)
    return found


def _parse_entry(entry: str) -> tuple[str, int]:
    scheme, separator, rest = entry.partition("://")
    if not separator:
        rest = entry
    elif scheme.lower() != "plaintext":
        raise _bad_entry(entry, f"{scheme} connections are not yet in this release")
    rest = rest.rstrip("/")
    port_text: str | None
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise _bad_entry(entry, "an IPv6 address is written [address]:port")
        port_text = after[1:] if after else None
    elif rest.count(":") > 1:
        host, port_text = rest, None  # a bare IPv6 address
    else:
        host, colon, port = rest.partition(":")
        port_text = port if colon else None
    if not host or "\0" in host or len(host) > 255:
        raise _bad_entry(entry, "the host is missing or too long")
    if port_text is None:
        return host, DEFAULT_PORT
    if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
        raise _bad_entry(entry, f'the port is a number from 1 to 65535, not "{port_text}"')
    return host, int(port_text)


def _bad_entry(entry: str, why: str) -> ConfigError:
    return ConfigError(f'Configuration property "bootstrap.servers": "{entry}": {why}')


def literal_address(host: str) -> str | None:
    """Return `host` when it is an IPv4 or IPv6 address and needs no resolving."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return host
    return None


class Names:
    """Resolve names on the worker pool; an answer is good for broker.address.ttl."""

    def __init__(
        self,
        pool: WorkerPool,
        *,
        family: str = "any",
        ttl_ms: int = 1000,
        getaddrinfo: Callable[..., list[Any]] | None = None,
        getnameinfo: Callable[..., tuple[str, str]] | None = None,
    ) -> None:
        self._pool = pool
        self._family = _FAMILIES[family]
        self._ttl_s = ttl_ms / 1000
        self._getaddrinfo: Callable[..., list[Any]] = getaddrinfo or socket.getaddrinfo
        self._getnameinfo: Callable[..., tuple[str, str]] = getnameinfo or socket.getnameinfo
        self._cache: dict[tuple[str, int], tuple[float, list[Address]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Return all addresses of `host`, each once.

        Raises: TransportError (_RESOLVE) when it has none and never had
        """
        literal = literal_address(host)
        if literal is not None:
            return [(literal, port)]
        now = asyncio.get_running_loop().time()
        cached = self._cache.get((host, port))
        if cached is not None and now < cached[0] + self._ttl_s:
            return cached[1]
        try:
            addresses = await self._ask_system(host, port)
        except (OSError, UnicodeError) as error:
            if cached is not None:
                return cached[1]  # an old address may work still; none surely does not
            raise TransportError(
                KafkaError(
                    KafkaError._RESOLVE,
                    f"Failed to resolve '{host}:{port}': {_reason_of(error)}. Check the host "
                    "name, or the broker's advertised.listeners.",
                )
            ) from None
        self._cache[host, port] = (now, addresses)
        return addresses

    async def canonical_names(self, host: str, port: int) -> list[str]:
        """Return the canonical name of each address of `host` (client.dns.lookup)."""
        names: list[str] = []
        for address in await self.resolve(host, port):
            found = self._pool.submit(self._getnameinfo, address, socket.NI_NAMEREQD)
            try:
                name, _ = await asyncio.wrap_future(found)
            except OSError:
                continue  # an address without a name is no reason to give up the others
            if name not in names:
                names.append(name)
        return names

    async def _ask_system(self, host: str, port: int) -> list[Address]:
        answer = await asyncio.wrap_future(
            self._pool.submit(self._getaddrinfo, host, port, self._family, socket.SOCK_STREAM)
        )
        addresses: list[Address] = []
        for *_, sockaddr in answer:
            address = (str(sockaddr[0]), port)
            if address not in addresses:
                addresses.append(address)
        if not addresses:
            raise OSError("it has no address of the family asked for")
        return addresses


def _reason_of(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
