"""The TLS side of a listener, from PEM files as Kafka takes them (KIP-651)."""

from __future__ import annotations

import ssl
from typing import Any

from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import ConfigError

HANDSHAKE_TIMEOUT_S = 10.0
_CLIENT_AUTH = {
    "none": ssl.CERT_NONE,
    "requested": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SHORT_NAMES = {
    "commonName": "CN",
    "organizationalUnitName": "OU",
    "organizationName": "O",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}


def server_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    """Return what the listeners do TLS with, None when they do not; raises ConfigError."""
    if not settings.has_ssl or settings.ssl_keystore_location is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            settings.ssl_keystore_location, password=lambda: settings.ssl_key_password or ""
        )
        if settings.ssl_truststore_location is not None:
            context.load_verify_locations(settings.ssl_truststore_location)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the key, certificates or trusted certificates cannot be used: {error}",
            where=f"{settings.ssl_keystore_location}",
        ) from error
    context.verify_mode = _CLIENT_AUTH[settings.ssl_client_auth]
    return context


def certificate_principal(certificate: dict[str, Any]) -> str:
    """Return the principal of a client's certificate: its distinguished name (RFC 2253)."""
    names = [name for entry in certificate.get("subject", ()) for name in entry]
    # The most significant name comes last, as Java's X500Principal writes it.
    text = ",".join(f"{_SHORT_NAMES.get(key, key)}={value}" for key, value in reversed(names))
    return f"User:{text}"
