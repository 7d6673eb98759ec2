"""The options of `fastkafka broker`, and the settings that they and a server.properties make."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from fastkafka.broker.fault_text import ScheduledCommand, parse_fault
from fastkafka.broker.server_properties import load_settings, parse_properties
from fastkafka.broker.settings import SASL_MECHANISMS, SECURITY_PROTOCOLS, BrokerSettings
from fastkafka.errors import ConfigError

_EPILOG = """faults, each a --fault:
  api=produce,topic=logs,error_code=NOT_LEADER_FOR_PARTITION,times=3
  node=2,delay_ms=100        also disk_delay_ms, throttle_time_ms, drop_connection=before|after,
                             drop_reply, duplicate_reply
  do=kill_node,node=2,after_ms=5000
  do=move_leader,topic=logs,partition=0,every_ms=2000
  also do=restart_node, move_coordinator, hide_topic, show_topic, expire_producer_ids
docs/broker.md says more."""


class CommandLine(NamedTuple):
    """What a broker was told to do.

    Args:
        settings: fields of BrokerSettings; without data_dir the broker gets a new directory
        faults: what goes wrong, and when
        prints_bootstrap: whether the ready line is the address alone
        log_level: of the log on standard error
        is_controlled: whether commands come on standard input, whose end is the broker's
    """

    settings: dict[str, Any]
    faults: list[ScheduledCommand]
    prints_bootstrap: bool
    log_level: str
    is_controlled: bool


def parse_command_line(arguments: list[str] | None, prog: str) -> CommandLine:
    """Read the options; what they say goes before what the file says.

    Raises: ConfigError; SystemExit for --help and for options that do not exist
    """
    options = vars(_parser(prog).parse_args(arguments))
    given = {
        field.name: options[field.name] for field in fields(BrokerSettings) if field.name in options
    }
    if "ports" in options and len(options["ports"]) == 1:
        (given["port"],) = given.pop("ports")
    elif "ports" in options:
        given["brokers"] = given.get("brokers", len(options["ports"]))
    if "sasl_users_file" in options:
        given["sasl_users"] = _sasl_users(options["sasl_users_file"])
    settings = load_settings(options["config"]) if "config" in options else {}
    if "port" in given or "ports" in given:
        settings.pop("port", None)
    return CommandLine(
        settings={**settings, **given},
        faults=[parse_fault(text) for text in options.get("fault", [])],
        prints_bootstrap=options.get("print_bootstrap", False),
        log_level=options.get("log_level", "WARNING"),
        is_controlled=options.get("control_stdin", False),
    )


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="A Kafka broker in one process, for the first steps, for tests and for demos.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # so that what was not said comes from the file
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="a server.properties; options go before it")
    add("--brokers", type=int, metavar="N", help="nodes that the process presents (1)")
    add("--host", help="address to listen on (127.0.0.1)")
    add("--port", type=_ports, dest="ports", help="0 is any; of the first node, or of each (9092)")
    add("--advertised-host", help="host that clients are told (--host)")
    add("--advertised-port", type=int, help="port that clients are told (--port)")
    add("--data-dir", type=Path, help="where logs are kept; else a new one, removed at the end")
    add("--node-id", type=int, help="of the first node (1)")
    add("--rack", type=lambda text: tuple(text.split(",")), dest="racks", help="of each node")
    add("--num-partitions", type=int, help="of new topics (1)")
    add("--default-replication-factor", type=int, help="of new topics (1)")
    add("--no-auto-create", action="store_false", dest="auto_create_topics", help="of topics")
    add("--fsync", choices=("never", "always"), help="before each reply (never)")
    add("--message-max-bytes", type=int)
    add("--segment-bytes", type=int)
    add("--retention-bytes", type=int, help="-1 is no end")
    add("--security-protocol", choices=SECURITY_PROTOCOLS, help="of the listeners (PLAINTEXT)")
    add("--ssl-keystore-location", type=Path, metavar="PEM", help="private key and certificates")
    add("--ssl-truststore-location", type=Path, metavar="PEM", help="who may sign clients")
    add("--ssl-client-auth", choices=("none", "requested", "required"))
    add(
        "--sasl-mechanism", action="append", dest="sasl_enabled_mechanisms", choices=SASL_MECHANISMS
    )
    add("--sasl-users-file", type=Path, metavar="FILE", help="lines of name=password")
    add("--fault", action="append", metavar="NAME=VALUE,...", help="what goes wrong; repeatable")
    add("--print-bootstrap", action="store_true", help="the ready line is the address alone")
    add("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    add("--control-stdin", action="store_true", help=argparse.SUPPRESS)
    return parser


def _ports(text: str) -> tuple[int, ...]:
    """Read one port, or one per node by commas."""
    return tuple(int(port) for port in text.split(","))


def _sasl_users(path: Path) -> dict[str, str]:
    try:
        return parse_properties(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where="--sasl-users-file") from error
