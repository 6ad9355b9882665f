"""The wall clock jumps by hours, forward and back, under a server at work (libfaketime): delays, visibility, retries
and schedules go on as if nothing had been, nothing is lost or hidden, and no tick comes twice."""

import json
import os
import time
from collections import Counter

import pytest

from events import counts, make_queue, send, state, trigger
from harness import eventually, fixture_path

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
HOUR = 3600
# The server lives ahead of time: behind it, libfaketime moves timers of the monotonic clock as well, those that are due at
# once to as long after the machine's start as it is behind.
AHEAD = 4 * HOUR


class WallClock:
    """The server's wall clock; its monotonic clock, and the clocks of its functions, stay what they are."""

    def __init__(self, path):
        self.path, self.offset = str(path), 0
        self.set(0)

    def set(self, offset):
        with open(self.path + ".new", "w") as f:
            f.write(f"{offset:+d}\n")
        os.replace(self.path + ".new", self.path)
        self.offset = offset

    def environment(self):
        return {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


@pytest.fixture
def clock(tmp_path):
    if not os.path.exists(LIBRARY):
        pytest.skip("faketime is not installed")
    return WallClock(tmp_path / "clock")


def receive(server, queue, **options):
    return server.api("POST", f"/v1/queues/{queue}/receive", {"max": 100, **options}).expect(200).json["messages"]


def ticks(server):
    """The scheduled times of all ticks so far, in the order in which they came."""
    messages = server.api("GET", "/v1/queues/ticks/messages?max=1000").expect(200).json["messages"]
    return [json.loads(m["body"])["at"] for m in messages]


def server_hour(server):
    """What the server takes for the hour: of a message that it stamps."""
    make_queue(server, "stamp")
    send(server, "stamp", [{"body": "x"}])
    sent = receive(server, "stamp", visibility_s=0)[-1]["sent"]
    server.api("DELETE", "/v1/queues/stamp/messages")
    return sent[:13]


class Work:
    """Begun before a jump, looked at after it."""

    def __init__(self, server, name):
        self.server, self.name, self.began = server, name, time.monotonic()
        self.ticks = len(ticks(server))
        make_queue(server, f"{name}-held")
        send(server, f"{name}-held", [{"body": "held"}])
        assert len(receive(server, f"{name}-held", visibility_s=3)) == 1
        make_queue(server, f"{name}-delayed")
        answer = server.api("POST", f"/v1/queues/{name}-delayed/messages",
                            {"messages": [{"body": "delayed", "delay_s": 2}]}).expect(200)
        assert "id" in answer.json["messages"][0]
        make_queue(server, f"{name}.fifo")
        assert not self.send_once()
        make_queue(server, name)
        trigger(server, name, "worker")
        send(server, name, [{"n": n, "price": 1, "fault": "throw", "until": 1} for n in range(5)])
        self.call = server.api("POST", "/v1/functions/later/invoke?async=1",
                               json.dumps({"not_before": time.time() + 1})).expect(202).json["call_id"]
        eventually(lambda: server.invocations(function="later", request_id=self.call), "the first attempt")

    def send_once(self):
        message = {"body": "once", "group": "g", "deduplication_id": "once"}
        answer = self.server.api("POST", f"/v1/queues/{self.name}.fifo/messages", {"messages": [message]})
        return answer.expect(200).json["messages"][0].get("duplicate", False)

    def check(self):
        server, name = self.server, self.name
        early = [q for q in ("held", "delayed") if receive(server, f"{name}-{q}", visibility_s=0)]
        assert not early or time.monotonic() - self.began > 1.9, f"a jump showed {early} before their time"
        for queue, after in (("delayed", 2), ("held", 3)):
            eventually(lambda: receive(server, f"{name}-{queue}", visibility_s=0), f"{queue} is hidden", 20)
            assert time.monotonic() - self.began > after - 0.1
        assert self.send_once(), "the window of duplicates counts real minutes"
        eventually(lambda: counts(server, name) == (0, 0, 0), lambda: f"{name}: {counts(server, name)}", 20)
        assert state(server, f"charged/{name}/") == {str(n): 1 for n in range(5)}
        call = eventually(lambda: (lambda c: c["state"] not in ("waiting", "running") and c)(
            server.api("GET", f"/v1/calls/{self.call}").json), lambda: server.api("GET", f"/v1/calls/{self.call}").text, 20)
        assert call["state"] == "succeeded", call
        eventually(lambda: len(ticks(server)) > self.ticks + 1, lambda: f"ticks: {ticks(server)}", 20)


def test_the_wall_clock_jumps_by_hours(make_server, clock):
    clock.set(AHEAD)
    server = make_server(env=clock.environment(), config="calls:\n  backoff_ms: 1000\n")
    hour = server_hour(server)
    server.deploy(fixture_path("faulty.py"), "--name", "worker", "--env", "FAULT=")
    server.deploy_source("later", "later.py", "import time\ndef handler(event, context):\n"
                         "    if time.time() < event['not_before']:\n        raise ValueError('too early')\n"
                         "    return 'done'\n", "--retries", "10")
    make_queue(server, "ticks")
    server.api("PUT", "/v1/schedules/pulse", {
        "expression": "* * * * * *", "target": "queue:ticks",
        "input": json.dumps({"at": "<aws.scheduler.scheduled-time>"})}).expect(201)
    eventually(lambda: ticks(server), "the schedule runs")
    for number, offset in enumerate((AHEAD + 5 * HOUR, AHEAD, AHEAD - 3 * HOUR)):
        work = Work(server, f"jump{number}")
        clock.set(offset)
        assert offset == AHEAD or server_hour(server) != hour, "the clock does not obey"
        work.check()
    twice = [at for at, times in Counter(ticks(server)).items() if times > 1]
    assert not twice, f"ticks that came twice: {twice}"
    assert server.stop() == 0


def test_the_wall_clock_jumps_back_over_a_restart(make_server, clock):
    """All that was written has the stamps of an hour that is yet to come."""
    clock.set(5 * HOUR)
    server = make_server(env=clock.environment())
    make_queue(server, "held")
    make_queue(server, "delayed")
    make_queue(server, "plain")
    make_queue(server, "ticks")
    send(server, "held", [{"body": "held"}])
    send(server, "plain", [{"body": "plain"}])
    server.api("POST", "/v1/queues/delayed/messages", {"messages": [{"body": "delayed", "delay_s": 2}]}).expect(200)
    assert len(receive(server, "held", visibility_s=2)) == 1
    for name, expression in (("cron", "* * * * * *"), ("rate", "rate(1 second)")):
        server.api("PUT", f"/v1/schedules/{name}", {
            "expression": expression, "target": "queue:ticks",
            "input": json.dumps({"at": f"{name} <aws.scheduler.scheduled-time>"})}).expect(201)
    assert server.stop() == 0  # a kill may forget what was received in the last moments
    clock.set(0)
    server.start()
    assert [m["body"] for m in receive(server, "plain")] == ["plain"]
    for queue in ("held", "delayed"):
        eventually(lambda: receive(server, queue, visibility_s=0), f"{queue} is hidden: {counts(server, queue)}", 20)
    eventually(lambda: {"cron", "rate"} <= {at.split()[0] for at in ticks(server)}, lambda: f"{ticks(server)}", 20)
    assert server.stop() == 0
