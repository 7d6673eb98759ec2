"""What a fault proxy does to connections, and the faults that are in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fastkafka.errors import ConfigError

Direction = Literal["to_broker", "to_client"]
Act = Literal["cut", "half_close", "stall"]


@dataclass(frozen=True)
class NetworkFault:
    """One kind of bad network.

    Bytes are counted in each direction: from the start of a connection, for one that is there
    already from the moment the fault is added.

    Args:
        direction: the way that it hits; None is both
        broker: `host:port` of the broker whose connections it hits, as the broker itself says it;
            None is every broker
        cut_at_byte: reset the connection (RST) once so many bytes have passed
        half_close_at_byte: pass no more this way and send FIN; the other way goes on
        stall_at_byte: pass no more, and say nothing
        segment_bytes: send in pieces of at most so many bytes
        delay_ms: how much later each byte arrives, order kept
        jitter_ms: up to how much later still
        bytes_per_s: bandwidth of each connection
        refuse: reset new connections at once
        times: connections that are cut, half closed, stalled or refused before it is used up
    """

    direction: Direction | None = None
    broker: str | None = None
    cut_at_byte: int | None = None
    half_close_at_byte: int | None = None
    stall_at_byte: int | None = None
    segment_bytes: int | None = None
    delay_ms: float = 0
    jitter_ms: float = 0
    bytes_per_s: int | None = None
    refuse: bool = False
    times: int | None = None

    def __post_init__(self) -> None:
        positions = [at for _, at in self._acts() if at is not None]
        if len(positions) > 1:
            raise ConfigError("one fault cuts, half closes or stalls, not several", where="fault")
        if any(at < 0 for at in positions) or self.delay_ms < 0 or self.jitter_ms < 0:
            raise ConfigError("bytes and milliseconds must be 0 or more", where="fault")
        for value in (self.segment_bytes, self.bytes_per_s, self.times):
            if value is not None and value < 1:
                raise ConfigError(
                    "segment_bytes, bytes_per_s and times must be 1 or more", where="fault"
                )
        if self.times is not None and not positions and not self.refuse:
            raise ConfigError("times counts cuts, half closes, stalls, refusals", where="fault")

    def _acts(self) -> tuple[tuple[Act, int | None], ...]:
        return (
            ("cut", self.cut_at_byte),
            ("half_close", self.half_close_at_byte),
            ("stall", self.stall_at_byte),
        )

    def act(self) -> tuple[Act, int] | None:
        """Return what it does and at which byte, None when it only shapes or refuses."""
        for name, at in self._acts():
            if at is not None:
                return name, at
        return None

    def meets(self, broker: str, direction: Direction | None = None) -> bool:
        """Whether it hits connections to `broker`, this way."""
        fits = direction is None or self.direction in (None, direction)
        return fits and self.broker in (None, broker)


class NetworkFaults:
    """The faults in force, and how many connections each has hit. Any thread may ask.

    `on_change` is called when a fault came or went.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._faults: dict[int, NetworkFault] = {}
        self._hits: dict[int, int] = {}
        self._last_id = 0
        self._changed = threading.Condition()

    def add(self, fault: NetworkFault) -> int:
        """Put a fault in force; return the id by which it can be removed."""
        with self._changed:
            self._last_id += 1
            self._faults[self._last_id] = fault
            self._hits[self._last_id] = 0
            fault_id = self._last_id
        self._on_change()
        return fault_id

    def remove(self, fault_id: int) -> None:
        """Take a fault out of force; what stalled goes on. Its hits stay known."""
        with self._changed:
            self._faults.pop(fault_id, None)
        self._on_change()

    def clear(self) -> None:
        """Take all faults out of force."""
        with self._changed:
            self._faults.clear()
        self._on_change()

    def meeting(
        self, broker: str, direction: Direction | None = None
    ) -> Iterator[tuple[int, NetworkFault]]:
        """Iterate over the faults that hit connections to `broker`, this way, oldest first."""
        with self._changed:
            found = list(self._faults.items())
        return ((number, fault) for number, fault in found if fault.meets(broker, direction))

    def hit(self, fault_id: int) -> bool:
        """Count a connection that is hit; return False when the fault is used up."""
        with self._changed:
            fault = self._faults.get(fault_id)
            if fault is None or (fault.times is not None and self._hits[fault_id] >= fault.times):
                return False
            self._hits[fault_id] += 1
            self._changed.notify_all()
            return True

    def hits(self, fault_id: int) -> int:
        """Return how many connections a fault has cut, half closed, stalled or refused."""
        with self._changed:
            return self._hits[fault_id]

    def wait_for_hits(self, fault_id: int, count: int = 1, timeout_s: float = 30.0) -> None:
        """Wait until a fault has hit `count` connections.

        Raises: TimeoutError
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._hits[fault_id] >= count, timeout_s):
                hits = self._hits[fault_id]
                raise TimeoutError(
                    f"the fault hit {hits} connections in {timeout_s} s, not {count}"
                )
