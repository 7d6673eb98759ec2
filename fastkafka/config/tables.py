"""All properties by name, and what is said of names that are none."""

from __future__ import annotations

from fastkafka.config import connection, consumer, producer, security
from fastkafka.config.property import Property

PROPERTIES: tuple[Property, ...] = (
    *connection.PROPERTIES,
    *security.PROPERTIES,
    *producer.PROPERTIES,
    *consumer.PROPERTIES,
)

CANONICAL: dict[str, str] = {
    name: property.name for property in PROPERTIES for name in (property.name, *property.aliases)
}

# Names of the Java client whose unit is another: what one of our units counts in theirs.
SCALED: dict[str, tuple[str, int]] = {"buffer.memory": ("queue.buffering.max.kbytes", 1024)}

# Names that are refused, and what to do instead.
_TRUSTSTORE = "Use ssl.ca.location with a PEM file."
_KEYSTORE = "Use ssl.keystore.location and ssl.keystore.password (PKCS#12)."
_C_ONLY = "It belongs to librdkafka's C interface."
_SERIALIZER = "Serializers belong to SerializingProducer and DeserializingConsumer."
REFUSED: dict[str, str] = {
    "ssl.truststore.location": _TRUSTSTORE,
    "ssl.truststore.password": _TRUSTSTORE,
    "ssl.truststore.type": _TRUSTSTORE,
    "ssl.truststore.certificates": "Use ssl.ca.pem.",
    "ssl.keystore.type": _KEYSTORE,
    "ssl.keystore.key": "Use ssl.key.pem.",
    "ssl.keystore.certificate.chain": "Use ssl.certificate.pem.",
    "sasl.jaas.config": "Use sasl.username and sasl.password.",
    "partitioner.class": "Use partitioner; murmur2_random is the Java client's.",
    "compression.gzip.level": "Use compression.level.",
    "compression.lz4.level": "Use compression.level.",
    "compression.zstd.level": "Use compression.level.",
    "default.api.timeout.ms": "Give each call its own timeout.",
    "interceptor.classes": "Wrap produce() and poll() instead.",
    "exclude.internal.topics": "Subscribe to a pattern that does not match them.",
    "key.serializer": _SERIALIZER,
    "value.serializer": _SERIALIZER,
    "key.deserializer": _SERIALIZER,
    "value.deserializer": _SERIALIZER,
    "plugin.library.paths": "Libraries of librdkafka cannot be loaded here.",
    "test.mock.num.brokers": "Use fastkafka.broker.EmbeddedBroker.",
    "test.mock.broker.rtt": "Use fastkafka.broker.EmbeddedBroker.",
    "dr_cb": "Use on_delivery.",
    "dr_msg_cb": "Use on_delivery.",
    "rebalance_cb": "Give on_assign and on_revoke to subscribe().",
    "offset_commit_cb": "Use on_commit.",
    "log_cb": "Use logger.",
    "enabled_events": _C_ONLY,
    "opaque": _C_ONLY,
    "default_topic_conf": "Use default.topic.config, or put topic properties beside the others.",
    "consume_cb": _C_ONLY,
    "background_event_cb": _C_ONLY,
    "socket_cb": _C_ONLY,
    "connect_cb": _C_ONLY,
    "closesocket_cb": _C_ONLY,
    "open_cb": _C_ONLY,
    "resolve_cb": _C_ONLY,
    "msg_order_cmp": _C_ONLY,
}


def properties_of(role: str) -> dict[str, Property]:
    """Return the properties that a client of `role` uses, by canonical name."""
    return {property.name: property for property in PROPERTIES if role in property.used_by}


def nearest(name: str) -> str | None:
    """Return the known name that `name` is most likely meant to be."""
    import difflib  # only an error needs it, and every program would pay for it

    found = difflib.get_close_matches(name, [*CANONICAL, *SCALED], n=1, cutoff=0.6)
    return found[0] if found else None
