"""Properties of one topic of a producer, in place of the client's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastkafka.config.resolver import Resolved, resolve
from fastkafka.errors import ConfigError

_ACKS_ALL = -1
# What librdkafka has at the level of topics.
TOPIC_PROPERTIES = frozenset(
    (
        "acks",
        "compression.level",
        "compression.type",
        "delivery.timeout.ms",
        "partitioner",
        "request.timeout.ms",
    )
)


def resolve_topic(
    client: Resolved, conf: Mapping[str, Any] | None, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], Resolved]:
    """Return what a topic's `conf` and `kwargs` say, and the client's properties with it in place.

    Raises: ConfigError for wrong names and values, for properties of the whole client, and for acks
            that the client's idempotence does not allow
    """
    if not conf and not kwargs:
        return {}, client
    # Alone: what the client has beside it is checked below.
    given = resolve("producer", {"enable.idempotence": False, **(conf or {})}, kwargs)
    own = {name: given[name] for name in given.explicit - {"enable.idempotence"}}
    for name in own:
        if name not in TOPIC_PROPERTIES:
            allowed = ", ".join(sorted(TOPIC_PROPERTIES))
            raise ConfigError(f'"{name}" is a property of the client: a topic has {allowed}')
    if client["enable.idempotence"] and own.get("acks", _ACKS_ALL) != _ACKS_ALL:
        raise ConfigError(
            "`acks` must be set to `all` when `enable.idempotence` is true: set it to false for "
            "the client"
        )
    values = {name: client[name] for name in client} | own
    return own, Resolved("producer", values, client.explicit)
