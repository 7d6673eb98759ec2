"""The control thread: its life, its pool, and the rooms that are small."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import weakref

import pytest

from fastkafka.config import resolve
from fastkafka.control import control_thread
from fastkafka.control.backoff import Backoff
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.control.worker_pool import WorkerPool
from fastkafka.errors import ClosedError, ConfigError, KafkaError, StateError
from tests.unit.control_fakes import FakeCluster, FakeCore, driven

WAIT_S = 10


def config(**conf):
    conf.setdefault("bootstrap.servers", "127.0.0.1:9000")
    return resolve("producer", {"topic.metadata.refresh.interval.ms": -1, **conf}, {})


@pytest.fixture
def core():
    core = FakeCore()
    FakeCluster(core).add_topic("t", {0: (1, 1)})
    yield core
    core.close()


@pytest.fixture
def control(core):
    thread = ControlThread(core, config())
    thread.start()
    yield thread
    thread.stop()


# life


def test_call_returns_what_the_coroutine_returns_or_raises(control):
    assert control.call(control.metadata.list_topics("t", 5)).topics["t"].error is None

    async def fails():
        raise StateError("mine")

    with pytest.raises(StateError, match="mine"):
        control.call(fails())


def test_completions_wake_the_loop(core, control):
    control.call(control.metadata.cluster_id(5))
    core.answers["init_producer_id"] = lambda *_: {
        "error_code": 0,
        "producer_id": 7,
        "producer_epoch": 0,
    }
    given = threading.Event()
    core.set_producer_id = lambda *_: given.set()
    core.push("producer_id_wanted", "first")
    assert given.wait(WAIT_S)


def test_wrong_bootstrap_servers_raise_in_the_constructor(core):
    with pytest.raises(ConfigError, match="bootstrap.servers"):
        ControlThread(core, config(**{"bootstrap.servers": "h:x"}))


def test_stop_ends_the_thread_and_what_waits_raises(core):
    core.silent = {-1}
    control = ControlThread(core, config())
    control.start()
    waiting = control.run(control.metadata.list_topics(None, 600))
    sleeping = control.run(asyncio.sleep(600))
    control.call(asyncio.sleep(0))
    control.stop()
    assert not control._thread.is_alive()
    with pytest.raises(ClosedError):
        waiting.result(WAIT_S)
    with pytest.raises(ClosedError):
        sleeping.result(WAIT_S)
    control.stop()
    with pytest.raises(ClosedError):
        control.run(asyncio.sleep(0))


def test_stop_before_start_leaves_nothing(core):
    control = ControlThread(core, config())
    control.stop()
    assert control._loop.is_closed()


def test_call_on_the_control_thread_itself_raises_rather_than_waits_for_ever(control):
    async def calls():
        control.call(asyncio.sleep(0))

    with pytest.raises(StateError, match="control thread"):
        control.call(calls())


def test_stop_on_the_control_thread_itself_does_not_wait(core):
    control = ControlThread(core, config())
    control.start()

    async def stops():
        control.stop()

    control.run(stops()).result(WAIT_S)
    control._thread.join(WAIT_S)
    assert not control._thread.is_alive()


def test_thread_holds_neither_core_nor_callbacks():
    class Client:
        def __init__(self):
            self.core = FakeCore()
            FakeCluster(self.core)
            self.control = ControlThread(
                self.core, config(), on_error=self.on_error, on_event=self.on_error
            )
            self.control.start()

        def on_error(self, *_):
            """Take an error."""

        def __del__(self):
            self.control.stop()

    client = Client()
    thread, fd = client.control._thread, client.core.completion_fd()
    gone = weakref.ref(client.core)
    del client
    gc.collect()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert gone() is None
    os.close(fd)


def test_core_that_is_gone_ends_conversations_with_closed_error(core):
    with driven(core) as rooms:
        rooms.run(asyncio.sleep(1))
        rooms.control.core.close()
        with pytest.raises(ClosedError):
            rooms.run(rooms.control.conversations.request(-1, "metadata", {"topics": []}))


def test_unknown_completion_does_not_stop_the_thread(core, control):
    core.push("surprise", 1)
    core.push("offset_wanted", "t", 0, 1, "nonsense")
    assert control.call(control.metadata.cluster_id(5)) == "cluster"


def test_log_lines_of_the_core_reach_the_logger(core, control, caplog):
    core.push("log", 4, "disk on fire")
    core.push("log", 99, "level out of range")
    control.call(control.metadata.cluster_id(5))
    lines = [
        (record.levelname, *record.args) for record in caplog.records if record.name == "fastkafka"
    ]
    assert ("WARNING", "core", control.log.name, "disk on fire") in lines


def test_event_goes_to_the_handler(core):
    seen = []
    with driven(core) as rooms:
        rooms.control._handlers["event"] = lambda *values: seen.append(values)
        core.push("event", 5, 0, "x")
        rooms.run_until(lambda: seen)
    assert seen == [(5, 0, "x")]


def test_done_callbacks_of_the_users_futures_run_on_the_pool(control):
    ran_on = []
    done = threading.Event()

    def callback(future):
        ran_on.append(threading.current_thread().name)
        done.set()

    release = threading.Event()

    async def waits():
        await asyncio.get_running_loop().run_in_executor(None, release.wait)
        return 5

    future = control.run_for_user(waits())
    future.add_done_callback(callback)
    release.set()
    assert future.result(WAIT_S) == 5
    assert done.wait(WAIT_S)
    assert "worker" in ran_on[0]


def test_users_future_gets_closed_error_when_the_client_closes(core):
    control = ControlThread(core, config())
    control.start()
    future = control.run_for_user(asyncio.sleep(600))
    control.call(asyncio.sleep(0))
    control.stop()
    with pytest.raises(ClosedError):
        future.result(WAIT_S)


def test_exit_stops_the_threads_and_counts_what_was_not_sent(core, caplog):
    class CoreWithRecords(FakeCore):
        def __len__(self):
            return 3

    core_with_records = CoreWithRecords()
    control = ControlThread(core_with_records, config())
    control.start()
    control_thread._stop_at_exit()
    assert not control._thread.is_alive()
    assert core_with_records.said("stop") == [()]
    assert "3 records were not sent" in caplog.text
    core_with_records.close()


def test_forked_child_refuses_calls_and_touches_nothing(core):
    control = ControlThread(core, config())
    control.start()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            control.run(asyncio.sleep(0))
        except ClosedError as error:
            os.write(writer, str(error).encode())
        control.stop()
        os._exit(0)
    os.close(writer)
    text = os.read(reader, 1000).decode()
    os.close(reader)
    assert os.waitpid(pid, 0)[1] == 0
    assert "before fork()" in text
    # The parent's loop still hears its core: the child has not unregistered the descriptor.
    assert control.call(control.metadata.cluster_id(5)) == "cluster"
    control.stop()


# small rooms


def test_producer_id_is_asked_for_again_until_one_is_given(core):
    codes = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, 0]

    def answer(node_id, version, body):
        assert body["transactional_id"] is None
        return {"error_code": codes.pop(0), "producer_id": 41, "producer_epoch": 2}

    core.answers["init_producer_id"] = answer
    with driven(core) as rooms:
        core.push("producer_id_wanted", "first")
        core.push("producer_id_wanted", "again")
        rooms.run_until(lambda: core.said("set_producer_id"))
        rooms.run(asyncio.sleep(5))
        assert [error.code() for error in rooms.errors] == [
            KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
            KafkaError.COORDINATOR_NOT_AVAILABLE,
        ]
    assert core.said("set_producer_id") == [(41, 2)]


def test_backoff_doubles_up_to_its_longest_and_begins_again():
    backoff = Backoff(100, 1000, random.Random(1))
    pauses = [backoff.next_s() for _ in range(40)]
    for pause, expected in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=False):
        assert expected * 0.8 <= pause <= expected * 1.2
    assert max(pauses) <= 1.2
    backoff.reset()
    assert backoff.next_s() <= 0.12


def test_backoff_spreads_those_who_failed_together():
    pauses = {Backoff(100, 1000, random.Random(seed)).next_s() for seed in range(20)}
    assert len(pauses) == 20


def test_pool_runs_jobs_and_keeps_their_errors():
    pool = WorkerPool("t", max_threads=2)
    assert pool.submit(lambda a, b: a + b, 1, 2).result(WAIT_S) == 3
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(WAIT_S)
    pool.stop()
    with pytest.raises(ClosedError):
        pool.submit(print)


def test_pool_starts_no_more_threads_than_allowed_and_reuses_them():
    pool = WorkerPool("t", max_threads=2)
    release = threading.Event()
    names = []

    def job():
        release.wait(WAIT_S)
        names.append(threading.current_thread().name)

    futures = [pool.submit(job) for _ in range(6)]
    release.set()
    for future in futures:
        future.result(WAIT_S)
    assert 1 <= len(set(names)) <= 2
    pool.stop()


def test_cancelled_job_is_not_run():
    pool = WorkerPool("t", max_threads=1)
    release = threading.Event()
    pool.submit(release.wait, WAIT_S)
    ran = []
    waiting = pool.submit(ran.append, 1)
    assert waiting.cancel()
    release.set()
    pool.submit(lambda: None).result(WAIT_S)
    assert ran == []
    pool.stop()


def test_task_that_fails_is_heard(caplog):
    async def fails():
        raise ValueError("unheard")

    async def closes():
        raise ClosedError("closed")

    async def both():
        tasks = RunningTasks()
        await asyncio.wait([tasks.begin(fails()), tasks.begin(closes())])

    asyncio.run(both())
    assert "unheard" in caplog.text
    assert "closed" not in caplog.text
