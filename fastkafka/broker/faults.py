"""Faults on demand: what the broker does wrong, for how many requests of which API.

    broker.faults.add(Fault(api="produce", drop_connection="after", times=1))

A fault is looked up once per request, before its handler runs; the oldest that fits is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from fastkafka.errors import ConfigError
from fastkafka.protocol import API_BY_NAME


@dataclass(frozen=True)
class Fault:
    """One kind of misbehaviour.

    Args:
        api: name of the API in snake_case, such as "produce"; None is every API
        error_code: answer with this code and do nothing
        delay_ms: wait before anything else happens; later requests of the connection wait as well
        drop_connection: close it "before" or "after" the request was carried out
        drop_reply: carry the request out, say nothing, and leave the connection open
        times: requests that it hits before it is used up; None is no end
    """

    api: str | None = None
    error_code: int = 0
    delay_ms: int = 0
    drop_connection: Literal["before", "after"] | None = None
    drop_reply: bool = False
    times: int | None = None

    def __post_init__(self) -> None:
        if self.api is not None and self.api not in API_BY_NAME:
            raise ConfigError(f"there is no API {self.api!r}", where="fault")
        if self.drop_connection not in (None, "before", "after"):
            raise ConfigError(
                f"drop_connection is before or after, not {self.drop_connection!r}", where="fault"
            )
        if self.delay_ms < 0 or (self.times is not None and self.times < 1):
            raise ConfigError("delay_ms must be 0 or more, times 1 or more", where="fault")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Fault:
        """Make a fault from what came through a pipe; raises ConfigError."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"a fault has no {', '.join(sorted(unknown))}", where="fault")
        return cls(**values)


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._times_left: dict[int, int] = {}
        self._last_id = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force; return the id by which it can be removed."""
        self._last_id += 1
        self._faults[self._last_id] = fault
        if fault.times is not None:
            self._times_left[self._last_id] = fault.times
        return self._last_id

    def remove(self, fault_id: int) -> None:
        """Take a fault out of force; one that is used up is not missed."""
        self._faults.pop(fault_id, None)
        self._times_left.pop(fault_id, None)

    def clear(self) -> None:
        """Take all faults out of force."""
        self._faults.clear()
        self._times_left.clear()

    def take(self, api: str) -> Fault | None:
        """Return the fault that hits this request of `api`, and count it."""
        for fault_id, fault in self._faults.items():
            if fault.api in (None, api):
                self._count(fault_id)
                return fault
        return None

    def _count(self, fault_id: int) -> None:
        left = self._times_left.get(fault_id)
        if left is None:
            return
        if left == 1:
            self.remove(fault_id)
        else:
            self._times_left[fault_id] = left - 1
