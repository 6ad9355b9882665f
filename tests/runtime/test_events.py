"""Event handlers: what every runtime must do with invocations that are JSON."""

import json
import time

import pytest

import driver
from conftest import EVENT, JAVA, NET, PHP, PL, RB, each, only, zygote

MIXED = {
    "text": "größe € 😀 \u2028",
    "nested": [1, 2.5, -3, True, False, None, {"a": []}],
    "empty": "",
    "quote": '"\\/\b\f\n\r\t\x01',
}


@each(EVENT)
@pytest.mark.parametrize(
    "value",
    [pytest.param(MIXED, marks=zygote), None, [], {}, "", "text", 0, -1.5, 1e300, True, 2**53 - 1, {"": {"": ""}}],
    ids=lambda value: json.dumps(value)[:12],
)
def test_json_goes_in_and_comes_out(flavour, runtime, value):
    if value == {} and flavour.language is PHP:
        value = []  # PHP's arrays do not tell an empty object from an empty list
    assert runtime.event({"op": "echo", "value": value}).result() == value


@each(EVENT)
@zygote
def test_the_ready_frame_tells_what_was_found(flavour, runtime):
    ready = runtime.ready
    assert ready["model"] == "event"
    assert ready["handler"] == flavour.handler
    assert ready["runtime"].startswith(flavour.language.called)
    assert ready["concurrency"] == flavour.concurrency
    assert ready["notes"] == []


@each(EVENT)
@zygote
def test_context_members(runtime):
    meta = {
        "id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "deadline_ms": int(time.time() * 1000) + 5000,
        "client_context": json.dumps({"custom": {"k": "v"}, "client": {"app_title": "T"}, "env": {}}),
        "arn": "arn:aws:lambda:eu-local-1:000000000000:function:conformance:7",
    }
    got = runtime.event({"op": "context"}, meta).result()
    assert got["request_id"] == meta["id"]
    assert got["arn"] == meta["arn"]
    assert got["name"] == "conformance"
    assert got["version"] == "$LATEST"
    assert got["memory"] == "128"
    assert got["log_group"] == "/aws/lambda/conformance"
    assert got["log_stream"].startswith("2026/01/01/[$LATEST]")
    assert 0 < got["remaining"] <= 5000
    assert got["client_custom"] == {"k": "v"}
    assert got["client_title"] == "T"


@each(EVENT)
def test_context_without_a_client_and_after_the_deadline(runtime):
    got = runtime.event({"op": "context"}, {"deadline_ms": 1000}).result()
    assert got["remaining"] == 0
    assert got["client_custom"] is None


@each(EVENT)
@zygote
def test_an_error_has_type_message_and_the_users_frames(flavour, runtime):
    call = runtime.event({"op": "raise", "text": "boom größe"})
    more = {"requestId"} if flavour.language.name == "python" else set()
    assert set(call.error) == {"errorType", "errorMessage", flavour.language.trace} | more
    assert call.error["errorType"] in ("ValueError", "RangeError", "Function<RangeError>", "RangeException", "Error", "java.lang.IllegalArgumentException", "ArgumentOutOfRangeException")
    assert call.error["errorMessage"] == "boom größe"
    trace = "\n".join(call.error[flavour.language.trace])
    assert "fail" in trace.lower() and "event" in trace.lower()
    assert "runtimes/%s/" % flavour.language.name not in trace
    assert "boom größe" in call.log(2)  # the log shows it too
    assert runtime.event({"op": "echo", "value": 1}).result() == 1


@each(EVENT)
@pytest.mark.parametrize("kind", ["type", "circle"])
def test_a_result_that_is_no_json(runtime, kind):
    call = runtime.event({"op": "unmarshalable", "kind": kind})
    assert call.error["errorType"] == "Runtime.MarshalError"
    assert call.error["errorMessage"].startswith(("Unable to marshal response: ", "Unable to stringify"))
    # What went wrong once must not go wrong for the next one.
    assert runtime.event({"op": "echo", "value": [{"a": 1}]}).result() == [{"a": 1}]


@each(EVENT)
def test_an_event_that_is_no_json(runtime):
    call = runtime.finish(runtime.start(b'{"op": '))
    assert call.error["errorType"] == "Runtime.UnmarshalError"
    assert runtime.finish(runtime.start(b"  \n")).error["errorType"] == "Runtime.UnmarshalError"


@each(EVENT)
def test_no_payload_is_an_empty_event(runtime):
    assert "unknown" in (runtime.finish(runtime.start(b"")).result() or "unknown")


