"""Programming models: what each kind of program is given and how its answer comes back."""

import base64
import concurrent.futures
import json
import os
import re

import pytest

from harness import BUILD, EXAMPLES, ROOT, eventually, fixture_path, needs, registry_reachable, run


@pytest.fixture(scope="module")
def deployed(server):
    """Deploys a fixture once and returns its name."""
    done = {}

    def deploy(file, handler=None, *flags):
        key = (file, handler, flags)
        if key not in done:
            name = f"model-{len(done)}-{file.replace('.', '-')}"
            words = ["--handler", handler] if handler else []
            server.deploy(fixture_path(file), "--name", name, *words, *flags)
            done[key] = name
        return done[key]

    return deploy


@pytest.mark.smoke
def test_http_arrives_as_an_api_gateway_v2_event(server, deployed):
    name = deployed("echo.py")
    answer = server.call(name, b'{"k": 1}', "PUT", "/a%20b/c?x=1&x=2&y=%26",
                         [("Content-Type", "application/json"), ("X-Twice", "1"), ("X-Twice", "2"),
                          ("Cookie", "s=1; t=2"), ("User-Agent", "tester/1")]).expect(200)
    told = answer.json
    event = told["event"]
    assert event["version"] == "2.0" and event["rawQueryString"] == "x=1&x=2&y=%26"
    assert event["rawPath"].endswith("/a%20b/c") or event["rawPath"].endswith("/a b/c")
    assert event["body"] == '{"k": 1}' and event["isBase64Encoded"] is False
    assert event["headers"]["content-type"] == "application/json"
    assert event["headers"]["x-twice"] in ("1,2", "1, 2")
    assert event["cookies"] == ["s=1", "t=2"]
    assert event["queryStringParameters"] == {"x": "1,2", "y": "&"}
    context = event["requestContext"]
    assert context["http"]["method"] == "PUT" and context["http"]["sourceIp"] == "127.0.0.1"
    assert context["http"]["userAgent"] == "tester/1" and context["http"]["protocol"] == "HTTP/1.1"
    assert context["requestId"] == told["request_id"] == answer.request_id
    assert isinstance(context["timeEpoch"], int) and event["routeKey"] == "$default"


def test_binary_body_is_base64(server, deployed):
    event = server.call(deployed("echo.py"), bytes(range(256)), "POST", "",
                        {"Content-Type": "application/octet-stream"}).expect(200).json["event"]
    assert event["isBase64Encoded"] is True and base64.b64decode(event["body"]) == bytes(range(256))


def test_no_body_no_cookies(server, deployed):
    event = server.call(deployed("echo.py")).expect(200).json["event"]
    assert not event.get("body") and "cookies" not in event and event["rawQueryString"] == ""


def test_invoke_passes_the_raw_json(server, deployed):
    for event in ({"deep": [1, {"x": None}]}, [1, 2], "text", 17, None, True, {}, {"ü": "ß\u2028"}):
        told = server.invoke(deployed("echo.py"), event).expect(200).json
        assert told["event"] == event


def test_shaped_answers(server, deployed):
    name = deployed("echo.py", "echo.shaped")

    def call(kind):
        return server.call(name, json.dumps({"kind": kind}))

    full = call("full").expect(201)
    assert full.text == "made" and full.header("X-One") == "1"
    assert full.header("Content-Type") == "text/plain; charset=utf-8"
    assert full.all("Set-Cookie") == ["a=1; Path=/", "b=2"]
    binary = call("binary").expect(200)
    assert binary.body == base64.b64decode("iVBORwD/AP4=") and binary.header("Content-Type") == "image/png"
    plain = call("plain").expect(200)
    assert plain.json == {"just": "json"} and plain.header("Content-Type").startswith("application/json")
    assert "a string" in call("text").expect(200).text
    assert call("bad_status").expect(502).error["party"] == "function"
    assert call("not_json").expect(502).error["party"] == "function"
    assert server.invoke(name, {"kind": "null"}).expect(200).json is None


def test_python_sync_and_async(server):
    server.deploy_source("py-async", "main.py",
                         "import asyncio\nasync def handler(event, context):\n"
                         "    await asyncio.sleep(0)\n    return {'async': event}\n")
    assert server.invoke("py-async", 1).expect(200).json == {"async": 1}


