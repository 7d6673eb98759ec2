"""What compare.py compares: the jobs, their rows, and what fastkafka has to reach in them.

In:     nothing: these are tables
Out:    Row: a peer, its mode and its settings; Target: a ratio between two rows
Next:   compare.py runs the rows, report.py judges the targets
"""

from __future__ import annotations

from dataclasses import dataclass

# The clients that are an order slower send fewer records: their cost per record stays the same.
SLOW_SHARE = 0.1


@dataclass(frozen=True)
class Row:
    """One line of a table: a peer in one mode."""

    label: str
    peer: str  # a key of peers.roster.PEERS
    mode: str = "produce"
    settings: str = "tuned"
    share: float = 1.0  # of the records of the job
    note: str = ""


@dataclass(frozen=True)
class Target:
    """At most so much of another row's figure; more is better when `at_least` is set.

    It holds for records of one size, not compressed: the codecs cost every client the same.
    """

    label: str
    against: str
    figure: str
    ratio: float
    at_least: bool = False
    size: int = 100


@dataclass(frozen=True)
class Job:
    """A job: its rows, and its targets."""

    name: str
    rows: tuple[Row, ...]
    targets: tuple[Target, ...] = ()
    records_max: int | None = None
    linger_ms: int = 5
    rates: tuple[int, ...] = (0,)
    is_held: bool = False  # the records stay in the client: only the null broker does that
    reads: bool = False  # all rows read one topic, which is filled before: only real Kafka has it


CPU, RATE = "cpu_us_per_record", "records_per_second"
PRODUCE, CALLBACK, MANY = (
    "fastkafka produce",
    "fastkafka produce + callback",
    "fastkafka produce_many",
)
COLUMN = "fastkafka produce_many, numpy"
TUNED, TUNED_CALLBACK = "confluent-kafka tuned", "confluent-kafka tuned + callback"

THROUGHPUT = Job(
    "throughput",
    (
        Row(PRODUCE, "fastkafka"),
        Row(CALLBACK, "fastkafka", "produce_callback"),
        Row(MANY, "fastkafka", "produce_many"),
        Row(COLUMN, "fastkafka", "produce_column"),
        Row("confluent-kafka default", "confluent-kafka", settings="default"),
        Row(TUNED, "confluent-kafka"),
        Row(TUNED_CALLBACK, "confluent-kafka", "produce_callback"),
        Row("librdkafka in C", "librdkafka"),
        Row("librdkafka in C, produce_batch", "librdkafka", "produce_batch"),
        Row("franz-go", "franz-go"),
        Row("Java ProducerPerformance", "java", note="second run in its JVM"),
        Row("aiokafka", "aiokafka", share=SLOW_SHARE),
        Row("kafka-python", "kafka-python", share=SLOW_SHARE),
    ),
    (
        Target(PRODUCE, TUNED, CPU, 1 / 8),
        Target(CALLBACK, TUNED_CALLBACK, CPU, 1 / 5),
        Target(MANY, TUNED, CPU, 1 / 20),
        Target(MANY, "librdkafka in C", CPU, 1 / 5),
        Target(MANY, "librdkafka in C, produce_batch", CPU, 1 / 5),
        Target(MANY, "franz-go", CPU, 1 / 5),
        Target(PRODUCE, TUNED, CPU, 1 / 5, size=1000),
        Target(MANY, TUNED, CPU, 1 / 6, size=1000),
    ),
)
PACED = Job(
    "paced",
    (Row(PRODUCE, "fastkafka", "paced"), Row(TUNED, "confluent-kafka", "paced")),
    (Target(PRODUCE, TUNED, CPU, 1 / 4), Target(PRODUCE, TUNED, "requests_per_second", 1.0)),
    rates=(10_000, 100_000),
)
LATENCY = Job(
    "latency",
    (
        Row(PRODUCE, "fastkafka", "latency"),
        Row(TUNED, "confluent-kafka", "latency"),
        Row("librdkafka in C", "librdkafka", "latency"),
        Row("franz-go", "franz-go", "latency"),
        Row("aiokafka", "aiokafka", "latency"),
        Row("kafka-python", "kafka-python", "latency"),
    ),
    (Target(PRODUCE, TUNED, "p50_us", 1.0), Target(PRODUCE, TUNED, "p99_us", 1.0)),
    records_max=5000,
    linger_ms=0,
)
MEMORY = Job(
    "memory",
    (
        Row(PRODUCE, "fastkafka", "memory"),
        Row(CALLBACK, "fastkafka", "memory_callback"),
        Row(TUNED, "confluent-kafka", "memory"),
        Row(TUNED_CALLBACK, "confluent-kafka", "memory_callback"),
    ),
    (
        Target(PRODUCE, "payload", "resident_over_idle_mb", 1.3),
        Target(CALLBACK, "payload", "resident_over_idle_mb", 1.5),
    ),
    is_held=True,
)
LIMIT = Job(
    "limit",
    (
        Row("pre-encoded batches", "pre-encoded"),
        Row(MANY, "fastkafka", "produce_many"),
        Row(COLUMN, "fastkafka", "produce_column"),
        Row(PRODUCE, "fastkafka"),
    ),
    (Target(MANY, "pre-encoded batches", RATE, 0.85, at_least=True),),
)
CONSUME, POLL, COLUMNS = "fastkafka consume", "fastkafka poll", "fastkafka columns"
TUNED_CONSUME, TUNED_POLL = "confluent-kafka tuned, consume", "confluent-kafka tuned, poll"
READING = Job(
    "reading",
    (
        Row(CONSUME, "fastkafka consumer", "consume"),
        Row(POLL, "fastkafka consumer", "poll"),
        Row(COLUMNS, "fastkafka consumer", "columns"),
        Row("fastkafka columns, values()", "fastkafka consumer", "values"),
        Row(TUNED_CONSUME, "confluent-kafka consumer", "consume"),
        Row(TUNED_POLL, "confluent-kafka consumer", "poll"),
        Row("confluent-kafka default, consume", "confluent-kafka consumer", "consume", "default"),
        Row("confluent-kafka default, poll", "confluent-kafka consumer", "poll", "default"),
        Row("librdkafka in C", "librdkafka consumer", "consume"),
        Row("librdkafka in C, default", "librdkafka consumer", "consume", "default"),
        Row("franz-go", "franz-go", "consume"),
        Row("aiokafka", "aiokafka consumer", "consume"),
        Row("kafka-python", "kafka-python consumer", "consume"),
    ),
    (
        Target(CONSUME, TUNED_CONSUME, CPU, 1 / 10),
        Target(POLL, TUNED_POLL, CPU, 1 / 6),
        Target(COLUMNS, TUNED_CONSUME, CPU, 1 / 25),
        Target(COLUMNS, "librdkafka in C", CPU, 1 / 6),
        Target(CONSUME, TUNED_CONSUME, CPU, 1 / 5, size=1000),
        Target(COLUMNS, TUNED_CONSUME, CPU, 1 / 7, size=1000),
    ),
    reads=True,
)
JOBS = {job.name: job for job in (THROUGHPUT, PACED, LATENCY, MEMORY, LIMIT, READING)}
