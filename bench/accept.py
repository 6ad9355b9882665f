"""Durable accepts at 64 connections: what is answered is on the disk. Signed SendMessage and
SendMessageBatch of SQS in JSON, and single async calls; wrk sends one request again and again, its
signature is checked each time."""

import concurrent.futures
import datetime
import hashlib
import hmac
import json
import os
import tempfile
import time
from urllib.parse import urlsplit

from measure import HERE, load, medians, wait_until

CONNECTIONS = 64
TOGETHER = ("SendMessage", "async call")
BODY = "x" * 200


def signed(url, body, key, service="sqs", target=None, content_type="application/x-amz-json-1.0"):
    """Headers of a request, signed as AWS clients sign (Signature Version 4)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day, stamp = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": content_type, "host": urlsplit(url).netloc, "x-amz-date": stamp}
    if target:
        headers["x-amz-target"] = target
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", urlsplit(url).path or "/", "", *(f"{n}:{headers[n]}" for n in sorted(headers)), "",
                           names, hashlib.sha256(body).hexdigest()])
    scope = f"{day}/us-east-1/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = ("AWS4" + key["secret_access_key"]).encode()
    for part in (day, "us-east-1", service, "aws4_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key['access_key_id']}/{scope}, "
                                f"SignedHeaders={names}, Signature={signature}")
    return headers


def load_request(folder, connections, seconds, roots, url, headers, body):
    """wrk with one request, again and again."""
    handle, path = tempfile.mkstemp(dir=folder)
    os.close(handle)
    with open(path, "wb") as file:
        file.write((urlsplit(url).path + "\n").encode())
        file.write("".join(f"{n}: {v}\n" for n, v in headers.items() if n != "host").encode() + b"\n" + body)
    return load(url, connections, seconds, roots, f"{HERE}/accept.lua", {"ACCEPT_REQUEST": path})


def load_together(folder, seconds, roots, requests):
    """Several requests at once, the connections shared out; latencies are those of the slowest."""
    def one(request):
        return load_request(folder, CONNECTIONS // len(requests), seconds, roots, *request[:3])
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        runs = list(pool.map(one, requests))
    return {"rate": sum(r["rate"] for r in runs), "bad": sum(r["bad"] for r in runs),
            # Each has counted all of the CPU, for its own requests.
            "cpu_us": 1 / sum(1 / r["cpu_us"] for r in runs), "others": min(r["others"] for r in runs),
            "p50_us": max(r["p50_us"] for r in runs), "p99_us": max(r["p99_us"] for r in runs)}


def clear(server):
    """What was accepted is dropped or done: the next measurement must not share the machine with it."""
    server.cli("queue", "purge", "accepts", check=None)

    def done():
        time.sleep(0.3)  # a look reads all records
        return not any(has_calls(server, state) for state in ("waiting", "running"))
    wait_until(done, "all calls have run", 120)


def has_calls(server, state):
    """A page may be empty and not the last."""
    after = ""
    while True:
        page = server.api("GET", f"/v1/calls?state={state}&limit=1{after}").json
        if page["calls"]:
            return True
        if not page.get("next"):
            return False
        after = f"&before={page['next']}"


def requests_of(server):
    """name -> (url, headers, body, messages of a request)"""
    key = json.loads(server.cli("keys", "create", "--json").out)
    server.api("PUT", "/v1/queues/accepts", {}).expect(201)
    server.deploy_source("sink", "sink.py", "def handler(event, context):\n    return 1\n")
    queue = f"{server.api_url}/000000000000/accepts"
    one = json.dumps({"QueueUrl": queue, "MessageBody": BODY}).encode()
    ten = json.dumps({"QueueUrl": queue,
                      "Entries": [{"Id": str(n), "MessageBody": BODY} for n in range(10)]}).encode()
    return {
        "SendMessage": (server.api_url + "/", signed(server.api_url, one, key, target="AmazonSQS.SendMessage"), one, 1),
        "SendMessageBatch of 10": (server.api_url + "/",
                                   signed(server.api_url, ten, key, target="AmazonSQS.SendMessageBatch"), ten, 10),
        "async call": (server.gateway + "/async-function/sink", {"content-type": "application/json"}, b"{}", 1),
    }


def measure(server, rounds, seconds):
    runs = {}
    wanted = requests_of(server)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, (url, headers, body, messages) in wanted.items():
                run = load_request(folder, CONNECTIONS, seconds, [server.pid], url, headers, body)
                run["messages"] = run["rate"] * messages
                runs.setdefault(name, []).append(run)
                clear(server)
            both = [wanted[name] for name in TOGETHER]
            run = load_together(folder, seconds, [server.pid], both)
            run["messages"] = run["rate"]
            runs.setdefault(" and ".join(TOGETHER) + " together", []).append(run)
            clear(server)
    rows = {name: medians(list_of) for name, list_of in runs.items()}
    print(f"\n| durable accept, {CONNECTIONS} connections | messages/s | p50 ms | p99 ms | CPU µs a request | faults |")
    print("|" + "---|" * 6)
    for name, row in rows.items():
        print(f"| {name} | {row['messages']:,.0f} | {row['p50_us'] / 1e3:.1f} | {row['p99_us'] / 1e3:.1f} "
              f"| {row['cpu_us']:.1f} | {row['bad']} |")
    return rows
