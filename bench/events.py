#!/usr/bin/env python3
"""events.py [--backlog N] [--seconds S]: event rows, measured on a real server (a part of bench/run).

Durable accepts (accept.py); the time from a send request to the handler; how fast a backlog is drained (one function,
batches of 1,000, state.add and "done" in one transaction); and the redirect of examples/adclick, alone and while
clicks are charged at full speed.
"""

import argparse
import json
import os
import statistics
import sys
import time
import http.client
from urllib.parse import urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(ROOT, "tests", "support")]

import accept  # noqa: E402
from harness import EXAMPLES, Server, eventually  # noqa: E402
from time_slice import wake_at_once  # noqa: E402

STAMPS = """\
import time

def handler(event, context):
    now = time.time()
    for record in event["Records"]:
        context.state.put("stamp/" + record["body"], now)
"""
COUNTER = """\
def handler(event, context):
    context.state.add("counted", len(event["Records"]))
"""
# The instance may be new: Node compiles what is hot for so many calls, up to 12 ms at a time, and a percentile of
# the first second would be about that.
WARM_UP = 5000


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def connect(url):
    address = urlsplit(url)
    return http.client.HTTPConnection(address.hostname, address.port, timeout=60)


def send_to(server, connection, queue, bodies):
    connection.request("POST", f"/v1/queues/{queue}/messages", json.dumps({"messages": bodies}),
                       {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body


def fill(server, connection, queue, numbers, body):
    """A message body(n) for each of the numbers, a thousand in a request."""
    for start in range(0, len(numbers), 1000):
        send_to(server, connection, queue, [body(n) for n in numbers[start:start + 1000]])


def state(server, key):
    answer = server.api("GET", "/v1/state/" + key.replace("/", "%2F"))
    return answer.json["value"] if answer.status == 200 else None


def latency(server, rows, count=300):
    server.deploy_source("stamps", "stamps.py", STAMPS)
    server.api("PUT", "/v1/queues/stamps", {}).expect(201)
    server.api("POST", "/v1/triggers", {"queue": "stamps", "function": "stamps"}).expect(201)
    connection, took = connect(server.api_url), []
    for n in range(count):
        sent = time.time()
        send_to(server, connection, "stamps", [str(n)])
        took.append(eventually(lambda: state(server, f"stamp/{n}"), "handled", 10, 0.001) - sent)
    took = took[20:]
    rows["send to handler, p50 ms"] = percentile(took, 0.5) * 1e3
    rows["send to handler, p99 ms"] = percentile(took, 0.99) * 1e3


def drain(server, rows, backlog):
    server.deploy_source("counter", "counter.py", COUNTER)
    server.api("PUT", "/v1/queues/backlog", {}).expect(201)
    connection = connect(server.api_url)
    began = time.monotonic()
    fill(server, connection, "backlog", range(backlog), lambda n: f'{{"n": {n}}}')
    rows["sends of 1,000 in a request, messages/s"] = backlog / (time.monotonic() - began)
    began = time.monotonic()
    server.api("POST", "/v1/triggers", {"queue": "backlog", "function": "counter", "batch": 1000}).expect(201)
    eventually(lambda: state(server, "counted") == backlog, lambda: state(server, "counted"), 900, 0.05)
    rows[f"drain of {backlog:,}, messages/s"] = backlog / (time.monotonic() - began)


def clicks(server, seconds, least=0):
    took, connection, until = [], connect(server.gateway), time.monotonic() + seconds
    while time.monotonic() < until or len(took) < least:
        began = time.perf_counter()
        connection.request("GET", "/click/sandal")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302, answer.status
        took.append(time.perf_counter() - began)
    return took


def redirect(server, rows, seconds, rounds):
    """Alone and beside full work in turns: a 99th percentile is a few requests, and the host's as well."""
    server.deploy(os.path.join(EXAMPLES, "adclick"))
    server.api("PUT", "/v1/state/budget%2Facme", str(10**15)).expect(200)
    server.cli("trigger", "disable", "clicks:charge")
    connection, runs, backlog = connect(server.api_url), [], 80_000 * (seconds + 3)  # more than is charged meanwhile
    for number in range(rounds):
        clicks(server, 0, WARM_UP)
        alone = clicks(server, seconds)
        fill(server, connection, "clicks", range(number * backlog, (number + 1) * backlog),
             lambda n: json.dumps({"id": f"b{n}", "ad": "sandal", "at": 0}))
        before = state(server, "clicks/sandal") or 0
        server.cli("trigger", "enable", "clicks:charge")
        eventually(lambda: (state(server, "clicks/sandal") or 0) > before, "charging has begun", 60)
        clicks(server, 0, WARM_UP)
        counted, began = state(server, "clicks/sandal"), time.monotonic()
        busy = clicks(server, seconds)
        charged = state(server, "clicks/sandal") - counted
        runs.append({"clicks charged meanwhile, a second": charged / (time.monotonic() - began),
                     **{f"redirect {what}, p{share} ms": percentile(took, share / 100) * 1e3
                        for what, took in (("alone", alone), ("while clicks are charged", busy)) for share in (50, 99)}})
        if state(server, "clicks/sandal") >= before + backlog:
            print("the backlog of clicks was charged before the redirect was measured: too small")
        server.cli("trigger", "disable", "clicks:charge")
        server.cli("queue", "purge", "clicks")
    rows.update({name: statistics.median(run[name] for run in runs) for name in runs[0]})


def measure(backlog, seconds, rounds=3):
    rows, server = {}, Server()
    try:
        server.start()
        wake_at_once()  # not before: threads of the server that have no hurry would have it, too
        result = {"accept": accept.measure(server, rounds, seconds), "events": rows}
        latency(server, rows)
        drain(server, rows, backlog)
        redirect(server, rows, seconds, 2 * rounds + 1)
        server.stop()
    finally:
        server.close()
    print("\n| events | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:,.2f} |" if value < 100 else f"| {name} | {value:,.0f} |")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    measure(options.backlog, options.seconds)


if __name__ == "__main__":
    main()
