"""The commands of `fastkafka-bench` and their options."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

import fastkafka
from fastkafka.cli import report, target
from fastkafka.cli.consume_load import ConsumeLoad
from fastkafka.cli.exit_codes import INTERRUPTED, OK, PARTIAL, BenchFailure
from fastkafka.cli.measure import Latencies, Phase
from fastkafka.cli.payloads import Payloads, from_file, generated
from fastkafka.cli.produce_load import ProduceLoad, samples_text
from fastkafka.cli.properties import parse_properties, read_properties_file
from fastkafka.cli.roundtrip import RoundTrip

FLUSH_ON_INTERRUPT_S = 10.0
Command = TypeVar("Command", bound=Callable[..., Any])


def options(*added: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Put options on a command in the order in which they are to be listed."""

    def decorate(command: Command) -> Command:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


SHARED = options(
    click.option(
        "-b",
        "--bootstrap-server",
        "--broker-list",
        "servers",
        help="Brokers, HOST:PORT,...; without it the embedded broker is started.",
    ),
    click.option("-t", "--topic", help="Topic; without it one is made for this run and deleted."),
    click.option("--partitions", default=4, show_default=True, help="Of a topic that is made."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="No progress bar, no table."),
    click.option("--print-metrics", is_flag=True, help="Also print what the run cost, in detail."),
    click.option(
        "--producer-props",
        "--command-property",
        "properties",
        multiple=True,
        metavar="NAME=VALUE...",
        help="Client properties.",
    ),
    click.option(
        "--producer.config",
        "--consumer.config",
        "--command-config",
        "properties_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A .properties file with client properties.",
    ),
)
LOAD = options(
    click.option("--num-records", type=click.IntRange(1), help="Default: 1000000, or all lines."),
    click.option("--record-size", type=click.IntRange(1), help="Bytes of a value. Default: 100."),
    click.option(
        "--payload-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Take values from a file, one record per line, in order.",
    ),
    click.option(
        "--throughput",
        "--rate",
        "rate",
        type=float,
        default=-1,
        help="Records per second; -1 for no limit (the default).",
    ),
    click.option(
        "--api",
        type=click.Choice(["produce", "produce-many"]),
        default="produce",
        show_default=True,
        help="Which call takes the records.",
    ),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fastkafka.__version__, prog_name="fastkafka-bench")
def bench() -> None:
    """Measure a Kafka client and its brokers: records in, records out, or both ways and compared.

    Rates count values until the last acknowledgement; MB are 2^20 bytes, as in Kafka's own tools.
    Exit codes: 0 all went well, 1 failed, 2 usage, 3 some records were not delivered or not read
    back, 4 no broker could be reached, 130 interrupted.
    """


def client_properties(names: tuple[str, ...], path: Path | None) -> dict[str, str]:
    """Join the properties of a file and of the command line, which win."""
    found = read_properties_file(path) if path else {}
    found.update(parse_properties(names))
    return found


def payloads_of(
    num_records: int | None, record_size: int | None, payload_file: Path | None
) -> Payloads:
    """Choose the records of a run from the options."""
    if payload_file is not None:
        if record_size is not None:
            raise click.UsageError("--record-size and --payload-file exclude each other")
        return from_file(payload_file, num_records)
    return generated(num_records or 1_000_000, record_size or 100)


def servers_of(servers: str | None, properties: dict[str, str]) -> str | None:
    """Take bootstrap.servers from the option or from the properties."""
    given = properties.pop("bootstrap.servers", None)
    return servers or given


def say(text: str, quiet: bool = False) -> None:
    """Tell the user something that is not the result."""
    if not quiet:
        click.echo(text, err=True)