@each(EVENT)
def test_white_space_around_an_event(runtime):
    assert runtime.finish(runtime.start(b' \n{"op":"echo","value":5} \r\n\t')).result() == 5


@each(EVENT)
@zygote
def test_output_belongs_to_its_invocation(runtime):
    call = runtime.event({"op": "log", "name": "one", "unicode": True})
    assert call.result() == "one"
    assert call.log(1) == "out one\nhalf and half one\ngröße €\nunfinished one\n"
    assert call.log(2) == "err one\n"


@each(only(EVENT, "python", "python-threads", "python-async", "python-async-8"))
@zygote
def test_python_logging_and_threads(runtime):
    call = runtime.event({"op": "log", "name": "two", "library": True, "thread": True}, {"id": "the-id"})
    call_log = call.log(1)
    assert "thread two\n" in call_log
    line = [line for line in call_log.splitlines() if "warned two" in line][0]
    level, when, request, message = line.split("\t")
    assert (level, request, message) == ("[WARNING]", "the-id", "warned two")
    assert when[10] == "T" and when.endswith("Z") and len(when) == 24


@each(EVENT)
@zygote
def test_environment(runtime):
    names = ["AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "LAMBDA_TASK_ROOT", "TZ", "NO_SUCH_NAME"]
    got = runtime.event({"op": "env", "names": names}).result()
    assert got["AWS_LAMBDA_FUNCTION_NAME"] == "conformance"
    assert got["LAMBDA_TASK_ROOT"].endswith("functions")
    assert got["NO_SUCH_NAME"] is None


@each(only(EVENT, "python", "node-commonjs"))
@zygote
def test_the_trace_is_in_the_environment_of_its_invocation(runtime):
    read = {"op": "env", "names": ["_X_AMZN_TRACE_ID"]}
    traced = runtime.event(read, {"trace": "Root=1-5759e988-bd862e3fe1be46a994272793"}).result()
    assert traced["_X_AMZN_TRACE_ID"] == "Root=1-5759e988-bd862e3fe1be46a994272793"
    assert runtime.event(read).result()["_X_AMZN_TRACE_ID"] is None


@each(EVENT)
def test_large_events_and_results(runtime):
    size = 8 * 1000 * 1000  # over several windows of credit, both ways
    call = runtime.start_event({"op": "size", "value": "y" * size})
    assert runtime.finish(call).result() == size
    assert call.window_frames > 6
    call = runtime.event({"op": "large", "size": size})
    assert len(call.body) == size + 2
    assert call.result() == "x" * size


@each(EVENT)
def test_a_result_stops_where_the_credit_ends(flavour):
    with flavour.start(grant=False) as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "large", "size": 3 << 20})
        runtime.wait(lambda: call.response_credit == 0, "the whole first window")
        assert not call.done
        runtime.credit(call, 100)
        runtime.wait(lambda: len(call.body) == (1 << 20) + 100, "a hundred bytes more")
        runtime.credit(call, 4 << 20)
        assert len(runtime.finish(call).result()) == 3 << 20


@each(EVENT)
@zygote
def test_a_streamed_answer_with_a_head(runtime):
    call = runtime.event({"op": "stream", "count": 50})
    assert call.http and call.error is None
    assert call.head["status"] == 201
    assert call.header("content-type") == "text/x-lines"
    assert call.header("x-one") == "1"
    assert call.headers("set-cookie") == ["a=1", "b=2"]
    assert call.body == b"".join(b"line %d\n" % number for number in range(50))


@each(EVENT)
def test_bytes_come_out_as_they_are(runtime):
    call = runtime.event({"op": "binary"})
    assert call.head["status"] == 200
    assert call.header("content-type") == "application/octet-stream"
    assert call.body == bytes(range(256)) * 3


@each(EVENT)
@zygote
def test_the_deadline_comes_nearer(runtime):
    first, second = runtime.event({"op": "remaining"}, {"deadline_ms": int(time.time() * 1000) + 60000}).result()
    assert 50000 < first <= 60000
    assert second <= first - 40


@each(EVENT)
def test_a_generator_streams_with_credit(runtime):
    call = runtime.event({"op": "blocks", "count": 200, "size": 40000})
    assert call.header("content-type") == "application/x-blocks"
    assert call.body == b"b" * (200 * 40000)


