"""What a subscription means: named topics, patterns, topics that come, go, and are not ours."""

from __future__ import annotations

import pytest

from fastkafka.config import resolve
from fastkafka.errors import KafkaError, KafkaException
from fastkafka.group.membership import Subscription, subscription_of
from fastkafka.group.subscribed_topics import SubscribedTopics
from tests.unit.control_fakes import FakeCluster, FakeCore, driven, topic_row


class Watched:
    """SubscribedTopics on a loop with its own time, and what it has told."""

    def __init__(self, core, rooms, **conf):
        self.cluster = FakeCluster(core)
        self.rooms = rooms
        self.changes = 0
        self.errors = []
        conf = {"bootstrap.servers": "127.0.0.1:9000", "group.id": "g", **conf}
        self.topics = SubscribedTopics(
            rooms.control,
            resolve("consumer", conf, {}),
            on_changed=self.on_changed,
            on_error=self.errors.append,
        )

    def on_changed(self):
        self.changes += 1

    def add(self, name, partitions=2):
        self.cluster.add_topic(name, dict.fromkeys(range(partitions), (1, 0)))

    def watch(self, *topics):
        async def begin():
            self.topics.watch(subscription_of(list(topics)))
            await self.topics.known()

        self.rooms.run(begin())
        return self.counts()

    def counts(self):
        """Return how many partitions each topic has that is there."""
        return {name: len(partitions) for name, partitions in self.topics.topics().items()}

    def pass_time(self, seconds):
        began = self.rooms.loop.time()
        self.rooms.run_until(lambda: self.rooms.loop.time() - began >= seconds)


@pytest.fixture
def core():
    return FakeCore()


@pytest.fixture
def watched(core):
    with driven(core, "consumer") as rooms:
        watched = Watched(core, rooms)
        yield watched
        watched.topics.stop()


def test_named_topics_are_found_with_their_partitions(watched):
    watched.add("a", 3)
    watched.add("b")
    watched.add("c")
    assert watched.watch("a", "b") == {"a": 3, "b": 2}
    assert watched.errors == []


def test_the_racks_of_replicas_are_told_also_of_a_broker_that_is_away(watched):
    watched.add("a", 2)
    watched.cluster.topics["a"]["partitions"][1]["replica_nodes"] = [1, 3]
    watched.cluster.racks.update({1: "x", 2: "y"})
    watched.watch("a")
    racks = {"a": {0: frozenset("xy"), 1: frozenset("x")}}
    assert watched.topics.topics() == racks
    broker = watched.cluster.brokers.pop(2)
    watched.pass_time(301)
    assert watched.topics.topics() == racks
    assert watched.changes == 1
    watched.cluster.brokers[2] = broker
    watched.cluster.racks[2] = "z"
    watched.pass_time(301)
    assert watched.topics.topics()["a"][0] == frozenset("xz")
    assert watched.changes == 2


def test_a_pattern_says_how_names_begin(watched):
    for name in ("logs", "logs-2", "my-logs", "logs.x"):
        watched.add(name, 1)
    assert watched.watch("^logs") == {"logs": 1, "logs-2": 1, "logs.x": 1}
    assert watched.watch("^logs$", "my-logs") == {"logs": 1, "my-logs": 1}


def test_internal_topics_match_no_pattern(watched):
    watched.add("__consumer_offsets")
    watched.cluster.topics["__consumer_offsets"]["is_internal"] = True
    watched.add("a")
    assert watched.watch("^.*") == {"a": 2}
    assert "__consumer_offsets" in watched.watch("__consumer_offsets")


def test_a_missing_topic_is_told_once_and_waited_for(watched):
    watched.add("a")
    assert watched.watch("a", "late") == {"a": 2}
    watched.pass_time(60)
    (error,) = watched.errors
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "late" in error.str()
    watched.add("late")
    before = watched.changes
    watched.pass_time(10)
    assert watched.counts() == {"a": 2, "late": 2}
    assert watched.changes == before + 1


def test_new_partitions_and_new_matches_are_noticed_by_age(watched):
    watched.add("a-1", 1)
    watched.watch("^a-")
    watched.add("a-1", 2)
    watched.add("a-2", 1)
    watched.pass_time(301)
    assert watched.counts() == {"a-1": 2, "a-2": 1}
    assert watched.changes == 2


def test_a_topic_is_gone_only_after_a_while(watched):
    watched.add("a")
    watched.add("b")
    watched.watch("a", "b")
    watched.pass_time(1)
    gone = watched.cluster.topics.pop("a")
    watched.pass_time(310)
    assert "a" in watched.topics.topics() or watched.errors
    watched.pass_time(60)
    assert watched.counts() == {"b": 2}
    watched.cluster.topics["a"] = gone
    watched.pass_time(10)
    assert watched.counts() == {"a": 2, "b": 2}


def test_a_topic_that_is_not_ours_to_read_is_told(watched):
    code = KafkaError.TOPIC_AUTHORIZATION_FAILED
    watched.cluster.topics["secret"] = topic_row("secret", code)
    assert watched.watch("secret") == {}
    assert [error.code() for error in watched.errors] == [code]


def test_another_subscription_is_asked_for_at_once(watched):
    watched.add("a")
    watched.add("b")
    watched.watch("a")
    assert watched.watch("b") == {"b": 2}


def test_what_subscribe_takes_is_checked():
    assert subscription_of(["a", "^b.*", "a"]) == Subscription(frozenset({"a"}), ("^b.*",))
    for wrong in ("a", ("a",), [1], None):
        with pytest.raises(TypeError, match="expected list of topic"):
            subscription_of(wrong)
    for wrong in ([], [""], ["^("], ["a", ""]):
        with pytest.raises(KafkaException, match="Failed to set subscription") as caught:
            subscription_of(wrong)
        assert caught.value.error.code() == KafkaError._INVALID_ARG
