"""A broker of tests in a process of its own: the parent's end of it.

The target gets a pipe: it sends its bootstrap servers, answers questions, and ends with None.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

_PATIENCE_S = 30


class Spawned:
    """The parent's end of a broker in another process."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments))
        self._process.start()
        theirs.close()
        assert self._pipe.poll(_PATIENCE_S), "the broker's process has not started"
        self.bootstrap_servers: str = self._pipe.recv()

    def __enter__(self) -> Spawned:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join(10)
        self._pipe.close()
        assert self._process.exitcode == 0

    def ask(self, question: str) -> Any:
        """Ask the broker one of its questions."""
        self._pipe.send(question)
        assert self._pipe.poll(_PATIENCE_S), f"no answer to {question!r}"
        return self._pipe.recv()
