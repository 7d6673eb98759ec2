"""A few threads for what may block: DNS, and done-callbacks of the user's Futures.

Threads start when they are needed and are daemons: a name server that does not answer must not
hold up the end of the program, as the threads of concurrent.futures would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from fastkafka.errors import ClosedError

T = TypeVar("T")
_Job = Callable[[], None]


class WorkerPool:
    """Run jobs on at most `max_threads` daemon threads, in the order in which they came."""

    def __init__(self, name: str, max_threads: int = 4) -> None:
        self._name = name
        self._max_threads = max_threads
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards _threads, _unfinished, _is_stopped
        self._threads = 0
        self._unfinished = 0
        self._is_stopped = False

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run `function(*args)` on a thread of the pool; the Future has its result."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._is_stopped:
                raise ClosedError("Client has been closed")
            self._unfinished += 1
            needs_thread = self._unfinished > self._threads < self._max_threads
            if needs_thread:
                self._threads += 1
                number = self._threads
        self._jobs.put(job)
        if needs_thread:
            threading.Thread(
                target=self._work, name=f"{self._name}-worker-{number}", daemon=True
            ).start()
        return future

    def stop(self) -> None:
        """Let the threads end after the jobs that are queued; do not wait for them."""
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            # Else the last job's Future, and all that its callbacks hold, would live on here.
            del job
            with self._lock:
                self._unfinished -= 1