@bench.command()
@SHARED
@LOAD
def produce(
    servers: str | None,
    topic: str | None,
    partitions: int,
    as_json: bool,
    quiet: bool,
    print_metrics: bool,
    properties: tuple[str, ...],
    properties_file: Path | None,
    num_records: int | None,
    record_size: int | None,
    payload_file: Path | None,
    rate: float,
    api: str,
) -> int:
    """Send records and print the line of kafka-producer-perf-test."""
    conf = client_properties(properties, properties_file)
    payloads = payloads_of(num_records, record_size, payload_file)
    with target.bootstrap(servers_of(servers, conf)) as (bootstrap_servers, text):
        say(text, quiet)
        conf["bootstrap.servers"] = bootstrap_servers
        with target.topic_of_run(topic, partitions, conf) as name:
            load, phase = run_produce(name, payloads, conf, rate, api, quiet, as_json)
    result = {"command": "produce", "api": api, **phase.as_dict(), "failed": load.failed[:5]}
    show([phase], f"produce to {bootstrap_servers}", [samples_text(phase, load.bulk)], quiet, False)
    if as_json:
        report.print_json(result)
    else:
        click.echo(report.producer_perf_line(phase))
    if print_metrics:
        print_process_metrics()
    return PARTIAL if load.unsent or load.failed else OK


def run_produce(
    topic: str,
    payloads: Payloads,
    conf: dict[str, str],
    rate: float,
    api: str,
    quiet: bool,
    as_json: bool,
) -> tuple[ProduceLoad, Phase]:
    """Produce with a bar and interval lines; Ctrl-C flushes what was taken."""
    producer = fastkafka.Producer(dict(conf))
    target.partition_count(producer, topic)
    windows = report.ProducerWindows(
        payloads.size_bytes() / payloads.record_count,
        (lambda line: say(line, quiet)) if as_json else click.echo,
    )
    with report.progress_bar("produce", payloads.record_count, quiet) as draw:

        def watch(sent: int, latencies: Latencies) -> None:
            draw(sent)
            windows(sent, latencies)

        load = ProduceLoad(
            producer, topic, payloads, api == "produce-many", max(rate, 0), None, watch
        )
        try:
            phase = load.run()
        except KeyboardInterrupt:
            left = producer.flush(FLUSH_ON_INTERRUPT_S)
            raise BenchFailure(f"interrupted; {left} records not sent", INTERRUPTED) from None
    if load.unsent or load.failed:
        say(f"not delivered: {load.unsent} left in the queue; {load.failed[:3]}")
    return load, phase


