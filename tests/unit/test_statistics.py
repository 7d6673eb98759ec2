"""Histograms of the core, the windows made of them, and when stats_cb is called."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

import pytest

from fastkafka._core.histogram import BUCKETS, bucket_bounds, histogram_of
from fastkafka.config import resolve
from fastkafka.statistics.reporter import StatisticsReporter
from fastkafka.statistics.throttling import WAITING_MAX, ThrottleReports
from fastkafka.statistics.windows import window_of
from fastkafka.types import ThrottleEvent
from tests.unit import virtual_time

LARGEST = 2**40 - 1


def bucket_of(value: int) -> int:
    (index,) = histogram_of([value])["buckets"]
    return int(index)


def test_buckets_follow_each_other_without_a_gap() -> None:
    expected = 0
    for index in range(BUCKETS):
        lowest, highest = bucket_bounds(index)
        assert lowest == expected
        assert highest - lowest <= lowest / 8
        expected = highest + 1
    assert expected == LARGEST + 1


@pytest.mark.parametrize("value", [0, 1, 7, 8, 9, 15, 16, 17, 1000, 2**31, 2**39, LARGEST])
def test_a_value_is_counted_between_the_bounds_of_its_bucket(value: int) -> None:
    lowest, highest = bucket_bounds(bucket_of(value))
    assert lowest <= value <= highest


def test_there_is_no_bucket_beyond_the_last() -> None:
    for index in (-1, BUCKETS):
        with pytest.raises(IndexError):
            bucket_bounds(index)


def test_a_value_beyond_the_last_bucket_is_out_of_range_and_one_below_0_counts_as_0() -> None:
    counted = histogram_of([LARGEST + 1, 2**62, -5])
    assert counted == {"count": 1, "sum": 0, "out_of_range_count": 2, "buckets": {0: 1}}
    assert window_of(counted)["outofrange"] == 2


def test_percentiles_are_within_one_part_in_sixteen() -> None:
    generator = random.Random(5)
    values = sorted(int(generator.lognormvariate(7, 1.5)) for _ in range(10000))
    window = window_of(histogram_of(values))
    assert (window["cnt"], window["sum"]) == (10000, sum(values))
    assert window["avg"] == sum(values) // 10000
    for key, share in (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99)):
        exact = values[int(share * 10000) - 1]
        assert window[key] == pytest.approx(exact, rel=1 / 16, abs=1)  # type: ignore[literal-required]
    average = sum(values) / 10000
    deviation = (sum((value - average) ** 2 for value in values) / 10000) ** 0.5
    assert window["stddev"] == pytest.approx(deviation, rel=1 / 8)
    assert window["min"] <= values[0] <= values[-1] <= window["max"]


def test_an_empty_window_is_all_zeros_but_for_its_size() -> None:
    window = window_of(None)
    assert {key: value for key, value in window.items() if value} == {"hdrsize": 4 * BUCKETS}


def test_a_window_leaves_out_what_an_earlier_one_had() -> None:
    earlier = histogram_of([5] * 10)
    window = window_of(histogram_of([5] * 10 + [100] * 2), earlier)
    assert (window["cnt"], window["sum"]) == (2, 200)
    assert window["min"] <= 100 <= window["max"]
    assert window["min"] > 5


def test_a_bucket_that_wrapped_gives_the_right_difference() -> None:
    earlier = {"count": 1, "sum": 5, "out_of_range_count": 0, "buckets": {5: 2**32 - 1}}
    now = {"count": 4, "sum": 20, "out_of_range_count": 0, "buckets": {5: 2}}
    assert window_of(now, earlier)["p50"] == 5


# when stats_cb is called


class FakeClient:
    """Notes what is to be called by poll()."""

    def __init__(self) -> None:
        self.events: list[Callable[[Any], object]] = []

    def post_event(self, callback: Callable[[Any], object], _argument: object) -> None:
        self.events.append(callback)


def reporter_of(client: Any, interval_ms: int) -> StatisticsReporter:
    settings = resolve("producer", {"stats_cb": print, "statistics.interval.ms": interval_ms}, {})
    return StatisticsReporter(client, settings, "producer", "c#producer-1")


def test_one_call_waits_at_most_while_nobody_polls() -> None:
    client = FakeClient()

    async def let_time_pass() -> None:
        task = asyncio.create_task(reporter_of(client, 1000).keep_telling())
        await virtual_time.pass_ms(900)
        assert len(client.events) == 0
        await virtual_time.pass_ms(200)
        assert len(client.events) == 1
        await virtual_time.pass_ms(60000)
        assert len(client.events) == 1
        task.cancel()

    virtual_time.run(let_time_pass())


def test_telling_ends_with_the_client() -> None:
    async def let_time_pass() -> None:
        client = FakeClient()
        task = asyncio.create_task(reporter_of(client, 1000).keep_telling())
        await virtual_time.pass_ms(1500)
        del client
        gc.collect()
        await virtual_time.pass_ms(1000)
        assert task.done()

    virtual_time.run(let_time_pass())


@pytest.mark.parametrize(
    ("conf", "is_wanted"),
    [
        ({}, False),
        ({"stats_cb": print}, False),
        ({"statistics.interval.ms": 5}, False),
        ({"stats_cb": print, "statistics.interval.ms": 5}, True),
    ],
)
def test_statistics_are_told_when_both_callback_and_interval_are_given(
    conf: dict[str, Any], is_wanted: bool
) -> None:
    client: Any = FakeClient()
    reporter = StatisticsReporter(
        client, resolve("consumer", {"group.id": "g", **conf}, {}), "consumer", "c#consumer-1"
    )
    assert reporter.is_wanted() is is_wanted


def test_a_throttle_event_has_the_words_of_confluent_kafka() -> None:
    event = ThrottleEvent("10.0.0.7:9092", 3, 0.25)
    assert str(event) == "10.0.0.7:9092/3 throttled for 250 ms"
    assert event == ThrottleEvent("10.0.0.7:9092", 3, 0.25)
    assert event != ThrottleEvent("10.0.0.7:9092", 3, 0.251)


def test_events_that_nobody_polls_for_are_not_kept_without_end() -> None:
    told: list[ThrottleEvent] = []
    client: Any = FakeClient()
    reports = ThrottleReports(told.append)
    events = [ThrottleEvent("b:1", 1, time_s) for time_s in range(WAITING_MAX + 1)]
    for event in events:
        reports.tell(client, event)
    assert len(client.events) == WAITING_MAX
    for serve in client.events:
        serve(None)
    assert told == events[:WAITING_MAX]
    reports.tell(client, events[-1])
    client.events[-1](None)
    assert told[-1] == events[-1]


def test_without_throttle_cb_nothing_waits_for_poll() -> None:
    client: Any = FakeClient()
    ThrottleReports(None).tell(client, ThrottleEvent("b:1", 1, 1.0))
    assert client.events == []
