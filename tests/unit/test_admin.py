"""Administration: arguments, the controller, and what each Future gets."""

from __future__ import annotations

import contextlib
import gc
import json
import pickle
import threading
from concurrent.futures import Future

import pytest

from fastkafka.admin import AdminClient, NewTopic, TopicCollection
from fastkafka.admin import cluster as cluster_room
from fastkafka.admin import topics as topics_room
from fastkafka.admin.client import _settle_each
from fastkafka.admin.routing import Routing
from fastkafka.errors import (
    BrokerError,
    ClosedError,
    ConfigError,
    KafkaError,
    KafkaException,
    TimedOut,
    TransportError,
    UnknownTopic,
)
from fastkafka.types import AclOperation, Node, ThrottleEvent
from tests.unit.control_fakes import TOPIC_ID, FakeCluster, FakeCore, all_versions, driven

WAIT_S = 10


@pytest.fixture
def core():
    return FakeCore()


@pytest.fixture
def cluster(core):
    return FakeCluster(core)


@pytest.fixture
def client():
    """Give a client that knows no broker: it opens no socket."""
    with AdminClient({"socket.timeout.ms": 1000}) as client:
        yield client


def routing_of(rooms):
    return Routing(rooms.control.conversations, rooms.control.metadata)


def create(rooms, *topics, timeout_s=10.0, validate_only=False):
    return rooms.run(
        topics_room.create_topics(
            routing_of(rooms),
            list(topics),
            validate_only=validate_only,
            operation_timeout_s=4,
            request_timeout_s=timeout_s,
        )
    )


def delete(rooms, *names):
    return rooms.run(
        topics_room.delete_topics(
            routing_of(rooms), list(names), operation_timeout_s=4, request_timeout_s=10
        )
    )


# arguments


@pytest.mark.parametrize("topics", [[], None, "t", (NewTopic("t"),)])
def test_create_topics_wants_a_list_with_topics(client, topics):
    with pytest.raises(ValueError, match="Expected non-empty list of NewTopic objects"):
        client.create_topics(topics)


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        ("t", TypeError),
        (NewTopic("t", 1, 1, replica_assignment=[[1]]), ValueError),
        (NewTopic("t", 2, replica_assignment=[[1]]), ValueError),
        (NewTopic("t", replica_assignment=[1]), TypeError),
        (NewTopic("t", replica_assignment=[]), TypeError),
        (NewTopic("t", config=["retention.ms"]), TypeError),
    ],
)
def test_create_topics_refuses_what_is_no_topic(client, topic, error):
    with pytest.raises(error):
        client.create_topics([topic])


@pytest.mark.parametrize("topics", [[], None, "t"])
def test_delete_topics_wants_a_list_with_names(client, topics):
    with pytest.raises(ValueError, match="Expected non-empty list of topic strings"):
        client.delete_topics(topics)
    with pytest.raises(TypeError):
        client.delete_topics([NewTopic("t")])


def test_describe_topics_wants_a_collection_of_names(client):
    with pytest.raises(TypeError, match="TopicCollection, got list"):
        client.describe_topics(["t"])
    with pytest.raises(TypeError):
        client.describe_topics(TopicCollection([5]))
    with pytest.raises(ValueError, match="must not be empty"):
        client.describe_topics(TopicCollection([""]))


def test_timeouts_are_numbers_of_seconds(client):
    with pytest.raises(TypeError, match="request_timeout"):
        client.delete_topics(["t"], request_timeout="5")
    with pytest.raises(ConfigError, match="operation_timeout"):
        client.delete_topics(["t"], operation_timeout=-1)
    with pytest.raises(TypeError):
        client.delete_topics(["t"], no_such_option=1)
    with pytest.raises(TypeError, match="topic must be str"):
        client.list_topics(b"t")


# the controller


