"""Wrong addresses, hostile servers, damaged answers: a typed error; no hang, crash or spin."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fastkafka import Producer
from fastkafka.errors import KafkaError, KafkaException
from fastkafka.types import Outcome
from tests.scripted.broker import (
    API_VERSIONS,
    INIT_PRODUCER_ID,
    METADATA,
    Produced,
    Reply,
    ScriptedBroker,
)
from tests.scripted.client import FLUSH_S, QUICK, Reports, make_producer, poll_until, prove

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[float]]]:
    """Listen, and do `answer` to each connection; yields the port and when they came."""
    arrivals: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(sock: socket.socket) -> None:
        with closing(sock), suppress(OSError):
            answer(sock)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                arrivals.append(time.monotonic())
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], arrivals
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answer_as_a_web_server(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    sock.recv(1000)


def close_at_once(sock: socket.socket) -> None:
    pass


def never_answer(sock: socket.socket) -> None:
    while sock.recv(1000):
        pass


def answer_with_a_tls_alert(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.sendall(b"\x15\x03\x01\x00\x02\x02\x0a")
    sock.recv(1000)


def answer_with_a_huge_frame(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.sendall(b"\x7f\xff\xff\xff" + b"\0" * 100)
    sock.recv(1000)


def answer_with_a_negative_length(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.sendall(b"\xff\xff\xff\xff" + b"\0" * 100)
    sock.recv(1000)


def answer_as_ssh(sock: socket.socket) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    sock.recv(1000)


def errors_of(servers: str, seconds: float = 0.5, **conf: Any) -> tuple[list[KafkaError], Any]:
    """Let a producer try for a while; returns what error_cb heard, and the producer, still open."""
    errors: list[KafkaError] = []
    producer = make_producer(
        servers, error_cb=errors.append, **{"delivery.timeout.ms": 300, **conf}
    )
    reports = Reports()
    producer.produce("t", b"never", on_delivery=reports)
    until = time.monotonic() + seconds
    try:
        poll_until(
            producer,
            lambda: time.monotonic() > until and bool(reports) and bool(errors),
            "a report and an error",
        )
    except AssertionError:
        producer.close(0)
        raise AssertionError((reports, [error.str() for error in errors])) from None
    (report,) = reports
    assert report.outcome is Outcome.NOT_WRITTEN
    assert report.error_code == KafkaError._MSG_TIMED_OUT
    return errors, producer


def codes_of(errors: list[KafkaError]) -> set[int]:
    return {error.code() for error in errors}


def told(errors: list[KafkaError], *texts: str) -> bool:
    return any(all(text in error.str() for text in texts) for error in errors)


@pytest.mark.parametrize(
    ("answer", "codes", "texts"),
    [
        (answer_as_a_web_server, {KafkaError._BAD_MSG}, ("web server", "check host and port")),
        (answer_as_ssh, {KafkaError._BAD_MSG}, ("SSH server",)),
        (close_at_once, {KafkaError._TRANSPORT}, ("closed by the broker before it answered",)),
        (answer_with_a_tls_alert, {KafkaError._BAD_MSG, KafkaError._SSL}, ("TLS alert",)),
        (answer_with_a_huge_frame, {KafkaError._BAD_MSG}, ("frame of 2147483647 bytes",)),
        (answer_with_a_negative_length, {KafkaError._BAD_MSG}, ("frame of -1 bytes",)),
        (never_answer, {KafkaError._TIMED_OUT, KafkaError._TRANSPORT}, ("200 ms",)),
    ],
)
def test_server_that_is_no_broker_is_named_with_what_it_is(
    answer: Callable[[socket.socket], None], codes: set[int], texts: tuple[str, ...]
) -> None:
    with server(answer) as (port, arrivals):
        errors, producer = errors_of(f"127.0.0.1:{port}", **{"api.version.request.timeout.ms": 200})
        with producer:
            assert told(errors, f"127.0.0.1:{port}", *texts), [error.str() for error in errors]
            assert codes & codes_of(errors)
            # Reconnects back off: 10, 20, 40, 80, 100, 100 ms ... with jitter.
            assert 2 <= len(arrivals) <= 25
            assert producer.counters()["loop_passes"] < 400


def test_wrong_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    errors, producer = errors_of(f"127.0.0.1:{port}")
    with producer:
        assert told(errors, f"127.0.0.1:{port}", "Connection refused"), [e.str() for e in errors]
        assert KafkaError._ALL_BROKERS_DOWN in codes_of(errors)
        assert producer.counters()["loop_passes"] < 400
        with pytest.raises(KafkaException, match="Connection refused"):
            producer.list_topics(timeout=0.3)


def test_wrong_host_is_named() -> None:
    errors, producer = errors_of("no-such-host.invalid:9092")
    with producer:
        assert told(errors, "no-such-host.invalid"), [error.str() for error in errors]
        assert producer.counters()["loop_passes"] < 400
        with pytest.raises(KafkaException, match=r"no-such-host\.invalid"):
            producer.list_topics(timeout=0.3)


def test_errors_reach_the_log_without_error_cb(caplog: pytest.LogCaptureFixture) -> None:
    with server(answer_as_a_web_server) as (port, _), caplog.at_level(logging.WARNING):
        with make_producer(f"127.0.0.1:{port}") as producer:
            poll_until(producer, lambda: "a web server answers" in caplog.text)


def test_second_bootstrap_server_helps_when_the_first_is_none() -> None:
    with server(close_at_once) as (port, _), ScriptedBroker() as broker:
        servers = f"127.0.0.1:{port},{broker.bootstrap_servers}"
        with make_producer(servers) as producer:
            producer.produce("t", b"v")
            assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"v"]


def test_record_waits_for_a_broker_that_starts_late() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    producer = make_producer(f"127.0.0.1:{port}")
    producer.produce("t", b"early")
    poll_until(producer, lambda: producer.counters()["disconnects"] >= 3, "three attempts")
    with ScriptedBroker(nodes=0) as broker:
        broker.listen_on(1, port)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"early"]
        producer.close()


# damaged answers


def damage_each_byte(frame: bytes) -> Iterator[bytes]:
    """Yield the frame cut at every byte, and with every byte changed."""
    for length in range(4, len(frame)):
        yield frame[:length]
    for position in range(len(frame)):
        if len(frame) - 5 <= position < len(frame) - 1:
            continue  # throttle_time_ms: a false one is obeyed, and takes its time
        for byte in (0xFF, 0x80, frame[position] ^ 0x41):
            yield frame[:position] + bytes([byte]) + frame[position + 1 :]


def test_produce_answer_damaged_at_every_byte_never_crashes_nor_loses() -> None:
    """Each damaged answer costs at most its connection; the record is resent, and found written."""
    with ScriptedBroker() as broker:
        intact = threading.Event()
        frames: list[bytes] = []

        def keep(frame: bytes) -> bytes:
            frames.append(frame)
            return frame

        broker.script(Reply(mangles=keep))
        conf = {"reconnect.backoff.ms": 1, "retry.backoff.ms": 1, "socket.timeout.ms": 2000}
        producer = make_producer(broker, **conf)
        prove(producer)
        damaged = list(damage_each_byte(frames[0]))
        turn = iter(damaged)

        def on_produce(produced: Produced) -> Reply | None:
            try:
                wrong = next(turn)
            except StopIteration:
                intact.set()
                return None
            # The correlation id is that of this request, but where it is what was damaged.
            head = produced.correlation_id.to_bytes(4, "big")
            if wrong[:4] == frames[0][:4]:
                wrong = head + wrong[4:]
            return Reply(mangles=lambda frame: wrong)

        broker.on_produce = on_produce
        reports = Reports()
        count = 0
        while not intact.is_set():
            producer.produce("t", b"%d" % count, on_delivery=reports)
            count += 1
            assert producer.flush(FLUSH_S) == 0
        producer.close()
        assert len(reports) == count
        # A changed byte may make an answer that is valid and false: an error code, another offset.
        # What it cannot make is a record twice, or one out of place.
        values = broker.log().values[1:]
        assert values == sorted(set(values), key=lambda value: int(value or b""))
        delivered = {report.value for report in reports if report.outcome is Outcome.DELIVERED}
        assert delivered <= set(values)
        assert len(delivered) > count // 2
        assert producer.counters()["malformed_responses"] > 80


@pytest.mark.parametrize("api_key", [API_VERSIONS, METADATA, INIT_PRODUCER_ID])
def test_answer_of_the_control_plane_cut_at_every_byte_is_asked_for_again(api_key: int) -> None:
    with ScriptedBroker() as broker:
        cut: dict[str, int] = {"at": 4}

        def on_answer(key: int, frame: bytes) -> bytes:
            if key != api_key or cut["at"] >= len(frame):
                return frame
            cut["at"] += 1
            return frame[: cut["at"] - 1]

        broker.on_answer = on_answer
        errors: list[KafkaError] = []
        conf = {"reconnect.backoff.ms": 1, "reconnect.backoff.max.ms": 5, "retry.backoff.ms": 1}
        conf |= {"retry.backoff.max.ms": 5, "topic.metadata.refresh.fast.interval.ms": 1}
        with make_producer(broker, error_cb=errors.append, **conf) as producer:
            producer.produce("t", b"v")
            assert producer.flush(FLUSH_S) == 0
        assert cut["at"] > 20
        assert broker.log().values == [b"v"]


def test_answer_with_a_wrong_correlation_id_closes_the_connection() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(correlation_shift=1))
        producer.produce("t", b"v")
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", b"v"]
        assert producer.counters()["malformed_responses"] == 1


def test_frame_over_the_cap_closes_the_connection() -> None:
    errors: list[KafkaError] = []
    conf = {"receive.message.max.bytes": 100_000}
    with ScriptedBroker() as broker:
        with make_producer(broker, error_cb=errors.append, **conf) as producer:
            prove(producer)
            broker.script(Reply(raw=(100_001).to_bytes(4, "big") + b"x" * 200))
            producer.produce("t", b"v")
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"proof", b"v"]
            assert producer.counters()["disconnects"] >= 1


def test_answer_that_nobody_asked_for_closes_the_connection() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(raw=b"\0\0\0\4\0\0\0\1" * 3))
        producer.produce("t", b"v")
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"v"]


# the process


def run_script(body: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run a program of its own: fork and exit are not for the process of the tests."""
    head = """
        import os, sys, time, threading
        from tests.scripted.broker import Reply, ScriptedBroker
        from tests.scripted.client import make_producer, prove
    """
    text = textwrap.dedent(head) + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def test_forked_child_gets_a_clear_error_and_the_parent_goes_on() -> None:
    done = run_script(
        """
        from fastkafka.errors import ClosedError
        broker = ScriptedBroker()
        producer = make_producer(broker)
        prove(producer)
        producer.produce("t", b"before", on_delivery=lambda error, message: None)
        child = os.fork()
        if child == 0:
            calls = [lambda: producer.produce("t", b"child"), lambda: producer.poll(0),
                     lambda: producer.flush(), lambda: producer.produce_many("t", [b"c"]),
                     lambda: producer.list_topics(timeout=1)]
            for call in calls:
                try:
                    call()
                except ClosedError as problem:
                    assert "fork" in str(problem), problem
                else:
                    os._exit(3)
            del producer
            import gc; gc.collect()
            os._exit(7)
        pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        producer.produce("t", b"after")
        assert producer.flush(10) == 0
        assert broker.log().values == [b"proof", b"before", b"after"], broker.log().values
        producer.close()
        print("parent went on")
        """
    )
    assert done.stdout == "parent went on\n", done.stderr


