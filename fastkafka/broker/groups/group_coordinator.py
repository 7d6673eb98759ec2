"""The group coordinator: the one object that the handlers of groups work with.

Source: GroupCoordinatorService.java
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from fastkafka.broker.coordinator_log import CoordinatorLog, clock_ms
from fastkafka.broker.groups.classic_group import (
    CONSUMER_PROTOCOL_TYPE,
    ClassicGroup,
    ClassicState,
)
from fastkafka.broker.groups.classic_membership import ClassicMembership
from fastkafka.broker.groups.consumer_group import ConsumerGroup
from fastkafka.broker.groups.consumer_membership import ConsumerMembership
from fastkafka.broker.groups.group_store import TOPIC, Group, GroupStore
from fastkafka.broker.groups.offset_commits import OffsetCommits
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.settings import BrokerSettings
    from fastkafka.broker.topics import Topics

_log = logging.getLogger(__name__)

Body = dict[str, Any]
CLASSIC = "classic"  # Group.GroupType
CONSUMER = "consumer"
NO_OPERATIONS = -(2**31)  # authorized operations that nobody asked for


class GroupCoordinator:
    """All groups: their members, their offsets, and what administrators see of them."""

    def __init__(self, topics: Topics, settings: BrokerSettings) -> None:
        """Read the groups from the log."""
        self._settings = settings
        self.store = GroupStore(
            CoordinatorLog(topics, TOPIC, settings.offsets_topic_num_partitions)
        )
        self.classic = ClassicMembership(self.store, settings)
        self.consumer = ConsumerMembership(self.store, topics, settings)
        self.offsets = OffsetCommits(self.store, self.classic, self.consumer, settings)
        self.store.load()

    def begin(self) -> None:
        """Start the clocks of the members that were read from the log."""
        self.classic.begin()
        self.consumer.begin()

    def upkeep(self) -> None:
        """Forget offsets past their retention, and groups of which nothing is left."""
        before_ms = clock_ms() - self._settings.offsets_retention_minutes * 60_000
        try:
            self.offsets.expire(before_ms)
            for group_id, group in list(self.store.groups.items()):
                idle = group.is_empty and group.state_timestamp < before_ms
                if idle and not self.store.offsets.of(group_id):
                    self._delete(group_id)
        except Refusal as refusal:
            _log.error("groups could not be tidied up: %s", refusal)

    def topic_deleted(self, topic_name: str) -> None:
        """Let go of what groups hold of a topic that is gone."""
        try:
            self.offsets.topic_deleted(topic_name)
        except Refusal as refusal:
            _log.error("offsets of topic %s could not be removed: %s", topic_name, refusal)

    def transaction_ended(self, slot: int, producer_id: int, commit: bool) -> None:
        """Let the offsets count that were committed within a transaction, or forget them."""
        self.store.offsets.end_transaction(slot, producer_id, commit)

    # ---- what administrators see

    def listed(self, states: Collection[str], types: Collection[str]) -> list[Body]:
        """Return the groups in these states and of these types, all of them if none is named."""
        states = {state.lower() for state in states}
        types = {group_type.lower() for group_type in types}
        group_ids = sorted({*self.store.groups, *self.store.offsets.group_ids()})
        rows = [_row(group) for group in map(self.store.known, group_ids) if group is not None]
        return [
            row
            for row in rows
            if (not states or row["group_state"].lower() in states)
            and (not types or row["group_type"].lower() in types)
        ]

    def delete_group(self, group_id: str) -> None:
        """Delete a group and its offsets.

        Raises: Refusal GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP
        """
        group = self.store.known(group_id)
        if group is None:
            raise Refusal(KafkaError.GROUP_ID_NOT_FOUND, f"there is no group {group_id!r}")
        if not group.is_empty:
            raise Refusal(KafkaError.NON_EMPTY_GROUP, f"group {group_id!r} has members")
        self._delete(group_id)

    def _delete(self, group_id: str) -> None:
        self.offsets.remove(group_id, list(self.store.offsets.of(group_id)))
        group = self.store.groups.get(group_id)
        if group is not None:
            self.store.write_tombstones(group)
            del self.store.groups[group_id]

    def describe_consumer(self, group_id: str) -> Body:
        """Return what ConsumerGroupDescribe shows; raises Refusal GROUP_ID_NOT_FOUND."""
        return self.consumer.describe(self.store.consumer(group_id))

    def describe_classic(self, group_id: str) -> Body:
        """Return what DescribeGroups shows; raises Refusal GROUP_ID_NOT_FOUND."""
        group = self.store.known(group_id)
        if not isinstance(group, ClassicGroup):
            raise Refusal(KafkaError.GROUP_ID_NOT_FOUND, f"there is no classic group {group_id!r}")
        is_stable = group.is_in(ClassicState.STABLE)
        return {
            "group_id": group_id,
            "group_state": group.state.value,
            "protocol_type": group.protocol_type or "",
            "protocol_data": (group.protocol_name or "") if is_stable else "",
            "members": [
                {
                    "member_id": member.member_id,
                    "group_instance_id": member.group_instance_id,
                    "client_id": member.client_id,
                    "client_host": member.client_host,
                    "member_metadata": member.metadata(group.protocol_name) if is_stable else b"",
                    "member_assignment": member.assignment,
                }
                for member in group.members.values()
            ],
        }


def _row(group: Group) -> Body:
    if isinstance(group, ConsumerGroup):
        return {
            "group_id": group.group_id,
            "protocol_type": CONSUMER_PROTOCOL_TYPE,
            "group_state": group.state_text,
            "group_type": CONSUMER,
        }
    return {
        "group_id": group.group_id,
        "protocol_type": group.protocol_type or "",
        "group_state": group.state.value,
        "group_type": CLASSIC,
    }