def test_create_topics_asks_the_controller_with_everything_of_the_topic(core, cluster):
    cluster.controller_id = 2
    core.answers["create_topics"] = lambda *_: {
        "topics": [{"name": "a", "error_code": 0}, {"name": "b", "error_code": 0}]
    }
    config = {"cleanup.policy": "compact", "preallocate": True, "retention.ms": 5, "x": None}
    with driven(core, "admin") as rooms:
        outcomes = create(
            rooms,
            NewTopic("a", 3, 2, config=config),
            NewTopic("b", replica_assignment=[[1, 2], [2]]),
            validate_only=True,
        )
    assert outcomes == {"a": None, "b": None}
    node_id, _, body = core.asked("create_topics")[0]
    assert node_id == 2
    assert body["timeout_ms"] == 4000
    assert body["validate_only"] is True
    first, second = body["topics"]
    assert (first["num_partitions"], first["replication_factor"]) == (3, 2)
    assert [(row["name"], row["value"]) for row in first["configs"]] == [
        ("cleanup.policy", "compact"),
        ("preallocate", "true"),
        ("retention.ms", "5"),
        ("x", None),
    ]
    assert (second["num_partitions"], second["replication_factor"]) == (-1, -1)
    assert [row["broker_ids"] for row in second["assignments"]] == [[1, 2], [2]]


def test_broker_that_is_not_the_controller_any_more_is_left(core, cluster):
    def answer(node_id, version, body):
        cluster.controller_id = 2
        code = KafkaError.NOT_CONTROLLER if node_id == 1 else 0
        return {"topics": [{"name": "t", "error_code": code}]}

    core.answers["create_topics"] = answer
    with driven(core, "admin") as rooms:
        assert create(rooms, NewTopic("t", 1, 1)) == {"t": None}
    assert [node for node, _, _ in core.asked("create_topics")] == [1, 2]


def test_change_that_may_have_been_made_is_not_repeated(core, cluster):
    text = "the connection ended after the request may have been sent"
    core.answers["create_topics"] = lambda *_: KafkaError(KafkaError._TRANSPORT, text)
    with driven(core, "admin") as rooms:
        with pytest.raises(TransportError, match=text):
            create(rooms, NewTopic("t", 1, 1))
    assert len(core.asked("create_topics")) == 1


def test_cluster_without_a_controller_is_waited_for(core, cluster):
    core.answers["create_topics"] = lambda *_: {"topics": [{"name": "t", "error_code": 0}]}
    cluster.controller_id = -1
    with driven(core, "admin") as rooms:
        rooms.loop.call_later(2, setattr, cluster, "controller_id", 1)
        assert create(rooms, NewTopic("t", 1, 1)) == {"t": None}
        assert rooms.loop.time() - 1000 >= 2


def test_request_that_nobody_answers_in_time_raises(core, cluster):
    core.answers["create_topics"] = lambda *_: None
    with driven(core, "admin") as rooms:
        with pytest.raises(TimedOut, match=r"create_topics: no broker answered within 2 s"):
            create(rooms, NewTopic("t", 1, 1), timeout_s=2)


def test_each_topic_has_its_own_outcome_with_the_words_of_the_broker(core, cluster):
    core.answers["delete_topics"] = lambda *_: {
        "responses": [
            {"name": "a", "error_code": 0},
            {"name": "b", "error_code": KafkaError.UNKNOWN_TOPIC_OR_PART, "error_message": None},
            {"name": "c", "error_code": KafkaError.POLICY_VIOLATION, "error_message": "not so"},
        ]
    }
    with driven(core, "admin") as rooms:
        outcomes = delete(rooms, "a", "b", "c")
    assert outcomes["a"] is None
    assert type(outcomes["b"]) is UnknownTopic
    assert 'Topic "b"' in outcomes["b"].args[0].str()
    assert type(outcomes["c"]) is BrokerError
    assert outcomes["c"].args[0].str() == "not so"


