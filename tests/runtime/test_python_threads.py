"""Python handlers with a concurrency over 1: the leader runs short ones itself, and no handler that
blocks after all holds up the others."""

import pytest

from conftest import PY, zygote

SOURCE = """\
import _thread
import sys
import threading

gates = {}


def handler(event, context):
    op = event.get("op")
    if op == "block":
        print("blocks")
        gates.setdefault(event["gate"], threading.Event()).wait()
        print("goes on")
    if op == "open":
        gates.setdefault(event["gate"], threading.Event()).set()
    if op == "ask":
        return context.state.get("k")
    if op == "large":
        return "x" * event["size"]
    if op == "raise":
        raise ValueError("boom")
    if op == "exit":
        sys.exit(3)
    print("line of", context.aws_request_id)
    return _thread.get_ident() == threading.main_thread().ident
"""
SHORT = 5000  # handlers in a row: many more than it takes to run them in the leader, even on a loaded machine


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "app.py").write_text(SOURCE)
    with PY.start(tmp_path, concurrency=4) as started:
        started.wait_ready()
        yield started


def make_quick(runtime):
    for _ in range(SHORT):
        if runtime.event({}).result():
            return
    raise AssertionError("the main thread ran none of the handlers")


def until_led(runtime, attempt):
    """On a loaded machine a handler may seem slow, and then others are run by workers again."""
    for _ in range(20):
        make_quick(runtime)
        if attempt():
            return
    raise AssertionError("the main thread never ran all of them")


def test_short_handlers_are_run_by_the_thread_that_reads(runtime):
    assert runtime.event({}).result() is False  # nothing is known of the function yet

    def four():
        calls = [runtime.start_event({}, {"id": "id-%d" % n}) for n in range(4)]
        here = [runtime.finish(call).result() for call in calls]
        assert [call.log(1) for call in calls] == ["line of id-%d\n" % n for n in range(4)]
        return all(here)

    def one_fails():
        assert runtime.event({"op": "raise"}).error["errorMessage"] == "boom"
        return runtime.event({}).result()

    until_led(runtime, four)
    until_led(runtime, one_fails)
    assert runtime.shutdown() == 0


@zygote
def test_one_that_blocks_does_not_hold_up_the_others(runtime):
    make_quick(runtime)
    blocked = [runtime.start_event({"op": "block", "gate": "a"}, {"id": "b%d" % n}) for n in range(2)]
    assert runtime.event({}, {"id": "between"}).log(1) == "line of between\n"
    runtime.event({"op": "open", "gate": "a"})
    for n, call in enumerate(blocked):
        runtime.finish(call)
        assert call.log(1) == "blocks\ngoes on\nline of b%d\n" % n
    assert runtime.shutdown() == 0


def test_what_was_answered_before_one_that_blocks_is_sent(runtime):
    make_quick(runtime)
    first = runtime.start_event({}, {"id": "first"})
    blocked = runtime.start_event({"op": "block", "gate": "b"}, {"id": "second"})
    assert runtime.finish(first).log(1) == "line of first\n"
    runtime.event({"op": "open", "gate": "b"})
    assert runtime.finish(blocked).log(1) == "blocks\ngoes on\nline of second\n"


def test_the_leader_may_ask(runtime):
    make_quick(runtime)
    for value in (7, 8):
        call = runtime.start_event({"op": "ask"})
        runtime.answer(call, {"value": value, "etag": "e"})
        assert runtime.finish(call).result() == value


def test_a_large_answer_of_the_leader(runtime):
    make_quick(runtime)
    size = 3 << 20
    assert len(runtime.event({"op": "large", "size": size}).result()) == size
    assert runtime.event({}, {"id": "next"}).log(1) == "line of next\n"


def test_a_call_that_the_leader_runs_can_be_cancelled_and_the_process_be_shut_down(runtime):
    make_quick(runtime)
    blocked = runtime.start_event({"op": "block", "gate": "c"})
    runtime.cancel(blocked)
    runtime.event({"op": "open", "gate": "c"})
    runtime.finish(blocked)
    assert runtime.shutdown() == 0


@zygote
def test_exit_in_the_leader_ends_the_process(runtime):
    make_quick(runtime)
    runtime.start_event({"op": "exit"})
    assert runtime.process.wait(20) == 3


WSGI = """\
import _thread
import threading

gate = threading.Event()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/block":
        yield b"blocks "
        gate.wait()
    if environ["PATH_INFO"] == "/open":
        gate.set()
    yield b"led" if _thread.get_ident() == threading.main_thread().ident else b"worked"
"""


def test_short_requests_of_a_wsgi_app_too(tmp_path):
    (tmp_path / "app.py").write_text(WSGI)
    with PY.start(tmp_path, concurrency=4) as runtime:
        runtime.wait_ready()
        assert runtime.http("GET", "/").body == b"worked"
        assert any(runtime.http("GET", "/").body == b"led" for _ in range(SHORT))
        blocked = runtime.start_http("GET", "/block")
        assert runtime.http("GET", "/").body in (b"led", b"worked"), "whoever reads now"
        runtime.http("GET", "/open")
        assert runtime.finish(blocked).body.startswith(b"blocks ")
        assert runtime.shutdown() == 0