def test_node_callback_promise_and_module(server, deployed):
    needs("node")
    told = server.invoke(deployed("echo.js"), {"a": 1}).expect(200).json
    assert told["event"] == {"a": 1} and told["remaining_ms"] > 0 and told["request_id"]
    assert server.invoke(deployed("echo.js", "echo.promise"), 2).expect(200).json == {"promised": 2}
    module = server.invoke(deployed("echo.mjs"), 3).expect(200).json
    assert module["event"] == 3 and module["started"] == "awaited at the top"


@pytest.mark.parametrize("handler, kind, text", [
    ("echo.fails", "RangeError", "callback said no"), ("echo.rejects", "TypeError", "promise said no")])
def test_node_errors_carry_type_and_trace(server, deployed, handler, kind, text):
    needs("node")
    name = deployed("echo.js", handler)
    answer = server.invoke(name, {})
    assert answer.status >= 400 or answer.header("X-Mayfly-Error"), answer
    assert kind in answer.text and text in answer.text
    web = server.call(name).expect(502)
    assert web.error["party"] == "function" and web.error["phase"] == "run"
    assert text not in web.text and f"--request {web.request_id}" in web.error["message"]
    assert text in server.record(web.request_id)["error"]


def test_python_error_carries_type_and_trace(server, deployed):
    answer = server.invoke(deployed("misbehave.py"), {"do": "raise"})
    assert "ValueError" in answer.text and "no such luck" in answer.text
    assert "party=function" in answer.header("X-Mayfly-Error")


def test_wsgi_flask_from_debian(server, tmp_path):
    if run(["/usr/bin/python3", "-c", "import flask"]).code != 0:
        pytest.skip("python3-flask is not installed")
    (tmp_path / "site.py").write_text("""\
from flask import Flask, Response, request
app = Flask(__name__)

@app.get("/hello/<who>")
def hello(who):
    return {"hello": who, "query": request.args.get("q"), "url": request.path}

@app.post("/form")
def form():
    return request.form["field"]

@app.get("/stream")
def stream():
    return Response((f"{i}\\n" for i in range(3)), mimetype="text/plain")

@app.get("/boom")
def boom():
    raise KeyError("in a view")
""")
    detected = " ".join(server.deploy(tmp_path / "site.py", "--name", "flask-site")["detected"]).lower()
    assert "wsgi" in detected or "flask" in detected or "http" in detected
    told = server.call("flask-site", path="/hello/anna?q=1").expect(200).json
    assert told == {"hello": "anna", "query": "1", "url": "/hello/anna"}
    form = server.call("flask-site", "field=value", path="/form",
                       headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.expect(200).text == "value"
    assert server.call("flask-site", path="/stream").expect(200).text == "0\n1\n2\n"
    assert server.call("flask-site", path="/nowhere").status == 404
    assert server.call("flask-site", path="/boom").status == 500  # Flask's own answer


@pytest.mark.smoke
def test_asgi(server, deployed):
    name = deployed("app.py")
    told = server.call(name, b"", "DELETE", "/a%2Fb?x=%20",
                       [("X-Many", "1"), ("X-Many", "2")]).expect(200).json
    assert told["method"] == "DELETE" and told["query"] == "x=%20"
    assert told["path"].endswith("/a/b")
    assert [v for k, v in told["headers"] if k == "x-many"] in (["1", "2"], ["1, 2"], ["1,2"])


def test_node_listener(server, deployed):
    needs("node")
    name = deployed("listener.js")
    answer = server.call(name, b"\x00\xff", "PATCH", "/x%20y?q=1").expect(200)
    assert answer.json["method"] == "PATCH" and answer.json["url"] == "/x%20y?q=1"
    assert base64.b64decode(answer.json["body"]) == b"\x00\xff"
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert server.call(name, path="/throw").status in (500, 502)
    assert server.call(name, path="/again").status == 200


def test_fetch_export(server):
    needs("node")
    server.deploy_source("fetcher", "worker.mjs", """\
export default {
  async fetch (request) {
    const url = new URL(request.url)
    const text = await request.text()
    return new Response(JSON.stringify({ path: url.pathname, method: request.method, text }),
      { status: 203, headers: { 'x-made': 'by fetch', 'content-type': 'application/json' } })
  }
}
""")
    answer = server.call("fetcher", "words", "POST", "/p/q").expect(203)
    assert answer.json == {"path": "/p/q", "method": "POST", "text": "words"}
    assert answer.header("X-Made") == "by fetch"


RUNTIME_API = """\
#!/bin/sh
# bootstrap: the Lambda Runtime API in shell.
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
  event=$(curl -sS -D /tmp/head "$base/invocation/next") || exit 1
  id=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *\\([^\\r]*\\).*/\\1/p' /tmp/head | tr -d '\\r')
  case $event in
    *fail*) curl -sS -o /dev/null -H 'Lambda-Runtime-Function-Error-Type: Function.Asked' \
      -d '{"errorType":"Asked","errorMessage":"asked to fail"}' "$base/invocation/$id/error" ;;
    *) curl -sS -o /dev/null -d "{\\"got\\":$event}" "$base/invocation/$id/response" ;;
  esac
done
"""


def test_runtime_api_bootstrap(server, tmp_path):
    needs("curl")
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "bootstrap").write_text(RUNTIME_API)
    (folder / "bootstrap").chmod(0o755)
    server.deploy(folder, "--name", "custom")
    for n in range(3):
        assert server.invoke("custom", {"n": n}).expect(200).json == {"got": {"n": n}}
    assert "asked to fail" in server.invoke("custom", {"please": "fail"}).text
    assert "got" in server.call("custom", "{}").expect(200).text
    described = server.cli("describe", "custom").out.decode()
    assert "runtime_api" in described or "Runtime API" in described


