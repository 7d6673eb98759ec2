"""The tables of the records in `__consumer_offsets`, which Kafka's tools read too.

Every key has version 0; the number in front of it, where other messages have their version, tells
what kind of record it is.
Source: the message definitions inside kafka-group-coordinator 4.3.1
"""

from __future__ import annotations

from fastkafka.broker.state_codec import RecordKind
from fastkafka.protocol.schema import Field, Message

_GROUP_ID = Field("group_id", "string", "0")
_MEMBER_ID = Field("member_id", "string", "0")


def _key(name: str, *fields: Field) -> Message:
    return Message(name=name, versions="0", flexible="none", fields=[*fields], structs={})


OFFSET_COMMIT = RecordKind(
    number=1,
    key=_key(
        "OffsetCommitKey",
        Field("group", "string", "0"),
        Field("topic", "string", "0"),
        Field("partition", "int32", "0"),
    ),
    value=Message(
        name="OffsetCommitValue",
        versions="0-4",
        flexible="4+",
        fields=[
            Field("offset", "int64", "0+"),
            Field("leader_epoch", "int32", "3+", default=-1, ignorable=True),
            Field("metadata", "string", "0+"),
            Field("commit_timestamp", "int64", "0+"),
            Field("expire_timestamp", "int64", "1", default=-1, ignorable=True),
            Field("topic_id", "uuid", "4+", tag=0, ignorable=True),
        ],
        structs={},
    ),
    value_version=4,
)

CLASSIC_GROUP = RecordKind(
    number=2,
    key=_key("GroupMetadataKey", Field("group", "string", "0")),
    value=Message(
        name="GroupMetadataValue",
        versions="0-4",
        flexible="4+",
        fields=[
            Field("protocol_type", "string", "0+"),
            Field("generation", "int32", "0+"),
            Field("protocol", "string", "0+", nullable="0+"),
            Field("leader", "string", "0+", nullable="0+"),
            Field("current_state_timestamp", "int64", "2+", default=-1, ignorable=True),
            Field("members", "[]MemberMetadata", "0+"),
        ],
        structs={
            "MemberMetadata": [
                Field("member_id", "string", "0+"),
                Field(
                    "group_instance_id",
                    "string",
                    "3+",
                    nullable="3+",
                    default=None,
                    ignorable=True,
                ),
                Field("client_id", "string", "0+"),
                Field("client_host", "string", "0+"),
                Field("rebalance_timeout", "int32", "1+", default=-1, ignorable=True),
                Field("session_timeout", "int32", "0+"),
                Field("subscription", "bytes", "0+"),
                Field("assignment", "bytes", "0+"),
            ],
        },
    ),
    value_version=3,
)

CONSUMER_GROUP = RecordKind(
    number=3,
    key=_key("ConsumerGroupMetadataKey", _GROUP_ID),
    value=Message(
        name="ConsumerGroupMetadataValue",
        versions="0",
        flexible="0+",
        fields=[
            Field("epoch", "int32", "0+"),
            Field("metadata_hash", "int64", "0+", tag=0),
        ],
        structs={},
    ),
    value_version=0,
)

CONSUMER_MEMBER = RecordKind(
    number=5,
    key=_key("ConsumerGroupMemberMetadataKey", _GROUP_ID, _MEMBER_ID),
    value=Message(
        name="ConsumerGroupMemberMetadataValue",
        versions="0",
        flexible="0+",
        fields=[
            Field("instance_id", "string", "0+", nullable="0+"),
            Field("rack_id", "string", "0+", nullable="0+"),
            Field("client_id", "string", "0+"),
            Field("client_host", "string", "0+"),
            Field("subscribed_topic_names", "[]string", "0+"),
            Field("subscribed_topic_regex", "string", "0+", nullable="0+"),
            Field("rebalance_timeout_ms", "int32", "0+", default=-1),
            Field("server_assignor", "string", "0+", nullable="0+"),
        ],
        structs={},
    ),
    value_version=0,
)

TARGET_ASSIGNMENT = RecordKind(
    number=6,
    key=_key("ConsumerGroupTargetAssignmentMetadataKey", _GROUP_ID),
    value=Message(
        name="ConsumerGroupTargetAssignmentMetadataValue",
        versions="0",
        flexible="0+",
        fields=[
            Field("assignment_epoch", "int32", "0+"),
            Field("assignment_timestamp", "int64", "0+", tag=0, ignorable=True),
        ],
        structs={},
    ),
    value_version=0,
)

MEMBER_TARGET = RecordKind(
    number=7,
    key=_key("ConsumerGroupTargetAssignmentMemberKey", _GROUP_ID, _MEMBER_ID),
    value=Message(
        name="ConsumerGroupTargetAssignmentMemberValue",
        versions="0",
        flexible="0+",
        fields=[Field("topic_partitions", "[]TopicPartition", "0+")],
        structs={
            "TopicPartition": [
                Field("topic_id", "uuid", "0+"),
                Field("partitions", "[]int32", "0+"),
            ],
        },
    ),
    value_version=0,
)

MEMBER_CURRENT = RecordKind(
    number=8,
    key=_key("ConsumerGroupCurrentMemberAssignmentKey", _GROUP_ID, _MEMBER_ID),
    value=Message(
        name="ConsumerGroupCurrentMemberAssignmentValue",
        versions="0",
        flexible="0+",
        fields=[
            Field("member_epoch", "int32", "0+"),
            Field("previous_member_epoch", "int32", "0+"),
            Field("state", "int8", "0+"),
            Field("assigned_partitions", "[]TopicPartitions", "0+"),
            Field("partitions_pending_revocation", "[]TopicPartitions", "0+"),
        ],
        structs={
            "TopicPartitions": [
                Field("topic_id", "uuid", "0+"),
                Field("partitions", "[]int32", "0+"),
            ],
        },
    ),
    value_version=0,
)

KINDS = {
    kind.number: kind
    for kind in (
        OFFSET_COMMIT,
        CLASSIC_GROUP,
        CONSUMER_GROUP,
        CONSUMER_MEMBER,
        TARGET_ASSIGNMENT,
        MEMBER_TARGET,
        MEMBER_CURRENT,
    )
}