@each(EVENT)
def test_a_stream_that_fails_in_the_middle(runtime):
    call = runtime.event({"op": "stream_fails"})
    assert call.head["status"] == 200
    assert call.header("content-type") == "text/plain; charset=utf-8"
    assert call.body == b"before\n"
    assert call.error["errorType"] in ("RuntimeError", "Error", "Function<RuntimeError>", "RuntimeException", "java.lang.IllegalStateException", "InvalidOperationException")
    assert call.error["errorMessage"] == "in the middle"


@each(EVENT)
@zygote
def test_cancel_ends_a_stream_without_end(flavour):
    with flavour.start(grant=False) as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "endless"})
        runtime.wait(lambda: call.response_credit == 0, "the whole first window")
        runtime.cancel(call)
        runtime.finish(call)
        assert call.error["errorType"] == "Runtime.Cancelled"
        assert runtime.event({"op": "echo", "value": "next"}).result() == "next"
        if flavour.is_async or flavour.language in (JAVA, NET, PHP, PL, RB):
            assert call.log(1) == "closed the stream\n"


@each(only(EVENT, "python-async", "python-async-8"))
@zygote
def test_cancel_reaches_an_async_handler(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "sleep", "name": "long", "seconds": 60})
        runtime.wait(lambda: call.logs, "the first line")
        runtime.cancel(call)
        runtime.finish(call)
        assert call.error["errorType"] == "Runtime.Cancelled"
        assert call.log() == "sleeping long\nwas cancelled\n"


@each({name: flavour for name, flavour in EVENT.items() if name.split("-")[0] != "node" and not flavour.is_async})
def test_a_handler_can_ask_whether_it_is_cancelled(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "wait_for_cancel"})
        runtime.wait(lambda: call.logs, "the first line")
        runtime.cancel(call)
        runtime.finish(call)
        assert call.log(1) == "waiting\nnoticed\n"
        assert runtime.event({"op": "echo", "value": 1}).result() == 1


@each(EVENT)
def test_cancel_of_an_event_that_is_not_complete(flavour, runtime):
    call = runtime.open()
    runtime.send(driver_invoke(call, b'{"op":', end=False))
    runtime.cancel(call)
    assert runtime.finish(call).error["errorType"] == "Runtime.Cancelled"
    assert runtime.event({"op": "echo", "value": 1}).result() == 1


def driver_invoke(call, body, end):
    return driver.invoke_frame(call.stream, body, end=end)


CONCURRENT = only(EVENT, "python-threads", "python-async-8", "node-module-8", "ruby-threads", "java-threads", "dotnet-threads")


@each(CONCURRENT)
@zygote
def test_invocations_run_at_once_and_log_apart(flavour, tmp_path):
    """Each has begun before any may end."""
    with flavour.start() as runtime:
        runtime.wait_ready()
        until = str(tmp_path / "all-run")
        calls = [runtime.start_event({"op": "sleep", "name": "n%d" % number, "until": until}) for number in range(8)]
        for call in calls:
            runtime.wait(lambda: call.logs, "its first line")
        open(until, "x").close()
        for number, call in enumerate(calls):
            assert runtime.finish(call).result() == "n%d" % number
            assert call.log() == "sleeping n%d\nslept n%d\n" % (number, number)


@each({name: flavour for name, flavour in EVENT.items() if name not in CONCURRENT})
def test_one_at_a_time_when_the_concurrency_is_one(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        first = runtime.start_event({"op": "sleep", "name": "first", "seconds": 0.05})
        second = runtime.start_event({"op": "sleep", "name": "second", "seconds": 0})
        runtime.finish(second)
        assert first.done
        assert first.log() == "sleeping first\nslept first\n"
        assert second.log() == "sleeping second\nslept second\n"


@each(EVENT)
@zygote
def test_shutdown_lets_the_work_end(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "sleep", "name": "last", "seconds": 0.1})
        runtime.wait(lambda: call.logs, "the first line")
        assert runtime.shutdown() == 0
        assert call.result() == "last"
    assert driver.CONSOLE.sub("", runtime.raw[0].decode()) == "loaded\n" and runtime.raw[1] == b""


@each(EVENT)
def test_shutdown_of_an_idle_runtime(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        assert runtime.shutdown() == 0


@each(EVENT)
@zygote
def test_exit_of_a_handler_ends_the_process(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_event({"op": "exit"})
        while not runtime.ended:
            assert runtime.poll(20)
        assert runtime.process.wait(driver.TIMEOUT) == 3
        assert call.log() == "leaving\n"
        assert not call.done


@each(EVENT)
def test_an_http_request_is_refused(runtime):
    call = runtime.http()
    assert call.error["errorType"] == "Runtime.ProtocolError"
