"""All properties by name."""

from __future__ import annotations

from fastkafka.config import connection, consumer, producer, security
from fastkafka.config.foreign_names import TRANSLATED
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


def properties_of(role: str) -> dict[str, Property]:
    """Return the properties that a client of `role` uses, by canonical name."""
    return {property.name: property for property in PROPERTIES if role in property.used_by}


def nearest(name: str) -> str | None:
    """Return the known name that `name` is most likely meant to be."""
    import difflib  # only an error needs it, and every program would pay for it

    found = difflib.get_close_matches(name, [*CANONICAL, *TRANSLATED], n=1, cutoff=0.6)
    return found[0] if found else None
