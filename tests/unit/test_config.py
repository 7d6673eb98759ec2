"""Configuration: names, types, ranges, contradictions and what is told when they are wrong."""

from __future__ import annotations

import logging
import pickle

import pytest

from fastkafka._core.compression import CODECS
from fastkafka.config import PROPERTIES, describe, properties_of, resolve, resolver
from fastkafka.config.foreign_names import REFUSED, TRANSLATED
from fastkafka.config.tables import CANONICAL
from fastkafka.errors import ConfigError, ConfigTypeError, KafkaError


@pytest.fixture(autouse=True)
def fresh_warnings(monkeypatch):
    monkeypatch.setattr(resolver, "_warned", set())


def producer(conf, **kwargs):
    return resolve("producer", conf, kwargs)


def consumer(conf, **kwargs):
    return resolve("consumer", {"group.id": "g", **conf}, kwargs)


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "fastkafka.config"]


# tables


def test_every_default_is_a_value_that_the_property_takes():
    for row in PROPERTIES:
        if row.default is None:
            continue
        if row.kind == "choice":
            assert row.default in row.choices.values(), row.name
        else:
            assert row.parse(row.default) == row.default, row.name


def test_no_name_means_two_properties():
    for role in ("producer", "consumer", "admin"):
        names = [name for row in properties_of(role).values() for name in (row.name, *row.aliases)]
        assert len(names) == len(set(names))
    assert not set(REFUSED) & set(CANONICAL)
    assert not set(TRANSLATED) & (set(CANONICAL) | set(REFUSED))


def test_translations_end_at_properties():
    assert {row.target for row in TRANSLATED.values()} <= set(CANONICAL)


def test_every_property_says_what_it_is_for():
    for row in PROPERTIES:
        assert row.text.endswith("."), row.name


# defaults


def test_defaults_of_a_producer_are_those_of_the_design():
    values = producer({})
    assert values["acks"] == -1
    assert values["enable.idempotence"] is True
    assert values["max.in.flight"] == 5
    assert values["linger.ms"] == 5.0
    assert values["message.timeout.ms"] == 120000
    assert values["queue.buffering.max.kbytes"] == 131072
    assert values["queue.buffering.max.messages"] == 0
    assert values["batch.size"] == 1000000
    assert values["allow.auto.create.topics"] is True
    assert values["partitioner"] == "consistent_random"
    assert values.explicit == frozenset()


def test_defaults_of_a_consumer_are_those_of_the_design():
    values = consumer({})
    assert values["check.crcs"] is True
    assert values["isolation.level"] == "read_committed"
    assert values["auto.offset.reset"] == "latest"
    assert values["allow.auto.create.topics"] is False
    assert "linger.ms" not in values


# values


@pytest.mark.parametrize(
    ("name", "given", "typed"),
    [
        ("linger.ms", "0.5", 0.5),
        ("linger.ms", 7, 7.0),
        ("batch.size", "16384", 16384),
        ("acks", "all", -1),
        ("acks", 1, 1),
        ("enable.idempotence", "False", False),
        ("compression.type", "LZ4", "lz4"),
        ("client.id", 5, "5"),
        ("client.dns.lookup", "use_all_dns_ips", "use_all_dns_ips"),
    ],
)
def test_values_become_typed(name, given, typed):
    value = producer({name: given})[name]
    assert value == typed
    assert type(value) is type(typed)


def test_offset_reset_has_one_spelling_inside():
    assert consumer({"auto.offset.reset": "smallest"})["auto.offset.reset"] == "earliest"
    assert consumer({"auto.offset.reset": "END"})["auto.offset.reset"] == "latest"
    assert consumer({"auto.offset.reset": "none"})["auto.offset.reset"] == "error"


