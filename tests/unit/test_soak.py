"""What the soak makes of its samples."""

from __future__ import annotations

import pytest

from benchmarks.soak import RECORDS_JUDGED_MIN, Sample, complaints, settled, slope_mb


def samples(
    growth_kb: int, count: int = 100, descriptors: int = 17, threads: int = 3
) -> list[Sample]:
    """Samples a million records apart, growing by so much each."""
    return [
        Sample(number * 1_000_000, number / 2, 50_000 + number * growth_kb, descriptors, threads)
        for number in range(1, count + 1)
    ]


def test_the_slope_is_the_growth_per_ten_million_records() -> None:
    assert slope_mb(samples(0)) == 0
    assert slope_mb(samples(1024)) == pytest.approx(10.0)
    assert slope_mb(samples(-512)) == pytest.approx(-5.0)
    with pytest.raises(ValueError, match="two samples"):
        slope_mb(samples(0, count=1))


@pytest.mark.parametrize(("growth_kb", "found"), [(0, 0), (100, 0), (104, 1)])
def test_a_slope_over_a_megabyte_is_a_complaint(growth_kb: int, found: int) -> None:
    assert len(complaints(samples(growth_kb))) == found


def test_what_a_client_takes_once_is_no_leak() -> None:
    steady = samples(0)
    first = [Sample(one.records, 0.0, 1000, 17, 3) for one in steady[:10]]
    assert complaints([*first, *steady[10:]]) == []


def test_few_records_say_nothing_about_a_slope() -> None:
    few = samples(5000, count=RECORDS_JUDGED_MIN // 1_000_000 - 1)
    assert complaints(few) == []


@pytest.mark.parametrize("name", ["descriptors", "threads"])
def test_a_leaked_descriptor_or_thread_is_a_complaint(name: str) -> None:
    more = {"descriptors": 17, "threads": 3, name: 18}
    last = Sample(101_000_000, 51.0, 50_000, **more)
    (complaint,) = complaints([*samples(0), last])
    assert name in complaint


def test_two_samples_are_never_settled_away() -> None:
    assert len(settled(samples(0, count=2))) == 2
    assert len(settled(samples(0, count=100))) == 90
