"""Names: what bootstrap.servers may hold, and how names become addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fastkafka.control.names import Names, literal_address, parse_bootstrap
from fastkafka.errors import ConfigError, KafkaError, TransportError
from tests.unit.control_fakes import FakeCluster, FakeCore, PoolAtOnce, VirtualLoop, driven


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("h", [("h", 9092)]),
        ("h:1,i:65535", [("h", 1), ("i", 65535)]),
        (" h:1 , ,i:2,", [("h", 1), ("i", 2)]),
        ("h:1,h:1,h:2", [("h", 1), ("h", 2)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[fe80::1%eth0]", [("fe80::1%eth0", 9092)]),
        ("2001:db8::1", [("2001:db8::1", 9092)]),
        ("PLAINTEXT://h:1/", [("h", 1)]),
    ],
)
def test_bootstrap_servers_are_parsed(text, pairs):
    assert parse_bootstrap(text) == pairs


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("h:0", "from 1 to 65535"),
        ("h:65536", "from 1 to 65535"),
        ("h:", "from 1 to 65535"),
        ("h:x", "from 1 to 65535"),
        ("h:-1", "from 1 to 65535"),
        ("h:٣", "from 1 to 65535"),
        (":9092", "the host is missing"),
        ("h" * 256, "too long"),
        ("[::1", r"\[address\]:port"),
        ("[::1]9092", r"\[address\]:port"),
        ("SASL_SSL://h:1", "not yet in this release"),
    ],
)
def test_bootstrap_server_that_is_none_is_named(text, why):
    with pytest.raises(ConfigError, match=why) as caught:
        parse_bootstrap(f"good:1,{text}")
    assert text in caught.value.args[0].str()
    assert "bootstrap.servers" in caught.value.args[0].str()


def test_addresses_need_no_resolving():
    assert literal_address("127.0.0.1") == "127.0.0.1"
    assert literal_address("::1") == "::1"
    assert literal_address("localhost") is None
    assert literal_address("h\0") is None


def answers(*addresses):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 9092)) for ip in addresses]


class Resolver:
    """Names on a loop with its own time, and a system that answers from a list."""

    def __init__(self, *results, **settings):
        self.results = list(results)
        self.asked = []
        self.loop = VirtualLoop()
        self.names = Names(PoolAtOnce(), getaddrinfo=self.getaddrinfo, **settings)

    def getaddrinfo(self, *args):
        self.asked.append(args)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def resolve(self, pause_s=0.0):
        async def ask():
            await asyncio.sleep(pause_s)
            return await self.names.resolve("kafka", 9092)

        return self.loop.run_until_complete(ask())


@pytest.fixture
def resolver():
    made = []

    def make(*results, **settings):
        made.append(Resolver(*results, **settings))
        return made[-1]

    yield make
    for one in made:
        one.loop.close()


def test_all_addresses_are_given_each_once_in_order(resolver):
    one = resolver(answers("10.0.0.2", "10.0.0.1", "10.0.0.2"), family="v4")
    assert one.resolve() == [("10.0.0.2", 9092), ("10.0.0.1", 9092)]
    assert one.asked == [("kafka", 9092, socket.AF_INET, socket.SOCK_STREAM)]


def test_answer_is_used_again_until_its_time_is_over(resolver):
    one = resolver(answers("10.0.0.1"), answers("10.0.0.2"), ttl_ms=1000)
    assert one.resolve() == one.resolve(0.9) == [("10.0.0.1", 9092)]
    assert one.resolve(0.2) == [("10.0.0.2", 9092)]
    assert len(one.asked) == 2


def test_name_that_does_not_resolve_is_told_with_the_reason(resolver):
    one = resolver(socket.gaierror(-2, "Name or service not known"))
    with pytest.raises(TransportError, match="'kafka:9092': Name or service not known") as caught:
        one.resolve()
    assert caught.value.args[0].code() == KafkaError._RESOLVE


def test_old_addresses_are_used_when_the_name_server_fails(resolver):
    one = resolver(answers("10.0.0.1"), socket.gaierror(-3, "try again"), ttl_ms=0)
    one.resolve()
    assert one.resolve(1.0) == [("10.0.0.1", 9092)]


def test_name_without_an_address_is_an_error(resolver):
    with pytest.raises(TransportError, match="no address"):
        resolver([]).resolve()


def test_name_that_no_name_server_can_take_is_an_error(resolver):
    one = resolver(UnicodeError("label too long"))
    with pytest.raises(TransportError, match="label too long"):
        one.resolve()


def test_canonical_names_take_the_place_of_a_bootstrap_name(resolver):
    one = resolver(answers("10.0.0.1", "10.0.0.2", "10.0.0.3"))

    def getnameinfo(address, flags):
        if address[0] == "10.0.0.3":
            raise socket.gaierror(-2, "no name")
        return f"b-{address[0]}", str(address[1])

    one.names._getnameinfo = getnameinfo
    names = one.loop.run_until_complete(one.names.canonical_names("kafka", 9092))
    assert names == ["b-10.0.0.1", "b-10.0.0.2"]


def test_server_whose_name_comes_later_is_used_then():
    core = FakeCore()
    FakeCluster(core)
    results = [socket.gaierror(-3, "try again"), answers("127.0.0.1")]

    def getaddrinfo(*args):
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    with driven(core, bootstrap_servers="kafka:9092") as rooms:
        names = rooms.control.brokers._names
        names._pool, names._getaddrinfo = PoolAtOnce(), getaddrinfo
        rooms.run_until(lambda: core.said("set_cluster_view"))
        assert rooms.errors[0].code() == KafkaError._RESOLVE
    assert core.said("set_broker")[0] == (-1, "kafka", 9092, [("127.0.0.1", 9092)], None)


def test_used_up_addresses_are_resolved_again():
    core = FakeCore()
    FakeCluster(core)
    with driven(core, bootstrap_servers="kafka:9092", broker_address_ttl=0) as rooms:
        names = rooms.control.brokers._names
        names._pool, names._getaddrinfo = PoolAtOnce(), lambda *_: answers("127.0.0.1")
        rooms.run_until(lambda: core.said("set_cluster_view"))
        names._getaddrinfo = lambda *_: answers("127.0.0.9")
        core.push("resolve", -1)
        rooms.run_until(lambda: ("127.0.0.9", 9092) in core.told[-1][-2])
        told = len(core.told)
        core.push("resolve", 1)  # an address has no other addresses
        core.push("resolve", 77)  # nobody knows this one
        rooms.run(asyncio.sleep(1))
        assert len(core.told) == told
