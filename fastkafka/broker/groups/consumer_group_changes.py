"""What one heartbeat changes in a consumer group: collected, written as one batch, then applied.

Source: GroupCoordinatorRecordHelpers.java
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastkafka.broker.coordinator_log import StateRecord
from fastkafka.broker.groups import state_tables
from fastkafka.broker.groups.assignors import Assignment, TopicId
from fastkafka.broker.groups.consumer_group import ConsumerGroup, ConsumerMember, MemberState
from fastkafka.broker.state_codec import RecordKind, StateChange, encode_state

_MEMBER_KINDS = (
    state_tables.MEMBER_CURRENT,
    state_tables.MEMBER_TARGET,
    state_tables.CONSUMER_MEMBER,
)


class ConsumerGroupChanges:
    """A group as it is, and as it will be."""

    def __init__(self, group: ConsumerGroup) -> None:
        self.group = group
        self.members = dict(group.members)
        self._next = ConsumerGroup(
            group.group_id,
            group.group_epoch,
            group.assignment_epoch,
            group.metadata_hash,
            self.members,
            dict(group.target),
            group.state_timestamp,
        )
        self._records: list[StateRecord] = []
        self.has_new_member = False

    # ---- collecting

    def put_member(self, member: ConsumerMember, before: ConsumerMember) -> None:
        """Note what a member is now."""
        member_id = member.member_id
        known = self.group.members.get(member_id)
        # One that was renamed has a target already.
        self.has_new_member = known is None and member_id not in self._next.target
        self.members[member_id] = member
        if (
            known is None
            or known.subscription() != member.subscription()
            or (known.rebalance_timeout_ms != member.rebalance_timeout_ms)
        ):
            self._add(state_tables.CONSUMER_MEMBER, member_id, _member_value(member))
        if member.member_epoch != before.member_epoch:
            self._add(state_tables.MEMBER_CURRENT, member_id, _current_value(member))

    def rename_member(self, old_id: str, member_id: str) -> None:
        """Let a new member have what another was to get."""
        target = self._next.target.pop(old_id, {})
        self.remove_member(old_id)
        self._next.target[member_id] = target
        self._add(state_tables.MEMBER_TARGET, member_id, _target_value(target))

    def remove_member(self, member_id: str) -> None:
        """Note that a member is gone."""
        self.members.pop(member_id, None)
        self._next.target.pop(member_id, None)
        for kind in _MEMBER_KINDS:
            self._add(kind, member_id, None)

    def raise_epoch(self, metadata_hash: int) -> None:
        """Begin the next epoch of the group."""
        self._next.group_epoch += 1
        self._next.metadata_hash = metadata_hash
        value = {"epoch": self._next.group_epoch, "metadata_hash": metadata_hash}
        self._records.append(
            encode_state(state_tables.CONSUMER_GROUP, {"group_id": self.group.group_id}, value)
        )

    def target(self, member_id: str) -> Assignment:
        """Return what a member is to have so far."""
        return self._next.target.get(member_id, {})

    def put_target(self, target: Mapping[str, Assignment], timestamp_ms: int) -> None:
        """Note the target for the group's epoch."""
        for member_id, assignment in target.items():
            if self._next.target.get(member_id) != assignment:
                self._add(state_tables.MEMBER_TARGET, member_id, _target_value(assignment))
        self._next.target = dict(target)
        self._next.assignment_epoch = self._next.group_epoch
        value = {
            "assignment_epoch": self._next.assignment_epoch,
            "assignment_timestamp": timestamp_ms,
        }
        self._records.append(
            encode_state(state_tables.TARGET_ASSIGNMENT, {"group_id": self.group.group_id}, value)
        )

    def step(self, member_id: str, owned: Assignment | None) -> ConsumerMember:
        """Let a member go its next step towards the target, and return it."""
        before = self.members[member_id]
        member = self._next.next_step(before, owned)
        if member != before:
            self._add(state_tables.MEMBER_CURRENT, member_id, _current_value(member))
        self.members[member_id] = member
        return member

    # ---- the log

    def _add(self, kind: RecordKind, member_id: str, value: dict[str, Any] | None) -> None:
        key = {"group_id": self.group.group_id, "member_id": member_id}
        self._records.append(encode_state(kind, key, value))

    def records(self) -> list[StateRecord]:
        """Return what has to be written before `apply`."""
        return self._records

    def apply(self) -> None:
        """Make the group what it will be."""
        self.group.group_epoch = self._next.group_epoch
        self.group.assignment_epoch = self._next.assignment_epoch
        self.group.metadata_hash = self._next.metadata_hash
        self.group.members = self.members
        self.group.target = self._next.target