@pytest.mark.parametrize(
    ("written", "duration_ms"),
    [
        ("PT1H", 3600000),
        ("pt1h", 3600000),
        ("P1D", 86400000),
        ("P2DT3H4M5.678S", 183845678),
        ("PT0S", 0),
        ("PT1M30S", 90000),
        ("PT0.5S", 500),
        ("PT0,25S", 250),
        ("PT0.0009S", 0),
        ("PT90M", 5400000),
    ],
)
def test_offset_reset_by_duration(written, duration_ms):
    reset = consumer({"auto.offset.reset": f"by_duration:{written}"})["auto.offset.reset"]
    assert reset.duration_ms == duration_ms
    assert str(reset) == f"by_duration:{written}"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no ISO 8601"),
        ("P", "no ISO 8601"),
        ("PT", "no ISO 8601"),
        ("P1DT", "no ISO 8601"),
        ("1H", "no ISO 8601"),
        ("PT1", "no ISO 8601"),
        ("PT1H2H", "no ISO 8601"),
        ("PT1M1H", "no ISO 8601"),
        ("PT1.5H", "no ISO 8601"),
        ("PT1H ago", "no ISO 8601"),
        ("PT\u0661H", "no ISO 8601"),
        ("P1H", "no ISO 8601"),
        ("-PT1H", "negative"),
        ("PT-1H", "negative"),
        ("P1W", "calendar"),
        ("P1M", "calendar"),
        ("P1Y2M", "calendar"),
        ("P999999999999D", "too long"),
    ],
)
def test_offset_reset_by_what_is_no_duration_is_refused(written, reason):
    with pytest.raises(ConfigError, match=reason) as raised:
        consumer({"auto.offset.reset": f"by_duration:{written}"})
    assert "auto.offset.reset" in str(raised.value)


@pytest.mark.parametrize("written", ["by_duration", "byduration:PT1H", "PT1H"])
def test_offset_reset_names_its_choices(written):
    with pytest.raises(ConfigError, match="auto.offset.reset"):
        consumer({"auto.offset.reset": written})


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        (
            {"batch.size": 0},
            'Configuration property "batch.size" value 0 is outside allowed range 1..2147483647',
        ),
        ({"queue.buffering.max.ms": -1}, '"linger.ms" value -1 is outside'),
        ({"batch.size": "many"}, '"batch.size" takes a whole number, not "many"'),
        ({"batch.size": True}, '"batch.size" takes a whole number, not "True"'),
        ({"linger.ms": "nan"}, '"linger.ms" takes a number'),
        ({"enable.idempotence": "yes"}, '"enable.idempotence" takes true or false, not "yes"'),
        (
            {"compression.codec": "brotli"},
            'Invalid value "brotli" for configuration property "compression.type". '
            "Choose one of: none, gzip",
        ),
        ({"partitioner": "murmur"}, 'Invalid value "murmur" for configuration property "part'),
        ({"builtin.features": "lz4,wings"}, 'Invalid value "wings"'),
    ],
)
def test_wrong_value_names_the_property_and_what_it_takes(conf, text):
    with pytest.raises(ConfigError) as caught:
        producer(conf)
    assert text in caught.value.args[0].str()
    assert caught.value.args[0].code() == KafkaError._INVALID_ARG


def test_range_includes_its_ends():
    assert producer({"batch.num.messages": 1000000})["batch.num.messages"] == 1000000
    with pytest.raises(ConfigError):
        producer({"batch.num.messages": 1000001})


def test_unknown_name_is_an_error_that_names_the_nearest():
    with pytest.raises(ConfigError, match=r'"bootstrap.server".*Did you mean "bootstrap.servers"'):
        producer({"bootstrap.server": "localhost"})
    with pytest.raises(ConfigError) as caught:
        producer({"xyzzy": 1})
    assert caught.value.args[0].str() == 'No such configuration property: "xyzzy"'


def test_names_of_java_and_of_c_that_are_refused_say_what_to_use():
    with pytest.raises(ConfigError, match=r"Use ssl.ca.location"):
        producer({"ssl.truststore.location": "x"})
    with pytest.raises(ConfigError, match="Use on_delivery"):
        producer({"dr_cb": print})


@pytest.mark.parametrize("value", [b"x", ["a"], {"a": 1}, print])
def test_values_that_have_no_text_are_refused(value):
    with pytest.raises(ConfigTypeError, match=r'"client.id" takes text or a number'):
        producer({"client.id": value})


# names and order


def test_aliases_are_equal_and_the_last_wins():
    values = producer({"linger.ms": 1, "queue.buffering.max.ms": 2})
    assert values["linger.ms"] == values["queue.buffering.max.ms"] == 2
    values = producer({"queue.buffering.max.ms": 2, "linger.ms": 1})
    assert values["linger.ms"] == 1
    assert values.explicit == {"linger.ms"}


