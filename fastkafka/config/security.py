"""Properties of TLS and authentication. None is in force yet but security.protocol=plaintext."""

from __future__ import annotations

from fastkafka.config.property import Property, choose


def _later(
    name: str,
    text: str,
    *,
    kind: str = "str",
    default: object = "",
    aliases: tuple[str, ...] = (),
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
) -> Property:
    return Property(
        name,
        kind,
        default,
        text,
        aliases=aliases,
        choices=choose(*choices),
        minimum=minimum,
        maximum=maximum,
        secret=secret,
        why_not="TLS and SASL are not yet in this release",
    )


_SASL_MECHANISMS = ("gssapi", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer")
_OAUTH = "sasl.oauthbearer"
_ASSERTION = "sasl.oauthbearer.assertion"

PROPERTIES: tuple[Property, ...] = (
    Property("security.protocol", "choice", "plaintext",
             "How connections are secured.",
             choices=choose("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")),
    # TLS
    _later("ssl.ca.location", "File or directory of certificate authorities (PEM)."),
    _later("ssl.ca.pem", "Certificate authorities as PEM text."),
    _later("ssl.ca.certificate.stores", "Windows certificate stores to use.", default="Root"),
    _later("ssl.certificate.location", "File of the client's certificate (PEM)."),
    _later("ssl.certificate.pem", "The client's certificate as PEM text."),
    _later("ssl.key.location", "File of the client's private key (PEM)."),
    _later("ssl.key.pem", "The client's private key as PEM text.", secret=True),
    _later("ssl.key.password", "Password of the private key.", secret=True),
    _later("ssl.keystore.location", "File of the client's key and certificate (PKCS#12)."),
    _later("ssl.keystore.password", "Password of the key store.", secret=True),
    _later("ssl.crl.location", "File of revoked certificates."),
    _later("ssl.cipher.suites", "Ciphers, as OpenSSL lists them."),
    _later("ssl.curves.list", "Curves, as OpenSSL lists them."),
    _later("ssl.sigalgs.list", "Signature algorithms, as OpenSSL lists them."),
    _later("ssl.providers", "OpenSSL 3 providers to load."),
    _later("ssl.engine.location", "Library of an OpenSSL engine."),
    _later("ssl.engine.id", "Name of the OpenSSL engine.", default="dynamic"),
    _later("enable.ssl.certificate.verification", "Verify the broker's certificate.",
           kind="bool", default=True),
    _later("ssl.endpoint.identification.algorithm", "Verify the broker's host name, or not.",
           kind="choice", default="https", choices=("none", "https")),
    _later("https.ca.location", "Certificate authorities of the token endpoint."),
    _later("https.ca.pem", "Certificate authorities of the token endpoint as PEM text."),
    # SASL
    _later("sasl.mechanisms", "How to authenticate.", kind="choice", default="gssapi",
           aliases=("sasl.mechanism",), choices=_SASL_MECHANISMS),
    _later("sasl.username", "Name for PLAIN and SCRAM."),
    _later("sasl.password", "Password for PLAIN and SCRAM.", secret=True),
    _later("sasl.kerberos.service.name", "Kerberos name of the brokers.", default="kafka"),
    _later("sasl.kerberos.principal", "Kerberos name of this client.", default="kafkaclient"),
    _later("sasl.kerberos.keytab", "Kerberos key table file."),
    _later("sasl.kerberos.kinit.cmd", "Command that gets or renews the ticket."),
    _later("sasl.kerberos.min.time.before.relogin", "Pause between renewals in ms; 0 is never.",
           kind="int", default=60000, minimum=0, maximum=86400000),
    # OAUTHBEARER
    _later("sasl.oauthbearer.config", "Text for oauth_cb.", secret=True),
    _later("enable.sasl.oauthbearer.unsecure.jwt", "Make unsigned tokens, for tests.",
           kind="bool", default=False),
    _later(f"{_OAUTH}.method", "Who gets the token: oauth_cb, or this client (oidc).",
           kind="choice", default="default", choices=("default", "oidc")),
    _later(f"{_OAUTH}.client.id", "Client id at the token endpoint.",
           aliases=(f"{_OAUTH}.client.credentials.client.id",)),
    _later(f"{_OAUTH}.client.secret", "Client secret at the token endpoint.", secret=True,
           aliases=(f"{_OAUTH}.client.credentials.client.secret",)),
    _later(f"{_OAUTH}.token.endpoint.url", "Address of the token endpoint."),
    _later(f"{_OAUTH}.scope", "Scope to ask for."),
    _later(f"{_OAUTH}.extensions", "Extensions as key=value, separated by commas (KIP-342)."),
    _later(f"{_OAUTH}.sub.claim.name", "Claim that names the principal.", default="sub"),
    _later(f"{_OAUTH}.grant.type", "How the token is asked for.", kind="choice",
           default="client_credentials",
           choices=("client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer")),
    _later(f"{_ASSERTION}.algorithm", "Signature of the assertion.", kind="choice",
           default="rs256", choices=("rs256", "es256")),
    _later(f"{_ASSERTION}.private.key.file", "File of the key that signs the assertion."),
    _later(f"{_ASSERTION}.private.key.pem", "The key that signs, as PEM text.", secret=True),
    _later(f"{_ASSERTION}.private.key.passphrase", "Password of that key.", secret=True),
    _later(f"{_ASSERTION}.file", "File of a ready assertion."),
    _later(f"{_ASSERTION}.claim.aud", "Audience of the assertion."),
    _later(f"{_ASSERTION}.claim.iss", "Issuer of the assertion."),
    _later(f"{_ASSERTION}.claim.sub", "Subject of the assertion."),
    _later(f"{_ASSERTION}.claim.exp.seconds", "Life of the assertion.", kind="int",
           default=300, minimum=1, maximum=2147483647),
    _later(f"{_ASSERTION}.claim.nbf.seconds", "How far before now the assertion holds.",
           kind="int", default=60, minimum=0, maximum=2147483647),
    _later(f"{_ASSERTION}.claim.jti.include", "Give each assertion an id.", kind="bool",
           default=False),
    _later(f"{_ASSERTION}.jwt.template.file", "File of further claims and headers."),
    _later(f"{_OAUTH}.metadata.authentication.type", "Token of the cloud the client runs in.",
           kind="choice", default="none", choices=("none", "azure_imds", "aws_iam")),
)  # fmt: skip
