"""`fastkafka broker`, `python -m fastkafka.broker`: run until SIGTERM, SIGINT, the end of stdin.

Prints one line on standard output when it is ready; everything else goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from fastkafka.broker.command_line import CommandLine, parse_command_line
from fastkafka.broker.control_pipe import ControlPipe
from fastkafka.broker.fault_commands import FaultCommands
from fastkafka.broker.fault_text import run_schedule
from fastkafka.broker.server import BrokerServer
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.start_errors import BrokerStartError
from fastkafka.errors import ConfigError

_USAGE_STATUS = 2


async def _run(settings: BrokerSettings, command_line: CommandLine) -> None:
    server = BrokerServer(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)
    await server.start()
    commands = FaultCommands(server)
    schedule = loop.create_task(run_schedule(commands, command_line.faults))
    control_pipe = None
    if command_line.is_controlled:
        control_pipe = await ControlPipe.open(commands, stopped.set)
    try:
        address = server.bootstrap_servers
        if command_line.prints_bootstrap:
            print(address, flush=True)
        else:
            print(f"fastkafka broker ready on {address}, data in {settings.data_dir}", flush=True)
        await stopped.wait()
    finally:
        if control_pipe is not None:
            control_pipe.close()
        schedule.cancel()
        await server.stop()


def main(arguments: list[str] | None = None, prog: str = "python -m fastkafka.broker") -> int:
    """Run the broker; return the exit status of the process."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    temporary = None
    try:
        command_line = parse_command_line(arguments, prog)
        logging.getLogger().setLevel(command_line.log_level)
        settings = command_line.settings
        if "data_dir" not in settings:
            # It takes 20 ms, which an EmbeddedBroker, naming its folder, need not wait.
            import tempfile

            temporary = tempfile.TemporaryDirectory(prefix="fastkafka-broker-")
            settings["data_dir"] = Path(temporary.name)
        asyncio.run(_run(BrokerSettings(**settings), command_line))
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