HTTP_SERVER = """\
#!/usr/bin/python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        out = ("served " + self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)
    def do_POST(self):
        out = self.rfile.read(int(self.headers.get("Content-Length") or 0))[::-1]
        self.send_response(201)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_http_server_on_port(server):
    server.deploy_source("on-port", "serve", HTTP_SERVER)
    assert "served" in server.call("on-port", path="/x?y=1").expect(200).text
    assert server.call("on-port", b"abc").expect(201).body == b"cba"
    assert server.invoke("on-port", {"a": 1}).status in (200, 201)


def test_stdio_program(server):
    server.deploy_source("stdio", "reply.sh", "#!/bin/sh\nread line\necho \"got: $line\"\necho noted >&2\n")
    answer = server.call("stdio", "hello\n").expect(200)
    assert answer.text == "got: hello\n"
    eventually(lambda: any("noted" in line["text"] for line in server.logs("stdio", request_id=answer.request_id)),
               "its log line")
    server.deploy_source("stdio-fails", "fail.sh", "#!/bin/sh\ncat >/dev/null\necho broken >&2\nexit 4\n",
                         "--no-check")
    failed = server.call("stdio-fails", "x").expect(502)
    assert failed.error["party"] == "function" and "broken" not in failed.text
    record = server.record(failed.request_id)
    assert "status 4" in record["error"] and "it wrote: broken" in record["error"] and record["http_status"] == 502


NATIVE = os.path.join(ROOT, "runtimes", "native")
NATIVE_TEST = os.path.join(ROOT, "tests", "runtime", "functions", "native", "function.c")


@pytest.mark.parametrize("model", ["http", "event"])
def test_a_program_that_speaks_frames(server, tmp_path, model):
    needs("gcc")
    done = run(["gcc", "-O1", "-static", "-I" + NATIVE, "-o", str(tmp_path / "program"), NATIVE_TEST])
    assert done.code == 0, done
    name = "frames-" + model
    made = server.deploy(tmp_path / "program", "--name", name, "--env", "MODEL=" + model)
    assert made["function"]["model"] == model and "speaks frames" in made["detected"], made
    if model == "event":
        assert server.invoke(name, {"do": "/log"}).json == {}
        assert "OutOfStock" in server.api("POST", f"/v1/functions/{name}/invoke", {"do": "/fail"}).text
        return
    told = server.call(name, b"12345", "PUT", "/a%20b?x=1", {"X-Twice": "1"}).expect(200).json
    assert (told["method"], told["path"], told["query"], told["twice"], told["bytes"]) == ("PUT", "/a%20b", "x=1", "1", 5)
    body = os.urandom(3_000_000)
    assert server.call(name, body, "POST", "/same").expect(201).body == body
    failed = server.call(name, "", "GET", "/fail").expect(502)
    assert failed.error["party"] == "function" and "OutOfStock" in server.record(failed.request_id)["error"]
    answer = server.call(name, "", "GET", "/log").expect(200)
    eventually(lambda: [line["text"] for line in server.logs(name, request_id=answer.request_id)] == ["one", "two"],
               "its lines")
    crashed = server.call(name, "", "GET", "/crash").expect(502)
    assert "SIGABRT" in server.record(crashed.request_id)["error"]
    assert server.call(name, b"on", "POST", "/same").expect(201).body == b"on"


def example_folders():
    if not os.path.isdir(EXAMPLES):
        return []
    return sorted(e for e in os.listdir(EXAMPLES) if os.path.isdir(os.path.join(EXAMPLES, e)))


def readme_commands(example):
    with open(os.path.join(EXAMPLES, example, "README.md")) as f:
        return [line.strip() for line in f if line.startswith("    ")]


@pytest.mark.parametrize("example", example_folders())
def test_each_example_does_what_its_readme_says(server, example):
    """The commands of examples/NAME/README.md: made, deployed, called by curl and the CLI."""
    commands = readme_commands(example)
    assert any(c.startswith("mayfly deploy") for c in commands) and any("curl" in c for c in commands)
    if any(c.startswith("make") for c in commands):
        needs("make", "go" if example.startswith("go-") else "g++" if example.startswith("cpp-") else "gcc")
    needs(*{"ruby": ["ruby"], "php": ["php"], "perl": ["perl"], "java": ["java", "javac"],
            "dotnet": ["mono", "mcs"]}.get(example.split("-")[0], []))
    package = os.path.join(EXAMPLES, example, "package.json")
    if os.path.exists(package) and not os.path.isdir(os.path.join(EXAMPLES, example, "node_modules")):
        with open(package) as f:
            wanted = json.load(f).get("dependencies")
        needs("node", "npm")
        if wanted and not registry_reachable():
            pytest.skip("no npm registry can be reached from this machine")
    env = {**os.environ, "HOME": server.home, "MAYFLY_API": server.api_url, "MAYFLY_KEY": server.key,
           "PATH": f"{BUILD}:{os.environ['PATH']}", "GOCACHE": os.path.join(BUILD, "go-cache")}
    for command in commands:
        command = command.replace("http://127.0.0.1:8080", server.gateway)
        command = re.sub(r"\bcurl ", "curl -sS --fail-with-body --max-time 60 ", command)
        done = run(["sh", "-c", command], env=env, cwd=ROOT, timeout=300)
        assert done.code == 0, done
        if "curl" in command or "invoke" in command:
            assert done.out.strip(), f"an answer: {done}"
    # The server is shared: an application's routes would stand in the way of other tests.
    for app in server.api("GET", "/v1/apps").json["apps"]:
        assert server.api("DELETE", f"/v1/apps/{app['name']}").status in (200, 204)


# A bootstrap that polls on as many connections as it is allowed to; each call waits for the others.
CONCURRENT = """#!/usr/bin/python3
import http.client, json, os, threading
polls = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
together = threading.Barrier(polls)
BASE = "/2018-06-01/runtime/invocation/"
def work(number):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", BASE + "next")
        answer = api.getresponse()
        event, id = json.loads(answer.read()), answer.headers["Lambda-Runtime-Aws-Request-Id"]
        if event.get("wait"):
            together.wait(30)
        path, out = "/response", {"n": event.get("n"), "polls": polls, "pid": os.getpid()}
        if event.get("fail"):
            path, out = "/error", {"errorType": "Fail", "errorMessage": "call %d" % event["n"]}
        api.request("POST", BASE + id + path, json.dumps(out))
        api.getresponse().read()
threads = [threading.Thread(target=work, args=(n,)) for n in range(polls)]
[t.start() for t in threads]
[t.join() for t in threads]
"""


def test_runtime_api_with_several_polls(server, tmp_path):
    (tmp_path / "bootstrap").write_text(CONCURRENT)
    (tmp_path / "bootstrap").chmod(0o755)
    server.deploy(tmp_path, "--name", "polls", "--runtime", "provided.al2023", "--concurrency", "4", "--max", "1")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        def call(n):
            return server.invoke("polls", {"n": n, "wait": True, "fail": n % 4 == 3})
        answers = list(pool.map(call, range(12)))
    for n, answer in enumerate(answers):
        if n % 4 == 3:
            assert f"call {n}" in answer.text, answer
        else:
            assert answer.expect(200).json["n"] == n and answer.json["polls"] == 4
    assert len({a.json["pid"] for n, a in enumerate(answers) if n % 4 != 3}) == 1
    # A bootstrap alone has one poll, and is not told of others.
    server.deploy(tmp_path, "--name", "polls", "--runtime", "provided.al2023", "--max", "1")
    assert server.invoke("polls", {"n": 1}).expect(200).json["polls"] == 1
