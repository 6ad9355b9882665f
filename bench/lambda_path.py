"""Lambda's Invoke beside the native ways in: one function, one server, 32 connections, round after round.

The signed request goes to the API port as AWS's SDKs send it (Signature Version 4, checked each time); the others
are POST /function/NAME at the gateway, and the native API's invoke. The aim: Invoke costs at most 1.3 times the
native path, in CPU time and in the median.
"""

import json
import os
import tempfile

from accept import load_request, signed
from harness import Server
from measure import HERE, medians

CONNECTIONS = 32
BODY = b'{"name":"World"}'
GATEWAY, API, INVOKE = "gateway", "native API invoke", "Lambda Invoke, signed"
AIM = 1.3


def requests_of(server):
    """name -> (url, headers)"""
    key = json.loads(server.cli("keys", "create", "--json").out)
    server.deploy(os.path.join(HERE, "functions", "hello.js"), "--name", "hello", "--max", "1", "--keep-alive", "3600",
                  "--concurrency", "64")
    invoke = server.api_url + "/2015-03-31/functions/hello/invocations"
    plain = {"content-type": "application/json"}
    return {
        GATEWAY: (server.gateway + "/function/hello", plain),
        API: (server.api_url + "/v1/functions/hello/invoke", {**plain, "authorization": "Bearer " + server.key}),
        INVOKE: (invoke, signed(invoke, BODY, key, "lambda", content_type="application/json")),
    }


def measure(rounds, seconds):
    server = Server().start()
    runs = {}
    try:
        wanted = requests_of(server)
        with tempfile.TemporaryDirectory() as folder:
            for number in range(rounds + 1):
                for name, (url, headers) in wanted.items():
                    long = seconds if number else 1  # the first round warms up
                    run = load_request(folder, CONNECTIONS, long, [server.pid], url, headers, BODY)
                    if number:
                        runs.setdefault(name, []).append(run)
    finally:
        server.close()
    rows = {name: medians(list_of) for name, list_of in runs.items()}
    print(f"\n| way in, {CONNECTIONS} connections | requests/s | p50 \u00b5s | p99 \u00b5s | CPU \u00b5s a call | faults | others |")
    print("|" + "---|" * 7)
    for name, row in rows.items():
        print(f"| {name} | {row['rate']:,.0f} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['cpu_us']:.1f} "
              f"| {row['bad']} | {row['others']:.0%} |")
    print(f"\n| Lambda Invoke to | CPU | p50 | aim |\n|---|---|---|---|")
    for name in (GATEWAY, API):
        cpu, p50 = (rows[INVOKE][k] / max(rows[name][k], 1e-9) for k in ("cpu_us", "p50_us"))
        print(f"| {name} | {cpu:.2f} | {p50:.2f} | {AIM} |")
    return rows