@bench.command()
@SHARED
@options(
    click.option("--messages", "--num-records", type=click.IntRange(1), required=True),
    click.option("--group", default="perf-consumer", show_default=True, help="group.id"),
    click.option("--fetch-size", type=click.IntRange(1), help="max.partition.fetch.bytes"),
    click.option("--socket-buffer-size", type=int, help="receive.buffer.bytes"),
    click.option("--from-latest", is_flag=True, help="Start at the end, not at the beginning."),
    click.option("--timeout", "timeout_ms", default=10_000, show_default=True, help="Idle time."),
    click.option("--reporting-interval", "interval_ms", default=5000, show_default=True),
    click.option("--hide-header", is_flag=True),
    click.option("--show-detailed-stats", is_flag=True),
)
def consume(
    servers: str | None,
    topic: str | None,
    partitions: int,
    as_json: bool,
    quiet: bool,
    print_metrics: bool,
    properties: tuple[str, ...],
    properties_file: Path | None,
    messages: int,
    group: str,
    fetch_size: int | None,
    socket_buffer_size: int | None,
    from_latest: bool,
    timeout_ms: int,
    interval_ms: int,
    hide_header: bool,
    show_detailed_stats: bool,
) -> int:
    """Read records and print the lines of kafka-consumer-perf-test. All partitions are assigned."""
    conf = client_properties(properties, properties_file)
    bootstrap_servers = servers_of(servers, conf)
    if not topic or not bootstrap_servers:
        raise click.UsageError("consume needs --bootstrap-server and --topic: what is it to read?")
    conf.setdefault("group.id", group)
    conf.setdefault("auto.offset.reset", "earliest")
    if fetch_size:
        conf["max.partition.fetch.bytes"] = str(fetch_size)
    if socket_buffer_size and socket_buffer_size > 0:
        conf["receive.buffer.bytes"] = str(socket_buffer_size)
    consumer = fastkafka.Consumer({**conf, "bootstrap.servers": bootstrap_servers})
    begun = datetime.now()
    try:
        count = target.partition_count(consumer, topic)
        start = fastkafka.OFFSET_END if from_latest else fastkafka.OFFSET_BEGINNING
        consumer.assign([fastkafka.TopicPartition(topic, p, start) for p in range(count)])
        join_s = (datetime.now() - begun).total_seconds()
        header = report.CONSUMER_DETAILED_HEADER if show_detailed_stats else report.CONSUMER_HEADER
        if not hide_header and not as_json:
            click.echo(header)
        windows = report.ConsumerWindows(interval_ms / 1000, click.echo)
        with report.progress_bar("consume", messages, quiet) as draw:

            def watch(records: int, size_bytes: int) -> None:
                draw(records)
                if show_detailed_stats and not as_json:
                    windows(records, size_bytes)

            phase = ConsumeLoad(consumer, messages, timeout_ms / 1000, None, watch).run()
    finally:
        consumer.close()
    if as_json:
        report.print_json({"command": "consume", **phase.as_dict()})
    elif not show_detailed_stats:
        click.echo(report.consumer_perf_line(phase, begun, datetime.now(), join_s))
    show([phase], f"consume from {bootstrap_servers}", [], quiet, False)
    if print_metrics:
        print_process_metrics()
    if phase.record_count < messages:
        say(
            f"only {phase.record_count} of {messages} records came; then {timeout_ms} ms of silence"
        )
        return PARTIAL
    return OK


@bench.command()
@SHARED
@LOAD
@click.option("--timeout", "timeout_ms", default=30_000, show_default=True, help="Idle time.")
def roundtrip(
    servers: str | None,
    topic: str | None,
    partitions: int,
    as_json: bool,
    quiet: bool,
    print_metrics: bool,
    properties: tuple[str, ...],
    properties_file: Path | None,
    num_records: int | None,
    record_size: int | None,
    payload_file: Path | None,
    rate: float,
    api: str,
    timeout_ms: int,
) -> int:
    """Send records, read them back and compare each with what was sent, in order per partition."""
    conf = client_properties(properties, properties_file)
    payloads = payloads_of(num_records, record_size, payload_file)
    with target.bootstrap(servers_of(servers, conf)) as (bootstrap_servers, text):
        say(text, quiet)
        conf["bootstrap.servers"] = bootstrap_servers
        with target.topic_of_run(topic, partitions, conf) as name:
            trip = RoundTrip(
                name, payloads, conf, max(rate, 0), api == "produce-many", timeout_ms / 1000
            )
            trip.run(lambda label, total: report.progress_bar(label, total, quiet))
    notes = [samples_text(trip.phases[0], api == "produce-many"), trip.verdict()]
    if as_json:
        report.print_json({"command": "roundtrip", "api": api, **trip.as_dict()})
        say(trip.verdict(), quiet)
    else:
        show(trip.phases, f"{payloads.record_count:,} records in and out", notes, quiet, True)
    for difference in trip.differences():
        say(difference)
    if print_metrics:
        print_process_metrics()
    return trip.exit_code()


def show(phases: list[Phase], title: str, notes: list[str], quiet: bool, to_stdout: bool) -> None:
    """Print the table unless silence was asked for."""
    if not quiet:
        report.print_table(phases, title, notes, to_stdout)
    elif to_stdout:
        click.echo(notes[-1])


def print_process_metrics() -> None:
    """Print what the process used, one NAME : VALUE a line as Kafka's tools do."""
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
