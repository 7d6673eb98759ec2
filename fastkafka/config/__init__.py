"""Configuration: one table of properties per section, one resolver."""

from __future__ import annotations

from fastkafka.config.property import Property
from fastkafka.config.resolver import ROLES, Resolved, describe, resolve
from fastkafka.config.tables import PROPERTIES, properties_of

__all__ = ["PROPERTIES", "ROLES", "Property", "Resolved", "describe", "properties_of", "resolve"]
