"""The records of a bench run, and the comparison of what came back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastkafka.cli.consume_load import Expectation
from fastkafka.cli.exit_codes import USAGE, BenchFailure
from fastkafka.cli.payloads import Payloads, from_file, generated
from fastkafka.cli.properties import (
    parse_properties,
    properties_for,
    read_properties_file,
    spread_properties,
)


def all_records(payloads: Payloads) -> list[bytes]:
    return [value for n in range(payloads.chunk_count()) for value in payloads.chunk(n)]


def test_generated_records_have_the_size_and_are_distinct() -> None:
    payloads = generated(2500, 100)
    records = all_records(payloads)
    assert len(records) == 2500 == len(set(records))
    assert {len(record) for record in records} == {100}
    assert payloads.size_bytes() == 250_000


def test_generated_records_repeat_after_the_distinct_ones() -> None:
    payloads = Payloads([b"a", b"bb", b"ccc"], record_count=2002)
    records = all_records(payloads)
    assert records == ([b"a", b"bb", b"ccc"] * 668)[:2002]
    assert payloads.size_bytes() == sum(map(len, records))


def test_each_line_of_a_file_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.write_bytes(b"one\n\ntwo \r\nlast without end \xff")
    assert from_file(path, None).values == [b"one", b"", b"two \r", b"last without end \xff"]
    assert all_records(from_file(path, 2)) == [b"one", b""]
    path.write_bytes(b"one\n")
    assert from_file(path, None).values == [b"one"]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.touch()
    with pytest.raises(BenchFailure, match="empty") as caught:
        from_file(path, None)
    assert caught.value.exit_code == USAGE


PAYLOADS = Payloads([b"%d" % number for number in range(3500)], record_count=3500)


def test_equal_records_in_order_pass() -> None:
    expectation = Expectation(PAYLOADS, partitions=2)
    expectation.check(1, PAYLOADS.chunk(1))
    expectation.check(0, PAYLOADS.chunk(0) + PAYLOADS.chunk(2)[:1])
    expectation.check(0, PAYLOADS.chunk(2)[1:])
    expectation.check(1, PAYLOADS.chunk(3))
    assert expectation.different_count == 0
    assert expectation.missing_count() == 0


@pytest.mark.parametrize(
    ("what", "records"),
    [
        ("lost", PAYLOADS.values[1:1000]),
        ("twice", PAYLOADS.values[:1] + PAYLOADS.values[:999]),
        ("swapped", [PAYLOADS.values[1], PAYLOADS.values[0], *PAYLOADS.values[2:1000]]),
        ("changed", [b"x", *PAYLOADS.values[1:1000]]),
    ],
)
def test_a_record_that_is_wrong_is_found(what: str, records: list[bytes]) -> None:
    expectation = Expectation(PAYLOADS, partitions=4)
    expectation.check(0, records)
    assert expectation.different_count > 0, what
    assert re.match(r"partition 0 record [01]: ", expectation.differences[0])


def test_more_records_than_sent_are_found() -> None:
    expectation = Expectation(PAYLOADS, partitions=4)
    expectation.check(0, [*PAYLOADS.chunk(0), b"extra"])
    assert expectation.different_count == 1


def test_records_that_never_came_are_counted() -> None:
    expectation = Expectation(PAYLOADS, partitions=4)
    expectation.check(0, PAYLOADS.chunk(0))
    assert expectation.missing_count() == 2500


def test_properties_follow_one_option_as_in_kafkas_tool() -> None:
    given = ["produce", "--producer-props", "acks=all", "linger.ms=5", "--topic", "a=b"]
    option = "--producer-props"
    assert spread_properties(given) == [
        "produce",
        option,
        "acks=all",
        option,
        "linger.ms=5",
        "--topic",
        "a=b",
    ]


def test_a_property_without_a_value_is_refused_and_not_shown() -> None:
    assert parse_properties(["a.b=c=d"]) == {"a.b": "c=d"}
    with pytest.raises(BenchFailure, match="NAME=VALUE"):
        parse_properties(["acks"])


def test_a_java_properties_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "client.properties"
    path.write_text("# comment\n! another\nacks = all\nlinger.ms:5\n\nclient.id=a\\\n  b=c\n")
    assert read_properties_file(path) == {"acks": "all", "linger.ms": "5", "client.id": "ab=c"}
    path.write_text("acks\n")
    with pytest.raises(BenchFailure, match="neither"):
        read_properties_file(path)


def test_each_client_gets_the_properties_of_its_role() -> None:
    conf = {"bootstrap.servers": "a:1", "acks": "all", "fetch.min.bytes": "1", "no.such": "x"}
    assert set(properties_for("producer", conf)) == {"bootstrap.servers", "acks", "no.such"}
    assert set(properties_for("consumer", conf)) == {
        "bootstrap.servers",
        "fetch.min.bytes",
        "no.such",
    }
