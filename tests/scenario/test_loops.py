"""Calls that are answered on a loop beside the first one: all that a client can notice is that there are more of
them."""

import http.client
import json
import os
import threading
import time

import pytest

from harness import eventually

# Whatever is called at all is spread, at once.
CONFIG = "server:\n  loops: 2\n  loops_busy_percent: 0\n"

ANSWER = """
import json, uuid
HERE = str(uuid.uuid4())
def handler(event, context):
    return {"said": "%s", "n": json.loads(event["body"])["n"], "where": HERE}
"""

COUNT = """
import json
def handler(event, context):
    n = json.loads(event["body"])["n"]
    context.state.put("call/%d" % n, context.state.get("other", None))
    return {"n": n}
"""

SLOW = """
import threading
def handler(event, context):
    threading.Event().wait(0.05)
    return event
"""


class Clients:
    """Threads with one kept connection each, which call without a pause; what each answer was is in `answers`."""

    def __init__(self, server, function, count=6):
        self.address = server.gateway.removeprefix("http://")
        self.function, self.stop = function, threading.Event()
        self.answers, self.faults = [], []
        self.threads = [threading.Thread(target=self.call, args=(n,)) for n in range(count)]
        for t in self.threads:
            t.start()

    def call(self, n):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        number = n * 1_000_000
        while not self.stop.is_set():
            number += 1
            began = time.monotonic()
            try:
                connection.request("POST", f"/function/{self.function}", json.dumps({"n": number}),
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                body = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as e:
                self.faults.append(f"{type(e).__name__}: {e}")
                connection.close()
                continue
            self.answers.append((began, response.status, number, body))

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
        assert not any(t.is_alive() for t in self.threads)

    def wait_for(self, count):
        already = len(self.answers)
        eventually(lambda: len(self.answers) >= already + count, "more answers", 30)


def metric(own, name):
    text = own.api("GET", "/metrics").body.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{") or
               line.startswith(name + " "))


def spread(own):
    return metric(own, "mayfly_loops_serving") == 2


@pytest.fixture
def own(make_server):
    return make_server(config=CONFIG)


def right(clients):
    return [a for a in clients.answers if a[1] != 200 or a[3]["n"] != a[2]] == [] and clients.faults == []


def test_calls_are_answered_on_both(own):
    own.deploy_source("f", "f.py", ANSWER % "one", "--keep-alive", "1")
    clients = Clients(own, "f")
    try:
        eventually(lambda: len({a[3].get("where") for a in clients.answers[-50:]}) > 1, "two instances answer", 30)
        clients.wait_for(200)
    finally:
        clients.end()
    assert right(clients)
    # Every call has its record, wherever it was answered.
    eventually(lambda: metric(own, "mayfly_invocations_total") >= len(clients.answers), "all are counted", 10)
    assert metric(own, "mayfly_invocations_total") == len(clients.answers)
    assert metric(own, "mayfly_http_requests_in_flight") == 0
    # What is over is over: instances end, and the first loop has its room back.
    eventually(lambda: not spread(own), "one loop is enough again", 30)
    eventually(lambda: metric(own, "mayfly_memory_committed_bytes") == 0, "no instance is left, here or there", 30)
    assert own.stop() == 0


def test_other_paths_on_the_same_connection(own):
    own.deploy_source("f", "f.py", ANSWER % "f")
    own.deploy_source("g", "g.py", ANSWER % "g")
    clients = Clients(own, "f")
    try:
        eventually(lambda: len({a[3].get("where") for a in clients.answers[-50:]}) > 1, "two instances answer", 30)
        connections = [http.client.HTTPConnection(clients.address, timeout=30) for _ in range(4)]
        for n in range(40):
            for connection in connections:
                for name, status in (("f", 200), ("g", 200), ("none", 404)):
                    connection.request("POST", f"/function/{name}", json.dumps({"n": n}))
                    response = connection.getresponse()
                    body = json.loads(response.read())
                    assert response.status == status, body
                    assert status != 200 or (body["said"], body["n"]) == (name, n)
    finally:
        clients.end()
    assert right(clients)


def test_a_new_version_answers_from_the_deploy_on(own):
    own.deploy_source("f", "f.py", ANSWER % "v0")
    clients = Clients(own, "f")
    try:
        for n in range(1, 5):
            eventually(lambda: len({a[3].get("where") for a in clients.answers[-50:]}) > 1, "two instances answer", 30)
            own.deploy_source("f", "f.py", ANSWER % f"v{n}")
            deployed = time.monotonic()
            clients.wait_for(60)
            old = [a for a in clients.answers if a[0] > deployed and a[3].get("said") != f"v{n}"]
            assert old == []
        own.cli("rm", "f")
        removed = time.monotonic()
        clients.wait_for(20)
        assert {a[1] for a in clients.answers if a[0] > removed} == {404}
    finally:
        clients.end()
    assert clients.faults == []


def test_functions_reach_the_services_from_there(own):
    own.deploy_source("f", "f.py", COUNT)
    clients = Clients(own, "f")
    try:
        eventually(lambda: spread(own), "the second loop has an instance", 30)
        clients.wait_for(300)
    finally:
        clients.end()
    assert right(clients)
    # Each call's write, with each call's success.
    missing = [a[2] for a in clients.answers[::40] if own.cli("state", "get", f"call/{a[2]}").out != b"null\n"]
    assert missing == []


def test_its_spawner_may_die(own):
    own.deploy_source("f", "f.py", ANSWER % "one")
    clients = Clients(own, "f")
    try:
        eventually(lambda: spread(own), "the second loop has an instance", 30)
        own.census.watch(own.pid)
        first = own.spawner_pid("spawner-1")
        os.kill(first, 9)
        eventually(lambda: own.spawner_pid("spawner-1") not in (None, first), "another spawner", 20)
        time_of = time.monotonic()
        eventually(lambda: [a for a in clients.answers if a[0] > time_of and a[1] == 200], "calls work", 20)
        clients.wait_for(200)
    finally:
        clients.end()
    # Only calls that ran there just then have failed, and each was told so.
    failed = [a for a in clients.answers if a[1] != 200]
    assert len(failed) <= 6 and clients.faults == [], failed
    assert own.stop() == 0


def test_a_stop_lets_calls_end(own):
    own.deploy_source("f", "f.py", SLOW)
    clients = Clients(own, "f")
    eventually(lambda: spread(own), "the second loop has an instance", 30)
    clients.wait_for(50)
    own.census.watch(own.pid)
    own.process.terminate()
    assert own.process.wait(30) == 0
    clients.end()
    assert [a for a in clients.answers if a[1] not in (200, 503)] == []
    # A connection that the server has closed, or that cannot be made any more; none in the middle of an answer.
    assert all(f.startswith(("ConnectionRefused", "RemoteDisconnected", "ConnectionReset", "BrokenPipe"))
               for f in clients.faults), set(clients.faults)


def test_what_is_counted_in_one_place_stays_there(own):
    own.deploy_source("one", "f.py", ANSWER % "one", "--max", "1")
    clients = Clients(own, "one")
    try:
        clients.wait_for(500)
        assert len({a[3]["where"] for a in clients.answers}) == 1
        assert not spread(own)
    finally:
        clients.end()
    assert right(clients)


def test_loops_of_a_server_that_had_more_are_cleaned_up(make_server, tmp_path):
    data = str(tmp_path / "data")
    own = make_server(data=data, config=CONFIG)
    own.deploy_source("f", "f.py", ANSWER % "one")
    clients = Clients(own, "f")
    eventually(lambda: spread(own), "the second loop has an instance", 30)
    clients.stop.set()
    own.kill()
    clients.end()
    again = make_server(data=data, config="server:\n  loops: 1\n")
    assert again.spawner_pid("spawner-1") is None
    assert not os.path.exists(os.path.join(data, "spawner-1"))
    again.call("f", b'{"n":1}').expect(200)
    assert again.stop() == 0