def test_forked_child_may_exit_normally() -> None:
    done = run_script(
        """
        broker = ScriptedBroker()
        producer = make_producer(broker)
        prove(producer)
        child = os.fork()
        if child == 0:
            other = make_producer(broker)
            prove(other)
            other.close()
            sys.exit(7)
        pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        prove(producer)
        assert broker.log().values == [b"proof"] * 3
        producer.close()
        print("parent went on")
        """
    )
    assert done.stdout == "parent went on\n", done.stderr


def test_a_buffer_that_is_written_to_while_its_gaps_are_closed_is_refused_or_taken_whole() -> None:
    done = run_script(
        """
        import ctypes
        from fastkafka.errors import CorruptBatch
        from tests.reference.record_batches import batch, record

        rows = [record(2 * number, b"k", b"v" * 20) for number in range(20_000)]
        good = batch(rows, last_offset_delta=40_000)
        raw = bytearray(good)
        view = (ctypes.c_char * len(raw)).from_buffer(raw)
        is_over = threading.Event()

        def write():  # without the GIL, as the calls of other libraries do
            while not is_over.is_set():
                ctypes.memset(ctypes.addressof(view) + 30_000, 0xFE, len(raw) - 60_000)
                ctypes.memmove(view, good, len(good))

        broker = ScriptedBroker()
        broker.on_produce = lambda produced: Reply(answers=False)
        producer = make_producer(broker)
        threading.Thread(target=write, daemon=True).start()
        for _ in range(400):
            try:
                producer.produce_batches("t", [raw], partition=0)
                producer.purge()
            except CorruptBatch as problem:
                assert "CRC" in str(problem), problem
        is_over.set()
        producer.close(0)
        print("done")
        """
    )
    assert done.stdout == "done\n", (done.returncode, done.stderr)


