"""mayfly serve: the ready line, credentials, finding the server, draining."""

import json
import os
import signal
import stat
import threading
import time

import pytest

from harness import MAYFLY, RawConnection, eventually, fixture_path, request, run


@pytest.mark.smoke
def test_ready_files_and_health(server):
    with open(os.path.join(server.data, "server.json")) as f:
        about = json.load(f)
    assert about["api"] == server.api_url and about["gateway"] == server.gateway
    assert about["pid"] == server.pid
    assert stat.S_IMODE(os.stat(os.path.join(server.data, "api.key")).st_mode) == 0o600
    answer = request(server.api_url, "GET", "/healthz")
    assert answer.status == 200 and answer.json == {"status": "ok"}


def test_only_the_spawner_holds_privilege(server):
    allowed = 1 << 1 | 1 << 3 | 1 << 10  # DAC_OVERRIDE, FOWNER, NET_BIND_SERVICE
    threads = os.listdir(f"/proc/{server.pid}/task")
    for thread in threads:
        with open(f"/proc/{server.pid}/task/{thread}/status") as f:
            status = dict(line.rstrip().split(":\t", 1) for line in f if line.startswith("Cap"))
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[name], 16) & ~allowed == 0, (thread, name, status[name])
    assert len(threads) > 1


@pytest.mark.parametrize("target", ["/metrics", "/v1/info", "/v1/functions", "/v1/runtimes"])
def test_the_api_wants_the_key(server, target):
    assert request(server.api_url, "GET", target).expect(401).error["code"] == "unauthenticated"
    assert server.api("GET", target, key="wrong").status == 401
    assert server.api("GET", target, key=server.key[:-1]).status == 401
    assert server.api("GET", target).status == 200


def test_the_api_is_not_on_the_gateway(server):
    assert server.http("GET", "/v1/functions", headers={"Authorization": f"Bearer {server.key}"}).status == 404


def test_info_names_version_and_abilities(server):
    about = server.api("GET", "/v1/info").expect(200).json
    text = json.dumps(about)
    assert about["version"] and "cgroup" in text


def test_runtimes_are_listed_with_version_and_path(server):
    text = server.cli("runtimes").out.decode()
    assert "python3" in text and "/usr/bin/python3" in text and "node" in text
    listed = server.cli("runtimes", "--json").json
    rows = listed["runtimes"] if isinstance(listed, dict) else listed
    python = next(r for r in rows if r["name"].startswith("python3"))
    assert python["installed"] is True and python["version"].startswith("3.")


def test_cli_finds_the_server_of_this_user(server, make_server):
    home = server.home
    own = make_server(data=os.path.join(home, "share", "mayfly"))
    env = {"XDG_DATA_HOME": os.path.join(home, "share"), "MAYFLY_API": "", "MAYFLY_KEY": ""}
    clean = {k: v for k, v in {**os.environ, **env}.items() if v}
    clean.pop("MAYFLY_API", None), clean.pop("MAYFLY_KEY", None)
    own.deploy(fixture_path("echo.py"), "--name", "found")
    assert "found" in run([MAYFLY, "ls"], env=clean, check=0).out.decode()
    # --data names another one.
    clean["XDG_DATA_HOME"] = os.path.join(home, "nothing-here")
    assert "found" in run([MAYFLY, "ls", "--data", own.data], env=clean, check=0).out.decode()
    lost = run([MAYFLY, "ls"], env=clean)
    assert lost.code != 0 and "mayfly serve" in lost.err + lost.out.decode()


def test_sigterm_drains(make_server):
    own = make_server()
    own.deploy(fixture_path("sleeper.py"), "--name", "sleeper")
    assert own.invoke("sleeper", {"s": 0}).status == 200
    answers = []
    caller = threading.Thread(target=lambda: answers.append(own.invoke("sleeper", {"s": 1.5})))
    caller.start()
    eventually(lambda: own.stats("sleeper").get("running"), "the call runs")
    own.census.watch(own.pid)
    own.process.terminate()
    caller.join(30)
    assert answers and answers[0].status == 200, answers
    assert own.process.wait(30) == 0
    own.census.assert_clean(own.data)


def test_a_second_sigterm_exits_at_once(make_server):
    own = make_server()
    own.deploy(fixture_path("sleeper.py"), "--name", "sleeper", "--timeout", "120")
    caller = threading.Thread(target=lambda: _quietly(lambda: own.invoke("sleeper", {"s": 60})))
    caller.start()
    eventually(lambda: own.stats("sleeper").get("running"), "the call runs")
    own.census.watch(own.pid)
    began = time.monotonic()
    own.process.terminate()
    eventually(lambda: own.process.poll() is not None or _refuses(own), "it stops taking calls")
    assert own.process.poll() is None, "it did not wait for the running call"
    own.process.send_signal(signal.SIGTERM)
    own.process.wait(10)
    assert time.monotonic() - began < 20
    caller.join(30)
    own.census.assert_clean(own.data)


def _quietly(f):
    try:
        return f()
    except OSError:
        return None


def _refuses(own):
    try:
        return own.http("GET", "/function/sleeper", timeout=2).status == 503
    except OSError:
        return True


def test_idle_connections_do_not_hold_up_the_stop(make_server):
    own = make_server()
    with RawConnection(own.gateway) as idle:
        idle.send("GET /function/none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.read_answer().status == 404
        began = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - began < 10


def test_print_settings_reads_back(make_server, tmp_path):
    printed = run([MAYFLY, "serve", "--print-settings"], check=0).out.decode()
    assert "http" in printed and "body_bytes_max" in printed
    own = make_server(config="http:\n  body_bytes_max: 1000\n")
    assert own.http("POST", "/function/none", b"x" * 1001).status in (404, 413)


def test_help_and_unknown_words():
    words = ("deploy", "ls", "describe", "invoke", "logs", "invocations", "stats", "top", "bill", "rm",
             "version", "serve", "runtimes")
    text = run([MAYFLY, "--help"], check=0).out.decode()
    assert [w for w in words if w not in text] == []
    for word in words:
        assert run([MAYFLY, word, "--help"], check=0).out
    wrong = run([MAYFLY, "depoly"])
    assert wrong.code != 0 and "depoly" in wrong.err + wrong.out.decode()
