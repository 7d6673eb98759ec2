"""Read a server.properties of Kafka: the usual keys become settings of this broker.

Keys that concern what one process need not do (replication, controller quorum, threads) are taken
without effect; keys that are not known at all are named in a warning, as Kafka does.
Source: KafkaConfig, java.util.Properties
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastkafka.broker.broker_properties import BROKER_PROPERTIES, BrokerProperty, split_list
from fastkafka.broker.topic_config import INT, LIST, STRING
from fastkafka.errors import ConfigError

_log = logging.getLogger(__name__)

_MS_PER_MINUTE = 60_000
_MS_PER_HOUR = 3_600_000
_LOOPBACK = "127.0.0.1"
_LISTENER = re.compile(r"([A-Za-z0-9_]+)://(?:\[([^\]]*)\]|([^:/]*)):(-?\d+)")
_JAAS_USER = re.compile(r'\buser_([^\s=]+)\s*=\s*"((?:[^"\\]|\\.)*)"')

# Known to Kafka and without effect in one process over one copy of each log.
_WITHOUT_EFFECT = frozenset(
    (
        "process.roles",
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
        "controller.listener.names",
        "inter.broker.listener.name",
        "security.inter.broker.protocol",
        "sasl.mechanism.inter.broker.protocol",
        "listener.security.protocol.map",
        "num.network.threads",
        "num.io.threads",
        "num.recovery.threads.per.data.dir",
        "num.replica.fetchers",
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "offsets.topic.replication.factor",
        "offsets.topic.segment.bytes",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
        "log.flush.interval.ms",
        "log.flush.scheduler.interval.ms",
        "ssl.keystore.type",
        "ssl.truststore.type",
        "zookeeper.connect",
        "zookeeper.connection.timeout.ms",
    )
)


# What belongs to one node; the rest is in broker_properties.py.
_OF_A_NODE = (
    BrokerProperty("broker.id", "node_id", INT),
    BrokerProperty("node.id", "node_id", INT),
    BrokerProperty("port", "port", INT),
    BrokerProperty("broker.rack", "racks", LIST),
    BrokerProperty("ssl.key.password", "ssl_key_password", STRING),
)
_PROPERTIES = {row.name: row for row in (*_OF_A_NODE, *BROKER_PROPERTIES)}


def load_settings(path: Path) -> dict[str, Any]:
    """Return fields of BrokerSettings from a file; raises ConfigError."""
    try:
        properties = parse_properties(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where="--config") from error
    return settings_of(properties, where=str(path))


def settings_of(properties: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return fields of BrokerSettings; warns of keys that are not known.

    Raises: ConfigError when a value cannot be read
    """
    left = dict(properties)
    values: dict[str, Any] = {}
    for name, value in _log_dir(left) + _retention_ms(left) + _flush(left):
        values[name] = value
    values.update(_listener(left, where))
    values.update(_sasl_users(left))
    for key, text in left.items():
        found = _PROPERTIES.get(key)
        if found is not None:
            try:
                values[found.field] = found.read(text)
            except ValueError as error:
                raise ConfigError(f"{key} cannot be {text!r}: {error}", where=where) from None
        elif key in _WITHOUT_EFFECT:
            _log.info("%s: %s has no effect here", where, key)
        else:
            _log.warning("%s: there is no property %s, it is ignored", where, key)
    return values


def _log_dir(left: dict[str, str]) -> list[tuple[str, Any]]:
    log_dirs = left.pop("log.dirs", left.pop("log.dir", ""))
    first, *others = split_list(log_dirs) or ("",)
    if others:
        _log.warning("log.dirs: only the first directory is used, %s", first)
    return [("data_dir", Path(first))] if first else []


def _retention_ms(left: dict[str, str]) -> list[tuple[str, Any]]:
    """Take retention by hours or minutes; the finer unit wins, as in Kafka."""
    found: list[tuple[str, Any]] = []
    for key, unit_ms in (
        ("log.retention.hours", _MS_PER_HOUR),
        ("log.retention.minutes", _MS_PER_MINUTE),
    ):
        text = left.pop(key, None)
        if text is not None:
            try:
                value = int(text)
            except ValueError:
                raise ConfigError(f"{key} cannot be {text!r}", where="--config") from None
            found.append(("retention_ms", value * unit_ms if value >= 0 else -1))
    return found


def _flush(left: dict[str, str]) -> list[tuple[str, Any]]:
    """Take a flush after each message as fsync=always; other intervals are the system's."""
    every = left.pop("log.flush.interval.messages", None)
    return [("fsync", "always")] if every == "1" else []


def _listener(left: dict[str, str], where: str) -> dict[str, Any]:
    """Take the first listener that is for clients."""
    controllers = split_list(left.get("controller.listener.names", ""))
    listeners = [
        text for text in split_list(left.pop("listeners", "")) if _name(text) not in controllers
    ]
    advertised = {_name(text): text for text in split_list(left.pop("advertised.listeners", ""))}
    if not listeners:
        return {}
    if len(listeners) > 1:
        _log.warning("%s: only the first listener is used, %s", where, listeners[0])
    name, host, port = _parse_listener(listeners[0], where)
    protocols = dict(
        pair.split(":", 1)
        for pair in split_list(left.get("listener.security.protocol.map", ""))
        if ":" in pair
    )
    values: dict[str, Any] = {
        # An empty host is every interface to Kafka; this broker has to be told so.
        "host": host or _LOOPBACK,
        "port": max(port, 0),
        "security_protocol": protocols.get(name, name).upper(),
    }
    if name in advertised:
        _, advertised_host, advertised_port = _parse_listener(advertised[name], where)
        values["advertised_host"] = advertised_host
        values["advertised_port"] = 0 if advertised_port == port else max(advertised_port, 0)
    return values


def _name(listener: str) -> str:
    return listener.partition("://")[0]


def _parse_listener(text: str, where: str) -> tuple[str, str, int]:
    match = _LISTENER.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not name://host:port", where=where)
    return match[1], match[2] or match[3] or "", int(match[4])


def _sasl_users(left: dict[str, str]) -> dict[str, Any]:
    """Take the users of PlainLoginModule and ScramLoginModule lines (user_NAME="PASSWORD")."""
    users: dict[str, str] = {}
    for key in [key for key in left if key.endswith("sasl.jaas.config")]:
        for name, password in _JAAS_USER.findall(left.pop(key)):
            users[name] = re.sub(r"\\(.)", r"\1", password)
    return {"sasl_users": users} if users else {}


def parse_properties(text: str) -> dict[str, str]:
    """Read what java.util.Properties reads: comments, continued lines, escapes."""
    properties: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        logical = line.lstrip()
        if not logical or logical[0] in "#!":
            continue
        while _is_continued(logical):
            logical = logical[:-1] + next(lines, "").lstrip()
        match = re.match(r"((?:[^\\:=\s]|\\.)*)\s*[:=]?\s*(.*)", logical)
        assert match is not None  # the expression matches everything
        properties[_unescaped(match[1])] = _unescaped(match[2]).strip()
    return properties


def _is_continued(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescaped(text: str) -> str:
    controls = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

    def replace(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else controls.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", replace, text)
