"""What the exit code of a command says; the same for every command."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
PARTIAL = 3  # some records were not delivered, or not read back
CANNOT_CONNECT = 4  # no broker answered, or it refused us
INTERRUPTED = 130  # Ctrl-C, after a flush


class BenchFailure(Exception):
    """A run that cannot go on; carries the exit code and a text for the user."""

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code
