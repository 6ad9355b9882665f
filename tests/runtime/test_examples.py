"""The examples run: those in Python and JavaScript over frames, the native ones by themselves."""

import http.client
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

import clones
import driver
from conftest import JAVA, JS, NET, PHP, PL, PY, RB, has_python_module, once, zygote

EXAMPLES = os.path.join(driver.ROOT, "examples")


def start(language, name):
    return language.start(os.path.join(EXAMPLES, name))


def http_event(**query):
    return {"version": "2.0", "queryStringParameters": query}


HELLO = [(PY, "python-hello"), (JS, "node-hello"), (RB, "ruby-hello"), (PHP, "php-hello"), (PL, "perl-hello")]


@pytest.mark.parametrize("language, name", HELLO + [(JAVA, "java-hello"), (NET, "dotnet-hello")])
@zygote
def test_hello(language, name, tmp_path):
    if language in (JAVA, NET):  # by deploy, where there is a server
        folder = os.path.join(EXAMPLES, name)
        sources = [os.path.join(folder, file) for file in os.listdir(folder) if not file.endswith(".md")]
        running = language.start(language.compiled(sources, tmp_path / "out"))
    else:
        running = start(language, name)
    with running as runtime:
        assert runtime.wait_ready()["model"] == "event"
        call = runtime.event({"name": "Grace"}, {"id": "the-id"})
        assert call.result() == {"message": "Hello Grace", "request": "the-id"}
        assert call.log() == "greeting Grace\n"
        assert runtime.event(http_event(name="Ada")).result()["message"] == "Hello Ada"


def test_flask():
    if not has_python_module("flask"):
        pytest.skip("flask is not installed (apt-get install python3-flask)")
    with start(PY, "python-flask") as runtime:
        runtime.wait_ready()
        fields = [("content-type", "application/json")]
        call = runtime.http("POST", "/notes", b'{"text":"milk"}', headers=fields)
        assert (call.head["status"], json.loads(call.body)) == (201, {"count": 1})
        assert json.loads(runtime.http("GET", "/notes").body) == ["milk"]


def test_asgi():
    with start(PY, "python-asgi") as runtime:
        runtime.wait_ready()
        got = json.loads(runtime.http("PUT", "/upload", b"x" * 3000000).body)
        assert got == {"method": "PUT", "path": "/upload", "bytes": 3000000}


def test_python_stream():
    with start(PY, "python-stream") as runtime:
        runtime.wait_ready()
        call = runtime.start_event(http_event(count="2"))
        runtime.wait(lambda: call.body == b"2\n", "the first line alone")
        assert runtime.finish(call).body == b"2\n1\nlift-off\n"
        assert call.head["status"] == 200


def test_node_esm():
    with start(JS, "node-esm") as runtime:
        runtime.wait_ready()
        assert runtime.event(http_event(lang="fr", name="Ada")).result()["body"] == "Bonjour Ada\n"
        assert runtime.event(http_event(lang="xx")).result()["statusCode"] == 404


def test_node_express(tmp_path):
    modules = os.environ.get("MAYFLY_TEST_NODE_MODULES")
    if not modules:
        pytest.skip("MAYFLY_TEST_NODE_MODULES names no folder with express")
    shutil.copytree(os.path.join(EXAMPLES, "node-express"), tmp_path / "app")
    os.symlink(modules, tmp_path / "app" / "node_modules")
    with JS.start(tmp_path / "app") as runtime:
        assert runtime.wait_ready()["handler"] == "app.listen"
        fields = [("content-type", "application/json"), ("content-length", "19")]
        assert json.loads(runtime.http("GET", "/", query="name=Ada").body) == {"hello": "Ada"}
        call = runtime.http("POST", "/sum", b'{"numbers":[1,2,3]}', headers=fields)
        assert json.loads(call.body) == {"sum": 6}


def test_node_fetch():
    with start(JS, "node-fetch") as runtime:
        runtime.wait_ready()
        assert json.loads(runtime.http("GET", "/a/b").body) == {"path": "/a/b", "region": "eu-local-1"}
        call = runtime.http("POST", "/", b"some text")
        assert (call.head["status"], json.loads(call.body)) == (201, {"length": 9})


def test_node_sse():
    with start(JS, "node-stream-sse") as runtime:
        assert runtime.wait_ready()["handler"] == "server.listen"
        call = runtime.start_http("GET", "/", query="count=2")
        runtime.finish(call)
        # Each event was sent when it was written, however late they were read here.
        assert [chunk.count(b"data: ") for chunk in call.chunks if chunk] == [1, 1]


