"""ConsumerGroupHeartbeat: members of KIP-848 groups come, say what they have, and are told more.

One request does all: it joins, subscribes, acknowledges what was revoked, keeps the session alive
and leaves. What it changes is in the log before it is answered.
Source: KIP-848; GroupMetadataManager.java (consumerGroupHeartbeat and what it calls)
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.catalogue import new_uuid, uuid_text
from fastkafka.broker.coordinator_log import clock_ms
from fastkafka.broker.groups.assignors import (
    ASSIGNORS,
    DEFAULT_ASSIGNOR,
    Assignment,
    Subscriber,
    TopicId,
)
from fastkafka.broker.groups.consumer_group import (
    LEAVE_EPOCH,
    STATIC_LEAVE_EPOCH,
    ConsumerGroup,
    ConsumerMember,
    MemberState,
    includes,
)
from fastkafka.broker.groups.consumer_group_changes import ConsumerGroupChanges, topic_rows
from fastkafka.broker.groups.group_store import GroupStore
from fastkafka.broker.name_pattern import InvalidPattern, NamePattern
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.settings import BrokerSettings
    from fastkafka.broker.topics import Topic, Topics

_log = logging.getLogger(__name__)

Body = dict[str, Any]
_JOIN_EPOCH = 0
_PATTERNS_KEPT_MAX = 100


class HeartbeatRequest(NamedTuple):
    """A ConsumerGroupHeartbeat; None and -1 stand for what has not changed since the last."""

    group_id: str
    member_id: str
    member_epoch: int
    instance_id: str | None
    rack_id: str | None
    rebalance_timeout_ms: int
    topic_names: frozenset[str] | None
    topic_regex: str | None
    server_assignor: str | None
    owned: Assignment | None
    client_id: str
    client_host: str

    @property
    def is_full(self) -> bool:
        """Whether the member tells everything, as it does when it is not sure what it has."""
        subscribes = self.topic_names is not None or self.topic_regex is not None
        return self.rebalance_timeout_ms != -1 and subscribes and self.owned is not None


class ConsumerMembership:
    """Runs the consumer groups of a store."""

    def __init__(self, store: GroupStore, topics: Topics, settings: BrokerSettings) -> None:
        self._store = store
        self._topics = topics
        self._settings = settings
        self._patterns: dict[str, NamePattern] = {}

    def begin(self) -> None:
        """Give members that were read from the log the time of a session to come back."""
        for group in self._store.groups.values():
            if isinstance(group, ConsumerGroup):
                for member in group.members.values():
                    self._restart_session(group, member)
                    self._watch_revocation(group, member)

    # ---- the heartbeat

    def heartbeat(self, asked: HeartbeatRequest) -> Body:
        """Take a heartbeat and return what the member is told; raises Refusal."""
        _check(asked)
        if asked.member_epoch in (LEAVE_EPOCH, STATIC_LEAVE_EPOCH):
            return self._leave(asked)
        group = self._store.consumer_for_join(asked.group_id, asked.member_epoch == _JOIN_EPOCH)
        try:
            changes = ConsumerGroupChanges(group)
            before = self._member(group, asked, changes)
            member = self._updated(before, asked)
            changes.put_member(member, before)
            self._assign(changes, member, before)
            member = changes.step(member.member_id, asked.owned)
            self._write(changes)
        finally:
            self._store.forget_if_unused(group)
        self._restart_session(group, member)
        self._watch_revocation(group, member)
        is_news = asked.is_full or member.assigned != before.assigned
        return {
            "error_code": NO_ERROR,
            "member_id": member.member_id,
            "member_epoch": member.member_epoch,
            "heartbeat_interval_ms": self._settings.group_consumer_heartbeat_interval_ms,
            "assignment": {"topic_partitions": topic_rows(member.assigned)} if is_news else None,
        }

    def _member(
        self, group: ConsumerGroup, asked: HeartbeatRequest, changes: ConsumerGroupChanges
    ) -> ConsumerMember:
        """Return the member as it was, an empty one when it is new; raises Refusal."""
        static = group.static_member(asked.instance_id)
        member = group.members.get(asked.member_id)
        if asked.member_epoch == _JOIN_EPOCH:
            if static is not None and static.member_id != asked.member_id:
                return _replaced(static, asked, changes)
            if member is None:
                self._check_room(group)
                return ConsumerMember(asked.member_id or uuid_text(new_uuid()))
            return replace(member, member_epoch=0, state=MemberState.STABLE)
        if static is not None and static is not member:
            raise Refusal(
                KafkaError.FENCED_INSTANCE_ID, f"{asked.instance_id!r} is another member by now"
            )
        if member is None or (asked.instance_id is not None and static is None):
            raise _unknown(asked.member_id)
        _check_epoch(member, asked)
        return member

    def _check_room(self, group: ConsumerGroup) -> None:
        if len(group.members) >= self._settings.group_max_size:
            raise Refusal(
                KafkaError.GROUP_MAX_SIZE_REACHED,
                f"group {group.group_id} has {len(group.members)} members",
            )

    def _updated(self, member: ConsumerMember, asked: HeartbeatRequest) -> ConsumerMember:
        """Return the member with what it says of itself; raises Refusal."""
        if asked.topic_regex:
            self._pattern(asked.topic_regex)
        timeout_ms = asked.rebalance_timeout_ms
        return replace(
            member,
            instance_id=asked.instance_id or member.instance_id,
            rack_id=asked.rack_id or member.rack_id,
            client_id=asked.client_id,
            client_host=asked.client_host,
            rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms < 0 else timeout_ms,
            topic_names=member.topic_names if asked.topic_names is None else asked.topic_names,
            topic_regex=member.topic_regex
            if asked.topic_regex is None
            else asked.topic_regex or None,
            server_assignor=asked.server_assignor or member.server_assignor,
        )

    # ---- the target

    def _assign(
        self, changes: ConsumerGroupChanges, member: ConsumerMember, before: ConsumerMember
    ) -> None:
        """Compute a new target when the members, what they subscribe to or the topics changed."""
        group = changes.group
        topics = self._subscribed(changes)
        metadata_hash = _metadata_hash(topics)
        if (
            changes.has_new_member
            or member.subscription() != before.subscription()
            or metadata_hash != group.metadata_hash
        ):
            changes.raise_epoch(metadata_hash)
        elif group.assignment_epoch == group.group_epoch:
            return
        by_name = {topic.name: topic.topic_id for topic in topics}
        topic_ids: dict[tuple[frozenset[str], str | None], frozenset[TopicId]] = {}
        subscribers = []
        for one in changes.members.values():
            wanted = (one.topic_names, one.topic_regex)
            if wanted not in topic_ids:
                names = self._names(*wanted)
                topic_ids[wanted] = frozenset(by_name[name] for name in names if name in by_name)
            subscribers.append(
                Subscriber(
                    one.member_id, one.instance_id, topic_ids[wanted], changes.target(one.member_id)
                )
            )
        name = replace(group, members=changes.members).preferred_assignor(DEFAULT_ASSIGNOR)
        partition_counts = {topic.topic_id: len(topic.partitions) for topic in topics}
        changes.put_target(ASSIGNORS[name](subscribers, partition_counts), clock_ms())

    def _subscribed(self, changes: ConsumerGroupChanges) -> list[Topic]:
        names = self._names_of_all(changes.members.values())
        return [self._topics.by_name(name) for name in sorted(names) if name in self._topics]

    def _names_of_all(self, members: Iterable[ConsumerMember]) -> set[str]:
        # Most members of a group subscribe to the same.
        subscriptions = {(member.topic_names, member.topic_regex) for member in members}
        return {name for subscription in subscriptions for name in self._names(*subscription)}

    def _names(self, topic_names: frozenset[str], topic_regex: str | None) -> frozenset[str]:
        """Return the topics that somebody subscribes to by name, and those that match."""
        if not topic_regex:
            return topic_names
        pattern = self._pattern(topic_regex)
        matching = (
            topic.name
            for topic in self._topics
            if not topic.is_internal and pattern.matches(topic.name)
        )
        return topic_names.union(matching)

    def _pattern(self, text: str) -> NamePattern:
        pattern = self._patterns.get(text)
        if pattern is None:
            try:
                pattern = NamePattern(text)
            except InvalidPattern as error:
                raise Refusal(KafkaError.INVALID_REGULAR_EXPRESSION, str(error)) from None
            if len(self._patterns) >= _PATTERNS_KEPT_MAX:
                self._patterns.clear()
            self._patterns[text] = pattern
        return pattern

    def subscribed_topics(self, group: ConsumerGroup) -> set[str]:
        """Return the topics that somebody in the group reads."""
        return self._names_of_all(group.members.values())

    # ---- leaving

    def _leave(self, asked: HeartbeatRequest) -> Body:
        group = self._store.consumer(asked.group_id)
        member = group.members.get(asked.member_id)
        if member is None:
            raise _unknown(asked.member_id)
        if asked.instance_id is not None and member.instance_id != asked.instance_id:
            raise Refusal(
                KafkaError.FENCED_INSTANCE_ID, f"{asked.instance_id!r} is another member by now"
            )
        if asked.member_epoch == STATIC_LEAVE_EPOCH:
            # It will come back, under another member id: its partitions wait for it.
            changes = ConsumerGroupChanges(group)
            gone = replace(member, member_epoch=STATIC_LEAVE_EPOCH, pending_revocation={})
            changes.put_member(gone, member)
            self._write(changes)
        else:
            self._remove(group, member, "left")
        return {
            "error_code": NO_ERROR,
            "member_id": asked.member_id,
            "member_epoch": asked.member_epoch,
            "heartbeat_interval_ms": 0,
            "assignment": None,
        }

    def _remove(self, group: ConsumerGroup, member: ConsumerMember, why: str) -> None:
        _log.info("group %s: member %s %s", group.group_id, member.member_id, why)
        changes = ConsumerGroupChanges(group)
        changes.remove_member(member.member_id)
        changes.raise_epoch(group.metadata_hash)
        self._write(changes)
        member.stop_timers()
        group.state_timestamp = clock_ms()

    # ---- time

    def _restart_session(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        if member.session_timer is not None:
            member.session_timer.cancel()
        timeout_ms = self._settings.group_consumer_session_timeout_ms
        member.session_timer = self._after(timeout_ms, group, member.member_id, "was silent")

    def _watch_revocation(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        """Put a member out that does not let go of partitions within its rebalance time-out."""
        if member.state is not MemberState.UNREVOKED_PARTITIONS:
            if member.rebalance_timer is not None:
                member.rebalance_timer.cancel()
                member.rebalance_timer = None
        elif member.rebalance_timer is None:
            member.rebalance_timer = self._after(
                member.rebalance_timeout_ms, group, member.member_id, "did not revoke in time"
            )

    def _after(
        self, delay_ms: int, group: ConsumerGroup, member_id: str, why: str
    ) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(
            delay_ms / 1000, self._expired, group, member_id, why
        )

    def _expired(self, group: ConsumerGroup, member_id: str, why: str) -> None:
        member = group.members.get(member_id)
        if member is None or self._store.groups.get(group.group_id) is not group:
            return
        try:
            self._remove(group, member, why)
        except Refusal as refusal:
            _log.error("group %s: %s stays for now: %s", group.group_id, member_id, refusal)
            self._restart_session(group, member)
            timer = member.rebalance_timer
            if timer is not None and timer.when() <= asyncio.get_running_loop().time():
                member.rebalance_timer = None  # it was this one: the next one tries again
                self._watch_revocation(group, member)

    def _write(self, changes: ConsumerGroupChanges) -> None:
        """Make changes durable, then true; raises Refusal."""
        records = changes.records()
        if records:
            self._store.write(changes.group.group_id, records)
        changes.apply()

    # ---- what others ask

    def check_member(self, group: ConsumerGroup, member_epoch: int, member_id: str) -> None:
        """Check who commits or fetches offsets; raises Refusal."""
        member = group.members.get(member_id)
        if member is None:
            raise _unknown(member_id)
        if member.member_epoch != member_epoch:
            raise Refusal(
                KafkaError.STALE_MEMBER_EPOCH,
                f"member {member_id} has epoch {member.member_epoch}, not {member_epoch}",
            )

    def describe(self, group: ConsumerGroup) -> Body:
        """Return what ConsumerGroupDescribe shows."""
        return {
            "group_id": group.group_id,
            "group_state": group.state_text,
            "group_epoch": group.group_epoch,
            "assignment_epoch": group.assignment_epoch,
            "assignor_name": group.preferred_assignor(DEFAULT_ASSIGNOR),
            "members": [
                {
                    "member_id": member.member_id,
                    "instance_id": member.instance_id,
                    "rack_id": member.rack_id,
                    "member_epoch": member.member_epoch,
                    "client_id": member.client_id,
                    "client_host": member.client_host,
                    "subscribed_topic_names": sorted(member.topic_names),
                    "subscribed_topic_regex": member.topic_regex,
                    "assignment": self._named(member.assigned),
                    "target_assignment": self._named(group.target.get(member.member_id, {})),
                    "member_type": 1,  # of KIP-848, not classic
                }
                for member in group.members.values()
            ],
        }

    def _named(self, assignment: Assignment) -> Body:
        rows = [
            {**row, "topic_name": self._topics.by_id(row["topic_id"]).name}
            for row in topic_rows(assignment)
            if self._topics.has_id(row["topic_id"])
        ]
        return {"topic_partitions": rows}


def _replaced(
    static: ConsumerMember, asked: HeartbeatRequest, changes: ConsumerGroupChanges
) -> ConsumerMember:
    """Return a restarted static member, which takes over what the one before had to get."""
    if static.member_epoch != STATIC_LEAVE_EPOCH:
        raise Refusal(
            KafkaError.UNRELEASED_INSTANCE_ID, f"{asked.instance_id!r} has not left the group"
        )
    member_id = asked.member_id or uuid_text(new_uuid())
    changes.rename_member(static.member_id, member_id)
    return replace(
        static,
        member_id=member_id,
        member_epoch=0,
        state=MemberState.STABLE,
        assigned={},
        session_timer=None,
        rebalance_timer=None,
    )


def _check(asked: HeartbeatRequest) -> None:
    """Refuse a heartbeat that makes no sense, with INVALID_REQUEST as Kafka does."""
    subscribes = asked.topic_names is not None or asked.topic_regex is not None
    is_joining = asked.member_epoch == _JOIN_EPOCH
    wrong = {
        "the group id is empty": not asked.group_id.strip(),
        "the instance id is empty": asked.instance_id == "",
        "the rack is empty": asked.rack_id == "",
        "the member id is empty": asked.member_epoch != _JOIN_EPOCH and not asked.member_id,
        "the member epoch is unknown": asked.member_epoch < STATIC_LEAVE_EPOCH,
        "only static members leave for a while": asked.member_epoch == STATIC_LEAVE_EPOCH
        and asked.instance_id is None,
        "who joins has a rebalance time-out": is_joining and asked.rebalance_timeout_ms < 0,
        "who joins has no partitions": is_joining and asked.owned != {},
        "who joins subscribes to something": is_joining and not subscribes,
    }
    for reason, is_wrong in wrong.items():
        if is_wrong:
            raise Refusal(KafkaError.INVALID_REQUEST, reason)
    if asked.server_assignor is not None and asked.server_assignor not in ASSIGNORS:
        raise Refusal(
            KafkaError.UNSUPPORTED_ASSIGNOR,
            f"there is no assignor {asked.server_assignor!r}, there are {', '.join(ASSIGNORS)}",
        )


def _check_epoch(member: ConsumerMember, asked: HeartbeatRequest) -> None:
    """Refuse a member of another epoch, but for one that missed the last answer."""
    if asked.member_epoch == member.member_epoch:
        return
    missed_answer = (
        asked.member_epoch == member.previous_member_epoch
        and asked.owned is not None
        and includes(member.assigned, asked.owned)
    )
    if not missed_answer:
        raise Refusal(
            KafkaError.FENCED_MEMBER_EPOCH,
            f"member {member.member_id} has epoch {member.member_epoch}, not {asked.member_epoch}",
        )


def _unknown(member_id: str) -> Refusal:
    return Refusal(KafkaError.UNKNOWN_MEMBER_ID, f"no member {member_id!r} is in the group")


def _metadata_hash(topics: list[Topic]) -> int:
    """Return a number that changes when a topic comes, goes or grows."""
    digest = 0
    for topic in topics:
        digest = zlib.crc32(topic.topic_id + len(topic.partitions).to_bytes(4, "big"), digest)
    return digest
