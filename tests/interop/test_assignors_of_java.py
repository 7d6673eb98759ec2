"""What the Java client's assignors give each member of a group, asked of its own classes."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence, Sized
from pathlib import Path

import pytest

from fastkafka.group.assignors import ASSIGNORS, AssignorMember
from fastkafka.group.assignors.racks import Racks
from fastkafka.group.membership import Place
from tests.conftest import skip_or_fail
from tools.kafka_cluster import java_command, missing_requirement

pytestmark = pytest.mark.kafka

PROGRAM = Path(__file__).with_name("AssignorsOfJava.java")
GROUPS = 400

Racked = dict[str, dict[int, frozenset[str]]]
Group = tuple[Racked, list[AssignorMember]]


@pytest.fixture(scope="module", autouse=True)
def java_compiler() -> None:
    lacking = missing_requirement()
    if lacking is None and shutil.which("javac") is None:
        lacking = f"a JDK is missing: no `javac` on PATH to compile {PROGRAM.name} with"
    if lacking is not None:
        skip_or_fail(lacking)


def ask_java(name: str, groups: Sequence[Group]) -> list[dict[str, set[Place]]]:
    """Return the partitions of each member; Java compiles the one file and runs it."""
    ended = subprocess.run(
        java_command(str(PROGRAM), heap="128m"),
        input="".join(
            f"{name}|{_topics_word(topics)}|{_members_word(m)}\n" for topics, m in groups
        ),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    return [_assignment(line) for line in ended.stdout.splitlines()]


def _topics_word(topics: Racked) -> str:
    return " ".join(
        f"{name}:{','.join(''.join(sorted(racks)) for racks in partitions.values())}"
        for name, partitions in topics.items()
    )


def _members_word(members: Sequence[AssignorMember]) -> str:
    return " ".join(
        f"{one.member_id}:{one.group_instance_id or ''}:{one.rack or ''}:{','.join(one.topics)}"
        for one in members
    )


def _assignment(line: str) -> dict[str, set[Place]]:
    assignment = {}
    for word in line.split():
        member_id, _, places = word.partition(":")
        pairs = (place.rsplit("-", 1) for place in places.split(",") if place)
        assignment[member_id] = {(topic, int(partition)) for topic, partition in pairs}
    return assignment


def generated_group(chance: random.Random, *, are_alike: bool) -> Group:
    """Return topics whose replicas are in some racks, and members some of which tell of theirs."""
    racks = "abc"[: chance.randint(1, 3)]
    replicas = chance.randint(0, len(racks))
    counts = [chance.randint(1, 12) for _ in range(2)]
    topics = {
        f"t{number}": {
            partition: frozenset(chance.sample(racks, replicas))
            for partition in range(chance.choice(counts))
        }
        for number in range(chance.randint(1, 4))
    }
    members = []
    for number in range(chance.randint(1, 8)):
        wanted = (
            list(topics)
            if are_alike
            else chance.sample(list(topics), chance.randint(1, len(topics)))
        )
        static = f"static-{chance.randint(0, 99):02}-{number}" if chance.random() < 0.3 else None
        rack = chance.choice([*racks, "elsewhere", None])
        name = f"m{chance.randint(0, 999):03}-{number}"
        members.append(AssignorMember(name, tuple(sorted(wanted)), static, rack))
    return topics, members


def generated_groups(*, are_alike: bool = False) -> list[Group]:
    chance = random.Random(881)
    return [generated_group(chance, are_alike=are_alike) for _ in range(GROUPS)]


@pytest.mark.parametrize("name", ["range", "roundrobin"])
def test_every_member_gets_what_java_gives_it(name: str) -> None:
    groups = generated_groups()
    answers = ask_java(name, groups)
    assert len(answers) == GROUPS
    for (topics, members), of_java in zip(groups, answers, strict=True):
        ours = ASSIGNORS[name]().assign(topics, members)
        assert {member: set(places) for member, places in ours.items()} == of_java, members


def test_sticky_balances_as_well_as_java_and_brings_as_much_near() -> None:
    groups = generated_groups(are_alike=True)
    near_here = near_there = 0
    for (topics, members), of_java in zip(
        groups, ask_java("cooperative-sticky", groups), strict=True
    ):
        ours = ASSIGNORS["cooperative-sticky"]().assign(topics, members)
        assert _counts(ours) == _counts(of_java), members
        racks = Racks(topics, topics, members)
        if racks.matter:
            near_here += _near(racks, ours)
            near_there += _near(racks, of_java)
    assert near_here >= near_there > GROUPS


def _counts(assignment: Mapping[str, Sized]) -> list[int]:
    return sorted(map(len, assignment.values()))


def _near(racks: Racks, assignment: Mapping[str, Iterable[Place]]) -> int:
    return sum(racks.is_near(one, place) for one, places in assignment.items() for place in places)
