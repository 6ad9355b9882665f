"""Apps that get HTTP requests: WSGI, ASGI, (req, res) listeners, fetch handlers."""

import json
import os
import threading

import pytest

import driver
from conftest import HTTP, JS, PY, each, has_python_module, only, zygote

BINARY = bytes(range(256)) * 40


@each(HTTP)
def test_the_ready_frame_tells_the_model(flavour, runtime):
    assert runtime.ready["model"] == "http"
    assert runtime.ready["concurrency"] == flavour.concurrency


@each(HTTP)
@zygote
def test_the_request_head(flavour, runtime):
    fields = [
        ("Host", "shop.test:8080"),
        ("Accept", "text/html"),
        ("X-Twice", "1"),
        ("Cookie", "a=1"),
        ("x-twice", "2"),
        ("X_Twice", "3"),  # another name, also where CGI variables cannot tell them apart
        ("Cookie", "b=2"),
    ]
    call = runtime.http("DELETE", "/a%20b/gr%C3%B6%C3%9Fe", query="q=1&r=%20", headers=fields, base="/function/shop")
    assert call.head["status"] == 200
    assert call.header("content-type") == "text/plain"
    got = json.loads(call.body)
    assert got["method"] == "DELETE"
    assert got["path"].endswith("/a b/größe")
    assert got["query"] == "q=1&r=%20"
    assert got["base"] == "/function/shop"
    assert got["remote"] in ("192.0.2.7", None)
    assert got["host"] == "shop.test:8080"
    assert got["accept"] == "text/html"
    assert got["twice"].replace(" ", "") == "1,2"
    assert got["cookie"].replace(",", "; ").replace(";  ", "; ") == "a=1; b=2"


@each(HTTP)
def test_binary_bodies(runtime):
    call = runtime.http("POST", "/echo", BINARY, headers=[("Content-Length", str(len(BINARY)))])
    assert call.body == BINARY


@each(HTTP)
def test_a_post_without_a_body(runtime):
    assert runtime.http("POST", "/echo").body == b""


@each(HTTP)
def test_cookies_and_repeated_headers(runtime):
    call = runtime.http("GET", "/cookies")
    assert call.head["status"] == 202
    assert call.headers("set-cookie") == ["a=1; Path=/", "b=2"]
    assert ",".join(call.headers("x-many")).replace(" ", "") == "1,2"
    assert call.body == b""


@each(HTTP)
def test_an_answer_without_a_body(runtime):
    call = runtime.http("GET", "/empty")
    assert (call.head["status"], call.body) == (204, b"")


@each(HTTP)
def test_head_requests(runtime):
    call = runtime.http("HEAD", "/anything")
    assert call.head["status"] == 200
    assert int(call.header("content-length")) > 50


@each(HTTP)
def test_large_request_bodies_are_streamed_with_credit(runtime):
    size = 20 * 1000 * 1000
    call = runtime.start_http("POST", "/count", b"u" * size)
    assert runtime.finish(call).body == b"%d" % size
    assert call.window_frames > 10


@each(HTTP)
def test_a_request_body_that_is_not_read_gets_no_credit(runtime):
    call = runtime.open()
    runtime.send(driver.invoke_frame(call.stream, b"x" * 1000, driver.http_head("POST", "/ignore"), end=False))
    assert runtime.finish(call).body == b"ignored"
    assert runtime.http("GET", "/empty").head["status"] == 204


@each(HTTP)
def test_large_answers_are_streamed_with_credit(flavour):
    with flavour.start(grant=False) as runtime:
        runtime.wait_ready()
        call = runtime.start_http("GET", "/blocks", query="count=50&size=100000")
        runtime.wait(lambda: call.response_credit == 0, "the whole first window")
        assert call.head["status"] == 200 and not call.done
        runtime.credit(call, 1)
        runtime.wait(lambda: len(call.body) == (1 << 20) + 1, "one byte more")
        runtime.credit(call, 8 << 20)
        assert runtime.finish(call).body == b"b" * 5000000


