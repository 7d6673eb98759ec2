"""From what the user gave to one typed value for each property, or a ConfigError."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from fastkafka.config.foreign_names import REFUSED, TRANSLATED
from fastkafka.config.property import Property
from fastkafka.config.tables import CANONICAL, PROPERTIES, nearest, properties_of
from fastkafka.errors import ConfigError, ConfigTypeError

_log = logging.getLogger("fastkafka.config")

ROLES = ("producer", "consumer", "admin")
_TOPIC_CONFIG = "default.topic.config"
_FETCH_RESPONSE_OVERHEAD_BYTES = 512
_STRING_BYTES_MAX = 32767  # the wire's int16
_SOCKET_TIMEOUT_MARGIN_MS = 100

# What was warned of already in this process: one line for each property is enough.
_warned: set[str] = set()


class Resolved(Mapping[str, Any]):
    """The properties of one client: canonical name to typed value. Aliases can be asked for too."""

    __slots__ = ("_values", "explicit", "role")

    def __init__(self, role: str, values: dict[str, Any], explicit: frozenset[str]) -> None:
        self.role = role
        self.explicit = explicit
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[CANONICAL.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        table = properties_of(self.role)
        shown = ", ".join(
            f"{name}={'[hidden]' if table[name].secret else repr(self._values[name])}"
            for name in sorted(self.explicit)
        )
        return f"Resolved({self.role}: {shown})"


def resolve(role: str, conf: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> Resolved:
    """Return the typed properties of a client that was made with `conf` and `kwargs`.

    Raises: ConfigError for unknown names, wrong values and contradictions; ConfigTypeError when
    `conf` is no dict. Properties that are not in force yet are logged once.
    """
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}, not {role!r}")
    given = _merged(conf, kwargs)
    table = properties_of(role)
    values = {property.name: property.default for property in table.values()}
    explicit: set[str] = set()
    log = _log if given.get("logger") is None else table["logger"].parse(given["logger"])
    for name, value in given.items():
        property = table.get(name)
        if property is None:
            _check_other_role(role, name, value, log)
        elif value is None:
            # None gives a property its default again, whatever an alias said before.
            values[name] = property.default
            explicit.discard(name)
        else:
            values[name] = property.parse(value)
            explicit.add(name)
            if not property.in_force:
                text = f'Configuration property "{name}" has no effect: {property.why_not}'
                _warn_once(log, name, text)
    _check_security(values)
    _check_backoffs(values)
    _settle_log_level(values, explicit)
    if role == "producer":
        _settle_producer(values, explicit, log)
    elif role == "consumer":
        _settle_consumer(values, explicit)
    return Resolved(role, values, frozenset(explicit))


def _merged(conf: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given under canonical names, in the order in which it applies."""
    if conf is None and not kwargs:
        raise ConfigTypeError("expected configuration dict")
    if conf is not None and not isinstance(conf, Mapping):
        raise ConfigTypeError(f"expected configuration dict, not {type(conf).__name__}")
    items: list[tuple[str, Any]] = [
        *(conf or {}).items(),
        *((_dotted(name), value) for name, value in kwargs.items()),
    ]
    topic_config = {name: value for name, value in items if name == _TOPIC_CONFIG}
    for name, value in topic_config.items():
        if value is not None and not isinstance(value, Mapping):
            raise ConfigTypeError(f"{name} takes a dict, not {type(value).__name__}")
        items += (value or {}).items()
    merged: dict[str, Any] = {}
    for name, value in items:
        if name == _TOPIC_CONFIG:
            continue
        canonical, value = _canonical(name, value)
        merged.pop(canonical, None)
        merged[canonical] = value
    return merged


def _dotted(name: str) -> str:
    """Return the property that a keyword argument names: bootstrap_servers, error_cb."""
    if name in CANONICAL:
        return name
    dotted = name.replace("_", ".")
    known = dotted in CANONICAL or dotted in TRANSLATED or dotted == _TOPIC_CONFIG
    return dotted if known else name


def _canonical(name: object, value: Any) -> tuple[str, Any]:
    if not isinstance(name, str):
        raise ConfigTypeError(f"names of properties are str, not {type(name).__name__}")
    if name in CANONICAL:
        return CANONICAL[name], value
    translation = TRANSLATED.get(name)
    if translation is not None:
        given = None if value is None else translation.convert(name, str(value))
        return translation.target, given
    hint = REFUSED.get(name)
    if hint is None:
        near = nearest(name)
        hint = None if near is None else f'Did you mean "{near}"?'
    raise ConfigError(f'No such configuration property: "{name}"', hint=hint)


def _check_other_role(role: str, name: str, value: object, log: logging.Logger) -> None:
    """Check a property that clients of this role do not use, and say that it has no effect."""
    property = next(row for row in PROPERTIES if row.name == name)
    if value is not None:
        property.parse(value)
    _warn_once(
        log,
        f"{role} {name}",
        f'Configuration property "{name}" is one of the {property.used_by[0]}: '
        f"it has no effect on a client of role {role}",
    )


def _check_security(values: dict[str, Any]) -> None:
    protocol = values["security.protocol"]
    if protocol != "plaintext":
        # Never a silent plaintext connection.
        raise ConfigError(
            f'Configuration property "security.protocol": {protocol} is not yet in this release',
            hint="Only plaintext is.",
        )


