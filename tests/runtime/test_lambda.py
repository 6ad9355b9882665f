"""Python and Node handlers behave as under AWS's own runtimes: context, results, errors, log lines."""

import json
import os
import re

import pytest

from conftest import FUNCTIONS, JS, PY, Language, zygote

FOLDER = os.path.join(FUNCTIONS, "lambda")
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"
CLIENT = json.dumps({"client": {"app_title": "t"}, "custom": {"a": "b"}})

pytestmark = pytest.mark.once

_started = {}


@pytest.fixture(scope="module", autouse=True)
def end_all():
    yield
    for started in _started.values():
        started.__exit__()
    _started.clear()


def served(language, handler, **extra):
    """A runtime that cases share."""
    key = language.name, handler, Language.form, tuple(extra.items())
    if key not in _started or _started[key].ended:
        _started[key] = language.start(FOLDER, handler=handler, extra=extra)
        _started[key].wait_ready()
    return _started[key]


def python(**extra):
    return served(PY, "members.handler", **extra)


def node(handler="members.handler", **extra):
    return served(JS, handler, **extra)


# ---- Python


def test_python_context():
    got = python().event({"op": "context"}, {"id": "req-7", "client_context": CLIENT}).result()
    assert got["repr"] == (
        "LambdaContext([aws_request_id=req-7,log_group_name=/aws/lambda/conformance,"
        "log_stream_name=2026/01/01/[$LATEST]0123456789abcdef,function_name=conformance,"
        "memory_limit_in_mb=128,function_version=$LATEST,"
        "invoked_function_arn=arn:aws:lambda:eu-local-1:000000000000:function:conformance,"
        "client_context=ClientContext([custom={'a': 'b'},env=None,client=Client([installation_id=None,"
        "app_title=t,app_version_name=None,app_version_code=None,app_package_name=None])]),"
        "identity=CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None]),"
        "tenant_id=None])"
    )
    assert got["client"] == [{"a": "b"}, None, "t"] and got["missing"] is None
    assert got["tenant"] is None and got["identity"] is None


def coroutine():
    return served(PY, "members.trace_async")


@pytest.mark.parametrize("start", [python, coroutine, node], ids=["python", "coroutine", "node"])
@zygote
def test_the_trace_is_that_of_the_call(start):
    assert start().event({"op": "trace"}, {"trace": "Root=1-a"}).result() == "Root=1-a"
    assert start().event({"op": "trace"}, {"trace": ""}).result() is None
    assert start().event({"op": "trace"}, {"trace": "Root=1-b"}).result() == "Root=1-b"


def test_python_decimals_keep_their_digits_and_bytes_are_text():
    call = python().event({"op": "digits"})
    assert call.body == '{"price": 1.10, "many": [12345678901234567890.5], "text": "gö"}'.encode()
    assert python().event({"op": "bytes"}).body == b'{"made": "elsewhere"}'


