"""Configuration of topics: which of Kafka's properties this broker has, and their values.

A property is taken only when the broker does what it says. What a topic does not set comes from the
settings of the broker.
Source: TopicConfig.java, LogConfig.java
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fastkafka.broker.log_config import FOREVER, WEEK_MS, LogConfig
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, BrokerSettings
from fastkafka.errors import KafkaError

# DescribeConfigsResponse.ConfigType
BOOLEAN = 1
STRING = 2
INT = 3
LONG = 5
DOUBLE = 6
LIST = 7

_INT_MAX = 2**31 - 1


class Property(NamedTuple):
    """A property that the broker obeys.

    Args:
        type: of DescribeConfigsResponse.ConfigType
        default: the value of topics that do not set it
        is_valid: whether a value can be obeyed; raises ValueError for what is no value at all
        wanted: what a valid value is, for the error message
    """

    type: int
    default: Callable[[BrokerSettings], str]
    is_valid: Callable[[str], bool]
    wanted: str


def _integer(
    type_number: int, lowest: int, highest: int, default: Callable[[BrokerSettings], int]
) -> Property:
    return Property(
        type_number,
        lambda settings: str(default(settings)),
        lambda value: lowest <= int(value) <= highest,
        f"an integer from {lowest} to {highest}",
    )


def _constant(type_number: int, lowest: int, default: int) -> Property:
    highest = _INT_MAX if type_number == INT else FOREVER
    return _integer(type_number, lowest, highest, lambda _: default)


def _one_of(type_number: int, *values: str) -> Property:
    """Return a property with one of `values`, the first being the default."""
    return Property(
        type_number, lambda _: values[0], lambda value: value in values, " or ".join(values)
    )


def _policies(value: str) -> set[str]:
    return {policy.strip() for policy in value.split(",") if policy.strip()}


PROPERTIES: dict[str, Property] = {
    "cleanup.policy": Property(
        LIST,
        lambda _: "delete",
        lambda value: bool(_policies(value)) and _policies(value) <= {"delete", "compact"},
        "delete, compact or both",
    ),
    "compression.type": _one_of(STRING, "producer"),
    "delete.retention.ms": _constant(LONG, 0, 86_400_000),
    "flush.messages": _constant(LONG, 1, FOREVER),
    "index.interval.bytes": _integer(
        INT, 0, _INT_MAX, lambda settings: settings.index_interval_bytes
    ),
    "max.compaction.lag.ms": _constant(LONG, 1, FOREVER),
    "max.message.bytes": _integer(INT, 0, _INT_MAX, lambda settings: settings.message_max_bytes),
    "message.timestamp.after.max.ms": _constant(LONG, 0, 3_600_000),
    "message.timestamp.type": _one_of(STRING, "CreateTime", "LogAppendTime"),
    "min.cleanable.dirty.ratio": Property(
        DOUBLE,
        lambda _: "0.5",
        lambda value: 0 <= float(value) <= 1,
        "a number from 0 to 1",
    ),
    "min.compaction.lag.ms": _constant(LONG, 0, 0),
    "min.insync.replicas": _constant(INT, 1, 1),
    "preallocate": _one_of(BOOLEAN, "false"),
    "retention.bytes": _integer(LONG, -1, FOREVER, lambda settings: settings.retention_bytes),
    "retention.ms": _integer(LONG, -1, FOREVER, lambda settings: settings.retention_ms),
    "segment.bytes": _integer(
        INT, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, lambda settings: settings.segment_bytes
    ),
    "segment.ms": _constant(LONG, 1, WEEK_MS),
    # Replicas share one log, so whichever leads has all of it.
    "unclean.leader.election.enable": _one_of(BOOLEAN, "false", "true"),
}


class ConfigRow(NamedTuple):
    """One property of a topic as DescribeConfigs shows it."""

    name: str
    value: str
    is_default: bool
    type: int


def check_config(config: Mapping[str, str | None]) -> dict[str, str]:
    """Return the configuration of a topic; raises Refusal INVALID_CONFIG."""
    checked: dict[str, str] = {}
    for name, value in config.items():
        if value is None:
            raise Refusal(KafkaError.INVALID_CONFIG, f"{name} has no value")
        known = PROPERTIES.get(name)
        if known is None:
            raise Refusal(
                KafkaError.INVALID_CONFIG, f"the embedded broker has no topic property {name}"
            )
        try:
            valid = known.is_valid(value)
        except ValueError:
            valid = False
        if not valid:
            raise Refusal(
                KafkaError.INVALID_CONFIG, f"{name} must be {known.wanted}, not {value!r}"
            )
        checked[name] = value
    return checked


def log_config(settings: BrokerSettings, config: Mapping[str, str]) -> LogConfig:
    """Return what the logs of a topic go by."""

    def value(name: str) -> str:
        return config.get(name) or PROPERTIES[name].default(settings)

    policies = _policies(value("cleanup.policy"))
    return LogConfig(
        segment_bytes=int(value("segment.bytes")),
        segment_ms=int(value("segment.ms")),
        index_interval_bytes=int(value("index.interval.bytes")),
        retention_bytes=int(value("retention.bytes")),
        retention_ms=int(value("retention.ms")),
        max_message_bytes=int(value("max.message.bytes")),
        deletes_old="delete" in policies,
        compacts="compact" in policies,
        min_cleanable_dirty_ratio=float(value("min.cleanable.dirty.ratio")),
        min_compaction_lag_ms=int(value("min.compaction.lag.ms")),
        max_compaction_lag_ms=int(value("max.compaction.lag.ms")),
        delete_retention_ms=int(value("delete.retention.ms")),
        log_append_time=value("message.timestamp.type") == "LogAppendTime",
        timestamp_after_max_ms=int(value("message.timestamp.after.max.ms")),
        min_insync_replicas=int(value("min.insync.replicas")),
        flush_messages=int(value("flush.messages")),
        fsync=settings.fsync,
    )


def config_rows(settings: BrokerSettings, config: Mapping[str, str]) -> list[ConfigRow]:
    """Return every property of a topic with the value in force."""
    return [
        ConfigRow(name, config.get(name, known.default(settings)), name not in config, known.type)
        for name, known in PROPERTIES.items()
    ]
