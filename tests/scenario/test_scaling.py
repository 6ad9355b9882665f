"""Scaling: from zero, by need, to the limits, and back to zero."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness import PATIENCE, RawConnection, eventually, fixture_path


def together(count, call):
    """Runs call(i) in count threads that start at one moment; the results in order."""
    barrier = threading.Barrier(count)

    def one(i):
        barrier.wait()
        return call(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def instances(server, name):
    return server.stats(name).get("instances", 0)


def test_from_zero_and_back_to_zero(server):
    server.deploy(fixture_path("echo.py"), "--name", "to-zero", "--keep-alive", "1")
    first = server.invoke("to-zero", {}).expect(200).json["instance"]
    assert server.invoke("to-zero", {}).expect(200).json["instance"] == first
    eventually(lambda: instances(server, "to-zero") == 0, "no instance after keep-alive", 15)
    assert server.invoke("to-zero", {}).expect(200).json["instance"] != first


def test_a_deployed_function_has_no_instance_for_long(server):
    server.deploy(fixture_path("echo.py"), "--name", "resting", "--keep-alive", "0")
    eventually(lambda: instances(server, "resting") == 0, "no instance", 10)


@pytest.mark.smoke
def test_parallel_calls_get_instances_of_their_own(server):
    server.deploy(fixture_path("app.py"), "--name", "wide", "--concurrency", "1")
    with ExitStack() as open_ones:
        told = []
        for i in range(4):  # each has begun, and none ends
            caller = open_ones.enter_context(RawConnection(server.gateway)).get(f"/function/wide/trickle/{i}")
            status, headers = caller.read_head()
            assert status == 200 and caller.read_chunk() == b"data: first\n\n"
            told.append({k.lower(): v for k, v in headers}["x-instance"])
        assert len(set(told)) == 4
        assert server.stats("wide")["running"] == 4


def test_an_instance_runs_one_call_at_a_time_by_default(server):
    server.deploy(fixture_path("sleeper.py"), "--name", "narrow", "--max", "1", "--keep-alive", "30")
    told = [a.expect(200).json for a in together(3, lambda i: server.invoke("narrow", {"s": 0.2}))]
    assert len({t["instance"] for t in told}) == 1
    spans = sorted((t["began"], t["ended"]) for t in told)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), "they did not overlap"


def test_web_apps_share_an_instance(server):
    server.deploy(fixture_path("app.py"), "--name", "shared", "--max", "1")
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(server.call("shared", path=f"/hold/{i}")))
               for i in range(10)]
    for t in threads:
        t.start()
    eventually(lambda: server.call("shared", path="/running").expect(200).json["running"] >= 11,
               "ten calls at once in one instance")
    server.call("shared", path="/release").expect(200)
    for t in threads:
        t.join(30)
    assert len({r.expect(200).json["instance"] for r in results}) == 1


def test_concurrency_is_a_hard_limit(server):
    server.deploy(fixture_path("app.py"), "--name", "capped", "--max", "1", "--concurrency", "2")
    with RawConnection(server.gateway) as first, RawConnection(server.gateway) as second, \
            RawConnection(server.gateway) as third:
        for caller in (first, second):
            caller.get("/function/capped/hold/x")
        eventually(lambda: server.stats("capped").get("running") == 2, "two run")
        third.get("/function/capped/running")
        eventually(lambda: server.stats("capped").get("waiting") == 1, "the third waits")
        assert server.stats("capped")["running"] == 2
        first.socket.close()  # a caller that goes away makes room
        assert third.read_answer().status == 200


def test_simultaneous_first_calls_of_a_fast_function_share_one_start(server):
    server.deploy(fixture_path("slow_init.py"), "--name", "single-flight", "--keep-alive", "0", "--min", "0",
                  "--snapshot", "off")
    eventually(lambda: instances(server, "single-flight") == 0, "from zero")
    for _ in range(3):  # the run time is known after the first round
        answers = together(6, lambda i: server.invoke("single-flight", {}))
        used = {a.expect(200).json for a in answers}
        eventually(lambda: instances(server, "single-flight") == 0, "to zero again")
    assert len(used) < 6, "six calls of no length need no six instances"


def test_429_when_full(make_server):
    own = make_server(config="engine:\n  line_max: 1\n")
    own.deploy(fixture_path("app.py"), "--name", "full", "--max", "1", "--concurrency", "1")
    with RawConnection(own.gateway) as runs, RawConnection(own.gateway) as waits:
        runs.get("/function/full/hold/x")
        eventually(lambda: own.stats("full").get("running") == 1, "one runs")
        waits.get("/function/full/running")
        eventually(lambda: own.stats("full").get("waiting") == 1, "one waits")
        refused = own.call("full").expect(429)
        assert int(refused.header("Retry-After")) >= 1
        assert refused.error["code"] == "resource_exhausted" and refused.error["phase"] == "queue"
        assert "line_max" in refused.error["message"] or "--max" in refused.error["message"] \
            or "instances" in refused.error["message"]
        assert own.record(refused.request_id)["outcome"] == "refused"
        runs.socket.close()
        assert waits.read_answer().status == 200
    assert own.call("full").status == 200


def test_deadline_is_enforced(server):
    server.deploy(fixture_path("misbehave.py"), "--name", "late", "--timeout", "1")
    instance = server.invoke("late", {"do": "nothing"}).expect(200).json["instance"]
    began = time.monotonic()
    late = server.invoke("late", {"do": "loop"}).expect(504)
    assert 0.9 <= time.monotonic() - began < 10 * PATIENCE
    assert late.error["code"] == "deadline_exceeded" and late.error["party"] == "function"
    assert "timeout" in late.error["message"].lower() or "timed out" in late.error["message"]
    record = server.record(late.request_id)
    assert record["outcome"] == "timeout" and record["phase"] == "run"
    assert server.invoke("late", {"do": "nothing"}).expect(200).json["instance"] != instance


def test_minimum_instances_stay(server):
    server.deploy(fixture_path("echo.py"), "--name", "kept", "--min", "2", "--keep-alive", "0")
    eventually(lambda: instances(server, "kept") == 2, "two instances without a call")
    server.invoke("kept", {}).expect(200)
    assert instances(server, "kept") >= 2
    server.cli("rm", "kept")


def test_a_new_version_takes_over_without_an_error(server, tmp_path):
    path = tmp_path / "rolling.py"
    path.write_text("def handler(event, context):\n    sum(range(200000))\n    return 1\n")
    server.deploy(path)
    stop, seen, bad = threading.Event(), [], []

    def load():
        while not stop.is_set():
            answer = server.invoke("rolling", {})
            (seen if answer.status == 200 else bad).append(answer)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: seen, "the first version answers")
        for n in (2, 3, 4):
            path.write_text(f"def handler(event, context):\n    sum(range(200000))\n    return {n}\n")
            server.deploy(path)
            eventually(lambda: seen and seen[-1].json == n, f"version {n} answers")
    finally:
        stop.set()
        for t in threads:
            t.join(30)
    assert bad == []
    values = [a.json for a in seen]
    assert set(values) == {1, 2, 3, 4}


def keep_alive(server, name):
    return server.api("GET", f"/v1/functions/{name}").expect(200).json["keep_alive"]


def test_keep_alive_is_learnt_and_seen(server):
    server.deploy(fixture_path("echo.py"), "--name", "learning")
    assert keep_alive(server, "learning")["why"] == "break_even"
    assert "learnt" in server.cli("describe", "learning").out.decode()
    first = server.invoke("learning", {}).expect(200).json["instance"]
    known = keep_alive(server, "learning")
    assert known["why"] == "break_even" and known["gaps"] < 4 and known["ms"] >= 2000
    for _ in range(6):  # close together: no one of them finds the instance gone
        assert server.invoke("learning", {}).expect(200).json["instance"] == first
    learnt = keep_alive(server, "learning")
    assert learnt["why"] == "learnt" and 4 <= learnt["gaps"] <= 6 and learnt["again_from_ms"] == 0
    assert f"learnt from {learnt['gaps']} gaps" in server.cli("describe", "learning").out.decode()
    eventually(lambda: instances(server, "learning") == 0, "no instance", learnt["ms"] / 1000 + 10)
    # The next revision goes on from there.
    server.deploy(fixture_path("echo.py"), "--name", "learning", "--env", "NEXT=1")
    assert keep_alive(server, "learning")["gaps"] == learnt["gaps"]


def test_keep_alive_that_is_set_wins(make_server):
    own = make_server(config="functions:\n  keep_alive_ms: 1500\n")
    own.deploy(fixture_path("echo.py"), "--name", "plain")
    own.deploy(fixture_path("echo.py"), "--name", "own", "--keep-alive", "0.5")
    for _ in range(6):
        own.invoke("plain", {}).expect(200)
        own.invoke("own", {}).expect(200)
    assert keep_alive(own, "plain")["why"] == "setting" and keep_alive(own, "plain")["ms"] == 1500
    assert keep_alive(own, "own")["ms"] == 500
    assert "1.50 s, as set" in own.cli("describe", "plain").out.decode()
    eventually(lambda: instances(own, "own") == 0 and instances(own, "plain") == 0, "both are gone", 15)
