"""The commands of `fastkafka-bench`."""

from __future__ import annotations

import resource
import sys
from datetime import datetime

import click

import fastkafka
from fastkafka.cli import report, target
from fastkafka.cli.bench_options import Load, Shared, load_options, shared_options
from fastkafka.cli.consume_load import ConsumeLoad
from fastkafka.cli.exit_codes import INTERRUPTED, OK, PARTIAL, BenchFailure
from fastkafka.cli.measure import Latencies, Phase
from fastkafka.cli.produce_load import ProduceLoad, samples_text
from fastkafka.cli.properties import properties_for
from fastkafka.cli.roundtrip import RoundTrip

FLUSH_ON_INTERRUPT_S = 10.0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fastkafka.__version__, prog_name="fastkafka-bench")
def bench() -> None:
    """Measure a Kafka client and its brokers: records in, records out, or both ways and compared.

    Rates count values until the last acknowledgement; MB are 2^20 bytes, as in Kafka's own tools.
    Exit codes: 0 all went well, 1 failed, 2 usage, 3 some records were not delivered or not read
    back, 4 no broker could be reached, 130 interrupted.
    """


def say(text: str, quiet: bool = False) -> None:
    """Tell the user something that is not the result."""
    if not quiet:
        click.echo(text, err=True)


@bench.command()
@shared_options
@load_options
def produce(shared: Shared, load: Load) -> int:
    """Send records and print the line of kafka-producer-perf-test."""
    with target.bootstrap(shared.servers) as (servers, text):
        say(text, shared.quiet)
        conf = {**shared.conf, "bootstrap.servers": servers}
        with target.topic_of_run(shared.topic, shared.partitions, conf) as topic:
            run, phase = run_produce(topic, conf, shared, load)
    show([phase], f"produce to {servers}", [samples_text(phase, load.bulk)], shared, False)
    if shared.as_json:
        report.print_json({"command": "produce", **phase.as_dict(), "failed": run.failed[:5]})
    else:
        click.echo(report.producer_perf_line(phase))
    print_process_metrics(shared)
    return PARTIAL if run.unsent or run.failed else OK


def run_produce(
    topic: str, conf: dict[str, str], shared: Shared, load: Load
) -> tuple[ProduceLoad, Phase]:
    """Produce with a bar and interval lines; Ctrl-C flushes what was taken."""
    producer = fastkafka.Producer(properties_for("producer", conf))
    payloads = load.payloads
    windows = report.ProducerWindows(
        payloads.size_bytes() / payloads.record_count,
        (lambda line: say(line, shared.quiet)) if shared.as_json else click.echo,
    )
    with report.progress_bar("produce", payloads.record_count, shared.quiet) as draw:

        def watch(sent: int, latencies: Latencies) -> None:
            draw(sent)
            windows(sent, latencies)

        run = ProduceLoad(producer, topic, payloads, load.bulk, load.rate, None, watch)
        try:
            phase = run.run()
        except KeyboardInterrupt:
            left = producer.flush(FLUSH_ON_INTERRUPT_S)
            raise BenchFailure(f"interrupted; {left} records not sent", INTERRUPTED) from None
    if run.unsent or run.failed:
        say(f"not delivered: {run.unsent} left in the queue; {run.failed[:3]}")
    return run, phase