@pytest.mark.parametrize("newest", [5, 6])
def test_delete_topics_names_them_as_the_version_wants(core, cluster, newest):
    def versions(*args):
        body = all_versions(*args)
        for row in body["api_keys"]:
            if row["api_key"] == 20:
                row["max_version"] = newest
        return body

    core.answers["api_versions"] = versions
    core.answers["delete_topics"] = lambda *_: {"responses": [{"name": "t", "error_code": 0}]}
    with driven(core, "admin") as rooms:
        assert delete(rooms, "t") == {"t": None}
    _, version, body = core.asked("delete_topics")[0]
    assert version == newest
    names = [row["name"] for row in body["topics"]] if newest == 6 else body["topic_names"]
    assert names == ["t"]


# describing


def test_describe_topics_gives_nodes_and_errors(core, cluster):
    cluster.add_topic("t", {1: (-1, 0), 0: (2, 0)})
    cluster.brokers.pop(1)
    with driven(core, "admin") as rooms:
        described = rooms.run(
            topics_room.describe_topics(
                routing_of(rooms), ["t", "nope"], with_operations=False, request_timeout_s=5
            )
        )
    topic = described["t"]
    assert bytes(topic.topic_id) == TOPIC_ID
    assert [row.id for row in topic.partitions] == [0, 1]
    assert topic.partitions[0].leader == Node(2, "127.0.0.1", 9002)
    assert topic.partitions[1].leader is None
    assert topic.partitions[0].replicas == [Node(1, "", -1), Node(2, "127.0.0.1", 9002)]
    assert topic.authorized_operations is None
    assert type(described["nope"]) is UnknownTopic


def test_operations_are_asked_for_and_read_from_their_bits(core, cluster):
    cluster.add_topic("t", {0: (1, 0)})
    cluster.topics["t"]["topic_authorized_operations"] = 1 << 3 | 1 << 8
    with driven(core, "admin") as rooms:
        described = rooms.run(
            topics_room.describe_topics(
                routing_of(rooms), ["t"], with_operations=True, request_timeout_s=5
            )
        )
    assert described["t"].authorized_operations == [AclOperation.READ, AclOperation.DESCRIBE]
    assert core.asked("metadata")[-1][2]["include_topic_authorized_operations"] is True


def describe_cluster(rooms, *, with_operations=False):
    return rooms.run(
        cluster_room.describe_cluster(
            routing_of(rooms), with_operations=with_operations, request_timeout_s=5
        )
    )


def test_describe_cluster(core, cluster):
    core.answers["describe_cluster"] = lambda *_: {
        "error_code": 0,
        "cluster_id": "c",
        "controller_id": 2,
        "brokers": [{"broker_id": 2, "host": "h", "port": 1, "rack": "r"}],
        "cluster_authorized_operations": 1 << 5,
    }
    with driven(core, "admin") as rooms:
        result = describe_cluster(rooms, with_operations=True)
    assert result.controller == Node(2, "h", 1, "r")
    assert result.nodes == [result.controller]
    assert result.cluster_id == "c"
    assert result.authorized_operations == [AclOperation.CREATE]


def test_describe_cluster_that_is_refused_raises(core, cluster):
    code = KafkaError.CLUSTER_AUTHORIZATION_FAILED
    core.answers["describe_cluster"] = lambda *_: {
        "error_code": code,
        "error_message": "no",
        "cluster_id": "",
    }
    with driven(core, "admin") as rooms:
        with pytest.raises(KafkaException) as caught:
            describe_cluster(rooms)
    assert caught.value.args[0] == code


def test_describe_cluster_of_an_old_broker_comes_from_metadata(core, cluster):
    def versions(*args):
        body = all_versions(*args)
        return {
            **body,
            "api_keys": [row for row in body["api_keys"] if row["api_key"] != 60],
        }

    core.answers["api_versions"] = versions
    with driven(core, "admin") as rooms:
        result = describe_cluster(rooms)
    assert result.cluster_id == "cluster"
    assert [node.id for node in result.nodes] == [1, 2]


# futures and life


