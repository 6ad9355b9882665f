"""Bad input to the API: JSON, settings, names, handlers, runtimes, versions."""

import pytest

from harness import fixture_path, zip_bytes

GOOD = "def handler(event, context):\n    return event\n"


@pytest.fixture(scope="module")
def package(server):
    return server.put_package(zip_bytes({"main.py": GOOD})).expect(200, 201).json["sha256"]


BODIES = {
    "not JSON": (b"{package:", 400, "JSON"),
    "empty": (b"", 400, ""),
    "a list": (b"[]", 400, "object"),
    "no package": (b"{}", 400, "package"),
    "package is a number": (b'{"package": 7}', 400, "package"),
    "no such package": (b'{"package": "%s"}' % (b"0" * 64), (400, 404), "package"),
    "unknown key": (b'{"package": "%s", "settngs": {}}' % (b"0" * 64), 400, "settngs"),
    "deep nesting": (b'{"package":' + b"[" * 100_000, 400, ""),
}


@pytest.mark.parametrize("case", BODIES)
def test_put_function_body(server, case):
    body, statuses, phrase = BODIES[case]
    answer = server.api("PUT", "/v1/functions/bad", body, {"Content-Type": "application/json"})
    assert answer.status in (statuses if isinstance(statuses, tuple) else (statuses,)), answer
    assert phrase in answer.error["message"]


