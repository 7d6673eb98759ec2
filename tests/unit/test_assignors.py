"""Assignors: every partition once, to who asked for it, in balance, with few moves."""

from __future__ import annotations

import random

import pytest

from fastkafka.errors import CorruptFrame, KafkaError, KafkaException
from fastkafka.group.assignors import ASSIGNORS, Assignor, AssignorMember, checked
from fastkafka.group.assignors.sticky_user_data import decode_user_data, encode_user_data

every_assignor = pytest.mark.parametrize("name", sorted(ASSIGNORS))
sticky_ones = pytest.mark.parametrize("name", ["sticky", "cooperative-sticky"])


def topics_of(**counts):
    return {name: dict.fromkeys(range(count), frozenset()) for name, count in counts.items()}


def members_of(count, *topics):
    return [AssignorMember(f"m{number:04}", topics) for number in range(count)]


def generated_group(seed):
    """Return topics and members with subscriptions of their own."""
    chance = random.Random(seed)
    topics = topics_of(**{f"t{number}": chance.randint(0, 12) for number in range(6)})
    members = []
    for number in range(chance.randint(1, 8)):
        wanted = chance.sample([*topics, "absent"], chance.randint(1, 5))
        static = f"static-{chance.randint(0, 99)}-{number}" if chance.random() < 0.3 else None
        members.append(AssignorMember(f"m{chance.random()}", tuple(sorted(wanted)), static))
    return topics, members


def after(assignor_name, members, assignment, generation):
    """Return the members as they subscribe next, each with an assignor of its own."""
    told = []
    for member in members:
        places = tuple(assignment.get(member.member_id, ()))
        assignor = ASSIGNORS[assignor_name]()
        assignor.on_assignment(places, generation)
        data = assignor.subscription_user_data(member.topics) or b""
        told.append(member._replace(owned=places, generation=generation, user_data=data))
    return told


def settled(name, topics, members, generation=1):
    """Assign until nobody gives anything up: the second time nothing is held back."""
    for turn in range(2):
        assignment = ASSIGNORS[name]().assign(topics, members)
        checked(ASSIGNORS[name](), topics, members, assignment)
        members = after(name, members, assignment, generation + turn)
    return assignment, members


def moves(before, later):
    owners = {place: name for name, places in before.items() for place in places}
    return sum(
        owners.get(place, name) != name for name, places in later.items() for place in places
    )


def spread(assignment):
    return max(map(len, assignment.values())) - min(map(len, assignment.values()))


@every_assignor
@pytest.mark.parametrize("seed", range(60))
def test_every_partition_goes_once_to_somebody_who_has_subscribed_to_it(name, seed):
    topics, members = generated_group(seed)
    assignment, _ = settled(name, topics, members)
    subscribed = {member.member_id: set(member.topics) for member in members}
    given = [place for places in assignment.values() for place in places]
    wanted = {
        (topic, partition)
        for topic, partitions in topics.items()
        for partition in partitions
        if any(topic in names for names in subscribed.values())
    }
    assert len(given) == len(set(given))
    assert set(given) == wanted
    for member_id, places in assignment.items():
        assert {topic for topic, _ in places} <= subscribed[member_id]


@every_assignor
def test_the_order_of_members_changes_nothing(name):
    topics, members = generated_group(3)
    mixed = list(members)
    random.Random(1).shuffle(mixed)
    first = ASSIGNORS[name]().assign(topics, members)
    assert ASSIGNORS[name]().assign(topics, mixed) == first


def test_range_gives_consecutive_partitions_of_each_topic():
    topics = topics_of(a=3, b=5)
    assert ASSIGNORS["range"]().assign(topics, members_of(2, "a", "b")) == {
        "m0000": [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)],
        "m0001": [("a", 2), ("b", 3), ("b", 4)],
    }


def test_roundrobin_goes_on_where_the_topic_before_ended():
    topics = topics_of(a=3, b=3)
    assert ASSIGNORS["roundrobin"]().assign(topics, members_of(2, "a", "b")) == {
        "m0000": [("a", 0), ("a", 2), ("b", 1)],
        "m0001": [("a", 1), ("b", 0), ("b", 2)],
    }


@every_assignor
def test_static_members_come_first_whatever_their_ids(name):
    members = [AssignorMember("a", ("t",)), AssignorMember("z", ("t",), "static")]
    assignment = ASSIGNORS[name]().assign(topics_of(t=1), members)
    assert assignment == {"a": [], "z": [("t", 0)]}


