#!/usr/bin/env python3
"""events.py [--backlog N] [--seconds S]: queue triggers, measured on a real server.

Prints, as lines of `name value unit`: the time from a SendMessage request to the handler (median and p99), how fast a
backlog is drained (one function, batches of 1,000, state.add and "done" in one transaction), and the p99 of the redirect of
examples/adclick, alone and while clicks are charged at full speed.
"""

import argparse
import json
import os
import sys
import time
import http.client
from urllib.parse import urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from harness import EXAMPLES, Server, eventually  # noqa: E402

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


def state(server, key):
    answer = server.api("GET", "/v1/state/" + key.replace("/", "%2F"))
    return answer.json["value"] if answer.status == 200 else None


def latency(server, count=300):
    server.deploy_source("stamps", "stamps.py", STAMPS)
    server.api("PUT", "/v1/queues/stamps", {}).expect(201)
    server.api("POST", "/v1/triggers", {"queue": "stamps", "function": "stamps"}).expect(201)
    connection, took = connect(server.api_url), []
    for n in range(count):
        sent = time.time()
        send_to(server, connection, "stamps", [str(n)])
        took.append(eventually(lambda: state(server, f"stamp/{n}"), "handled", 10, 0.001) - sent)
    took = took[20:]
    print(f"send_to_handler_median {percentile(took, 0.5) * 1000:.2f} ms")
    print(f"send_to_handler_p99 {percentile(took, 0.99) * 1000:.2f} ms")


def drain(server, backlog):
    server.deploy_source("counter", "counter.py", COUNTER)
    server.api("PUT", "/v1/queues/backlog", {}).expect(201)
    connection = connect(server.api_url)
    began = time.monotonic()
    for start in range(0, backlog, 1000):
        send_to(server, connection, "backlog", [f'{{"n": {n}}}' for n in range(start, min(start + 1000, backlog))])
    print(f"send_1000_a_request {backlog / (time.monotonic() - began):.0f} messages/s")
    began = time.monotonic()
    server.api("POST", "/v1/triggers", {"queue": "backlog", "function": "counter", "batch": 1000}).expect(201)
    eventually(lambda: state(server, "counted") == backlog, lambda: state(server, "counted"), 900, 0.05)
    print(f"drain {backlog / (time.monotonic() - began):.0f} messages/s")


def clicks(server, seconds):
    took, connection, until = [], connect(server.gateway), time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.request("GET", "/click/sandal")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302, answer.status
        took.append(time.perf_counter() - began)
    return took


def redirect(server, seconds):
    server.deploy(os.path.join(EXAMPLES, "adclick"))
    server.api("PUT", "/v1/state/budget%2Facme", str(10**15)).expect(200)
    server.cli("trigger", "disable", "clicks:charge")
    clicks(server, 1)
    alone = clicks(server, seconds)
    connection = connect(server.api_url)
    for start in range(0, 100_000, 1000):
        send_to(server, connection, "clicks",
                [json.dumps({"id": f"b{n}", "ad": "sandal", "at": 0}) for n in range(start, start + 1000)])
    server.cli("trigger", "enable", "clicks:charge")
    eventually(lambda: (state(server, "clicks/sandal") or 0) > 0, "charging has begun", 60)
    busy = clicks(server, seconds)
    charged = state(server, "clicks/sandal")
    print(f"redirect_p50_alone {percentile(alone, 0.5) * 1000:.2f} ms")
    print(f"redirect_p99_alone {percentile(alone, 0.99) * 1000:.2f} ms")
    print(f"redirect_p50_while_charging {percentile(busy, 0.5) * 1000:.2f} ms")
    print(f"redirect_p99_while_charging {percentile(busy, 0.99) * 1000:.2f} ms")
    print(f"charged_meanwhile {charged} clicks")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    server = Server()
    try:
        server.start()
        latency(server)
        drain(server, options.backlog)
        redirect(server, options.seconds)
        server.stop()
    finally:
        server.close()


if __name__ == "__main__":
    main()
