"""`fastkafka-bench`: the entry point, and every way a run can end as an exit code."""

from __future__ import annotations

import signal
import sys
from typing import Any

import fastkafka
from fastkafka import KafkaError
from fastkafka.cli.exit_codes import CANNOT_CONNECT, FAILED, INTERRUPTED, USAGE, BenchFailure
from fastkafka.cli.properties import spread_properties

NOT_CONNECTED = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
    }
)


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code; the entry point of `fastkafka-bench`."""
    try:
        import click

        from fastkafka.cli.bench_commands import bench
    except ModuleNotFoundError as problem:
        if problem.name not in ("click", "rich"):
            raise
        print(
            f"fastkafka-bench needs {problem.name}: pip install click rich (the extra [cli])",
            file=sys.stderr,
        )
        sys.exit(USAGE)
    # `fastkafka-bench ... | head` ends quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    given = spread_properties(sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code_of(click, bench, given))


def exit_code_of(click: Any, command: Any, arguments: list[str]) -> int:
    """Run a click command and turn every way it can end into an exit code."""
    try:
        # Not standalone: click would answer Ctrl-C with 1 and leave no room for our own codes.
        code = command.main(arguments, prog_name="fastkafka-bench", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return USAGE
    except BenchFailure as problem:
        print(f"fastkafka-bench: {problem}", file=sys.stderr)
        return problem.exit_code
    except fastkafka.KafkaException as problem:
        error = problem.args[0]
        print(f"fastkafka-bench: {error}", file=sys.stderr)
        if isinstance(problem, ValueError):
            return USAGE  # ConfigError: an unknown property, a value out of range
        return CANNOT_CONNECT if error.code() in NOT_CONNECTED else FAILED
    return int(code or 0)


if __name__ == "__main__":
    run()