def group_tombstones(group: ConsumerGroup) -> list[StateRecord]:
    """Return the records that say that a group is gone."""
    key = {"group_id": group.group_id}
    return [
        encode_state(state_tables.TARGET_ASSIGNMENT, key, None),
        encode_state(state_tables.CONSUMER_GROUP, key, None),
    ]


def replay_change(group: ConsumerGroup, change: StateChange) -> None:
    """Do to a group what a record of it says."""
    kind, value = change.kind, change.value
    if kind is state_tables.CONSUMER_GROUP and value is not None:
        group.group_epoch, group.metadata_hash = value["epoch"], value["metadata_hash"]
    elif kind is state_tables.TARGET_ASSIGNMENT and value is not None:
        group.assignment_epoch = value["assignment_epoch"]
    elif kind is state_tables.CONSUMER_MEMBER:
        _replay_member(group, change.key["member_id"], value)
    elif kind is state_tables.MEMBER_TARGET:
        group.target.pop(change.key["member_id"], None)
        if value is not None:
            group.target[change.key["member_id"]] = _assignment(value["topic_partitions"])
    elif kind is state_tables.MEMBER_CURRENT and value is not None:
        _replay_current(group, change.key["member_id"], value)


def _replay_member(group: ConsumerGroup, member_id: str, value: dict[str, Any] | None) -> None:
    if value is None:
        group.members.pop(member_id, None)
        return
    member = group.members.setdefault(member_id, ConsumerMember(member_id))
    member.instance_id = value["instance_id"]
    member.rack_id = value["rack_id"]
    member.client_id = value["client_id"]
    member.client_host = value["client_host"]
    member.topic_names = frozenset(value["subscribed_topic_names"])
    member.topic_regex = value["subscribed_topic_regex"]
    member.rebalance_timeout_ms = value["rebalance_timeout_ms"]
    member.server_assignor = value["server_assignor"]


def _replay_current(group: ConsumerGroup, member_id: str, value: dict[str, Any]) -> None:
    member = group.members.setdefault(member_id, ConsumerMember(member_id))
    member.member_epoch = value["member_epoch"]
    member.previous_member_epoch = value["previous_member_epoch"]
    member.state = MemberState(value["state"])
    member.assigned = _assignment(value["assigned_partitions"])
    member.pending_revocation = _assignment(value["partitions_pending_revocation"])


def _member_value(member: ConsumerMember) -> dict[str, Any]:
    return {
        "instance_id": member.instance_id,
        "rack_id": member.rack_id,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "subscribed_topic_names": sorted(member.topic_names),
        "subscribed_topic_regex": member.topic_regex,
        "rebalance_timeout_ms": member.rebalance_timeout_ms,
        "server_assignor": member.server_assignor,
    }


def _current_value(member: ConsumerMember) -> dict[str, Any]:
    return {
        "member_epoch": member.member_epoch,
        "previous_member_epoch": member.previous_member_epoch,
        "state": member.state.value,
        "assigned_partitions": topic_rows(member.assigned),
        "partitions_pending_revocation": topic_rows(member.pending_revocation),
    }


def _target_value(assignment: Assignment) -> dict[str, Any]:
    return {"topic_partitions": topic_rows(assignment)}


def topic_rows(assignment: Mapping[TopicId, set[int]]) -> list[dict[str, Any]]:
    """Return an assignment as messages and records have it."""
    return [
        {"topic_id": topic_id, "partitions": sorted(partitions)}
        for topic_id, partitions in sorted(assignment.items())
    ]


def _assignment(rows: list[dict[str, Any]]) -> Assignment:
    return {bytes(row["topic_id"]): set(row["partitions"]) for row in rows}
