"""Configuration of topics: which of Kafka's properties this broker has, and their values.

A property is taken only when the broker does what it says. What a topic does not set comes from the
settings of the broker.
Source: TopicConfig.java
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fastkafka.broker.partition_log import LogConfig
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, BrokerSettings
from fastkafka.errors import KafkaError

INT = 3  # DescribeConfigsResponse.ConfigType
LONG = 5
STRING = 2
LIST = 7


class IntegerProperty(NamedTuple):
    """A property that the broker obeys, its range, and where its default comes from."""

    type: int
    lowest: int
    highest: int
    default: Callable[[BrokerSettings], int]


INTEGER_PROPERTIES: dict[str, IntegerProperty] = {
    "segment.bytes": IntegerProperty(
        INT, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, lambda settings: settings.segment_bytes
    ),
    "index.interval.bytes": IntegerProperty(
        INT, 0, 2**31 - 1, lambda settings: settings.index_interval_bytes
    ),
    "retention.bytes": IntegerProperty(
        LONG, -1, 2**63 - 1, lambda settings: settings.retention_bytes
    ),
    "max.message.bytes": IntegerProperty(
        INT, 0, 2**31 - 1, lambda settings: settings.message_max_bytes
    ),
}

# The broker does exactly this; a topic may say so, but may not ask for anything else.
FIXED_PROPERTIES: dict[str, tuple[int, str]] = {
    "cleanup.policy": (LIST, "delete"),
    "compression.type": (STRING, "producer"),
    "message.timestamp.type": (STRING, "CreateTime"),
    "min.insync.replicas": (INT, "1"),
    "retention.ms": (LONG, "-1"),
}


class ConfigRow(NamedTuple):
    """One property of a topic as DescribeConfigs shows it."""

    name: str
    value: str
    is_default: bool
    type: int


def check_config(config: Mapping[str, str | None]) -> dict[str, str]:
    """Return the configuration of a new topic; raises Refusal INVALID_CONFIG."""
    checked: dict[str, str] = {}
    for name, value in config.items():
        if value is None:
            raise Refusal(KafkaError.INVALID_CONFIG, f"{name} has no value")
        if name in INTEGER_PROPERTIES:
            _check_integer(name, value)
        elif name not in FIXED_PROPERTIES:
            raise Refusal(
                KafkaError.INVALID_CONFIG, f"the embedded broker has no topic property {name}"
            )
        elif value != FIXED_PROPERTIES[name][1]:
            raise Refusal(
                KafkaError.INVALID_CONFIG,
                f"the embedded broker has {name}={FIXED_PROPERTIES[name][1]} only, not {value}",
            )
        checked[name] = value
    return checked


def _check_integer(name: str, value: str) -> None:
    entry = INTEGER_PROPERTIES[name]
    try:
        valid = entry.lowest <= int(value) <= entry.highest
    except ValueError:
        valid = False
    if not valid:
        raise Refusal(
            KafkaError.INVALID_CONFIG,
            f"{name} must be an integer from {entry.lowest} to {entry.highest}, not {value!r}",
        )


def log_config(settings: BrokerSettings, config: Mapping[str, str]) -> LogConfig:
    """Return what the logs of a topic go by."""

    def value(name: str) -> int:
        own = config.get(name)
        return INTEGER_PROPERTIES[name].default(settings) if own is None else int(own)

    return LogConfig(
        segment_bytes=value("segment.bytes"),
        index_interval_bytes=value("index.interval.bytes"),
        retention_bytes=value("retention.bytes"),
        max_message_bytes=value("max.message.bytes"),
        fsync=settings.fsync,
    )


def config_rows(settings: BrokerSettings, config: Mapping[str, str]) -> list[ConfigRow]:
    """Return every property of a topic with the value in force."""
    rows = [
        ConfigRow(
            name, config.get(name, str(entry.default(settings))), name not in config, entry.type
        )
        for name, entry in INTEGER_PROPERTIES.items()
    ]
    rows += [
        ConfigRow(name, value, name not in config, type_number)
        for name, (type_number, value) in FIXED_PROPERTIES.items()
    ]
    return sorted(rows)
