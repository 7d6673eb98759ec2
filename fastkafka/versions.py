"""Which release this is, in the two forms that programs of confluent_kafka ask for."""

from __future__ import annotations

__version__ = "0.1.0"


def version() -> str:
    """Return the version of the package.

    Example: version() == "0.1.0"
    """
    return __version__


def libversion() -> tuple[str, int]:
    """Return the version of the core as text and as one number, which compares as versions do.

    There is no librdkafka below: the core has the package's version. The number has librdkafka's
    form, 0xMMmmrrff.
    Example: libversion() == ("0.1.0", 0x000100FF)
    """
    major, minor, revision = (int(part) for part in __version__.split("."))
    return __version__, major << 24 | minor << 16 | revision << 8 | 0xFF
