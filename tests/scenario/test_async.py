"""Calls that nobody waits for: accepted, run, tried again, handed on, looked up, cancelled, run again."""

import json
import os
import time

import pytest

from harness import Server, eventually, fixture_path

CONFIG = "calls:\n  backoff_ms: 1000\n  hold_s: 3\nwebhooks:\n  allow_loopback: true\n"
ECHO = "def handler(event, context):\n    return {'got': event, 'id': context.aws_request_id}\n"
MOODY = """import os
def handler(event, context):
    if event.get('fail'):
        raise ValueError('in a mood: ' + str(event['fail']))
    return {'length': len(event.get('long', ''))}
"""
SLOW = fixture_path("sleeper.py")


@pytest.fixture(scope="module")
def own():
    server = Server(config=CONFIG).start()
    try:
        server.deploy_source("echo", "echo.py", ECHO)
        server.deploy(SLOW, "--name", "slow", "--timeout", "60")
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.close()


def over(server, call_id, timeout=20):
    def look():
        call = server.api("GET", f"/v1/calls/{call_id}").expect(200).json
        return call if call["state"] in ("succeeded", "failed", "cancelled") else None
    return eventually(look, lambda: server.api("GET", f"/v1/calls/{call_id}").text, timeout)


def accept(server, name, event, headers=None):
    answer = server.api("POST", f"/v1/functions/{name}/invoke?async=1", json.dumps(event), headers)
    return answer.expect(202).json["call_id"]


def make_queue(server, name):
    server.api("PUT", f"/v1/queues/{name}", {}).expect(200, 201)


def bodies(server, name):
    return [m["body"] for m in server.api("GET", f"/v1/queues/{name}/messages").expect(200).json["messages"]]


def test_every_way_in(own):
    by_cli = own.cli("invoke", "echo", "--async", "--data", '{"n":1}').out.decode().strip()
    assert over(own, by_cli)["result"] == {"got": {"n": 1}, "id": by_cli}
    assert over(own, accept(own, "echo", [2]))["result"]["got"] == [2]
    answer = own.call("echo", '{"n":3}', headers={"X-Mayfly-Async": "1"}).expect(202)
    call = over(own, answer.header("X-Call-Id"))
    assert json.loads(call["result"]["got"]["body"]) == {"n": 3}
    assert call["result"]["got"]["rawPath"] == "/function/echo" or call["result"]["got"]["rawPath"] == "/"
    answer = own.http("POST", "/async-function/echo/some/path?a=b", "hi", {"X-Call-Id": "mine-1"}).expect(202)
    assert answer.header("X-Call-Id") == "mine-1"
    call = over(own, "mine-1")
    assert call["call_id"] == "mine-1" and call["result"]["got"]["rawQueryString"] == "a=b"
    assert own.http("POST", "/async-function/nobody", "x").status == 404


def test_http_functions_get_the_request_as_it_was(own):
    own.deploy(fixture_path("app.py"), "--name", "web")
    answer = own.http("POST", "/async-function/web/echo?q=1", "body", {"X-Own": "kept"}).expect(202)
    call = over(own, answer.header("X-Call-Id"))
    assert call["state"] in ("succeeded", "failed") and call["status"] > 0
    plain = own.http("POST", "/function/web/echo?q=1", "body", {"X-Own": "kept"})
    assert call["status"] == plain.status


def test_the_record_says_async_and_the_attempt(own):
    own.deploy_source("moody", "moody.py", MOODY, "--retries", "1")
    call_id = accept(own, "moody", {"fail": "always"})
    call = over(own, call_id, 30)
    assert call["state"] == "failed" and call["attempts"] == 2
    assert "in a mood: always" in json.dumps(call["error"])
    records = eventually(lambda: (r := own.invocations(request_id=call_id)) and len(r) == 2 and r, "two records")
    assert {r["source"] for r in records} == {"async"}
    assert sorted(r["attempt"] for r in records) == [1, 2]