def test_python_error():
    call = python().event({"op": "fail"}, {"id": "req-8"})
    assert list(call.error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert call.error["errorMessage"] == "'no order'" and call.error["errorType"] == "KeyError"
    assert call.error["requestId"] == "req-8"
    assert re.fullmatch(r'  File ".*members\.py", line \d+, in on_fail\n.*', call.error["stackTrace"][-1], re.S)
    assert call.logged().startswith("[ERROR] KeyError: 'no order'\nTraceback (most recent call last):\n")


def test_python_log_lines():
    call = python().event({"op": "log"}, {"id": "req-9"})
    lines = call.logged().split("\n")
    assert re.fullmatch(r"\[WARNING\]\t%s\treq-9\torder 7" % STAMP, lines[0])
    assert lines[1:] == ["one", "two", ""]


@zygote
def test_python_log_level():
    call = python(AWS_LAMBDA_LOG_LEVEL="INFO").event({"op": "log"}, {"id": "req-9"})
    assert "\treq-9\tquiet\n" in call.logged()


@zygote
def test_python_json_log():
    runtime = python(AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    first, second = map(json.loads, runtime.event({"op": "log"}, {"id": "r1"}).logged().split("\n")[:2])
    assert re.fullmatch(STAMP, first.pop("timestamp"))
    assert first == {"level": "INFO", "message": "quiet", "logger": "orders", "requestId": "r1"}
    assert second["order"] == 7 and second["level"] == "WARNING"
    line = json.loads(runtime.event({"op": "log_exception"}, {"id": "r2"}).logged())
    assert (line["errorType"], line["errorMessage"], line["level"]) == ("KeyError", "'x'", "ERROR")
    assert line["location"].endswith("members.py:on_log_exception:%s" % line["location"].rsplit(":", 1)[1])
    assert "on_log_exception" in line["stackTrace"][0]
    line = json.loads(runtime.event({"op": "fail"}, {"id": "r3"}).logged())
    assert (line["log_level"], line["errorType"], line["requestId"]) == ("ERROR", "KeyError", "r3")


# ---- Node


@pytest.mark.parametrize("handler", ["members.handler", "members.plain"])
def test_node_context(handler):
    got = node(handler).event({"op": "context"}, {"id": "req-7", "client_context": CLIENT}).result()
    assert got["own"] == sorted(
        "awsRequestId callbackWaitsForEmptyEventLoop clientContext functionName functionVersion "
        "getRemainingTimeInMillis identity invokedFunctionArn logGroupName logStreamName "
        "memoryLimitInMB tenantId".split()
    )
    assert got["client"] == json.loads(CLIENT)
    assert got["types"] == ["function"] * 4
    assert got["spread"] == "req-7"
    assert node(handler).event({"op": "succeed"}).result() == "by context"
    assert node(handler).event({"op": "wrapped"}).result() == "wrapped result"


def test_node_error():
    call = node().event({"op": "fail"}, {"id": "req-8"})
    assert list(call.error) == ["errorType", "errorMessage", "trace"]
    assert (call.error["errorType"], call.error["errorMessage"]) == ("RangeError", "no order")
    assert call.error["trace"][0] == "RangeError: no order" and "members.js" in call.error["trace"][1]
    found = re.fullmatch(r"%s\treq-8\tERROR\tInvoke Error \t(\{.*\})\n" % STAMP, call.logged())
    told = json.loads(found.group(2))
    assert (told["errorType"], told["errorMessage"], told["code"], told["order"]) == (
        "RangeError",
        "no order",
        "E_ORDER",
        7,
    )
    assert told["stack"][0] == "RangeError: no order"


@zygote
def test_node_console():
    call = node().event({"op": "log"}, {"id": "req-9"})
    quiet, order, lost, failed = call.logged().split("\n")[:4]
    assert re.fullmatch(STAMP + "\treq-9\tDEBUG\tquiet", quiet)
    assert re.fullmatch(STAMP + r"\treq-9\tINFO\torder 7 \{ id: 1 \}", order)
    assert re.fullmatch(STAMP + r"\treq-9\tERROR\t\{ lost: true \}", lost)
    assert re.fullmatch(STAMP + r"\treq-9\tWARN\tfailed: TypeError: bad", failed)


@zygote
def test_node_json_console():
    runtime = node(AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    order, lost, failed = map(json.loads, runtime.event({"op": "log"}, {"id": "r1"}).logged().splitlines())
    assert re.fullmatch(STAMP, order.pop("timestamp"))
    assert order == {"level": "INFO", "requestId": "r1", "message": "order 7 { id: 1 }"}
    assert lost["message"] == {"lost": True} and lost["level"] == "ERROR"
    assert (failed["errorType"], failed["errorMessage"], failed["level"]) == ("TypeError", "bad", "WARN")
    assert failed["stackTrace"][0] == "TypeError: bad"
    line = json.loads(runtime.event({"op": "fail"}, {"id": "r2"}).logged())
    assert line["message"]["errorType"] == "RangeError" and line["message"]["order"] == 7


def test_node_promise_that_cannot_be_settled():
    call = node().event({"op": "forever"})
    assert call.error["errorType"] == "Runtime.NodeJsExit"
    assert "unexpected Node.js exit code" in call.error["errorMessage"]
    assert node().event({"op": "late"}).result() == "late"
    # A handler that is not async has answered nothing.
    assert node("members.plain").event({"op": "forever"}).result() is None


@pytest.mark.parametrize(
    "op, status, kind, body",
    [
        ("head", 201, "text/html", b"<p>x"),
        ("prelude", 418, "application/octet-stream", b"tea"),
        ("hook", 202, "application/octet-stream", b"hooked"),
        ("type", 200, "text/csv", b"a,b\nRuntime.InvalidStreamingOperation"),
        ("object", 200, "application/octet-stream", b'{"a":1}'),
        ("nothing", 204, "application/octet-stream", b""),
    ],
)
def test_node_response_streams(op, status, kind, body):
    call = node("streams.handler").event({"op": op})
    assert (call.head["status"], call.header("content-type"), call.body) == (status, kind, body)
    if op == "head":
        assert call.headers("set-cookie") == ["a=1", "b=2"]
    if op == "prelude":
        assert call.header("x-a") == "b"


def test_node_prelude_without_an_end():
    call = node("streams.handler").event({"op": "broken"})
    assert call.error["errorType"] == "Runtime.InvalidStreamingOperation"