def test_topic_that_the_answer_leaves_out_is_an_error():
    futures = {"a": Future(), "b": Future()}
    done = Future()
    done.set_result({"a": None})
    _settle_each(futures, done)
    assert futures["a"].result(0) is None
    with pytest.raises(KafkaException, match='leaves "b" out'):
        futures["b"].result(0)


def test_failure_of_the_whole_request_reaches_every_future():
    futures = {"a": Future(), "b": Future()}
    done = Future()
    done.set_exception(TimedOut("late"))
    _settle_each(futures, done)
    for future in futures.values():
        with pytest.raises(TimedOut):
            future.result(0)


def test_client_that_reaches_nobody_raises_in_time(client):
    futures = client.create_topics([NewTopic("t", 1, 1)], request_timeout=0.2)
    assert len(client) >= 1
    with pytest.raises(KafkaException, match=r"create_topics.*0\.2 s"):
        futures["t"].result(WAIT_S)
    with pytest.raises(KafkaException, match=r"list_topics.*0\.1 s"):
        client.list_topics(timeout=0.1)


def test_closed_client_raises_and_its_futures_too():
    client = AdminClient({"bootstrap.servers": ""})
    future = client.describe_cluster()
    threads = [thread.name for thread in threading.enumerate()]
    client.close()
    client.close()
    with pytest.raises(ClosedError):
        future.result(WAIT_S)
    assert "fastkafka-control" in threads
    with pytest.raises(RuntimeError, match="AdminClient has been closed"):
        client.list_topics()
    with pytest.raises(RuntimeError, match="AdminClient has been closed"):
        client.delete_topics(["t"])
    with pytest.raises(RuntimeError):
        client.poll(0)


def test_forgotten_client_ends_its_threads():
    client = AdminClient({"bootstrap.servers": "", "client.id": "forgotten"})
    thread = client._control._thread
    del client
    gc.collect()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_errors_wait_for_poll():
    seen = []
    with AdminClient({"error_cb": seen.append}) as client:
        assert client.poll(WAIT_S) == 1  # it has no bootstrap server
    assert seen == [KafkaError._ALL_BROKERS_DOWN]


def test_what_a_callback_raises_comes_out_of_poll_and_loses_no_other_call(client):
    seen = []

    def fail(_):
        raise ValueError("mine")

    client.post_event(fail, None)
    client.post_event(seen.append, 2)
    with pytest.raises(ValueError, match="mine"):
        client.poll(0)
    assert client.poll(0) == 1 and seen == [2]


def test_poll_ends_after_its_timeout(client):
    assert client.poll(0.01) == 0


def test_close_ends_a_poll_of_another_thread(client):
    ended = threading.Event()

    def wait():
        with contextlib.suppress(ClosedError):
            client.poll()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    client.close()
    assert ended.wait(WAIT_S)


def test_stats_cb_tells_of_an_admin_client():
    told = []
    with AdminClient({"stats_cb": told.append, "statistics.interval.ms": 1}) as client:
        assert client.poll(WAIT_S) >= 1
        assert client.statistics()["type"] == "admin"
    assert json.loads(told[0])["type"] == "admin"


def test_throttle_cb_tells_of_an_admin_client():
    told = []
    with AdminClient({"throttle_cb": told.append}) as client:
        event = ThrottleEvent("b", 1, 0.5)
        client._on_throttle(event)
        assert client.poll(WAIT_S) == 1
    assert told == [event]


def test_brokers_are_added_to_a_client_that_knows_none(client):
    assert client.add_brokers("127.0.0.1:1,127.0.0.1:2") == 2
    with pytest.raises(ConfigError):
        client.add_brokers("127.0.0.1:no")


def test_client_refuses_pickling(client):
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)
    assert bool(client) is True


def test_wrong_configuration_raises_in_the_constructor():
    with pytest.raises(ConfigError, match="bootstrap"):
        AdminClient({"bootstrap.servers": "h:x"})
    with pytest.raises(TypeError, match="expected configuration dict"):
        AdminClient()
    with pytest.raises(ConfigError, match="Did you mean"):
        AdminClient({"client.di": "x"})
