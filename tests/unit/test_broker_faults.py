"""Which requests a fault hits, and for how long."""

from __future__ import annotations

import pytest

from fastkafka.broker.faults import Fault, Faults
from fastkafka.errors import ConfigError


def test_a_fault_hits_its_api_only() -> None:
    faults = Faults()
    fault = Fault(api="produce", error_code=6)
    faults.add(fault)
    assert faults.take("fetch") is None
    assert faults.take("produce") is fault
    assert faults.take("produce") is fault


def test_a_fault_without_api_hits_all() -> None:
    faults = Faults()
    faults.add(Fault(delay_ms=1))
    assert faults.take("fetch") == faults.take("metadata") == Fault(delay_ms=1)


def test_a_fault_is_used_up_and_the_next_one_follows() -> None:
    faults = Faults()
    first, second = Fault(error_code=1, times=2), Fault(api="produce", error_code=2)
    faults.add(first)
    faults.add(second)
    assert [faults.take("produce") for _ in range(4)] == [first, first, second, second]
    assert faults.take("fetch") is None


def test_faults_are_removed_by_id_or_all() -> None:
    faults = Faults()
    first = faults.add(Fault(error_code=1))
    faults.add(Fault(error_code=2))
    faults.remove(first)
    faults.remove(first)
    assert faults.take("produce") == Fault(error_code=2)
    faults.clear()
    assert faults.take("produce") is None


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"api": "produces"}, "produces"),
        ({"drop_connection": "during"}, "during"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"times": 0}, "times"),
        ({"eror_code": 1}, "eror_code"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(values: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Fault.from_mapping(values)
