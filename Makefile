# The one way to build, test and measure. Bare `make` lists the targets.
# PYTHON=python3.12 chooses an interpreter; VENV=DIR its environment; T=path::test one test.

VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.stamp
BUILT := $(VENV)/.built
ROOMS := $(wildcard _ext/*.pyx _ext/*.pxd)
PYTEST := PYTHONPATH=. $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup build test quick one lint format types gen gen-check interop kill-broker bench micro compare compare-peers compare-consumers partition-spread reading-spread soak compare-brokers isolated-tests fuzz group-events asan matrix chroot ci clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 24

$(STAMP): pyproject.toml tools/setup.sh
	@VENV=$(VENV) bash tools/setup.sh

$(BUILT): $(STAMP) setup.py $(ROOMS)
	@$(PY) setup.py -q build_ext --inplace
	@touch $@

setup: $(STAMP)  ## install what is missing: Debian packages, a virtual environment, Python packages
	@if [ -n "$(FASTKAFKA_REQUIRE_KAFKA)" ]; then VENV=$(VENV) bash tools/setup.sh; fi
	@echo "set up: $$($(PY) -V) in $(VENV)"

build: $(BUILT)  ## compile the rooms of _ext/ that changed, in place

test: build      ## all tests that CI runs; says what it skipped and why
	@$(PYTEST) tests

quick: build     ## unit, protocol and style tests, within a minute
	@$(PYTEST) -q -n auto tests/unit tests/protocol tests/style

one: build       ## one test: make one T=tests/unit/test_crc32c.py::test_name
	@test -n "$(T)" || { echo "say which test: make one T=tests/unit/test_crc32c.py::test_name"; exit 2; }
	@$(PYTEST) $(T)

lint: $(STAMP)   ## ruff, cython-lint, import-linter, codespell
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/cython-lint _ext
	@PYTHONPATH=. $(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/codespell

format: $(STAMP) ## rewrite Python files the way `make lint` wants them
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(STAMP)  ## mypy --strict on fastkafka, tools and benchmarks
	@$(PY) -m mypy

gen: $(STAMP)    ## write fastkafka/protocol/messages/ from Kafka's own definitions, and docs/configuration.md
	@$(PY) tools/generate_messages.py
	@PYTHONPATH=. $(PY) tools/generate_configuration.py

gen-check: $(STAMP) ## fail when what `make gen` writes differs from what is there
	@PYTHONPATH=. $(PY) tools/generate_configuration.py --check
	@$(PY) tools/generate_messages.py --check

interop: build   ## tests against real Apache Kafka and foreign clients (Java 17, Maven, kcat)
	@$(PYTEST) $(wildcard tests/interop tests/chaos)

kill-broker: build ## kill -9 of the embedded broker two hundred times during appends, in every fsync policy
	@KILLS=200 $(PYTEST) tests/chaos/test_broker_kills.py

bench: build     ## one million records in and out of the embedded broker, verified, with figures
	@$(VENV)/bin/fastkafka-bench roundtrip --num-records 1000000 --record-size 100

micro: build     ## micro-benchmarks of single rooms (pytest-benchmark)
	@$(PYTEST) benchmarks/micro --benchmark-only --benchmark-columns=min,median,ops

compare: build   ## client CPU per record against confluent-kafka-python, on real Kafka
	@PYTHONPATH=. $(PY) benchmarks/compare_clients.py

compare-peers: build ## producers side by side: Python, C, Go and Java clients, on real Kafka
	@$(PY) benchmarks/compare.py

compare-consumers: build ## consumers side by side: Python, C and Go clients, on real Kafka
	@$(PY) benchmarks/compare.py --jobs reading --partitions 4 --records 2500000

partition-spread: build ## a hundred partitions, a hundred topics: CPU per record against one partition
	@$(PY) benchmarks/partition_spread.py

reading-spread: build ## what it costs to read a thousand partitions instead of four
	@$(PY) benchmarks/reading_spread.py

soak: build      ## 100 million records at full rate: memory flat, no descriptor or thread leaked
	@$(PY) benchmarks/soak.py

isolated-tests: build ## 1000 tests, each with a topic and clients of its own, in at most 30 s
	@$(PY) benchmarks/topic_isolated_tests.py --tests 1000 --seconds-max 30

fuzz: build      ## two million mutated requests for the embedded broker; coordinators that lie to members
	@FASTKAFKA_FUZZ=500 $(PYTEST) -s tests/fuzz/test_broker_fuzz.py
	@FASTKAFKA_FUZZ=10 $(PYTEST) -s tests/fuzz/test_group_fuzz.py

group-events: build ## 200 deaths, stops and arrivals in groups on Apache Kafka, for each assignor and KIP-848 (hours)
	@set -e; for version in 4.3.1 3.9.2; do \
	  for assignor in range roundrobin sticky cooperative-sticky; do \
	    $(PY) -m tests.chaos.group_events --assignor $$assignor --version $$version; done; \
	  $(PY) -m tests.chaos.group_events --protocol consumer --version $$version; done

compare-brokers: build ## throughput of the embedded broker against Apache Kafka, with 1 MB batches
	@PYTHONPATH=. $(PY) benchmarks/compare_brokers.py

asan: $(STAMP)   ## unit, protocol and integration tests with address and undefined-behaviour sanitisers
	@VENV=$(VENV) bash tools/asan.sh

matrix:          ## the tests on Python 3.10, 3.11, 3.12 and 3.13, each with its own environment
	@bash tools/matrix.sh

chroot:          ## `make bench` and `make test` in a fresh Debian 12 (root, debootstrap)
	@bash tools/chroot_test.sh

ci: lint types test ## what .ci/run runs

clean:           ## remove what was built (environments stay)
	@rm -rf build fastkafka/_core/*.so .venv*/.built
