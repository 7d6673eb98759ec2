"""A membership on a loop with its own time, and the steps that it hands out: for both protocols."""

from __future__ import annotations

from fastkafka import protocol
from fastkafka.config import resolve
from fastkafka.control.coordinators import Coordinators
from fastkafka.group.membership import Subscription
from tests.unit.control_fakes import FakeCluster, FakeCore, PoolAtOnce, driven


class DrivenMember:
    """A member of a scripted group; a protocol's tests add what is its own.

    make_membership, make_group: Classic or ConsumerProtocol, and its scripted coordinator;
    heartbeat_api: which of the coordinator's answers are repeated
    """

    make_membership = make_group = None
    heartbeat_api = ""

    def __init__(self, core, rooms, **conf):
        self.core, self.rooms = core, rooms
        self.cluster = FakeCluster(core)
        self.cluster.add_topic("t", {0: (1, 0), 1: (1, 0), 2: (1, 0)})
        self.group = self.make_group(core)
        self.steps, self.errors = [], []
        conf = {"bootstrap.servers": "127.0.0.1:9000", "group.id": "g", **conf}
        settings = resolve("consumer", conf, {})
        control = rooms.control
        control.pool = PoolAtOnce()
        self.membership = self.make_membership(
            control,
            settings,
            Coordinators(control.conversations, control.metadata, settings),
            on_step=self.steps.append,
            on_error=self.errors.append,
        )

    def subscribe(self, *topics, patterns=()):
        self.do(lambda: self.membership.subscribe(Subscription(frozenset(topics), patterns)))

    def do(self, action):
        async def run():
            return action()

        return self.rooms.run(run())

    def step(self):
        """Run until a step comes; return its kind and partitions. It is not done yet."""
        self.rooms.run_until(lambda: self.steps)
        step = self.steps.pop(0)
        self.done, self.is_incremental = step.done, step.is_incremental
        return step.kind, [partition for _, partition in step.partitions]

    def is_stable(self):
        return self.membership.status().state == "stable" and bool(self.core.repeating)

    def settle(self):
        self.done()
        self.rooms.run_until(self.is_stable)

    def answer_repetition(self):
        """Let the next repeated heartbeat bring what the coordinator has to say."""
        repeat_id, (node_id, _, body, _) = next(iter(self.core.repeating.items()))
        version = self.core.asked(self.heartbeat_api)[-1][1]
        answer = self.group.heartbeat(node_id, version, body)
        key = protocol.API_BY_NAME[self.heartbeat_api].key
        payload = protocol.encode_response(key, version, 9, answer)
        self.core.end_repetition(repeat_id, "answered", payload)

    def end_repetition(self, reason, *more):
        """End the repeated heartbeats by themselves."""
        self.core.end_repetition(next(iter(self.core.repeating)), reason, *more)


def driven_member(kind, **conf):
    """Give a member of that class, which leaves in the end."""
    core = FakeCore()
    with driven(core, "consumer") as rooms:
        member = kind(core, rooms, **conf)
        yield member
        rooms.run(member.membership.leave())