def test_java_names_of_the_same_thing_are_taken():
    values = producer({"max.request.size": 5000, "buffer.memory": 33554433, "max.block.ms": 0})
    assert values["message.max.bytes"] == 5000
    assert values["queue.buffering.max.kbytes"] == 32769
    assert values["max.block.ms"] == 0
    assert consumer({"fetch.max.wait.ms": 10})["fetch.wait.max.ms"] == 10


@pytest.mark.parametrize("name", ["send.buffer.bytes", "receive.buffer.bytes"])
def test_minus_one_of_java_leaves_socket_buffers_to_the_system(name):
    assert producer({name: -1})[f"socket.{name}"] == 0
    assert producer({name: "4096"})[f"socket.{name}"] == 4096
    with pytest.raises(ConfigError, match="outside allowed range"):
        producer({name: -2})


def test_javas_own_partitioners_are_known_and_other_classes_are_refused():
    package = "org.apache.kafka.clients.producer"
    for name, partitioner in (
        ("internals.DefaultPartitioner", "murmur2_random"),
        ("RoundRobinPartitioner", "round_robin"),
    ):
        values = producer({"partitioner.class": f"{package}.{name}"})
        assert values["partitioner"] == partitioner
    with pytest.raises(ConfigError, match=r"com\.acme\.Mine does not run here. Use partitioner;"):
        producer({"partitioner.class": "com.acme.Mine"})
    assert producer({"partitioner.class": None})["partitioner"] == "consistent_random"


@pytest.mark.parametrize(("codec", "level"), [("gzip", 9), ("lz4", 17), ("zstd", 22)])
def test_javas_level_counts_for_its_codec_only(codec, level):
    name = f"compression.{codec}.level"
    assert producer({"compression.type": codec, name: level})["compression.level"] == level
    assert producer({"compression.type": "none", name: level})["compression.level"] == -1
    both = {"compression.type": codec, name: level, "compression.level": 1}
    assert producer(both)["compression.level"] == 1
    with pytest.raises(ConfigError, match="outside allowed range"):
        producer({name: level + 1})


def test_buffer_memory_that_is_no_number_is_told_by_the_name_that_was_given():
    with pytest.raises(ConfigError, match=r'"buffer.memory" takes a whole number, not "big"'):
        producer({"buffer.memory": "big"})


def test_keyword_arguments_override_and_may_have_underscores():
    values = producer({"linger.ms": 1, "client.id": "a"}, linger_ms=2, **{"client.id": "b"})
    assert values["linger.ms"] == 2
    assert values["client.id"] == "b"
    assert resolve("producer", None, {"bootstrap_servers": "h"})["bootstrap.servers"] == "h"


def test_none_gives_the_default_again():
    values = producer({"linger.ms": 1, "acks": None}, linger_ms=None)
    assert values["linger.ms"] == 5.0
    assert values.explicit == frozenset()


def test_topic_config_is_merged_last():
    values = producer({"default.topic.config": {"acks": "all"}, "acks": 1}, acks=0)
    assert values["acks"] == -1
    with pytest.raises(ConfigTypeError, match="takes a dict"):
        producer({"default.topic.config": "acks=1"})


def test_dict_of_the_user_is_not_changed():
    conf = {"linger.ms": "1", "default.topic.config": {"acks": "all"}}
    producer(conf)
    assert conf == {"linger.ms": "1", "default.topic.config": {"acks": "all"}}


@pytest.mark.parametrize("conf", [None, "bootstrap.servers=h", 5])
def test_configuration_must_be_a_dict(conf):
    with pytest.raises(TypeError, match="expected configuration dict"):
        resolve("producer", conf, {})


# callbacks


def test_callbacks_must_be_callable():
    assert producer({"error_cb": print})["error_cb"] is print
    with pytest.raises(TypeError, match="expected error_cb property as a callable function"):
        producer({"error_cb": 5})
    with pytest.raises(ValueError, match="throttle_cb"):
        producer({"throttle_cb": "x"})
    with pytest.raises(ConfigError, match="on_delivery requires a callable object"):
        producer({"on_delivery": True})