def test_program_that_ends_with_unsent_records_says_so_and_ends() -> None:
    began = time.monotonic()
    done = run_script(
        """
        broker = ScriptedBroker()
        broker.hidden.add("t")
        producer = make_producer(broker)
        producer.produce_many("t", [b"v"] * 12)
        """
    )
    assert done.returncode == 0, done.stderr
    assert "12 records were not sent when the program ended" in done.stderr
    assert time.monotonic() - began < 15


def test_program_may_end_inside_a_callback() -> None:
    done = run_script(
        """
        broker = ScriptedBroker()
        producer = make_producer(broker)
        producer.produce("t", b"v", on_delivery=lambda error, message: sys.exit(5))
        producer.flush(10)
        """
    )
    assert done.returncode == 5, done.stderr


def test_import_starts_no_thread_and_no_third_party_package() -> None:
    done = run_script(
        """
        import fastkafka
        print(threading.active_count(), "numpy" in sys.modules)
        """
    )
    assert done.stdout == "1 False\n", done.stderr
    assert Producer is not None
    assert QUICK


def test_process_that_was_stopped_judges_no_deadline_before_it_has_read() -> None:
    """After SIGSTOP the answers lie in the socket: nothing is timed out, nothing sent twice."""
    text = """
        import os, signal, sys
        from tests.scripted.client import make_producer, prove
        producer = make_producer(sys.argv[1], **{"socket.timeout.ms": 500})
        prove(producer)
        producer.produce("t", b"sent before the stop")
        producer.poll(0.05)
        os.kill(os.getpid(), signal.SIGSTOP)
        assert producer.flush(10) == 0
        counters = producer.counters()
        print(counters["request_timeouts"], counters["records_retried"], counters["disconnects"])
        producer.close()
    """
    gate = threading.Event()
    with ScriptedBroker() as broker:
        broker.script(Reply(), Reply(after=gate))
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), broker.bootstrap_servers],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        broker.until_produced(2)
        stopped = Path(f"/proc/{child.pid}/stat")
        broker.until(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T", "the stop")
        gate.set()
        broker.until(lambda: broker.produced[1].is_answered, "the answer")
        time.sleep(0.7)  # not synchronisation: the time-out has to pass while the process stands
        child.send_signal(signal.SIGCONT)
        output, _ = child.communicate(timeout=30)
        assert output == "0 0 0\n"
        assert len(broker.produced) == 2
