"""Mutated requests end in an error code or a closed connection: no crash, no growth, no neighbour.

FASTKAFKA_FUZZ=N sends N times as many, from another seed; `make fuzz` sends two million.
"""

from __future__ import annotations

import collections
import re
import sys

import pytest

from fastkafka.broker import EmbeddedBroker
from tests.fuzz.broker_fuzz import TIDY_EVERY, BrokerFuzz, resident_bytes
from tests.fuzz.mutants import FUZZ, SEED

REQUESTS = 4000 * max(FUZZ, 1)
GROWN_BYTES_MAX = 256 * 2**20

pytestmark = [pytest.mark.timeout(60 + 30 * max(FUZZ, 1)), pytest.mark.resident]


def test_mutated_requests_disturb_nobody() -> None:
    with EmbeddedBroker(log_level="ERROR") as broker, BrokerFuzz(broker, SEED) as fuzz:
        before = resident_bytes(broker.process_id)

        def tell() -> None:
            if FUZZ and fuzz.sent % 100_000 < TIDY_EVERY:
                grown = (fuzz.peak_bytes - before) / 2**20
                print(
                    f"seed {SEED}: {fuzz.sent} of {REQUESTS} sent, {fuzz.hung_up} connections "
                    f"closed, {fuzz.stalled} left waiting, {grown:.0f} MiB grown, bystander "
                    f"{fuzz.slowest_s:.2f} s at worst",
                    file=sys.stderr,
                    flush=True,
                )

        fuzz.run(REQUESTS, tell)
        assert fuzz.hung_up > 0, f"seed {SEED}: no mutant was refused: the mutations do nothing"
        assert fuzz.peak_bytes - before < GROWN_BYTES_MAX, f"seed {SEED}"
        failures = re.findall(r"^\w*(?:Error|Exception)\b.*$", broker.log_text(), re.MULTILINE)
        assert not failures, f"seed {SEED}: {collections.Counter(failures)}"