def _check_backoffs(values: dict[str, Any]) -> None:
    for name in ("reconnect.backoff", "retry.backoff"):
        if values[f"{name}.max.ms"] < values[f"{name}.ms"]:
            raise ConfigError(f"`{name}.max.ms` must be >= `{name}.ms`")


def _settle_log_level(values: dict[str, Any], explicit: set[str]) -> None:
    """Let debug, which asks for lines of the last level, show them."""
    if values["debug"] and "log_level" not in explicit:
        values["log_level"] = describe("log_level").maximum


def _settle_producer(values: dict[str, Any], explicit: set[str], log: logging.Logger) -> None:
    if values["transactional.id"]:
        _settle_transactions(values, explicit)
    _settle_idempotence(values, explicit, log)
    _settle_compression_level(values, explicit)
    delivery_ms = values["delivery.timeout.ms"]
    if delivery_ms and values["linger.ms"] >= delivery_ms:
        if "linger.ms" in explicit:
            raise ConfigError("`delivery.timeout.ms` must be greater than `linger.ms`")
        values["linger.ms"] = delivery_ms / 2


def _settle_transactions(values: dict[str, Any], explicit: set[str]) -> None:
    """Let time-outs fit into that of the transaction, or raise (rd_kafka_conf_finalize)."""
    if len(values["transactional.id"].encode()) > _STRING_BYTES_MAX:
        raise ConfigError(f"`transactional.id` must have at most {_STRING_BYTES_MAX} bytes")
    if "enable.idempotence" in explicit and not values["enable.idempotence"]:
        raise ConfigError("`enable.idempotence` must be true when `transactional.id` is set")
    # Not given or true: what does not go with it raises.
    values["enable.idempotence"] = True
    explicit.add("enable.idempotence")
    transaction_ms = values["transaction.timeout.ms"]
    delivery_ms = values["delivery.timeout.ms"]
    if "delivery.timeout.ms" not in explicit:
        values["delivery.timeout.ms"] = min(delivery_ms, transaction_ms)
    elif delivery_ms == 0 or delivery_ms > transaction_ms:
        raise ConfigError("`delivery.timeout.ms` must be set <= `transaction.timeout.ms`")
    if "socket.timeout.ms" not in explicit:
        values["socket.timeout.ms"] = min(
            values["socket.timeout.ms"], transaction_ms + _SOCKET_TIMEOUT_MARGIN_MS
        )


def _settle_compression_level(values: dict[str, Any], explicit: set[str]) -> None:
    """Let the Java client's level of the codec in use count, unless compression.level is given."""
    of_codec = f"compression.{values['compression.type']}.level"
    if of_codec in explicit and "compression.level" not in explicit:
        values["compression.level"] = values[of_codec]


def _settle_idempotence(values: dict[str, Any], explicit: set[str], log: logging.Logger) -> None:
    """Turn idempotence off when the user asked for what it cannot keep, or raise."""
    in_the_way = []
    if values["acks"] != -1:
        in_the_way.append("`acks` must be all")
    if values["retries"] == 0:
        in_the_way.append("`retries` must be > 0")
    if values["max.in.flight.requests.per.connection"] > 5:
        in_the_way.append("`max.in.flight` must be set <= 5")
    if not in_the_way or not values["enable.idempotence"]:
        return
    reasons = " and ".join(in_the_way)
    if "enable.idempotence" in explicit:
        raise ConfigError(
            f"Failed to create producer: {reasons} when `enable.idempotence` is true",
            hint="Change it, or set enable.idempotence to false.",
        )
    values["enable.idempotence"] = False
    log.log(
        logging.WARNING,
        "Idempotence is off, because %s with it: records may be written twice or out of order "
        "when a request is repeated. Set enable.idempotence to false to accept this, or remove "
        "the setting.",
        reasons,
    )


def _settle_consumer(values: dict[str, Any], explicit: set[str]) -> None:
    if values["group.id"] is None:
        raise ConfigError("Failed to create consumer: group.id must be set")
    values["receive.message.max.bytes"] = max(
        values["receive.message.max.bytes"],
        values["fetch.max.bytes"] + _FETCH_RESPONSE_OVERHEAD_BYTES,
    )
    if values["group.protocol"] == "consumer":
        for name in (
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "partition.assignment.strategy",
            "group.protocol.type",
        ):
            if name in explicit:
                raise ConfigError(f"`{name}` must not be set when `group.protocol` is consumer")
    elif values["max.poll.interval.ms"] < values["session.timeout.ms"]:
        raise ConfigError("`max.poll.interval.ms` must be >= `session.timeout.ms`")
    strategies = values["partition.assignment.strategy"]
    if "cooperative-sticky" in strategies and len(strategies) > 1:
        raise ConfigError(
            "`partition.assignment.strategy` must not mix cooperative-sticky with others"
        )


def _warn_once(log: logging.Logger, key: str, text: str) -> None:
    if key not in _warned:
        _warned.add(key)
        log.log(logging.WARNING, "%s", text)


def describe(name: str) -> Property:
    """Return the row of a property, by any of its names."""
    canonical = CANONICAL[name]
    return next(property for property in PROPERTIES if property.name == canonical)