def test_destinations_and_dead_letters(own):
    for queue in ("won", "lost", "dead"):
        make_queue(own, queue)
    own.deploy_source("wired", "wired.py", MOODY, "--retries", "0", "--on-success", "queue:won",
                      "--on-failure", "queue:lost", "--dead-letter", "queue:dead")
    good = accept(own, "wired", {"long": "xyz"})
    bad = accept(own, "wired", {"fail": 1})
    assert over(own, good)["state"] == "succeeded" and over(own, bad)["state"] == "failed"
    won = json.loads(bodies(own, "won")[0])
    assert won["requestContext"]["condition"] == "Success" and won["responsePayload"] == {"length": 3}
    assert won["requestPayload"] == {"long": "xyz"}
    lost = json.loads(bodies(own, "lost")[0])
    assert lost["requestContext"]["condition"] == "RetriesExhausted"
    assert lost["responsePayload"]["errorType"] == "ValueError"
    assert [json.loads(b) for b in bodies(own, "dead")] == [{"fail": 1}]


def test_a_target_that_is_none_is_refused_at_deploy(own):
    result = own.deploy_source("bad", "bad.py", ECHO, "--on-failure", "nowhere", check=5)
    assert "nowhere" in result.err


def test_the_callback_is_tried_again(own, sink):
    sink.statuses = [503]
    answer = own.http("POST", "/async-function/echo", "x", {"X-Callback-Url": sink.url, "X-Call-Id": "cb"})
    answer.expect(202)
    eventually(lambda: len(sink.seen) == 2, lambda: sink.seen, 20)
    headers, body, path = sink.seen[1]
    assert path == "/hook?x=1"
    assert headers["X-Call-Id"] == "cb" and headers["X-Function-Name"] == "echo"
    assert headers["X-Function-Status"] == "200" and float(headers["X-Duration-Seconds"]) >= 0
    assert "got" in json.loads(body)


def test_addresses_of_this_machine_are_refused(make_server, sink):
    own = make_server(config="calls:\n  retries: 0\n")
    own.deploy_source("echo", "echo.py", ECHO)
    own.http("POST", "/async-function/echo", "x", {"X-Callback-Url": sink.url}).expect(202)
    for url in ("file:///etc/passwd", "queue:x", "http://"):
        assert own.http("POST", "/async-function/echo", "x", {"X-Callback-Url": url}).status == 400

    def refused():
        calls = own.api("GET", "/v1/calls?state=failed").json["calls"]
        return [c for c in calls if c["target"] == sink.url]
    assert "allow_loopback" in eventually(refused, "a failed delivery", 15)[0]["error"]["message"]
    assert sink.seen == []


def test_idempotency(own):
    first = own.cli("invoke", "echo", "--async", "--idempotency-key", "k1").out
    again = own.cli("invoke", "echo", "--async", "--idempotency-key", "k1").out
    other = own.cli("invoke", "echo", "--async", "--idempotency-key", "k2").out
    assert first == again != other


def test_cancel_what_runs_and_run_it_again(own):
    call_id = accept(own, "slow", {"s": 50})
    eventually(lambda: own.api("GET", f"/v1/calls/{call_id}").json["state"] == "running", "it runs", 15)
    assert call_id in [c["id"] for c in own.api("GET", "/v1/calls?state=running").json["calls"]]
    own.cli("calls", "cancel", call_id)
    assert over(own, call_id)["state"] == "cancelled"
    assert own.cli("calls", "cancel", call_id, check=5)
    record = own.record(call_id)
    assert record["outcome"] == "cancelled"
    waits = eventually(lambda: (a := own.api("POST", f"/v1/calls/{call_id}/retry")).status == 202 and a, "kept")
    again = waits.json["call_id"]
    eventually(lambda: own.api("GET", f"/v1/calls/{again}").json["state"] == "running", "it runs again", 15)
    own.api("DELETE", f"/v1/calls/{again}").expect(200)


