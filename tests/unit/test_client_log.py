"""What a client logs: to whom, in which form, from which level on."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from fastkafka.config import resolve
from fastkafka.control.client_log import (
    SYSLOG_DEBUG,
    SYSLOG_ERROR,
    SYSLOG_INFO,
    SYSLOG_WARNING,
    ClientLog,
)


class Lines:
    """The least that a logger is: confluent_kafka calls nothing but log()."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def log(self, level: int, form: str, *args: object) -> None:
        self.lines.append((level, form % args))


def make_log(lines: Lines, **conf: Any) -> ClientLog:
    return ClientLog(resolve("producer", {"client.id": "c", "logger": lines}, conf))


@pytest.mark.parametrize(
    ("syslog", "level"),
    [(0, 50), (1, 50), (2, 50), (3, 40), (4, 30), (5, 20), (6, 20), (7, 10), (-1, 50), (99, 10)],
)
def test_syslog_levels_become_those_of_logging(syslog: int, level: int) -> None:
    lines = Lines()
    log = make_log(lines, log_level=7)
    log.tell(syslog, "core", "text")
    assert lines.lines == [(level, f"core [{log.name}] text")]


def test_clients_have_names_of_their_own() -> None:
    names = [make_log(Lines()).name for _ in range(2)]
    assert all(name.startswith("c#producer-") for name in names)
    assert len(set(names)) == 2


def test_without_a_logger_lines_go_to_that_of_the_package(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = ClientLog(resolve("consumer", {"group.id": "g"}, {}))
    log.tell(SYSLOG_WARNING, "core", "text")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("fastkafka", logging.WARNING)
    assert record.args == ("core", log.name, "text")


def test_lines_above_log_level_are_left_out() -> None:
    lines = Lines()
    log = make_log(lines, log_level=SYSLOG_WARNING)
    for level in (SYSLOG_ERROR, SYSLOG_WARNING, SYSLOG_INFO, SYSLOG_DEBUG):
        log.tell(level, "core", "text")
    assert [level for level, _ in lines.lines] == [logging.ERROR, logging.WARNING]


def test_debug_lines_are_those_of_the_contexts_that_were_asked_for() -> None:
    for debug, wanted in (("eos", ["eos"]), ("all", ["eos", "metadata"]), ("", [])):
        lines = Lines()
        log = make_log(lines, debug=debug)
        for context in ("eos", "metadata"):
            log.debug(context, "control", context)
        assert [text.split()[-1] for _, text in lines.lines] == wanted


def test_log_level_seven_without_contexts_shows_all_debug_lines() -> None:
    lines = Lines()
    make_log(lines, log_level=7).debug("eos", "control", "text")
    assert len(lines.lines) == 1


def test_log_level_that_is_given_holds_against_debug() -> None:
    lines = Lines()
    make_log(lines, debug="eos", log_level=6).debug("eos", "control", "text")
    assert lines.lines == []


def test_failure_tells_the_traceback() -> None:
    lines = Lines()
    try:
        raise ValueError("no")
    except ValueError as exception:
        make_log(lines).failure("control", "it failed", exception)
    ((level, text),) = lines.lines
    assert level == logging.ERROR
    assert "it failed" in text and "ValueError: no" in text and "test_client_log" in text


def test_logger_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Raising:
        def log(self, *args: object) -> None:
            raise OSError("disk full")

    ClientLog(resolve("producer", {}, {"logger": Raising()})).tell(SYSLOG_ERROR, "core", "text")
    assert "the logger of fastkafka#producer-" in caplog.text
    assert "disk full" in caplog.text
