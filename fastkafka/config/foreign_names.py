"""Names that programs bring along from Java and from C: what they become here, or what to use.

Where the meaning is the same and only the unit or the spelling of a value differs, the value is
converted. Where no conversion is right, the name is refused with the one to use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastkafka.errors import ConfigError


class Translation(NamedTuple):
    """What a foreign name becomes: `convert` takes that name and the text of its value."""

    target: str
    text: str
    convert: Callable[[str, str], str]


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ConfigError(
            f'Configuration property "{name}" takes a whole number, not "{value}"'
        ) from None


def _kbytes_of_bytes(name: str, value: str) -> str:
    return str(-(-_whole(name, value) // 1024))


def _system_default_of_minus_one(name: str, value: str) -> str:
    return "0" if _whole(name, value) == -1 else value


_JAVA_PARTITIONERS = {
    # Null in Java too: keys by murmur2, records without one sticky.
    "org.apache.kafka.clients.producer.internals.DefaultPartitioner": "murmur2_random",
    "org.apache.kafka.clients.producer.RoundRobinPartitioner": "round_robin",
}


def _partitioner_of_class(name: str, value: str) -> str:
    partitioner = _JAVA_PARTITIONERS.get(value.strip())
    if partitioner is None:
        raise ConfigError(
            f'Configuration property "{name}": the Java class {value} does not run here',
            hint="Use partitioner; murmur2_random gives the Java client's partitions.",
        )
    return partitioner


TRANSLATED: dict[str, Translation] = {
    "buffer.memory": Translation(
        "queue.buffering.max.kbytes", "Bytes become KiB, rounded up.", _kbytes_of_bytes
    ),
    "send.buffer.bytes": Translation(
        "socket.send.buffer.bytes",
        "-1, the system's own size, becomes 0.",
        _system_default_of_minus_one,
    ),
    "receive.buffer.bytes": Translation(
        "socket.receive.buffer.bytes",
        "-1, the system's own size, becomes 0.",
        _system_default_of_minus_one,
    ),
    "partitioner.class": Translation(
        "partitioner",
        "DefaultPartitioner becomes murmur2_random, RoundRobinPartitioner round_robin; other "
        "classes are refused.",
        _partitioner_of_class,
    ),
}

_TRUSTSTORE = "Use ssl.ca.location with a PEM file."
_KEYSTORE = "Use ssl.keystore.location and ssl.keystore.password (PKCS#12)."
_JAVA_TLS = "It belongs to Java's TLS; here OpenSSL's own configuration decides."
_LOGIN_CLASS = "Java classes do not run here: use oauth_cb."
_SERIALIZER = "Serializers belong to SerializingProducer and DeserializingConsumer."
_INTERCEPTOR = "Wrap produce() and poll() instead."
_METRICS = "Java's metrics are not here: use stats_cb."
_C_ONLY = "It belongs to librdkafka's C interface."
_EMBEDDED_BROKER = "Use fastkafka.broker.EmbeddedBroker."

REFUSED: dict[str, str] = {
    # Java
    "ssl.truststore.location": _TRUSTSTORE,
    "ssl.truststore.password": _TRUSTSTORE,
    "ssl.truststore.type": _TRUSTSTORE,
    "ssl.truststore.certificates": "Use ssl.ca.pem.",
    "ssl.keystore.type": _KEYSTORE,
    "ssl.keystore.key": "Use ssl.key.pem.",
    "ssl.keystore.certificate.chain": "Use ssl.certificate.pem.",
    "ssl.protocol": _JAVA_TLS,
    "ssl.enabled.protocols": _JAVA_TLS,
    "ssl.provider": _JAVA_TLS,
    "ssl.keymanager.algorithm": _JAVA_TLS,
    "ssl.trustmanager.algorithm": _JAVA_TLS,
    "ssl.secure.random.implementation": _JAVA_TLS,
    "ssl.engine.factory.class": _JAVA_TLS,
    "security.providers": _JAVA_TLS,
    "sasl.jaas.config": "Use sasl.username and sasl.password.",
    "sasl.client.callback.handler.class": _LOGIN_CLASS,
    "sasl.login.callback.handler.class": _LOGIN_CLASS,
    "sasl.login.class": _LOGIN_CLASS,
    "socket.connection.setup.timeout.max.ms": "Use socket.connection.setup.timeout.ms.",
    "default.api.timeout.ms": "Give each call its own timeout.",
    "metadata.max.idle.ms": "Topics that a client uses stay in its metadata.",
    "partitioner.ignore.keys": "Produce without a key, or give produce() the partition.",
    "interceptor.classes": _INTERCEPTOR,
    "exclude.internal.topics": "Subscribe to a pattern that does not match them.",
    "key.serializer": _SERIALIZER,
    "value.serializer": _SERIALIZER,
    "key.deserializer": _SERIALIZER,
    "value.deserializer": _SERIALIZER,
    "metric.reporters": _METRICS,
    "metrics.num.samples": _METRICS,
    "metrics.recording.level": _METRICS,
    "metrics.sample.window.ms": _METRICS,
    # librdkafka
    "plugin.library.paths": "Libraries of librdkafka cannot be loaded here.",
    "test.mock.num.brokers": _EMBEDDED_BROKER,
    "test.mock.broker.rtt": _EMBEDDED_BROKER,
    "dr_cb": "Use on_delivery.",
    "dr_msg_cb": "Use on_delivery.",
    "rebalance_cb": "Give on_assign and on_revoke to subscribe().",
    "offset_commit_cb": "Use on_commit.",
    "log_cb": "Use logger.",
    "default_topic_conf": "Use default.topic.config, or put topic properties beside the others.",
    "enabled_events": _C_ONLY,
    "opaque": _C_ONLY,
    "consume_cb": _C_ONLY,
    "background_event_cb": _C_ONLY,
    "socket_cb": _C_ONLY,
    "connect_cb": _C_ONLY,
    "closesocket_cb": _C_ONLY,
    "open_cb": _C_ONLY,
    "resolve_cb": _C_ONLY,
    "msg_order_cmp": _C_ONLY,
}
