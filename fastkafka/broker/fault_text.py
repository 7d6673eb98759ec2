"""Fault commands as text: what stands behind `--fault` on the command line.

    api=produce,topic=orders,error_code=NOT_LEADER_FOR_PARTITION,times=3
    do=kill_node,node=2,after_ms=5000
    do=move_leader,topic=orders,partition=1,every_ms=2000

Without `do` it is a fault of requests (faults.py says which fields it has). `after_ms` says when
the command is carried out, counted from the start of the broker, `every_ms` that it is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

from fastkafka.broker.fault_commands import COMMANDS, FaultCommands
from fastkafka.broker.faults import Fault
from fastkafka.errors import ConfigError, KafkaError, KafkaException

_log = logging.getLogger(__name__)

_TEXT_FIELDS = ("do", "api", "topic", "key", "drop_connection")
_FLAG_FIELDS = ("drop_reply", "duplicate_reply")


class ScheduledCommand(NamedTuple):
    """A command and when it is carried out."""

    command: dict[str, Any]
    after_ms: int
    every_ms: int


def parse_fault(text: str) -> ScheduledCommand:
    """Read one `--fault`; raises ConfigError."""
    command: dict[str, Any] = {}
    for item in text.split(","):
        name, separator, value = item.partition("=")
        if not separator and name not in _FLAG_FIELDS:
            raise ConfigError(f"{item!r} is not name=value", where=f"--fault {text}")
        command[name] = _value(name, value or "true", text)
    after_ms, every_ms = command.pop("after_ms", 0), command.pop("every_ms", 0)
    if min(after_ms, every_ms) < 0:
        raise ConfigError("after_ms and every_ms must be 0 or more", where=f"--fault {text}")
    name = command.get("do", "add")
    if name not in COMMANDS:
        raise ConfigError(
            f"there is no command {name!r}, there are {', '.join(COMMANDS)}",
            where=f"--fault {text}",
        )
    if name == "add":
        # Carried out later, but what makes no sense is said at once.
        Fault.from_mapping({key: value for key, value in command.items() if key != "do"})
    return ScheduledCommand(command, after_ms, every_ms)


def _value(name: str, value: str, text: str) -> str | int | bool:
    if name in _TEXT_FIELDS:
        return value
    if name in _FLAG_FIELDS and value in ("true", "false"):
        return value == "true"
    if name == "error_code" and isinstance(getattr(KafkaError, value, None), int):
        return int(getattr(KafkaError, value))
    try:
        return int(value)
    except ValueError:
        raise ConfigError(f"{name} cannot be {value!r}", where=f"--fault {text}") from None


async def run_schedule(commands: FaultCommands, scheduled: list[ScheduledCommand]) -> None:
    """Carry out the commands at their times; one that fails is logged, the others go on."""
    await asyncio.gather(*(_run(commands, row) for row in scheduled))


async def _run(commands: FaultCommands, row: ScheduledCommand) -> None:
    delay_ms = row.after_ms
    while True:
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        try:
            await commands.carry_out(row.command)
        except KafkaException as error:
            _log.error("fault %s: %s", row.command, error.error.str())
        if not row.every_ms:
            return
        delay_ms = row.every_ms
