"""What the leader of a classic group does: assign for all members.

In:     the subscriptions of all members; the partitions of their topics
Out:    the assignments of all, as bytes; a call when their partitions come or go
Thread: the control thread; the assignor runs on the worker pool, since it may be the user's
Next:   joining.py sends them
Source: ConsumerCoordinator.onLeaderElected
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastkafka.config import Resolved
from fastkafka.control.client_log import SYSLOG_WARNING
from fastkafka.control.control_thread import ControlThread
from fastkafka.errors import CorruptFrame, KafkaError
from fastkafka.group.assignors import Assignor, AssignorMember, checked
from fastkafka.group.member_codec import assignment_bytes, member_of
from fastkafka.group.membership import Subscription
from fastkafka.group.subscribed_topics import Partitions, SubscribedTopics


class Leading:
    """The leader's view of its group.

    Args: on_changed: there are other partitions than those that were assigned
    """

    def __init__(
        self, control: ControlThread, config: Resolved, *, on_changed: Callable[[], None]
    ) -> None:
        self._control = control
        self._on_changed = on_changed
        # Of all members' topics, which may be more than those that this one subscribes to.
        self._topics = SubscribedTopics(
            control, config, on_changed=self._look, on_error=self._on_missing
        )
        self._assigned_of: Partitions | None = None
        self._heeds_racks = False

    async def assign(
        self, assignor: Assignor, rows: list[dict[str, Any]], *, skips: bool
    ) -> list[dict[str, Any]]:
        """Return the `assignments` of a SyncGroup request; none when the coordinator has them.

        Raises: what the assignor raises; KafkaException for an assignment that cannot be
        """
        members = self._members(rows)
        topics = frozenset(topic for member in members for topic in member.topics)
        self._assigned_of = None
        self._topics.watch(Subscription(topics))
        await self._topics.known()
        # Where nobody tells of its rack, replicas that move are no reason to assign anew.
        self._heeds_racks = any(member.rack for member in members)
        places = self._assigned_of = self._partitions()
        if skips:
            return []
        assignment = await asyncio.wrap_future(
            self._control.pool.submit(assignor.assign, places, members)
        )
        whole = checked(assignor, places, members, assignment)
        return [
            {"member_id": row["member_id"], "assignment": assignment_bytes(whole[row["member_id"]])}
            for row in rows
        ]

    def stop(self) -> None:
        """Lead no more."""
        self._topics.stop()
        self._assigned_of = None

    def _members(self, rows: list[dict[str, Any]]) -> list[AssignorMember]:
        members = []
        for row in rows:
            try:
                members.append(member_of(row))
            except CorruptFrame as exception:
                # It gets nothing; the others shall not suffer for it.
                text = f"the subscription of {row['member_id']}: {exception.error.str()}"
                self._control.log.tell(SYSLOG_WARNING, "group", text)
                members.append(AssignorMember(row["member_id"], ()))
        return members

    def _look(self) -> None:
        if self._assigned_of is not None and self._partitions() != self._assigned_of:
            self._on_changed()

    def _partitions(self) -> Partitions:
        """Return what is to be assigned, with racks if these matter to anybody."""
        found = self._topics.topics()
        if self._heeds_racks:
            return found
        return {topic: dict.fromkeys(numbers, frozenset()) for topic, numbers in found.items()}

    def _on_missing(self, error: KafkaError) -> None:
        """Members hear of their own topics by themselves."""
        self._control.log.debug("cgrp", "leading", error.str())