@sticky_ones
@pytest.mark.parametrize("partitions", [1, 7, 30, 31])
def test_equal_subscriptions_are_balanced_and_only_what_must_moves(name, partitions):
    topics = topics_of(t=partitions)
    members = members_of(5, "t")
    assignment, told = settled(name, topics, members)
    assert spread(assignment) <= 1
    again = ASSIGNORS[name]().assign(topics, told)
    assert moves(assignment, again) == 0
    left = [member for member in told if member.member_id != "m0002"]
    later, told = settled(name, topics, left, 3)
    assert spread(later) <= 1
    kept = {key: value for key, value in assignment.items() if key != "m0002"}
    assert moves(kept, later) == 0
    joined = [*told, AssignorMember("new", ("t",))]
    grown, _ = settled(name, topics, joined, 5)
    assert spread(grown) <= 1
    assert moves(later, grown) == len(grown["new"])


@sticky_ones
@pytest.mark.parametrize("seed", range(30))
def test_nothing_moves_while_nothing_changes(name, seed):
    topics, members = generated_group(seed)
    assignment, told = settled(name, topics, members)
    assert moves(assignment, ASSIGNORS[name]().assign(topics, told)) == 0


@sticky_ones
@pytest.mark.parametrize("seed", range(30))
def test_no_move_of_one_partition_would_balance_better(name, seed):
    topics, members = generated_group(seed)
    assignment, _ = settled(name, topics, members)
    counts = {name: len(places) for name, places in assignment.items()}
    for member in members:
        for owner, places in assignment.items():
            for topic, _ in places:
                if topic in member.topics:
                    assert counts[owner] <= counts[member.member_id] + 1


def test_cooperative_gives_nothing_that_another_member_still_reads():
    topics = topics_of(t=4)
    owner = AssignorMember("a", ("t",), owned=tuple(("t", n) for n in range(4)), generation=3)
    members = [owner, AssignorMember("b", ("t",))]
    first = ASSIGNORS["cooperative-sticky"]().assign(topics, members)
    assert first == {"a": [("t", 0), ("t", 1)], "b": []}
    members = after("cooperative-sticky", members, first, 4)
    second = ASSIGNORS["cooperative-sticky"]().assign(topics, members)
    assert second == {"a": [("t", 0), ("t", 1)], "b": [("t", 2), ("t", 3)]}


@sticky_ones
def test_the_younger_of_two_claims_is_believed_and_of_equal_ones_none(name):
    topics = topics_of(t=2)
    places = (("t", 0), ("t", 1))

    def claims(first, second):
        members = members_of(2, "t")
        return [
            after(name, [member], {member.member_id: places[:1]}, generation)[0]
            for member, generation in zip(members, (first, second), strict=True)
        ]

    for first, second, owner in ((5, 4, "m0000"), (4, 5, "m0001")):
        assignment = ASSIGNORS["sticky"]().assign(topics, after_sticky(claims(first, second)))
        assert ("t", 0) in assignment[owner]
    assignment = ASSIGNORS[name]().assign(topics, claims(5, 5))
    assert spread(assignment) <= 1


def after_sticky(members):
    """Return members that tell in sticky's user data what they own."""
    return [
        member._replace(user_data=encode_user_data(member.owned, member.generation))
        for member in members
    ]


@every_assignor
def test_ten_thousand_partitions_are_divided_among_a_thousand_members(name):
    topics = topics_of(**{f"t{number}": 100 for number in range(100)})
    members = members_of(1000, *sorted(topics))
    assignment, told = settled(name, topics, members)
    settled(name, topics, told[1:], 3)
    assert sum(map(len, assignment.values())) == 10_000


def test_what_a_users_assignor_returns_is_checked():
    class Wrong(Assignor):
        name = "wrong"

        def __init__(self, answer):
            self.answer = answer

        def assign(self, topics, members):
            return self.answer

    topics = topics_of(a=2, b=1)
    members = [AssignorMember("one", ("a",)), AssignorMember("two", ("a", "b"))]
    for answer, text in (
        ({"three": []}, "'three' is no member"),
        ({"one": [("b", 0)]}, r"'one' gets b \[0\] and has not subscribed"),
        ({"one": [("a", 2)]}, r"there is no a \[2\]"),
        ({"one": [("a", 0)], "two": [("a", 0)]}, r"a \[0\] goes to 'one' and to 'two'"),
        ({"one": [("a", 0), ("a", 1), ("a", 0)]}, "a partition twice"),
    ):
        wrong = Wrong(answer)
        with pytest.raises(KafkaException, match=f"assignor wrong: .*{text}") as caught:
            checked(wrong, topics, members, wrong.assign(topics, members))
        assert caught.value.error.code() == KafkaError._INVALID_ARG
    right = {"two": [("b", 0), ("a", 1)]}
    assert checked(Wrong(right), topics, members, right) == {"one": [], "two": [("b", 0), ("a", 1)]}


