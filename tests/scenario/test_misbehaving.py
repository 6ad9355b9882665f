"""Functions that misbehave: each fails with a record that says so, and nothing else notices."""

import os
import threading

import pytest

from harness import descendants, command_of, eventually, fixture_path, process_table


@pytest.fixture(scope="module")
def rogue(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "rogue", "--timeout", "20", "--memory", "64")
    server.deploy(fixture_path("echo.py"), "--name", "neighbour", "--keep-alive", "600")
    return "rogue"


@pytest.fixture(autouse=True)
def nobody_else_notices(server, rogue):
    before = server.invoke("neighbour", {}).expect(200).json["instance"]
    pid = server.pid
    yield
    after = server.invoke("neighbour", {}).expect(200).json["instance"]
    assert after == before, "the neighbour's instance died"
    assert server.pid == pid and server.process.poll() is None
    assert "instance" in server.invoke("rogue", {"do": "nothing"}).expect(200).json, "a fresh one answers"


def failed(server, event, outcome, status=502):
    answer = server.invoke("rogue", event)
    assert answer.status == status, answer
    assert answer.error["party"] == "function" and answer.error["request_id"] == answer.request_id
    record = server.record(answer.request_id)
    assert record["outcome"] == outcome and record["party"] == "function", record
    return answer.error["message"], record


@pytest.mark.parametrize("event, part", [
    ({"do": "exit", "code": 3}, "3"),
    ({"do": "exit", "code": 0}, "0"),
    ({"do": "segv"}, "SEGV"),
    ({"do": "kill"}, "KILL"),
])
def test_crash(server, event, part):
    message, record = failed(server, event, "crash")
    assert part in message and record["phase"] == "run"


def test_out_of_memory(server):
    message, record = failed(server, {"do": "memory"}, "out_of_memory")
    assert "64" in message and "memory" in message.lower()
    peak = record["memory_peak_bytes"]
    assert peak == 0 or 32 << 20 <= peak <= 80 << 20


def test_fork_bomb(server):
    before = len(descendants(server.pid))  # templates and shells of other tests' functions
    answer = server.invoke("rogue", {"do": "fork_bomb"}, timeout=60)
    if answer.status == 200:  # the kernel said no to the fork, and the handler could say so
        assert answer.json["refused"] and answer.json["made"] < 2000
    else:
        assert answer.error["party"] == "function"
    # What it forked goes with its instance at the latest; memory and pids are bounded meanwhile.
    server.deploy(fixture_path("misbehave.py"), "--name", "rogue", "--timeout", "20", "--memory", "65")
    eventually(lambda: len(descendants(server.pid)) < before + 50, "the forked processes are gone", 20)
    server.deploy(fixture_path("misbehave.py"), "--name", "rogue", "--timeout", "20", "--memory", "64")


def test_filled_disk(server):
    told = server.invoke("rogue", {"do": "disk"}).expect(200, 502)
    if told.status == 200:
        assert told.json["written"] <= 80 << 20 and "space" in told.json["refused"].lower()


def test_endless_loop(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "looper", "--timeout", "1")
    answer = server.invoke("looper", {"do": "loop"}).expect(504)
    assert server.record(answer.request_id)["outcome"] == "timeout"


def test_huge_output_is_bounded(server):
    answer = server.invoke("rogue", {"do": "output", "kb": 8192}).expect(200)

    def size():
        return sum(len(line["text"]) for line in server.logs("rogue", request_id=answer.request_id, limit=100000))

    eventually(lambda: size() > 100_000, "its log")
    assert size() < 2 << 20
    answer = server.invoke("rogue", {"do": "long_line", "bytes": 1 << 20}).expect(200)
    lines = eventually(lambda: server.logs("rogue", request_id=answer.request_id), "its log")
    assert max(len(line["text"]) for line in lines) < 64 * 1024


def test_ignored_sigterm(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "deaf", "--timeout", "1")
    assert server.invoke("deaf", {"do": "ignore_term"}).status == 504
    server.deploy(fixture_path("misbehave.py"), "--name", "deaf", "--timeout", "2", "--keep-alive", "0")
    eventually(lambda: server.stats("deaf").get("instances", 0) == 0, "no instance is left", 15)


def test_daemons_go_with_their_instance(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "spawning", "--keep-alive", "0")
    before = set(descendants(server.pid))
    server.invoke("spawning", {"do": "daemon"}).expect(200)

    def alive():
        table = process_table()
        return [f"{p} {command_of(p)}" for p in descendants(server.pid)
                if p not in before and p in table and table[p][2] != "Z" and "main.py" in command_of(p)]

    eventually(lambda: server.stats("spawning").get("instances", 0) == 0, "the instance ends", 15)
    eventually(lambda: not alive(), lambda: f"still there: {alive()}", 10)


def test_too_large_an_answer(make_server):
    own = make_server(config="engine:\n  response_bytes_max: 100000\n")
    own.deploy(fixture_path("misbehave.py"), "--name", "big")
    assert own.invoke("big", {"do": "big_answer", "bytes": 90_000}).status == 200
    answer = own.invoke("big", {"do": "big_answer", "bytes": 200_000})
    assert answer.status in (413, 502)
    assert "response_bytes_max" in answer.error["message"]
    assert own.invoke("big", {"do": "nothing"}).status == 200


def test_a_crash_fails_only_what_ran_in_it(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "pair", "--timeout", "30")
    slow = []
    t = threading.Thread(target=lambda: slow.append(server.invoke("pair", {"do": "sleep", "s": 1.5})))
    t.start()
    eventually(lambda: server.stats("pair").get("running") == 1, "the slow call runs")
    assert server.invoke("pair", {"do": "exit"}).status == 502
    t.join(30)
    assert slow[0].status == 200


ENDS_AT_THE_SECOND = """#!/usr/bin/python3
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("ran", body.decode(), flush=True)
        if body == b"second":
            os._exit(3)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_a_call_that_killed_its_program_is_not_run_again(server):
    server.deploy_source("ends", "serve", ENDS_AT_THE_SECOND)
    assert server.call("ends", "first").status == 200
    assert server.call("ends", "second").status == 502  # on the connection of the first
    assert server.call("ends", "third").status == 200
    ran = [line["text"] for line in server.logs("ends") if line["text"].startswith("ran")]
    assert ran == ["ran first", "ran second", "ran third"]


def test_nothing_of_the_host_is_in_reach(server):
    """Only the plainest attempts; tests/sandbox has the rest."""
    server.deploy_source("explorer", "main.py", """\
import os, socket
def handler(event, context):
    found = {}
    for host, port in event["addresses"]:
        try:
            socket.create_connection((host, port), 2).close()
            found[f"{host}:{port}"] = True
        except OSError as e:
            found[f"{host}:{port}"] = False
    try:
        open("/usr/written", "w")
        found["write"] = True
    except OSError:
        found["write"] = False
    found["pids"] = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
    found["uid"] = os.getuid()
    found["shadow"] = os.path.exists("/etc/shadow")
    return found
""")
    api = int(server.api_url.rsplit(":", 1)[1])
    gateway = int(server.gateway.rsplit(":", 1)[1])
    addresses = [[h, p] for h in ("127.0.0.1", "10.0.2.2", "0.0.0.0") for p in (api, gateway)]
    found = server.invoke("explorer", {"addresses": addresses}).expect(200).json
    assert not any(found[f"{h}:{p}"] for h, p in addresses), found
    assert found["write"] is False and found["shadow"] is False and found["uid"] != 0
    assert len(found["pids"]) < 10 and os.getpid() not in found["pids"]
