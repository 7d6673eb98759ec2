"""What the benchmarks make of measurements: medians, ratios, verdicts, charts, values."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.chart import Bar, LogAxis, dot_chart, number_text
from benchmarks.figures import Spread, ratio_text, spread_of, spreads_of
from benchmarks.jobs import JOBS, Job, Row, Target
from benchmarks.payloads import VALUES_DISTINCT, distinct_values, write_payload_file
from benchmarks.peers.measuring import each_value, percentiles, read_values
from benchmarks.peers.roster import PEERS
from benchmarks.report import Cell, table_of, verdicts_of

SVG = "{http://www.w3.org/2000/svg}"


def measurement(cpu_seconds: float, seconds: float = 1.0) -> dict[str, float]:
    return {"records": 1_000_000, "cpu_seconds": cpu_seconds, "seconds": seconds}


def cell_of(targets: tuple[Target, ...], costs: dict[str, list[float]]) -> Cell:
    job = Job("test", tuple(Row(label, "fastkafka") for label in costs), targets)
    cell = Cell(job, size=100, partitions=6, codec="none", rate=0, records=1_000_000)
    cell.measurements = {label: [measurement(cost) for cost in row] for label, row in costs.items()}
    return cell


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert spread_of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)
    assert spread_of([1.0, 2.0, 3.0, 10.0]).median == 2.5
    with pytest.raises(ValueError, match="median of nothing"):
        spread_of([])


def test_figures_that_a_peer_does_not_give_are_left_out() -> None:
    spreads = spreads_of([measurement(0.2, 0.5), measurement(0.4, 0.25)])
    assert spreads["cpu_us_per_record"] == Spread(pytest.approx(0.3), 0.2, 0.4)
    assert spreads["records_per_second"].high == 4_000_000
    assert "p50_us" not in spreads


@pytest.mark.parametrize(
    ("ours", "theirs", "text"), [(1.0, 8.0, "1/8.0"), (2.0, 1.0, "2.00x"), (0.0, 1.0, "-")]
)
def test_a_ratio_reads_as_people_say_it(ours: float, theirs: float, text: str) -> None:
    assert ratio_text(ours, theirs) == text


@pytest.mark.parametrize(("cost", "met"), [(0.125, True), (0.126, False)])
def test_a_target_is_judged_by_medians(cost: float, met: bool) -> None:
    target = Target("a", "b", "cpu_us_per_record", 1 / 8)
    cell = cell_of((target,), {"a": [cost, cost, 9.0], "b": [1.0, 1.0, 0.01]})
    (verdict,) = verdicts_of(cell)
    assert verdict.met is met
    assert verdict.text().startswith("met" if met else "MISSED")


@pytest.mark.parametrize(("ours_seconds", "met"), [(1.17, True), (1.19, False)])
def test_a_rate_has_to_be_at_least_so_much(ours_seconds: float, met: bool) -> None:
    target = Target("a", "b", "records_per_second", 0.85, at_least=True)
    cell = cell_of((target,), {"a": [], "b": []})
    cell.measurements = {"a": [measurement(1.0, ours_seconds)], "b": [measurement(1.0)]}
    assert [verdict.met for verdict in verdicts_of(cell)] == [met]


def test_a_target_whose_peer_is_missing_is_not_judged() -> None:
    target = Target("a", "nobody", "cpu_us_per_record", 1 / 8)
    assert verdicts_of(cell_of((target,), {"a": [1.0]})) == []


@pytest.mark.parametrize(("size", "codec"), [(1000, "none"), (100, "lz4")])
def test_a_target_holds_for_its_size_and_without_compression(size: int, codec: str) -> None:
    cell = cell_of((Target("a", "b", "cpu_us_per_record", 1 / 8),), {"a": [1.0], "b": [1.0]})
    assert len(verdicts_of(cell)) == 1
    cell.size, cell.codec = size, codec
    assert verdicts_of(cell) == []


def test_memory_is_judged_against_the_payload() -> None:
    target = Target("a", "payload", "resident_over_idle_mb", 1.3)
    cell = cell_of((target,), {"a": []})
    for size_kb, met in ((126_000, True), (128_000, False)):
        cell.measurements = {"a": [{**measurement(1.0), "resident_over_idle_kb": size_kb}]}
        assert [verdict.met for verdict in verdicts_of(cell)] == [met]


def test_the_table_shows_every_row_and_its_ratio() -> None:
    cell = cell_of((), {"fastkafka": [0.5], "other": [2.0, 3.0, 2.5]})
    table = table_of(cell)
    assert "2.500 (2.000..3.000)" in table
    assert "5.00x" in table


def test_every_row_names_a_peer_and_every_target_a_row() -> None:
    for job in JOBS.values():
        labels = {row.label for row in job.rows}
        assert {row.peer for row in job.rows} <= set(PEERS)
        for target in job.targets:
            assert target.label in labels
            assert target.against in labels | {"payload"}


def test_the_chart_has_a_row_for_each_client_the_least_first() -> None:
    bars = [Bar("<slow>", Spread(9.0, 8.0, 11.0)), Bar("ours", Spread(0.12, 0.1, 0.2), True)]
    root = ElementTree.fromstring(dot_chart("CPU & more", "how", bars))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts.index("ours") < texts.index("<slow>")
    assert {"CPU & more", "0.12", "9.0"} <= set(texts)
    places = [float(element.attrib["cx"]) for element in root.iter(f"{SVG}circle")]
    assert places[0] < places[1]


def test_a_chart_of_nothing_or_of_zero_is_refused() -> None:
    for bars in ([], [Bar("a", Spread(1.0, 0.0, 1.0))]):
        with pytest.raises(ValueError, match="chart"):
            dot_chart("t", "s", bars)


def test_the_axis_spans_its_numbers() -> None:
    axis = LogAxis(0.3, 45.0, left=0, right=100)
    assert (axis.low, axis.high) == (0.2, 50.0)
    assert axis.place(0.2) == 0
    assert axis.place(50.0) == pytest.approx(100)
    assert axis.ticks()[0] == 0.2
    alone = LogAxis(1.0, 1.0, left=0, right=100)
    assert alone.low < alone.high


@pytest.mark.parametrize(
    ("value", "text"), [(0.0347, "0.035"), (0.19, "0.19"), (1.04, "1.0"), (45.3, "45")]
)
def test_numbers_have_two_digits(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_values_differ_and_have_their_size(size: int) -> None:
    values = distinct_values(size)
    assert len(set(values)) == VALUES_DISTINCT
    assert {len(value) for value in values} == {size}


def test_values_too_short_to_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        distinct_values(7)


def test_a_payload_file_is_read_back_as_written(tmp_path: Path) -> None:
    path = write_payload_file(tmp_path, 10)
    assert read_values(path) == distinct_values(10)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_values_are_sent_in_turn(count: int) -> None:
    values = [b"a", b"b", b"c"]
    sent = [value for chunk in each_value(values, count) for value in chunk]
    assert sent == [values[number % 3] for number in range(count)]


def test_percentiles_are_of_the_nearest_rank() -> None:
    found = percentiles([float(number) for number in range(1000, 0, -1)])
    assert found == {"p50_us": 501.0, "p99_us": 991.0, "p999_us": 1000.0}
    assert percentiles([5.0])["p999_us"] == 5.0
