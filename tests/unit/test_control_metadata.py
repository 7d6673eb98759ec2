"""Metadata and the cluster state: when is asked, whom, and what the core is told."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from fastkafka.control.cluster_state import ClusterState
from fastkafka.errors import (
    AuthorizationError,
    CorruptFrame,
    KafkaError,
    TransportError,
    UnknownTopic,
)
from tests.unit.control_fakes import TOPIC_ID, FakeCluster, FakeCore, PoolAtOnce, driven, topic_row


@pytest.fixture
def core():
    return FakeCore()


@pytest.fixture
def cluster(core):
    return FakeCluster(core)


def topics_of(view):
    return {name: partitions for name, _, _, partitions in view[1]}


# asking


def test_first_question_goes_to_a_bootstrap_server_and_brings_the_brokers(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
    assert core.asked("metadata")[0][0] == -1
    assert core.said("set_broker") == [
        (-1, "127.0.0.1", 9000, [("127.0.0.1", 9000)], None),
        (1, "127.0.0.1", 9001, [("127.0.0.1", 9001)], None),
        (2, "127.0.0.1", 9002, [("127.0.0.1", 9002)], None),
    ]


def test_wanted_topic_is_asked_for_at_once_and_reaches_the_core(core, cluster):
    cluster.add_topic("t", {0: (1, 4), 1: (2, 7)})
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        core.want_topic("t")
        elapsed = rooms.run_until(lambda: topics_of(core.said("set_cluster_view")[-1]))
    assert topics_of(core.said("set_cluster_view")[-1]) == {"t": [(0, 1, 4), (1, 2, 7)]}
    assert elapsed < 0.1
    question = core.asked("metadata")[-1][2]
    assert [topic["name"] for topic in question["topics"]] == ["t"]
    assert question["allow_auto_topic_creation"] is True


def test_consumer_does_not_create_topics_unless_allowed(core, cluster):
    with driven(core, "consumer") as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
    assert core.asked("metadata")[0][2]["allow_auto_topic_creation"] is False


def test_wishes_while_a_question_is_under_way_make_one_more_question(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        asked = len(core.asked("metadata"))
        for _ in range(50):
            core.push("metadata_wanted", "not leader for t [0]")
        rooms.run_until(lambda: len(core.asked("metadata")) > asked)
        rooms.run(asyncio.sleep(5))
    assert len(core.asked("metadata")) == asked + 1


def test_errors_do_not_ask_more_often_than_the_fast_interval(core, cluster):
    with driven(core, topic_metadata_refresh_fast_interval_ms=500) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        asked = len(core.asked("metadata"))
        core.push("metadata_wanted", "not leader")
        elapsed = rooms.run_until(lambda: len(core.asked("metadata")) > asked)
    assert 0.4 <= elapsed <= 0.6


def test_metadata_is_asked_again_by_age(core, cluster):
    conf = {"topic_metadata_refresh_interval_ms": 60000}
    with driven(core, **conf) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        elapsed = rooms.run_until(lambda: len(core.said("set_cluster_view")) == 2)
    assert 59 <= elapsed <= 61


def test_all_topics_are_asked_for_when_not_sparse_but_the_core_gets_its_own(core, cluster):
    cluster.add_topic("mine", {0: (1, 0)})
    cluster.add_topic("other", {0: (1, 0)})
    core.wanted = ["mine"]
    with driven(core, topic_metadata_refresh_sparse=False) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
    assert core.asked("metadata")[0][2]["topics"] is None
    assert list(topics_of(core.said("set_cluster_view")[-1])) == ["mine"]


def test_next_server_is_asked_when_the_first_is_down(core, cluster):
    core.down = {-1}
    with driven(core, bootstrap_servers="127.0.0.1:9000,127.0.0.1:9009") as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
    assert core.asked("metadata")[0][0] == -2
    assert [error.code() for error in rooms.errors] == [KafkaError._TRANSPORT]
    assert "bootstrap server 127.0.0.1:9000: connect failed" in rooms.errors[0].str()


def test_server_that_never_answers_costs_a_quarter_second(core, cluster):
    core.silent = {-1}
    with driven(core, bootstrap_servers="127.0.0.1:9000,127.0.0.1:9009") as rooms:
        elapsed = rooms.run_until(lambda: core.said("set_cluster_view"))
    assert 0.2 <= elapsed <= 0.4


def test_broker_that_hangs_holds_metadata_up_for_a_second(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        rooms.run(rooms.control.conversations.versions_of(1))
        core.silent = {-1, 1}
        core.push("metadata_wanted", "not leader")
        elapsed = rooms.run_until(lambda: len(core.said("set_cluster_view")) == 2)
    assert elapsed <= 2.5
    assert core.asked("metadata")[-1][0] == 2


def test_name_that_does_not_resolve_does_not_hold_up_metadata(core, cluster):
    def fails(*args):
        raise OSError("no such name")

    with driven(core, bootstrap_servers="nowhere:1,127.0.0.1:9000") as rooms:
        rooms.control.brokers._names._getaddrinfo = fails
        rooms.control.brokers._names._pool = PoolAtOnce()
        elapsed = rooms.run_until(lambda: core.said("set_cluster_view"))
        core.push("metadata_wanted", "not leader")
        elapsed += rooms.run_until(lambda: len(core.said("set_cluster_view")) == 2)
    assert elapsed < 0.5


def test_leaderless_topic_that_nobody_uses_does_not_hurry(core, cluster):
    cluster.add_topic("other", {0: (-1, 0)})
    with driven(core, topic_metadata_refresh_sparse=False) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        rooms.run(asyncio.sleep(60))
    assert len(core.asked("metadata")) == 1


def test_all_servers_down_is_told_once_and_tried_with_growing_pauses(core, cluster):
    core.down = {-1}
    with driven(core) as rooms:
        rooms.run_until(lambda: len(rooms.errors) >= 2)
        rooms.run(asyncio.sleep(5))
        codes = [error.code() for error in rooms.errors]
        core.down = set()
        rooms.run_until(lambda: core.said("set_cluster_view"))
    assert codes == [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN]


def test_garbled_answer_closes_the_connection_and_is_asked_again(core, cluster):
    answers = [b"\x00\x00\x00\x00\x00\xff\xff"]
    whole = cluster.metadata
    core.answers["metadata"] = lambda *args: answers.pop() if answers else whole(*args)
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
    closed = core.said("close_connection")
    assert len(closed) == 1
    assert "MetadataResponse" in closed[0][1]
    assert closed[0][2] == KafkaError._BAD_MSG


# unknown topics and missing leaders


def test_topic_without_leader_is_asked_for_with_growing_pauses(core, cluster):
    cluster.add_topic("t", {0: (-1, 3)})
    core.wanted = ["t"]
    with driven(core) as rooms:
        times = []
        metadata = cluster.metadata

        def timed(*args):
            times.append(rooms.loop.time())
            return metadata(*args)

        core.answers["metadata"] = timed
        rooms.run_until(lambda: len(times) == 7)
        cluster.add_topic("t", {0: (2, 4)})
        rooms.run_until(lambda: topics_of(core.said("set_cluster_view")[-1]) == {"t": [(0, 2, 4)]})
    pauses = [after - before for before, after in itertools.pairwise(times[:7])]
    for pause, expected in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=True):
        assert expected * 0.8 <= pause <= expected * 1.2


def test_topic_that_stays_unknown_is_given_up_after_the_propagation_time(core, cluster):
    core.wanted = ["nope"]
    with driven(core, topic_metadata_propagation_max_ms=5000) as rooms:
        elapsed = rooms.run_until(lambda: core.said("set_topic_error"))
        asked = len(core.asked("metadata"))
        rooms.run(asyncio.sleep(60))
    assert core.said("set_topic_error") == [("nope", KafkaError.UNKNOWN_TOPIC_OR_PART)]
    assert 5 <= elapsed <= 6.5
    assert len(core.asked("metadata")) == asked


def test_topic_that_was_given_up_gets_its_time_again_when_it_is_used_again(core, cluster):
    core.wanted = ["t"]
    with driven(core, topic_metadata_propagation_max_ms=1000) as rooms:
        rooms.run_until(lambda: core.said("set_topic_error"))
        core.push("topic_wanted", "t")
        elapsed = rooms.run_until(lambda: len(core.said("set_topic_error")) == 2)
    assert elapsed >= 1


def test_topic_that_appears_in_time_is_not_given_up(core, cluster):
    core.wanted = ["t"]
    with driven(core, topic_metadata_propagation_max_ms=5000) as rooms:
        rooms.run_until(lambda: len(core.asked("metadata")) == 3)
        cluster.add_topic("t", {0: (1, 0)})
        rooms.run(asyncio.sleep(20))
    assert core.said("set_topic_error") == []
    assert topics_of(core.said("set_cluster_view")[-1]) == {"t": [(0, 1, 0)]}


def test_topic_that_may_not_be_used_is_told_at_once(core, cluster):
    cluster.topics["secret"] = topic_row("secret", KafkaError.TOPIC_AUTHORIZATION_FAILED)
    core.wanted = ["secret"]
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_topic_error"))
    assert core.said("set_topic_error")[0] == ("secret", KafkaError.TOPIC_AUTHORIZATION_FAILED)


# brokers that come and go


def test_broker_that_moved_is_told_and_one_that_left_is_removed(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        del cluster.brokers[2]
        cluster.brokers[1] = ("127.0.0.1", 9500)
        core.push("metadata_wanted", "test")
        rooms.run_until(lambda: core.said("remove_broker"))
    assert core.said("remove_broker") == [(2,)]
    assert core.said("set_broker")[-1] == (1, "127.0.0.1", 9500, [("127.0.0.1", 9500)], None)


def test_broker_that_left_keeps_its_connection_while_it_is_up(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        rooms.run(rooms.control.conversations.versions_of(2))
        del cluster.brokers[2]
        core.push("metadata_wanted", "test")
        rooms.run_until(lambda: len(core.said("set_cluster_view")) == 2)
        assert core.said("remove_broker") == []


def test_answer_without_brokers_proves_nothing(core, cluster):
    with driven(core) as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        cluster.brokers = {}
        core.push("metadata_wanted", "test")
        rooms.run_until(lambda: len(core.said("set_cluster_view")) == 2)
    assert [row[0] for row in core.said("set_cluster_view")[-1][0]] == [1, 2]


# calls


def test_list_topics_returns_the_public_types(core, cluster):
    cluster.add_topic("t", {0: (1, 4)})
    with driven(core) as rooms:
        listed = rooms.run(rooms.control.metadata.list_topics(None, 5))
    assert listed.cluster_id == "cluster"
    assert listed.brokers[2].port == 9002
    assert listed.topics["t"].partitions[0].leader == 1
    assert listed.topics["t"].error is None
    assert core.asked("metadata")[-1][2]["allow_auto_topic_creation"] is False


def test_list_topics_tells_the_error_of_a_topic_in_the_topic(core, cluster):
    with driven(core) as rooms:
        listed = rooms.run(rooms.control.metadata.list_topics("nope", 5))
    assert listed.topics["nope"].error == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_list_topics_that_reaches_nobody_names_the_last_error(core, cluster):
    core.down = {-1}
    with driven(core) as rooms:
        began = rooms.loop.time()
        with pytest.raises(TransportError, match=r"list_topics.*within 3 s.*Connection refused"):
            rooms.run(rooms.control.metadata.list_topics(None, 3))
        assert rooms.loop.time() - began <= 3.1


@pytest.mark.parametrize("timeout_s", [None, -1])
def test_list_topics_without_a_timeout_waits_as_long_as_a_request_may_take(
    core, cluster, timeout_s
):
    core.down = {-1}
    with driven(core, socket_timeout_ms=7000) as rooms:
        began = rooms.loop.time()
        with pytest.raises(TransportError, match="within 7 s"):
            rooms.run(rooms.control.metadata.list_topics(None, timeout_s))
        assert 5 <= rooms.loop.time() - began <= 7.1


def test_list_topics_does_not_repeat_what_stays_wrong(core, cluster):
    core.answers["metadata"] = lambda *_: b"\x00\x00\x00\x00\x00\xff\xff"
    with driven(core) as rooms:
        with pytest.raises(CorruptFrame, match="bootstrap server"):
            rooms.run(rooms.control.metadata.list_topics(None, 30))


def test_leader_of_waits_for_a_leader(core, cluster):
    cluster.add_topic("t", {0: (-1, 3)})
    with driven(core) as rooms:
        asking = rooms.loop.create_task(rooms.control.metadata.leader_of("t", 0))
        rooms.run_until(lambda: len(core.asked("metadata")) == 4)
        assert not asking.done()
        cluster.add_topic("t", {0: (2, 4)})
        assert rooms.run(asking) == (2, 4)


def test_leader_of_gives_up_on_an_unknown_topic(core, cluster):
    with driven(core, topic_metadata_propagation_max_ms=2000) as rooms:
        with pytest.raises(UnknownTopic, match=r"nope \[0\]"):
            rooms.run(rooms.control.metadata.leader_of("nope", 0))


def test_leader_of_raises_at_once_what_repeating_does_not_cure(core, cluster):
    cluster.topics["secret"] = topic_row("secret", KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with driven(core) as rooms:
        began = rooms.loop.time()
        with pytest.raises(AuthorizationError):
            rooms.run(rooms.control.metadata.leader_of("secret", 0))
        assert rooms.loop.time() - began < 1


# the state alone


def answer(*topics, brokers=((1, "h", 9092),)):
    return {
        "brokers": [
            {"node_id": id, "host": host, "port": port, "rack": None} for id, host, port in brokers
        ],
        "cluster_id": "c",
        "controller_id": 1,
        "topics": list(topics),
    }


def partition(index, leader, epoch):
    return {"partition_index": index, "leader_id": leader, "leader_epoch": epoch}


def test_leader_moves_to_a_newer_epoch_only():
    state = ClusterState()
    state.merge(answer(topic_row("t", partitions=[partition(0, 1, 5)])))
    state.merge(answer(topic_row("t", partitions=[partition(0, 2, 4)])))
    assert state.leader_of("t", 0) == (1, 5)
    state.merge(answer(topic_row("t", partitions=[partition(0, 2, 6)])))
    assert state.leader_of("t", 0) == (2, 6)


def test_leader_that_one_broker_does_not_know_yet_stays():
    state = ClusterState()
    state.merge(answer(topic_row("t", partitions=[partition(0, 1, 5)])))
    state.merge(answer(topic_row("t", partitions=[partition(0, -1, 5)])))
    assert state.leader_of("t", 0) == (1, 5)
    merged = state.merge(answer(topic_row("t", partitions=[partition(0, -1, 6)])))
    assert state.leader_of("t", 0) == (-1, 6)
    assert merged.leaderless == {"t"}


def test_new_topic_id_replaces_everything():
    state = ClusterState()
    state.merge(answer(topic_row("t", partitions=[partition(0, 1, 5), partition(1, 1, 5)])))
    again = {**topic_row("t", partitions=[partition(0, 2, 0)]), "topic_id": b"x" * 16}
    state.merge(answer(again))
    assert state.leader_of("t", 0) == (2, 0)
    assert state.leader_of("t", 1) is None


def test_topic_and_partitions_that_are_missing_once_stay():
    state = ClusterState()
    state.merge(answer(topic_row("t", partitions=[partition(0, 1, 5), partition(1, 1, 5)])))
    merged = state.merge(answer(topic_row("t", KafkaError.UNKNOWN_TOPIC_OR_PART)))
    state.merge(answer(topic_row("t", partitions=[partition(0, 1, 5)])))
    assert merged.unknown == {"t": KafkaError.UNKNOWN_TOPIC_OR_PART}
    assert state.view({"t"})[1] == [("t", TOPIC_ID, 0, [(0, 1, 5), (1, 1, 5)])]


def test_brokers_with_senseless_places_are_left_out():
    state = ClusterState()
    brokers = ((1, "h", 9092), (2, "", 9092), (3, "h", 0), (4, "h", 65536), (-7, "h", 1))
    state.merge(answer(brokers=brokers))
    assert list(state.brokers) == [1]