def test_shop_functions():
    with JS.start(os.path.join(EXAMPLES, "shop", "catalogue"), extra={"CURRENCY": "EUR"}) as runtime:
        runtime.wait_ready()
        answer = runtime.event({"pathParameters": {"id": "lamp"}}).result()
        assert json.loads(answer["body"])["name"] == "Lamp"
        assert json.loads(runtime.event({}).result()["body"])["currency"] == "EUR"
    with PY.start(os.path.join(EXAMPLES, "shop", "orders"), handler="app.app") as runtime:
        runtime.wait_ready()
        call = runtime.http("POST", "/orders", b'{"items":{"kettle":1}}')
        assert call.head["status"] == 201
        assert call.header("x-order-id") == json.loads(call.body)["order"]
        assert runtime.http("POST", "/orders", b"[]").head["status"] == 400


@once
@pytest.mark.parametrize("name", ["shop", "adclick"])
def test_manifests_name_what_is_there(name):
    with open(os.path.join(EXAMPLES, name, "mayfly.yaml"), encoding="utf-8") as file:
        text = file.read()
    paths = re.findall(r"^    path: (?!/)(\S+)$|folder: (\w+)", text, re.M)
    assert paths
    for path in paths:
        assert os.path.exists(os.path.join(EXAMPLES, name, *[part for part in path if part])), path


# ---- native


def build(tmp_path, name, tool):
    if shutil.which(tool) is None or shutil.which("make") is None:
        pytest.skip("%s or make is not installed" % tool)
    target = tmp_path / name
    shutil.copytree(os.path.join(EXAMPLES, name), target, ignore=shutil.ignore_patterns("server", "bootstrap", "function"))
    env = dict(os.environ, GOCACHE=os.path.join(clones.BUILD, "go-cache"), GOFLAGS="-mod=mod", GOTOOLCHAIN="local",
               MAYFLY=driver.ROOT)
    env.setdefault("HOME", str(tmp_path))
    subprocess.run(["make", "-s", "-C", str(target)], check=True, env=env, capture_output=True)
    return target


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, process):
    while True:
        assert process.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return http.client.HTTPConnection("127.0.0.1", port, timeout=driver.TIMEOUT)
        except ConnectionRefusedError:
            continue


@once
@pytest.mark.parametrize("name, tool, has", [("c-http", "cc", b"POST /a?b=c with 300000 bytes"), ("go-http", "go", b'"bytes":300000')])
def test_native_servers(tmp_path, name, tool, has):
    folder = build(tmp_path, name, tool)
    port = free_port()
    env = {"PORT": str(port), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([str(folder / "server")], env=env, stderr=subprocess.DEVNULL)
    try:
        client = connect(port, process)
        for _ in range(2):  # on one connection
            client.request("POST", "/a?b=c", b"x" * 300000)
            answer = client.getresponse()
            assert answer.status == 200 and has in answer.read()
    finally:
        process.kill()
        process.wait()


@once
def test_c_function(tmp_path):
    folder = build(tmp_path, "c-function", "cc")
    env = driver.environment(folder, extra={"MAYFLY_CHANNEL": "3"})
    with driver.Runtime([str(folder / "function")], env, str(folder)) as runtime:
        runtime.wait_ready()
        for count in (1, 2):
            answer = runtime.http("GET", "/any/path", headers=[["X-Name", "Ada"]])
            assert answer.body == b"Hello Ada, call %d of this instance, at /any/path\n" % count
        assert runtime.http("GET", "/").head["status"] == 400


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    """As much of the Lambda Runtime API as it takes: one event, then the end."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        assert self.path == "/2018-06-01/runtime/invocation/next"
        if self.server.answers:
            self.close_connection = True
            return
        body = b'{"a":[1,2]}'
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "the-id")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"4\r\n" + body[:4] + b"\r\n7\r\n" + body[4:] + b"\r\n0\r\n\r\n")

    def do_POST(self):
        self.server.answers.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@once
def test_cpp_runtime_api(tmp_path):
    folder = build(tmp_path, "cpp-runtime-api", "c++")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.answers = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        env = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % server.server_port}
        done = subprocess.run([str(folder / "bootstrap")], env=env, capture_output=True, timeout=driver.TIMEOUT)
        assert (done.returncode, done.stdout) == (0, b"handling the-id\n")
        path, body = server.answers[0]
        assert path == "/2018-06-01/runtime/invocation/the-id/response"
        assert json.loads(body) == {"bytes": 11, "event": {"a": [1, 2]}}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@once
def test_shell_stdin():
    script = os.path.join(EXAMPLES, "shell-stdin", "count.sh")
    done = subprocess.run([script], input=b"two words\n", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"lines 1, words 2, bytes 10\n", b"counting\n")


@once
def test_every_example_says_how_to_try_it():
    for name in sorted(os.listdir(EXAMPLES)):
        folder = os.path.join(EXAMPLES, name)
        if os.path.isdir(folder):
            with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
                text = file.read()
            assert "mayfly deploy examples/" + name in text and "curl " in text, name
