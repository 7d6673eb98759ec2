"""`fastkafka`: one command with sub-commands, each imported when it is asked for."""

from __future__ import annotations

import sys

_USAGE = """usage: fastkafka COMMAND [options]

commands:
  broker    run the embedded broker
  bench     measure producing and consuming (the same as fastkafka-bench)

fastkafka COMMAND --help says more."""
_USAGE_STATUS = 2


def run() -> None:
    """Run a sub-command and leave with its exit status; the entry point of `fastkafka`."""
    command, *arguments = sys.argv[1:] or ["--help"]
    if command == "broker":
        from fastkafka.broker.__main__ import main

        sys.exit(main(arguments, prog="fastkafka broker"))
    if command == "bench":
        from fastkafka.cli import bench

        bench.run(arguments)
    is_help = command in ("-h", "--help")
    print(_USAGE, file=sys.stdout if is_help else sys.stderr)
    sys.exit(0 if is_help else _USAGE_STATUS)


if __name__ == "__main__":
    run()
