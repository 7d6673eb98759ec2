"""Faults on demand: what the broker does wrong, for how many requests of which API, node, topic.

    broker.faults.add(Fault(api="produce", drop_connection="after", times=1))

A fault is looked up once per request, before its handler runs; the oldest that fits is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from fastkafka.broker.request_topics import request_topics
from fastkafka.errors import ConfigError
from fastkafka.protocol import API_BY_NAME

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

# A slow disk is felt by what reads and writes logs, and by nothing else.
_DISK_APIS = frozenset(
    (
        "produce",
        "fetch",
        "list_offsets",
        "offset_commit",
        "txn_offset_commit",
        "write_txn_markers",
        "delete_records",
        "create_topics",
        "create_partitions",
        "delete_topics",
    )
)
_DURATION_FIELDS = ("delay_ms", "disk_delay_ms", "throttle_time_ms")


@dataclass(frozen=True)
class Fault:
    """One kind of misbehaviour: which requests it hits, and what happens to them.

    Args:
        api: name of the API in snake_case, such as "produce"; None is every API
        node: id of the node that is asked; None is every node
        topic: a topic that the request concerns; None is every request
        times: requests that it hits before it is used up; None is no end
        error_code: answer with this code and do nothing; where a topic is named, requests for
            records, offsets and metadata get it for that topic alone, others as a whole
        delay_ms: wait before anything else happens; later requests of the connection wait as well
        disk_delay_ms: the same, for requests that read or write a log
        throttle_time_ms: say in the reply that the client is throttled, and do not read its next
            request before that time is over (KIP-219)
        drop_connection: close it "before" or "after" the request was carried out
        drop_reply: carry the request out, say nothing, and leave the connection open
        duplicate_reply: send the reply twice
    """

    api: str | None = None
    node: int | None = None
    topic: str | None = None
    times: int | None = None
    error_code: int = 0
    delay_ms: int = 0
    disk_delay_ms: int = 0
    throttle_time_ms: int = 0
    drop_connection: Literal["before", "after"] | None = None
    drop_reply: bool = False
    duplicate_reply: bool = False

    def __post_init__(self) -> None:
        if self.api is not None and self.api not in API_BY_NAME:
            raise ConfigError(f"there is no API {self.api!r}", where="fault")
        if self.drop_connection not in (None, "before", "after"):
            raise ConfigError(
                f"drop_connection is before or after, not {self.drop_connection!r}", where="fault"
            )
        for name in _DURATION_FIELDS:
            if not 0 <= getattr(self, name) <= 2**31 - 1:
                raise ConfigError(f"{name} must be 0 to 2147483647", where="fault")
        if self.times is not None and self.times < 1:
            raise ConfigError("times must be 1 or more", where="fault")
        if not -(2**15) <= self.error_code < 2**15:
            raise ConfigError(f"there is no error code {self.error_code}", where="fault")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Fault:
        """Make a fault from what came through a pipe; raises ConfigError."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"a fault has no {', '.join(sorted(unknown))}", where="fault")
        return cls(**values)

    def fits(self, api: str, request: Request, broker: Broker) -> bool:
        """Whether it hits this request."""
        return (
            self.api in (None, api)
            and self.node in (None, request.node.node_id)
            and (self.disk_delay_ms == 0 or api in _DISK_APIS)
            and (self.topic is None or self.topic in request_topics(request.body, broker))
        )


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.hidden_topics: set[str] = set()  # which metadata does not show
        self._faults: dict[int, Fault] = {}
        self._hits: dict[int, int] = {}
        self._last_id = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force; return the id by which it can be removed."""
        self._last_id += 1
        self._faults[self._last_id] = fault
        self._hits[self._last_id] = 0
        return self._last_id

    def remove(self, fault_id: int) -> None:
        """Take a fault out of force; one that is used up is not missed."""
        self._faults.pop(fault_id, None)

    def clear(self) -> None:
        """Take all faults out of force, and show every topic again."""
        self._faults.clear()
        self.hidden_topics.clear()

    def hits(self, fault_id: int) -> int:
        """Return how many requests a fault has hit, also one that is used up or removed."""
        return self._hits.get(fault_id, 0)

    def take(self, api: str, request: Request, broker: Broker) -> Fault | None:
        """Return the fault that hits this request of `api`, and count it."""
        for fault_id, fault in self._faults.items():
            if fault.fits(api, request, broker):
                self._hits[fault_id] += 1
                if self._hits[fault_id] == fault.times:
                    self.remove(fault_id)
                return fault
        return None
