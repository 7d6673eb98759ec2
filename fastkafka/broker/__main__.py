"""`python -m fastkafka.broker`: run the embedded broker until SIGTERM, SIGINT or the end of stdin.

Prints one line on standard output when it is ready; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from fastkafka.broker.control_pipe import ControlPipe
from fastkafka.broker.fault_commands import FaultCommands
from fastkafka.broker.fault_text import parse_fault, run_schedule
from fastkafka.broker.server import BrokerServer
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.start_errors import BrokerStartError
from fastkafka.errors import ConfigError

_USAGE_STATUS = 2


def _parser() -> argparse.ArgumentParser:
    defaults = BrokerSettings(Path())
    parser = argparse.ArgumentParser(
        prog="python -m fastkafka.broker",
        description="A Kafka broker in one process, for the first steps, for tests and for demos.",
    )
    add = parser.add_argument
    add("--host", default=defaults.host, help="address to listen on (default %(default)s)")
    add("--port", type=_ports, default=str(defaults.port), help="0 is any (default %(default)s)")
    add("--brokers", type=int, default=defaults.brokers, help="nodes to present (default 1)")
    add("--rack", action="append", default=[], help="rack of a node; repeat it for the others")
    add("--default-replication-factor", type=int, default=defaults.default_replication_factor)
    add("--advertised-host", default="", help="host that clients are told (default --host)")
    add("--data-dir", type=Path, help="where logs are kept; default: a new one, removed at the end")
    add("--node-id", type=int, default=defaults.node_id, help="default %(default)s")
    add("--num-partitions", type=int, default=defaults.num_partitions, help="of new topics")
    add("--no-auto-create", action="store_true", help="do not create topics that clients name")
    add("--fsync", choices=("never", "always"), default=defaults.fsync, help="before each reply")
    add("--message-max-bytes", type=int, default=defaults.message_max_bytes)
    add("--segment-bytes", type=int, default=defaults.segment_bytes)
    add("--retention-bytes", type=int, default=defaults.retention_bytes, help="-1 is no end")
    add("--fault", action="append", default=[], metavar="NAME=VALUE,...", help="what to do wrong")
    add("--print-bootstrap", action="store_true", help="the ready line is the address alone")
    add("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="WARNING")
    add("--control-stdin", action="store_true", help=argparse.SUPPRESS)
    return parser


def _ports(text: str) -> tuple[int, ...]:
    """Read one port, or one per node by commas."""
    return tuple(int(port) for port in text.split(","))


def _settings(options: argparse.Namespace, data_dir: Path) -> BrokerSettings:
    return BrokerSettings(
        data_dir=data_dir,
        host=options.host,
        port=options.port[0],
        ports=options.port if len(options.port) > 1 else (),
        brokers=options.brokers,
        racks=tuple(options.rack),
        default_replication_factor=options.default_replication_factor,
        advertised_host=options.advertised_host,
        node_id=options.node_id,
        num_partitions=options.num_partitions,
        auto_create_topics=not options.no_auto_create,
        fsync=options.fsync,
        message_max_bytes=options.message_max_bytes,
        segment_bytes=options.segment_bytes,
        retention_bytes=options.retention_bytes,
    )


async def _run(settings: BrokerSettings, options: argparse.Namespace) -> None:
    server = BrokerServer(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)
    scheduled = [parse_fault(text) for text in options.fault]
    await server.start()
    commands = FaultCommands(server)
    schedule = loop.create_task(run_schedule(commands, scheduled))
    control_pipe = None
    if options.control_stdin:
        control_pipe = await ControlPipe.open(commands, stopped.set)
    try:
        address = server.bootstrap_servers
        if options.print_bootstrap:
            print(address, flush=True)
        else:
            print(f"fastkafka broker ready on {address}, data in {settings.data_dir}", flush=True)
        await stopped.wait()
    finally:
        if control_pipe is not None:
            control_pipe.close()
        schedule.cancel()
        await server.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run the broker; return the exit status of the process."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    temporary = None
    if options.data_dir is None:
        import tempfile  # takes 20 ms, which an EmbeddedBroker, naming its folder, need not wait

        temporary = tempfile.TemporaryDirectory(prefix="fastkafka-broker-")
    data_dir = Path(temporary.name) if temporary is not None else options.data_dir
    try:
        asyncio.run(_run(_settings(options, data_dir), options))
    except BrokerStartError as error:
        print(f"fastkafka broker: {error.error.str()}", file=sys.stderr)
        return error.exit_status
    except ConfigError as error:
        print(f"fastkafka broker: {error.error.str()}", file=sys.stderr)
        return _USAGE_STATUS
    finally:
        if temporary is not None:
            temporary.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
