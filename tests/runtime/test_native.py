"""Functions in C and C++ that speak frames by runtimes/native/mayfly_function.h."""

import json
import os
import shutil
import struct
import subprocess

import pytest

import driver

HEADER = os.path.join(driver.ROOT, "runtimes", "native")
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions", "native", "function.c")
BUILDS = {"c": ["cc", "-std=c11", "-D_DEFAULT_SOURCE"], "c++": ["c++", "-std=c++11", "-x", "c++"]}

pytestmark = pytest.mark.once


@pytest.fixture(scope="module", params=list(BUILDS))
def program(request, tmp_path_factory):
    words = BUILDS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(words[0] + " is not installed (apt-get install g++)")
    path = str(tmp_path_factory.mktemp("native") / "function")
    sanitize = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([*words, "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", *sanitize, "-I" + HEADER,
                    "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def native(program):
    def start(model, **options):
        env = driver.environment(os.path.dirname(program), extra={"MAYFLY_CHANNEL": "3", "MODEL": model}, **options)
        return driver.Runtime([program], env, os.path.dirname(program))
    return start


def test_ready(native):
    with native("http") as runtime:
        ready = runtime.wait_ready()
        assert (ready["model"], ready["concurrency"], ready["runtime"]) == ("http", 16, "native")
    with native("event", concurrency=5) as runtime:
        ready = runtime.wait_ready()
        assert (ready["model"], ready["concurrency"]) == ("event", 5)


def test_a_request_in_all_its_parts(native):
    with native("http") as runtime:
        runtime.wait_ready()
        told = runtime.http("PUT", "/a%20b", b"12345", query="x=1&y=%26", base="/function/f",
                            headers=[["X-Twice", "1"], ["X-Twice", "2"], ["X-Odd", "\"q\" \\ \t ü 😀"]])
        assert told.head["status"] == 200 and told.header("content-type") == "application/json"
        body = json.loads(told.body.decode())
        assert body.pop("deadline_ms") > 1_700_000_000_000
        assert body == {"method": "PUT", "path": "/a%20b", "query": "x=1&y=%26", "base": "/function/f",
                        "remote": "192.0.2.7", "scheme": "http", "id": "request-1", "twice": "1",
                        "odd": "\"q\" \\ \t ü 😀", "missing": True, "bytes": 5}


def test_status_headers_and_only_one_answer(native):
    with native("http") as runtime:
        runtime.wait_ready()
        call = runtime.http("POST", "/same", b"\0\xff binary")
        assert call.head["status"] == 201 and call.body == b"\0\xff binary"
        assert call.header("x-quoted") == 'a "b" \\ c' and call.headers("set-cookie") == ["a=1", "b=2"]
        assert runtime.http("GET", "/same").body == b""


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_large_bodies_within_their_credit(native, size):
    with native("http") as runtime:
        runtime.wait_ready()
        body = os.urandom(size)
        assert runtime.http("POST", "/same", body).body == body
        assert runtime.http("POST", "/").body.endswith(b'"bytes":0}')


def test_a_caller_that_does_not_read_holds_nobody_up(native):
    with native("http") as runtime:
        runtime.wait_ready()
        runtime.grant = False
        body = os.urandom(2_000_000)
        slow = runtime.start_http("POST", "/same", body)
        runtime.wait(lambda: len(slow.body) == 1 << 20, "as much as there is credit for")
        assert runtime.http("POST", "/same", b"quick").body == b"quick"
        assert not slow.done and len(slow.body) == 1 << 20
        runtime.credit(slow, 1000)
        runtime.credit(slow, 2_000_000)
        assert runtime.finish(slow).body == body


def test_cancelled_before_it_is_whole_and_while_it_is_answered(native):
    with native("http") as runtime:
        runtime.wait_ready()
        half = runtime.open()
        runtime.send(driver.invoke_frame(half.stream, b"a", driver.http_head("POST", "/same"), end=False))
        runtime.cancel(half)
        assert runtime.finish(half).error["errorType"] == "Runtime.Cancelled"
        runtime.send(driver.frame(half.stream, driver.DATA, driver.END, b"late"))  # crossed on the way
        runtime.grant = False
        slow = runtime.start_http("POST", "/same", b"x" * 2_000_000)
        runtime.wait(lambda: slow.replied, "the reply")
        runtime.cancel(slow)
        assert runtime.finish(slow).error["errorType"] == "Runtime.Cancelled"
        assert runtime.http("POST", "/same", b"on").body == b"on"


def test_many_in_one_write_are_answered_in_one(native):
    with native("http") as runtime:
        runtime.wait_ready()
        calls = [runtime.open() for _ in range(100)]
        runtime.send(b"".join(driver.invoke_frame(c.stream, b"%d" % c.stream, driver.http_head("POST", "/same"))
                              for c in calls))
        assert [runtime.finish(c).body for c in calls] == [b"%d" % c.stream for c in calls]


def test_events(native):
    with native("event") as runtime:
        runtime.wait_ready()
        assert runtime.event({"n": [1, {"do": "no"}], "do": "/log", "z": "\\"}).log() == "one\ntwo\n"
        failed = runtime.event({"do": "/fail"}).error
        assert failed == {"errorType": "OutOfStock", "errorMessage": 'no "left" shoe\n', "stackTrace": []}
        assert runtime.event({"do": "/nothing"}).error["errorType"] == "Runtime.NoAnswer"
        assert runtime.http("GET", "/").error["errorType"] == "Runtime.ProtocolError"
        assert runtime.shutdown() == 0
    assert runtime.raw[1] == b"3 calls\n"


def test_a_handler_that_does_not_answer(native):
    with native("http") as runtime:
        runtime.wait_ready()
        assert runtime.http("GET", "/nothing").error["errorType"] == "Runtime.NoAnswer"
        assert runtime.event({}).error["errorType"] == "Runtime.ProtocolError"


def test_last_words_of_one_that_crashes(native):
    with native("http") as runtime:
        runtime.wait_ready()
        call = runtime.start_http("GET", "/crash")
        runtime.wait(lambda: call.logs, "its log")
        assert call.log() == "last words\n"
        while not runtime.ended:
            runtime.poll(1)


@pytest.mark.parametrize("frame", [struct.pack("<IIBBH", 65 << 20, 1, 1, 0, 0), struct.pack("<IIBBH", 0, 1, 99, 0, 0),
                                   struct.pack("<IIBBH", 0, 1, 1, 0, 7), driver.frame(1, driver.INVOKE, 0, b"abc"),
                                   driver.frame(1, driver.INVOKE, 0, struct.pack("<II", 1 << 31, 0)),
                                   driver.frame(1, driver.INVOKE, 0, struct.pack("<II", 0, 9))])
def test_what_is_no_frame_ends_it(native, frame):
    with native("http") as runtime:
        runtime.wait_ready()
        runtime.send(frame)
        while not runtime.ended:
            runtime.poll(1)
        assert runtime.process.wait(driver.TIMEOUT) == 1


def test_it_says_what_it_is_without_mayfly(program):
    done = subprocess.run([program], env={"PATH": "/usr/bin"}, capture_output=True)
    assert done.returncode == 2 and b"mayfly deploy" in done.stderr