@each(HTTP)
@zygote
def test_events_trickle(runtime, tmp_path):
    """The second event is only made once the first has been seen here."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    call = runtime.start_http("GET", "/sse", query="gate=%s" % gate)
    runtime.wait(lambda: call.body == b"data: 1\n\n", "the first event")
    assert call.header("content-type") == "text/event-stream"
    assert not call.done
    opener = threading.Thread(target=lambda: gate.write_bytes(b"go"))
    opener.start()
    runtime.finish(call)
    opener.join()
    assert call.body == b"data: 1\n\ndata: 2\n\n"


@each(HTTP)
def test_an_app_that_throws(flavour, runtime):
    call = runtime.http("GET", "/throw")
    assert call.error["errorType"] in ("KeyError", "RangeError")
    assert "thrown" in call.error["errorMessage"]
    assert "app_" in "\n".join(call.error[flavour.language.trace])
    assert "thrown" in call.log(2)


@each(HTTP)
def test_an_answer_that_breaks_off(runtime):
    call = runtime.http("GET", "/broken")
    assert call.head["status"] == 200
    assert call.body == b"before"
    assert call.error["errorMessage"] == "in the middle"
    assert runtime.http("GET", "/empty").head["status"] == 204


CONCURRENT = only(HTTP, "wsgi", "asgi", "listener", "fetch")


@each(CONCURRENT)
@zygote
def test_requests_run_at_once_and_log_apart(runtime, tmp_path):
    """Each has begun before any may end."""
    until = tmp_path / "all-run"
    calls = [runtime.start_http("GET", "/log", query="until=%s&name=n%d" % (until, n)) for n in range(20)]
    for call in calls:
        runtime.wait(lambda: call.logs, "its first line")
    until.touch()
    for number, call in enumerate(calls):
        assert runtime.finish(call).body == b"n%d" % number
        assert call.log(1) == "out n%d\ndone n%d\n" % (number, number)
        assert call.log(2) == "err n%d\n" % number


@each(only(HTTP, "wsgi-1", "listener-1"))
def test_logs_with_a_concurrency_of_one(runtime):
    for name in ("a", "b"):
        assert runtime.http("GET", "/log", query="name=" + name).log(1) == "out %s\ndone %s\n" % (name, name)


@each(only(HTTP, "asgi", "listener", "fetch"))
@zygote
def test_the_app_learns_that_the_caller_is_gone(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_http("GET", "/disconnect")
        runtime.wait(lambda: call.body == b"waiting", "the start of the answer")
        runtime.cancel(call)
        runtime.wait(lambda: "saw the disconnect" in call.log(), "the app's line")
        runtime.finish(call)
        assert call.error["errorType"] == "Runtime.Cancelled"
        assert runtime.http("GET", "/empty").head["status"] == 204


@each(HTTP)
def test_cancel_while_the_answer_waits_for_credit(flavour):
    with flavour.start(grant=False) as runtime:
        runtime.wait_ready()
        call = runtime.start_http("GET", "/blocks", query="count=100&size=100000")
        runtime.wait(lambda: call.response_credit == 0, "the whole first window")
        runtime.cancel(call)
        runtime.finish(call)
        assert call.error["errorType"] == "Runtime.Cancelled"
        assert runtime.http("GET", "/empty").head["status"] == 204


@each(only(HTTP, "wsgi", "asgi"))
def test_cancel_while_the_request_is_still_coming(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.open()
        runtime.send(driver.invoke_frame(call.stream, b"x", driver.http_head("POST", "/echo"), end=False))
        runtime.cancel(call)
        assert runtime.finish(call).error is not None
        assert runtime.http("GET", "/empty").head["status"] == 204


@each(HTTP)
@zygote
def test_shutdown_lets_requests_end(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.start_http("GET", "/log", query="seconds=0.1&name=last")
        runtime.wait(lambda: call.logs, "the first line")
        assert runtime.shutdown() == 0
        assert call.body == b"last"


@each(only(HTTP, "asgi"))
@zygote
def test_lifespan(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        assert json.loads(runtime.http("GET", "/").body)["state"] == "yes"
        assert runtime.shutdown() == 0
        assert runtime.loose == [(1, "lifespan is over\n")]


@each(only(HTTP, "fetch"))
def test_work_after_the_answer_delays_the_shutdown(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        call = runtime.http("GET", "/later")
        assert call.body == b"now"
        assert runtime.shutdown() == 0
        assert call.log() == "finished later\n"


@each(HTTP)
def test_an_event_is_refused(runtime):
    assert runtime.event({}).error["errorType"] == "Runtime.ProtocolError"


# ---- frameworks


def test_flask(tmp_path):
    if not has_python_module("flask"):
        pytest.skip("flask is not installed (apt-get install python3-flask)")
    (tmp_path / "app.py").write_text(
        "from flask import Flask, request, jsonify, url_for\n"
        "app = Flask(__name__)\n"
        "@app.route('/hello/<name>', methods=['GET', 'POST'])\n"
        "def hello(name):\n"
        "    return jsonify(name=name, json=request.get_json(silent=True), link=url_for('hello', name='b'))\n"
    )
    with PY.start(tmp_path) as runtime:
        assert runtime.wait_ready()["handler"] == "app.app"
        fields = [("Content-Type", "application/json")]
        call = runtime.http("POST", "/hello/a", b'{"x": [1]}', headers=fields, base="/function/f")
        assert json.loads(call.body) == {"name": "a", "json": {"x": [1]}, "link": "/function/f/hello/b"}
        assert runtime.http("GET", "/nope").head["status"] == 404


@pytest.mark.parametrize("module", ["starlette", "fastapi"])
def test_asgi_frameworks(tmp_path, module):
    if not has_python_module(module):
        pytest.skip("%s is not installed" % module)
    source = {
        "starlette": "from starlette.applications import Starlette\n"
        "from starlette.responses import JSONResponse\n"
        "from starlette.routing import Route\n"
        "async def hello(request):\n"
        "    return JSONResponse({'hello': request.path_params['name']})\n"
        "app = Starlette(routes=[Route('/hello/{name}', hello)])\n",
        "fastapi": "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "@app.get('/hello/{name}')\n"
        "async def hello(name: str):\n"
        "    return {'hello': name}\n",
    }[module]
    (tmp_path / "main.py").write_text(source)
    with PY.start(tmp_path) as runtime:
        assert "ASGI application" in runtime.wait_ready()["notes"]
        assert json.loads(runtime.http("GET", "/hello/a", base="/function/f").body) == {"hello": "a"}
        assert runtime.http("GET", "/nope").head["status"] == 404


@zygote
def test_servers_that_listen(tmp_path):
    """A program that calls listen() is met where it is: it never gets to listen."""
    (tmp_path / "server.js").write_text(
        "const http = require('http');\n"
        "const server = http.createServer((req, res) => res.end('port ' + server.address().port));\n"
        "setTimeout(() => server.listen(process.env.PORT, () => console.log('up')), 20);\n"
    )
    with JS.start(tmp_path, extra={"PORT": "8123"}) as runtime:
        assert runtime.wait_ready()["handler"] == "server.listen"
        assert runtime.http("GET", "/").body == b"port 8123"
    assert b"up\n" in runtime.raw[0] or (1, "up\n") in runtime.loose