def test_long_payloads_wait_in_files(own):
    own.deploy_source("long", "long.py", MOODY, "--retries", "0")
    folder = os.path.join(own.data, "calls")
    good = accept(own, "long", {"long": "x" * 1_000_000})
    assert over(own, good)["result"] == {"length": 1_000_000}
    eventually(lambda: good not in os.listdir(folder), "the file is gone")
    bad = accept(own, "long", {"fail": 1, "long": "y" * 1_000_000})
    assert over(own, bad)["state"] == "failed"
    assert bad in os.listdir(folder)


def test_listing(own):
    call_id = accept(own, "echo", 1)
    over(own, call_id)
    page = own.api("GET", "/v1/calls?function=echo&state=succeeded&limit=1").expect(200).json
    assert page["calls"][0]["id"] == call_id and page["next"] == call_id
    assert "result" not in page["calls"][0]
    assert call_id in own.cli("calls", "ls", "echo").out.decode()
    assert "succeeded" in own.cli("calls", "get", call_id).out.decode()
    assert own.api("GET", "/v1/calls/unknown").status == 404
    assert own.api("GET", "/v1/calls?state=odd").status == 400
    assert own.api("GET", f"/v1/calls/{call_id}/result").expect(200).json["got"] == 1


def test_a_restart_in_the_middle(make_server):
    own = make_server(config=CONFIG)
    own.deploy_source("echo", "echo.py", ECHO)
    own.deploy(SLOW, "--name", "slow", "--concurrency", "1", "--max", "1")
    ids = [accept(own, "slow", {"s": 0.2}) for _ in range(15)]
    over(own, ids[0])
    own.kill()
    own.start()
    for call_id in ids:
        assert over(own, call_id, 40)["state"] == "succeeded"


def test_backlogs_leave_room_for_those_who_wait(own):
    own.deploy(SLOW, "--name", "busy", "--max", "2")
    ids = [accept(own, "busy", {"s": 0.1}) for _ in range(60)]
    began = time.monotonic()
    own.invoke("busy", {"s": 0}).expect(200)
    assert time.monotonic() - began < 5
    for call_id in ids:
        assert over(own, call_id, 60)["state"] == "succeeded"
    assert all(c["attempts"] == 1 for c in own.api("GET", "/v1/calls?function=busy&limit=100").json["calls"])


def test_schedules_tick_and_survive(make_server):
    own = make_server(config=CONFIG)
    own.deploy_source("echo", "echo.py", ECHO)
    own.cli("schedule", "create", "pulse", "--cron", "* * * * * *", "--target", "echo", "--input", '{"a":1}')
    own.cli("schedule", "create", "pulse", "--cron", "* * * * * *", "--target", "echo", check=5)

    def ticks():
        return own.api("GET", "/v1/schedules/pulse").expect(200).json["ticks"]
    eventually(lambda: ticks() >= 2, "two ticks", 15)
    own.kill()
    own.start()
    before = ticks()
    eventually(lambda: ticks() >= before + 2, "it goes on", 15)
    own.cli("schedule", "disable", "pulse")
    calls = own.api("GET", "/v1/calls?limit=1000").json["calls"]
    assert {c["source"] for c in calls} == {"schedule"}
    eventually(lambda: len([c for c in own.api("GET", "/v1/calls?state=succeeded&limit=1000").json["calls"]])
               == ticks(), "each tick has run once", 20)
    assert "pulse" in own.cli("schedule", "ls").out.decode()
    described = own.cli("schedule", "describe", "pulse").out.decode()
    assert "function:echo" in described
    own.cli("schedule", "run", "pulse")
    own.cli("schedule", "rm", "pulse")
    assert own.api("GET", "/v1/schedules/pulse").status == 404
    assert own.api("PUT", "/v1/schedules/bad", {"expression": "often", "target": "queue:q"}).status == 400