@bench.command()
@shared_options
@click.option("--messages", "--num-records", type=click.IntRange(1), required=True)
@click.option("--group", default="perf-consumer", show_default=True, help="group.id")
@click.option("--fetch-size", type=click.IntRange(1), help="max.partition.fetch.bytes")
@click.option("--socket-buffer-size", type=int, help="receive.buffer.bytes")
@click.option("--from-latest", is_flag=True, help="Start at the end, not at the beginning.")
@click.option("--timeout", "timeout_ms", default=10_000, show_default=True, help="Idle time, ms.")
@click.option("--reporting-interval", "interval_ms", default=5000, show_default=True)
@click.option("--hide-header", is_flag=True)
@click.option("--show-detailed-stats", "detailed", is_flag=True)
def consume(
    shared: Shared,
    messages: int,
    group: str,
    fetch_size: int | None,
    socket_buffer_size: int | None,
    from_latest: bool,
    timeout_ms: int,
    interval_ms: int,
    hide_header: bool,
    detailed: bool,
) -> int:
    """Read records and print the lines of kafka-consumer-perf-test. All partitions are assigned."""
    if not shared.topic or not shared.servers:
        raise click.UsageError("consume needs --bootstrap-server and --topic: what is it to read?")
    conf = {"group.id": group, "auto.offset.reset": "earliest", **shared.conf}
    if fetch_size:
        conf["max.partition.fetch.bytes"] = str(fetch_size)
    if socket_buffer_size and socket_buffer_size > 0:
        conf["receive.buffer.bytes"] = str(socket_buffer_size)
    conf["bootstrap.servers"] = shared.servers
    start = fastkafka.OFFSET_END if from_latest else fastkafka.OFFSET_BEGINNING
    if not (hide_header or shared.as_json):
        click.echo(report.CONSUMER_DETAILED_HEADER if detailed else report.CONSUMER_HEADER)
    windows = report.ConsumerWindows(interval_ms / 1000, click.echo if detailed else None)
    begun = datetime.now()
    phase, join_s = run_consume(conf, shared, messages, start, timeout_ms / 1000, windows)
    if shared.as_json:
        report.print_json({"command": "consume", **phase.as_dict()})
    elif not detailed:
        click.echo(report.consumer_perf_line(phase, begun, datetime.now(), join_s))
    show([phase], f"consume from {shared.servers}", [], shared, False)
    print_process_metrics(shared)
    if phase.record_count < messages:
        say(
            f"only {phase.record_count} of {messages} records came; then {timeout_ms} ms of silence"
        )
        return PARTIAL
    return OK


def run_consume(
    conf: dict[str, str],
    shared: Shared,
    messages: int,
    start: int,
    idle_timeout_s: float,
    windows: report.ConsumerWindows,
) -> tuple[Phase, float]:
    """Assign all partitions and read; return the figures and the seconds until the assignment."""
    topic = str(shared.topic)
    begun = datetime.now()
    consumer = fastkafka.Consumer(properties_for("consumer", conf))
    try:
        count = target.partition_count(consumer, topic)
        consumer.assign([fastkafka.TopicPartition(topic, p, start) for p in range(count)])
        join_s = (datetime.now() - begun).total_seconds()
        with report.progress_bar("consume", messages, shared.quiet) as draw:

            def watch(records: int, size_bytes: int) -> None:
                draw(records)
                windows(records, size_bytes)

            return ConsumeLoad(consumer, messages, idle_timeout_s, None, watch).run(), join_s
    finally:
        consumer.close()


@bench.command()
@shared_options
@load_options
@click.option("--timeout", "timeout_ms", default=30_000, show_default=True, help="Idle time, ms.")
def roundtrip(shared: Shared, load: Load, timeout_ms: int) -> int:
    """Send records, read them back and compare each with what was sent, in order per partition."""
    with target.bootstrap(shared.servers) as (servers, text):
        say(text, shared.quiet)
        conf = {**shared.conf, "bootstrap.servers": servers}
        with target.topic_of_run(shared.topic, shared.partitions, conf) as topic:
            trip = RoundTrip(topic, load.payloads, conf, load.rate, load.bulk, timeout_ms / 1000)
            trip.run(lambda label, total: report.progress_bar(label, total, shared.quiet))
    if shared.as_json:
        report.print_json({"command": "roundtrip", **trip.as_dict()})
        say(trip.verdict(), shared.quiet)
    else:
        notes = [samples_text(trip.phases[0], load.bulk), trip.verdict()]
        show(trip.phases, f"{load.payloads.record_count:,} records in and out", notes, shared, True)
    for difference in trip.differences():
        say(difference)
    print_process_metrics(shared)
    return trip.exit_code()


def show(
    phases: list[Phase], title: str, notes: list[str], shared: Shared, to_stdout: bool
) -> None:
    """Print the table unless silence was asked for; a verdict always."""
    if not shared.quiet:
        report.print_table(phases, title, notes, to_stdout)
    elif to_stdout:
        click.echo(notes[-1])


def print_process_metrics(shared: Shared) -> None:
    """Print what the process used if asked to, one NAME : VALUE a line as Kafka's tools do."""
    if not shared.print_metrics:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics = {
        "process:cpu-user-seconds": usage.ru_utime,
        "process:cpu-system-seconds": usage.ru_stime,
        "process:resident-memory-max-kilobytes": usage.ru_maxrss,
        "process:context-switches-voluntary": usage.ru_nvcsw,
        "process:context-switches-involuntary": usage.ru_nivcsw,
        "process:page-faults-minor": usage.ru_minflt,
    }
    for name, value in metrics.items():
        print(f"{name:<50} : {value}", file=sys.stderr)