def test_logger_must_log():
    logger = logging.getLogger("mine")
    assert producer({}, logger=logger)["logger"] is logger
    with pytest.raises(TypeError, match="logger requires an object with log"):
        producer({"logger": "mine"})


def test_warnings_go_to_the_logger_that_is_given(caplog):
    class Lines:
        told = []

        def log(self, level, form, *args):
            self.told.append((level, form % args))

    producer({"socket.max.fails": 3, "group.id": "g", "acks": 1, "logger": Lines()})
    assert [level for level, _ in Lines.told] == [logging.WARNING] * 3
    assert warnings_of(caplog) == []


def test_delivery_report_only_error_takes_a_real_bool():
    assert producer({"delivery.report.only.error": True})["delivery.report.only.error"] is True
    with pytest.raises(TypeError):
        producer({"delivery.report.only.error": "true"})


# what is not in force


def test_property_not_in_force_warns_once_and_says_why(caplog):
    producer({"socket.max.fails": 3})
    producer({"socket.max.fails": 3})
    assert warnings_of(caplog) == [
        'Configuration property "socket.max.fails" has no effect: what follows a lost answer is '
        "ambiguous: the first closes"
    ]


def test_property_not_in_force_is_still_checked():
    with pytest.raises(ConfigError, match="outside allowed range"):
        producer({"socket.max.fails": -1})


def test_property_of_another_role_is_checked_and_warned_of(caplog):
    values = consumer({"linger.ms": 5})
    assert "linger.ms" not in values
    assert "no effect on a client of role consumer" in warnings_of(caplog)[0]
    with pytest.raises(ConfigError):
        consumer({"linger.ms": "x"})


@pytest.mark.parametrize("protocol", ["ssl", "SASL_SSL", "sasl_plaintext"])
def test_secured_connection_is_refused_rather_than_left_plain(protocol):
    with pytest.raises(ConfigError, match=r"security.protocol.*not yet in this release"):
        producer({"security.protocol": protocol})
    assert producer({"security.protocol": "PLAINTEXT"})["security.protocol"] == "plaintext"


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_of_kafka_is_taken(codec):
    assert producer({"compression.codec": codec})["compression.type"] == codec


@pytest.mark.parametrize("level", [-1, 12])
def test_compression_level_is_in_force_within_its_range(level, caplog):
    assert producer({"compression.level": level})["compression.level"] == level
    assert warnings_of(caplog) == []
    beyond = level + (1 if level > 0 else -1)
    with pytest.raises(ConfigError, match=r"outside allowed range -1\.\.12"):
        producer({"compression.level": beyond})


def test_a_transaction_bounds_the_time_of_its_records_and_requests():
    settings = producer({"transactional.id": "t", "transaction.timeout.ms": 5000})
    assert settings["delivery.timeout.ms"] == 5000
    assert settings["socket.timeout.ms"] == 5100
    longest = producer({"transactional.id": "t", "transaction.timeout.ms": 900_000})
    assert longest["delivery.timeout.ms"] == producer({})["delivery.timeout.ms"]
    assert longest["socket.timeout.ms"] == producer({})["socket.timeout.ms"]
    given = {"transactional.id": "t", "transaction.timeout.ms": 5000, "socket.timeout.ms": 9000}
    assert producer(given)["socket.timeout.ms"] == 9000
    assert producer({"transaction.timeout.ms": 5000})["delivery.timeout.ms"] == 120_000


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"delivery.timeout.ms": 60_001}, "delivery.timeout.ms"),
        ({"delivery.timeout.ms": 0}, "delivery.timeout.ms"),
        ({"enable.idempotence": False}, "enable.idempotence"),
        ({"acks": 1}, "acks"),
        ({"retries": 0}, "retries"),
        ({"max.in.flight": 6}, "max.in.flight"),
        ({"transactional.id": "t" * 32768}, "transactional.id"),
    ],
)
def test_what_transactions_cannot_keep_is_refused(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        producer({"transactional.id": "t", **settings})


# idempotence


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"acks": 1}, "`acks` must be all"),
        ({"retries": 0}, "`retries` must be > 0"),
        ({"max.in.flight": 6}, "`max.in.flight` must be set <= 5"),
    ],
)
def test_idempotence_goes_off_with_one_warning_or_raises(conf, reason, caplog):
    assert producer(conf)["enable.idempotence"] is False
    assert len(warnings_of(caplog)) == 1
    assert reason in warnings_of(caplog)[0]
    caplog.clear()
    assert producer({**conf, "enable.idempotence": False})["enable.idempotence"] is False
    assert warnings_of(caplog) == []
    with pytest.raises(ConfigError) as caught:
        producer({**conf, "enable.idempotence": True})
    assert f"{reason} when `enable.idempotence` is true" in caught.value.args[0].str()


