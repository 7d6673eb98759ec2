"""Why a broker did not start. Each has its own exit status, so that a parent process can tell."""

from __future__ import annotations

from fastkafka.errors import KafkaError, KafkaException


class BrokerStartError(KafkaException):
    """The broker could not start; the text says what to change."""

    default_code = KafkaError._CRIT_SYS_RESOURCE
    exit_status = 1


class PortUnusable(BrokerStartError):
    """The port is taken, or the address is not one of this machine."""

    exit_status = 3


class DataDirUnusable(BrokerStartError):
    """The data directory cannot be made, written to or understood."""

    default_code = KafkaError._FS
    exit_status = 4


class DataDirLocked(BrokerStartError):
    """Another broker uses the data directory."""

    default_code = KafkaError._FS
    exit_status = 5


def error_for_exit_status(status: int) -> type[BrokerStartError]:
    """Return the class of error that a broker process ended with."""
    for cls in (PortUnusable, DataDirUnusable, DataDirLocked):
        if cls.exit_status == status:
            return cls
    return BrokerStartError