SETTINGS = {
    "unknown setting": ({"memroy_mb": 128}, "memory_mb"),
    "memory is a word": ({"memory_mb": "much"}, "memory_mb"),
    "memory too small": ({"memory_mb": 1}, "memory"),
    "memory too large": ({"memory_mb": 1_000_000}, "memory_mb_max"),
    "timeout too long": ({"timeout_ms": 1_000_000_000}, "timeout_ms_max"),
    "negative timeout": ({"timeout_ms": -5}, "timeout_ms"),
    "concurrency too high": ({"concurrency": 1_000_000}, "concurrency"),
    "min over max": ({"instances_min": 5, "instances_max": 2}, "max is 2"),
    "unknown runtime": ({"runtime": "cobol85"}, "cobol85"),
    "unknown network": ({"network": "all"}, "network"),
    "env name": ({"env": {"A=B": "x"}}, "A=B"),
    "env value": ({"env": {"A": 7}}, "A"),
    "env too large": ({"env": {"A": "x" * 100_000}}, "env_bytes_max"),
    "handler with a path": ({"handler": "../../etc/passwd.x"}, "../../etc/passwd"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(server, package, case):
    settings, phrase = SETTINGS[case]
    answer = server.put_function("bad", package, settings)
    assert answer.status in (400, 413, 422), answer
    assert phrase in answer.error["message"], answer.error
    assert server.api("GET", "/v1/functions/bad").status == 404


def test_unknown_runtime_lists_the_known_ones(server, package):
    message = server.put_function("bad", package, {"runtime": "cobol85"}).error["message"]
    assert "python3" in message and "node" in message


@pytest.mark.parametrize("name", ["a b", "a/b", "..", "%00", "x" * 65, "", "-%2e%2e", "ü"])
def test_function_names(server, package, name):
    from urllib.parse import quote
    target = "/v1/functions/" + (name if "%" in name else quote(name, safe=""))
    answer = server.api("PUT", target, {"package": package})
    assert answer.status in (400, 404, 405), answer


CODE = {
    "no such handler": ({"main.py": GOOD}, {"handler": "main.absent"}, "absent"),
    "no such module": ({"main.py": GOOD}, {"handler": "absent.handler"}, "absent"),
    "handler is no function": ({"main.py": "handler = 5\n"}, {"handler": "main.handler"}, "handler"),
    "syntax error": ({"main.py": "def handler(event, context)\n    return 1\n"}, {}, "SyntaxError"),
    "import error": ({"main.py": "import nothing_like_it\n" + GOOD}, {}, "nothing_like_it"),
    "exits while starting": ({"main.py": "import sys\nsys.exit(9)\n" + GOOD}, {}, "9"),
    "no handler at all": ({"main.py": "x = 1\n"}, {}, "handler"),
    "node syntax error": ({"index.js": "exports.handler = async ( => 1\n"}, {}, "SyntaxError"),
    "node missing module": ({"index.js": "require('nothing-like-it')\nexports.handler = async () => 1\n"}, {},
                            "nothing-like-it"),
    "not executable": ({"bootstrap": "\x7fELF broken"}, {}, "bootstrap"),
}


@pytest.mark.parametrize("case", CODE)
def test_code_that_cannot_start(server, case):
    files, settings, phrase = CODE[case]
    package = server.put_package(zip_bytes(files)).expect(200, 201).json["sha256"]
    answer = server.put_function("bad-code", package, settings)
    assert answer.status in (400, 422), answer
    assert phrase in answer.text, answer
    assert answer.error["party"] in ("function", "client")
    assert server.api("GET", "/v1/functions/bad-code").status == 404


def test_empty_and_unknown_packages_have_no_runtime(server):
    for files in ({"notes.txt": "hello"}, {}):
        made = server.put_package(zip_bytes(files))
        if made.status in (200, 201):
            answer = server.put_function("bad-code", made.json["sha256"])
            assert answer.status in (400, 422) and answer.error["message"], answer
        else:
            assert made.status == 400 and made.error["message"]


@pytest.mark.parametrize("method, target, status, phrase", [
    ("GET", "/v1/functions/none", 404, "none"),
    ("DELETE", "/v1/functions/none", 404, "none"),
    ("POST", "/v1/functions/none/invoke", 404, "none"),
    ("POST", "/v1/functions/none/versions", 404, "none"),
    ("GET", "/v1/functions/none/logs", 404, "none"),
    ("POST", "/v1/functions", 405, ""),
    ("DELETE", "/v1/info", 405, ""),
    ("GET", "/v2/nothing", 404, ""),
    ("GET", "/v1/invocations?limit=many", 400, "limit"),
    ("GET", "/v1/invocations?wrong=1", 400, "wrong"),
    ("GET", "/v1/bill?from=yesterday", 400, "from"),
    ("GET", "/v1/bill?from=2026-02-02&to=2026-02-01", 400, "2026-02-0"),
    ("PUT", "/v1/apps/bad", 400, ""),
])
def test_targets(server, method, target, status, phrase):
    answer = server.api(method, target, b"{}" if method in ("POST", "PUT") else None)
    if target == "/v1/apps/bad":
        answer = server.api(method, target, b'{"routes": [{"path": "no-slash", "function": "x"}]}')
    assert answer.status == status, answer
    assert phrase in answer.error["message"]
    if status == 405:
        assert answer.header("Allow")


@pytest.mark.parametrize("payload", [b"{", b"{'a': 1}", b"nul", b"[1,]", b'"\xff"', b'{"a":1} x'])
def test_invoke_with_malformed_json(server, payload):
    server.deploy(fixture_path("echo.py"), "--name", "echo")
    answer = server.api("POST", "/v1/functions/echo/invoke", payload).expect(400)
    assert "JSON" in answer.error["message"] and answer.error["party"] == "client"


def test_cli_says_it_before_sending(server, tmp_path):
    for words, phrase in [
        (["deploy", tmp_path / "absent"], "absent"),
        (["deploy", fixture_path("echo.py"), "--memory", "lots"], "memory"),
        (["deploy", fixture_path("echo.py"), "--env", "NOEQUALS"], "NOEQUALS"),
        (["deploy", fixture_path("echo.py"), "--network", "all"], "network"),
        (["invoke", "echo", "--data", "{bad"], "JSON"),
        (["invoke", "echo", "--data", f"@{tmp_path}/absent.json"], "absent.json"),
        (["logs", "nobody"], "nobody"),
        (["describe", "nobody"], "nobody"),
        (["rm", "nobody"], "nobody"),
    ]:
        result = server.cli(*words, check=None)
        assert result.code != 0, result
        assert phrase in result.err + result.out.decode(), result
        assert "Traceback" not in result.err and "terminate called" not in result.err


@pytest.mark.parametrize("text, phrase", [
    ("functions: [a", "line"),
    ("functions:\n  a:\n    path: a.py\n    memroy: 5\n", "memroy"),
    ("functions:\n  a: {}\n", "path"),
    ("functions:\n  a:\n    path: nowhere.py\n", "nowhere.py"),
    ("functions:\n  a:\n    path: a.py\nroutes:\n  - {path: x, function: a}\n", "x"),
    ("functions:\n  a:\n    path: a.py\nroutes:\n  - {path: /x, function: b}\n", "b"),
    ("", ""),
])
def test_mayfly_yaml(server, tmp_path, text, phrase):
    (tmp_path / "a.py").write_text(GOOD)
    (tmp_path / "mayfly.yaml").write_text(text)
    result = server.cli("deploy", tmp_path, check=None)
    assert result.code != 0 and phrase in result.err + result.out.decode(), result
