"""Asks a broker without sockets, in every API and version that it offers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastkafka import protocol
from fastkafka.broker.answers import Parts
from fastkafka.broker.broker import Broker
from fastkafka.broker.dispatcher import Dispatcher, LaterReply
from fastkafka.broker.log_segment import FileRegion
from fastkafka.broker.request import Client
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.topics import Partition
from tests.unit.broker_batches import build_batch

Body = dict[str, Any]


class Asker:
    """Asks a broker as a client would, through frames."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.broker = Broker(
            BrokerSettings(
                data_dir,
                num_partitions=2,
                port=1234,
                offsets_topic_num_partitions=2,
                transaction_state_log_num_partitions=2,
                **settings,
            )
        )
        self.dispatcher = Dispatcher(self.broker)
        self.client = Client(self.broker.nodes.first)

    def answer_frame(self, frame: bytes) -> bytes | None:
        """Return the response to a frame, None when there is none; raises HangUp."""
        reply = asyncio.run(self.answer_on_loop(frame))
        return None if reply is None else joined(reply)

    async def answer_on_loop(self, frame: bytes) -> Parts | None:
        """Return the reply to a frame as it is; what has timers needs a loop."""
        answer = self.dispatcher.answer(memoryview(bytearray(frame)), self.client)
        return await finished(answer) if callable(answer) else answer

    def ask(self, api: str, version: int, body: Body | None = None) -> Body:
        key = protocol.API_BY_NAME[api].key
        frame = protocol.encode_request(key, version, 42, "test", body or {})
        response = self.answer_frame(frame)
        assert response is not None
        correlation_id, answer = protocol.decode_response(key, version, response)
        assert correlation_id == 42
        return answer

    def topic_key(self, name: str, by_id: bool, field: str = "name") -> Body:
        if by_id:
            return {"topic_id": self.broker.topics.by_name(name).topic_id}
        return {field: name}


async def finished(later: LaterReply) -> Parts | None:
    return await asyncio.wait_for(later(), timeout=20)


async def asleep(partition: Partition) -> None:
    """Return once a fetch sleeps on the partition."""
    while not len(partition.waiters):
        await asyncio.sleep(0)


def joined(parts: Parts) -> bytes:
    return b"".join(part.read() if isinstance(part, FileRegion) else part for part in parts.parts)


def topic_resource(name: str, **fields: Any) -> Body:
    """The topic `logs` with one property, as requests that alter configurations name it."""
    configs = [{"name": name, **fields}]
    return {"resource_type": 2, "resource_name": "logs", "configs": configs}


def plain_body(asker: Asker, api: str, version: int) -> Body:
    """A request that succeeds, for any API and version."""
    partition: Callable[..., list[Body]] = lambda **fields: [fields]  # noqa: E731
    if api == "produce":
        data = partition(index=0, records=bytes(build_batch()))
        key = asker.topic_key("logs", version >= 13)
        return {"acks": 1, "timeout_ms": 1, "topic_data": [{**key, "partition_data": data}]}
    if api == "fetch":
        asked = partition(partition=0, fetch_offset=0, partition_max_bytes=1000)
        key = asker.topic_key("logs", version >= 13, "topic")
        return {"max_wait_ms": 1, "topics": [{**key, "partitions": asked}]}
    bodies: dict[str, Body] = {
        "list_offsets": {
            "replica_id": -1,
            "topics": [{"name": "logs", "partitions": partition(partition_index=0, timestamp=-1)}],
        },
        "metadata": {"topics": [{"name": "logs"}]},
        "find_coordinator": {"coordinator_keys": ["g"]} if version >= 4 else {"key": "g"},
        "api_versions": {}
        if version < 3
        else {"client_software_name": "t", "client_software_version": "1"},
        "create_topics": {
            "topics": [{"name": "new", "num_partitions": 1, "replication_factor": 1}]
        },
        "delete_topics": {"topics": [{"name": "logs"}]}
        if version >= 6
        else {"topic_names": ["logs"]},
        "init_producer_id": {"transactional_id": None, "transaction_timeout_ms": 1},
        "offset_for_leader_epoch": {
            "topics": [{"topic": "logs", "partitions": partition(partition=0, leader_epoch=0)}]
        },
        "write_txn_markers": {
            "markers": [{"topics": [{"name": "logs", "partition_indexes": [0]}]}]
        },
        "delete_records": {
            "topics": [{"name": "logs", "partitions": partition(partition_index=0, offset=-1)}]
        },
        "create_partitions": {"topics": [{"name": "logs", "count": 2, "assignments": None}]},
        "alter_configs": {"resources": [topic_resource("retention.ms", value="5")]},
        "incremental_alter_configs": {
            "resources": [topic_resource("retention.ms", value="5", config_operation=0)]
        },
        "describe_log_dirs": {"topics": None},
        "describe_topic_partitions": {"topics": [{"name": "logs"}]},
        "describe_producers": {"topics": [{"name": "logs", "partition_indexes": [0]}]},
        "describe_configs": {"resources": [{"resource_type": 2, "resource_name": "logs"}]},
        "describe_cluster": {},
        "elect_leaders": {"topic_partitions": None},
        "sasl_handshake": {"mechanism": "PLAIN"},
        "sasl_authenticate": {"auth_bytes": b"token"},
        "describe_acls": {},
        "create_acls": {"creations": [{"resource_type": 2, "resource_name": "logs"}]},
        "delete_acls": {"filters": [{"resource_type_filter": 2}]},
    }
    return bodies[api] if api in bodies else group_body(asker, api, version)