def test_sticky_user_data_is_read_as_it_was_written():
    places = [("a", 0), ("a", 5), ("grüße", 2)]
    data = encode_user_data(places, 7)
    assert decode_user_data(data) == (places, 7)
    assert decode_user_data(data[:-4]) == (places, -1)
    assert decode_user_data(b"") == ([], -1)


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\1\x7f\xff",
        b"\0\0\0\1\xff\xffab\0\0\0\0",
        b"\0\0\0\1\0\1a\x7f\xff\xff\xff",
        b"\0\0\0\1\0\1\xff\0\0\0\0",
        encode_user_data([("a", 1)], 1) + b"\0",
    ],
)
def test_user_data_that_makes_no_sense_is_refused_and_counts_as_none(data):
    with pytest.raises(CorruptFrame, match="sticky user data"):
        decode_user_data(data)
    members = [AssignorMember("a", ("t",), user_data=data), AssignorMember("b", ("t",))]
    assert ASSIGNORS["sticky"]().assign(topics_of(t=2), members) == {
        "a": [("t", 0)],
        "b": [("t", 1)],
    }


# --- racks -----------------------------------------------------------------------------


def racked_group(seed, replicas):
    """Return topics whose replicas are in `replicas` of three racks, and members in all of them."""
    chance = random.Random(seed)
    topics = {
        f"t{number}": {
            partition: frozenset(chance.sample("abc", replicas))
            for partition in range(chance.randint(1, 15))
        }
        for number in range(3)
    }
    members = [
        AssignorMember(f"m{number}", tuple(topics), None, "abc"[number % 3])
        for number in range(chance.randint(1, 7))
    ]
    return topics, members


def far(topics, members, assignment):
    rack_of = {member.member_id: member.rack for member in members}
    return sum(
        rack_of[name] not in topics[topic][partition]
        for name, places in assignment.items()
        for topic, partition in places
    )


@sticky_ones
def test_partitions_are_near_their_members_where_balance_allows_it(name):
    topics = {"t": {number: frozenset("abc"[number % 3]) for number in range(12)}}
    members = [AssignorMember(f"m{n}", ("t",), None, "abc"[n // 2 % 3]) for n in range(6)]
    assignment, _ = settled(name, topics, members)
    assert spread(assignment) == 0
    assert far(topics, members, assignment) == 0


@sticky_ones
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("seed", range(40))
def test_racks_cost_no_balance_and_nothing_moves_when_nobody_came_or_went(name, replicas, seed):
    topics, members = racked_group(seed, replicas)
    assignment, told = settled(name, topics, members)
    without, _ = settled(name, topics, [member._replace(rack=None) for member in members])
    assert spread(assignment) == spread(without)
    assert far(topics, members, assignment) <= far(topics, members, without)
    again, _ = settled(name, topics, told, generation=5)
    assert moves(assignment, again) == 0


@sticky_ones
def test_members_that_tell_of_racks_come_near_what_others_had(name):
    topics = {"t": {number: frozenset("ab"[number % 2]) for number in range(8)}}
    members = [AssignorMember("m0", ("t",)), AssignorMember("m1", ("t",))]
    had = {"m0": [("t", n) for n in range(4)], "m1": [("t", n) for n in range(4, 8)]}
    told = after(name, members, had, 1)
    told = [told[0]._replace(rack="a"), told[1]._replace(rack="b")]
    assignment, _ = settled(name, topics, told, generation=2)
    assert far(topics, told, assignment) == 0
    assert moves(had, assignment) == 4


@pytest.mark.parametrize("racks", [None, "elsewhere"])
def test_racks_where_no_replica_is_change_nothing(racks):
    topics = {"t": {number: frozenset("ab"[number % 2]) for number in range(8)}}
    members = [AssignorMember(f"m{n}", ("t",), None, racks) for n in range(3)]
    for name in ASSIGNORS:
        plain = [member._replace(rack=None) for member in members]
        assert ASSIGNORS[name]().assign(topics, members) == ASSIGNORS[name]().assign(topics, plain)


def test_ranges_of_equal_topics_stay_together_also_near():
    near = {0: frozenset("a"), 1: frozenset("b"), 2: frozenset("a"), 3: frozenset("b")}
    topics = {"t": near, "u": dict(near)}
    members = [
        AssignorMember("m0", ("t", "u"), None, "b"),
        AssignorMember("m1", ("t", "u"), None, "a"),
    ]
    assignment = ASSIGNORS["range"]().assign(topics, members)
    assert assignment == {
        "m0": [("t", 1), ("t", 3), ("u", 1), ("u", 3)],
        "m1": [("t", 0), ("t", 2), ("u", 0), ("u", 2)],
    }


def test_a_thousand_members_in_racks_are_assigned_in_bounded_work():
    topics = {f"t{n}": {p: frozenset("abc"[(p + n) % 3]) for p in range(100)} for n in range(30)}
    members = [AssignorMember(f"m{n:04}", tuple(topics), None, "aab"[n % 3]) for n in range(300)]
    assignment = ASSIGNORS["sticky"]().assign(topics, members)
    assert spread(assignment) == 0
    # A third of the partitions is near nobody, and of rack b there are as many as its members take.
    assert far(topics, members, assignment) == 1000