def test_all_reasons_come_in_one_warning(caplog):
    producer({"acks": 0, "retries": 0, "max.in.flight": 100})
    assert len(warnings_of(caplog)) == 1
    assert warnings_of(caplog)[0].count(" and ") == 2


def test_idempotence_stays_on_with_what_it_can_keep(caplog):
    values = producer({"acks": "all", "retries": 1, "max.in.flight": 5})
    assert values["enable.idempotence"] is True
    assert warnings_of(caplog) == []


# contradictions


def test_consumer_needs_a_group():
    with pytest.raises(ValueError, match=r"Failed to create consumer: group.id must be set"):
        resolve("consumer", {}, {})


def test_linger_gives_way_to_a_short_delivery_timeout_unless_it_was_set():
    assert producer({"delivery.timeout.ms": 4})["linger.ms"] == 2
    assert producer({"delivery.timeout.ms": 0, "linger.ms": 50})["linger.ms"] == 50
    with pytest.raises(ConfigError, match=r"must be greater than `linger.ms`"):
        producer({"delivery.timeout.ms": 4, "linger.ms": 4})


def test_response_limit_holds_a_whole_fetch():
    values = consumer({"fetch.max.bytes": 2000, "receive.message.max.bytes": 1000})
    assert values["receive.message.max.bytes"] == 2512


def test_backoff_maximum_is_not_below_its_minimum():
    with pytest.raises(ConfigError, match=r"reconnect.backoff.max.ms"):
        producer({"reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 499})


@pytest.mark.parametrize(
    "conf",
    [
        {"session.timeout.ms": 50000, "max.poll.interval.ms": 49999},
        {"group.protocol": "consumer", "session.timeout.ms": 50000},
        {"group.protocol": "consumer", "partition.assignment.strategy": "range"},
        {"partition.assignment.strategy": "range,cooperative-sticky"},
    ],
)
def test_group_settings_that_contradict_raise(conf):
    with pytest.raises(ConfigError):
        consumer(conf)


# secrets


def test_secrets_are_in_no_text():
    values = producer({"sasl.password": "hunter2", "ssl.key.pem": "-----BEGIN", "client.id": "c"})
    assert values["sasl.password"] == "hunter2"
    assert "hunter2" not in repr(values)
    assert "BEGIN" not in repr(values)
    assert "client.id='c'" in repr(values)


def test_config_error_survives_pickle():
    with pytest.raises(ConfigError) as caught:
        producer({"xyzzy": 1})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_describe_finds_a_row_by_any_name():
    assert describe("message.timeout.ms").name == "delivery.timeout.ms"


class FirstTakesAll:
    """A user's own rule; the base class is the group's matter."""

    name = "first-takes-all"

    def assign(self, topics, members):
        return {}


def strategy(given):
    conf = {"bootstrap.servers": "b", "group.id": "g", "partition.assignment.strategy": given}
    return resolve("consumer", conf, {})["partition.assignment.strategy"]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("roundrobin", ("roundrobin",)),
        (" range, sticky ", ("range", "sticky")),
        ("org.apache.kafka.clients.consumer.CooperativeStickyAssignor", ("cooperative-sticky",)),
        (["range", FirstTakesAll], ("range", FirstTakesAll)),
        (FirstTakesAll, (FirstTakesAll,)),
    ],
)
def test_assignors_are_named_or_given(given, taken):
    assert strategy(given) == taken


@pytest.mark.parametrize(
    "given",
    ["", "fair", [], ["range", "range"], [1], [object], type("Nameless", (), {"assign": id})],
)
def test_what_is_no_assignor_is_refused(given):
    with pytest.raises((ConfigError, ConfigTypeError)):
        strategy(given)