def group_body(asker: Asker, api: str, version: int) -> Body:
    """A request about groups that succeeds; what it needs is there before."""
    topic = {"name": "logs", "topic_id": asker.broker.topics.by_name("logs").topic_id}
    if version != 10:
        del topic["topic_id"]
    if "txn" in api or "transactions" in api:
        return transaction_body(asker, api, version)
    if api.startswith("consumer_group"):
        return consumer_group_body(asker, api)
    if api == "join_group":
        member_id = join(asker, "joins")["member_id"]
        return join_body("joins", member_id)
    if api in ("sync_group", "heartbeat", "leave_group"):
        joined = join(asker, "members", join(asker, "members")["member_id"])
        member = {"member_id": joined["member_id"]}
        if api == "leave_group":
            return {"group_id": "members", **({"members": [member]} if version >= 3 else member)}
        return {"group_id": "members", "generation_id": joined["generation_id"], **member}
    if api == "offset_commit":
        rows = [{"partition_index": 0, "committed_offset": 3, "committed_metadata": ""}]
        return {"group_id": "commits", "topics": [{**topic, "partitions": rows}]}
    if api == "offset_fetch":
        group = {"group_id": "commits", "topics": [{**topic, "partition_indexes": [0]}]}
        return {"groups": [group]} if version >= 8 else group
    if api in ("delete_groups", "offset_delete", "describe_groups"):
        rows = [{"partition_index": 0, "committed_offset": 3, "committed_metadata": ""}]
        topics = [{"name": "logs", "partitions": rows}]
        asker.ask("offset_commit", 8, {"group_id": "idle", "topics": topics})
    bodies: dict[str, Body] = {
        "list_groups": {},
        "describe_groups": {"groups": ["idle"]},
        "delete_groups": {"groups_names": ["idle"]},
        "offset_delete": {
            "group_id": "idle",
            "topics": [{"name": "logs", "partitions": [{"partition_index": 0}]}],
        },
    }
    return bodies[api]


def consumer_group_body(asker: Asker, api: str) -> Body:
    """A request about a group of KIP-848 that succeeds."""
    joins = {
        "group_id": "new",
        "member_id": "me",
        "member_epoch": 0,
        "rebalance_timeout_ms": 1000,
        "subscribed_topic_names": ["logs"],
        "topic_partitions": [],
    }
    if api == "consumer_group_heartbeat":
        return joins
    asker.ask("consumer_group_heartbeat", 1, joins)
    return {"group_ids": ["new"]}


def transaction_body(asker: Asker, api: str, version: int) -> Body:
    """A request of a producer in a transaction that succeeds."""
    init = {"transactional_id": "mine", "transaction_timeout_ms": 1000}
    answer = asker.ask("init_producer_id", 4, init)
    producer = {name: answer[name] for name in ("producer_id", "producer_epoch")}
    owner = {"transactional_id": "mine", **producer}
    if api in ("txn_offset_commit", "end_txn"):
        asker.ask("add_offsets_to_txn", 2, {**owner, "group_id": "commits"})
    rows = [{"partition_index": 0, "committed_offset": 3, "committed_metadata": ""}]
    bodies: dict[str, Body] = {
        "add_partitions_to_txn": {
            **{f"v3_and_below_{name}": value for name, value in owner.items()},
            "v3_and_below_topics": [{"name": "logs", "partitions": [0]}],
        },
        "add_offsets_to_txn": {**owner, "group_id": "commits"},
        "txn_offset_commit": {
            **owner,
            "group_id": "commits",
            "topics": [{"name": "logs", "partitions": rows}],
        },
        "end_txn": {**owner, "committed": True},
        "describe_transactions": {"transactional_ids": ["mine"]},
        "list_transactions": {},
    }
    return bodies[api]


def join(asker: Asker, group_id: str, member_id: str = "") -> Body:
    """Ask for a member id, or join a group with one."""
    return asker.ask("join_group", 5, join_body(group_id, member_id))


def join_body(group_id: str, member_id: str) -> Body:
    return {
        "group_id": group_id,
        "session_timeout_ms": 6000,
        "rebalance_timeout_ms": 6000,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
    }
