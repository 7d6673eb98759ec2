"""The options that commands of `fastkafka-bench` share, and what they amount to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fastkafka.cli.payloads import Payloads, from_file, generated
from fastkafka.cli.properties import parse_properties, read_properties_file

RECORDS_DEFAULT = 1_000_000
RECORD_SIZE_DEFAULT_BYTES = 100
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Command = Callable[..., Any]


@dataclass(frozen=True)
class Shared:
    """Where to and how to report; `conf` holds client properties without bootstrap.servers."""

    servers: str | None
    topic: str | None
    partitions: int
    as_json: bool
    quiet: bool
    print_metrics: bool
    conf: dict[str, str]


@dataclass(frozen=True)
class Load:
    """What to send and how; `rate` 0 means as fast as it goes."""

    payloads: Payloads
    rate: float
    bulk: bool


SHARED = (
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
    click.option("--print-metrics", is_flag=True, help="Also print what the process used."),
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
        type=FILE,
        help="A .properties file with client properties.",
    ),
)
LOAD = (
    click.option("--num-records", type=click.IntRange(1), help="Default: 1000000, or all lines."),
    click.option("--record-size", type=click.IntRange(1), help="Bytes of a value. Default: 100."),
    click.option(
        "--payload-file", type=FILE, help="Values from a file: one record per line, in order."
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


def shared_options(command: Command) -> Command:
    """Give a command the shared options as one argument `shared`."""

    @functools.wraps(command)
    def with_shared(
        *,
        servers: str | None,
        topic: str | None,
        partitions: int,
        as_json: bool,
        quiet: bool,
        print_metrics: bool,
        properties: tuple[str, ...],
        properties_file: Path | None,
        **others: Any,
    ) -> Any:
        # The command line wins over the file.
        conf = read_properties_file(properties_file) if properties_file else {}
        conf.update(parse_properties(properties))
        from_conf = conf.pop("bootstrap.servers", None)
        shared = Shared(
            servers or from_conf, topic, partitions, as_json, quiet, print_metrics, conf
        )
        return command(shared=shared, **others)

    return add_options(with_shared, SHARED)


def load_options(command: Command) -> Command:
    """Give a command the options of what to send as one argument `load`."""

    @functools.wraps(command)
    def with_load(
        *,
        num_records: int | None,
        record_size: int | None,
        payload_file: Path | None,
        rate: float,
        api: str,
        **others: Any,
    ) -> Any:
        payloads = payloads_of(num_records, record_size, payload_file)
        return command(load=Load(payloads, max(rate, 0), api == "produce-many"), **others)

    return add_options(with_load, LOAD)


def add_options(command: Command, added: tuple[Callable[[Any], Any], ...]) -> Command:
    """Put options on a command; --help lists them in this order."""
    for option in reversed(added):
        command = option(command)
    return command


def payloads_of(
    num_records: int | None, record_size: int | None, payload_file: Path | None
) -> Payloads:
    """Choose the records of a run."""
    if payload_file is None:
        return generated(num_records or RECORDS_DEFAULT, record_size or RECORD_SIZE_DEFAULT_BYTES)
    if record_size is not None:
        raise click.UsageError("--record-size and --payload-file exclude each other")
    return from_file(payload_file, num_records)
