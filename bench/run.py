#!/usr/bin/env python3
"""Mayfly beside node, nginx, uvicorn, gunicorn and workerd: one workload, one run, one table.

Warm: POST {"name":"World"} answered {"message":"Hello World"}, at 32 connections and at 1. All are
started first and then measured in turn, round after round, so that the machine's noise falls on all of
them; medians count. CPU is that of every process of a peer (for Mayfly: server, spawner, instances,
network helper) divided by the requests. Cold: see cold.py. Compare ratios within one run; absolute
figures of shared machines move by a factor of two from hour to hour.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tests", "support")]

import aims  # noqa: E402
import cold  # noqa: E402
import events  # noqa: E402
import lambda_path  # noqa: E402
from harness import Server  # noqa: E402
from measure import load, medians, pss_mb, trees  # noqa: E402
from peers import PEERS, Peer, Skip  # noqa: E402

# name, file, flags of deploy: one instance each, as the peers are one process each.
FUNCTIONS = [
    ("mayfly node", "hello.js", ["--concurrency", "64"]),
    ("mayfly node listener", "listener.js", []),
    ("mayfly python", "hello.py", ["--concurrency", "64"]),
    ("mayfly python asgi", "hello_asgi.py", []),
    ("mayfly native", "hello_frames.c", []),
    ("mayfly native http", "hello.c", []),
]
# what, of which peer, against which: ratio that docs and design aim at (rate or latency)
RATIOS = [
    ("throughput", "mayfly node", "node http", "rate32"),
    ("throughput", "mayfly node", "nginx to node", "rate32"),
    ("throughput", "mayfly node", "workerd", "rate32"),
    ("throughput", "mayfly python", "uvicorn", "rate32"),
    ("throughput", "mayfly python", "gunicorn", "rate32"),
    ("throughput", "mayfly native", "nginx return 200", "rate32"),
    ("CPU for a call", "mayfly node", "node http", "cpu32"),
    ("CPU for a call", "mayfly python", "uvicorn", "cpu32"),
    ("CPU for a call", "mayfly native", "nginx return 200", "cpu32"),
    ("latency at 1 connection, p50", "mayfly node", "node http", "p50_1"),
    ("latency at 32 connections, p99", "mayfly node", "node http", "p99_32"),
]


class Mayfly(Peer):
    """One server with one function: a tree of its own, so that its CPU is its own."""

    def __init__(self, name, file, flags):
        super().__init__(name)
        self.server = Server().start()
        path = os.path.join(HERE, "peers" if file == "hello_asgi.py" else "functions", file)
        if file.endswith(".c"):
            source, path = path, os.path.join(self.home, "hello")
            compiler = shutil.which("gcc") or shutil.which("cc")
            if not compiler:
                raise Skip("no C compiler is installed")
            subprocess.run([compiler, "-O2", "-o", path, source], check=True)
        result = self.server.cli("deploy", path, "--name", "hello", "--max", "1", "--keep-alive", "3600", *flags,
                                 check=None)
        if result.code != 0:
            raise Skip(f"deploy: {(result.err + result.out.decode())[-300:].strip()}")
        self.url = self.server.gateway + "/function/hello"

    def roots(self):
        return [self.server.pid]

    def stop(self):
        self.server.close()
        super().stop()


def start_all(wanted):
    started = []
    makers = [(name, (lambda n=name, s=start: began(Peer(n), s))) for name, start in PEERS]
    makers += [(name, (lambda n=name, f=file, a=flags: Mayfly(n, f, a))) for name, file, flags in FUNCTIONS]
    for name, make in makers:
        if wanted and name not in wanted:
            continue
        try:
            peer = make()
        except Skip as reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
            continue
        request = urllib.request.Request(peer.url, b'{"name":"World"}', {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.loads(answer.read())
        if body != {"message": "Hello World"}:
            raise SystemExit(f"{name} answers {body!r}")
        started.append(peer)
    return started


def began(peer, start):
    try:
        start(peer)
    except BaseException:
        peer.stop()
        raise
    return peer


def warm(peers, rounds, seconds):
    runs = {}
    for peer in peers:
        load(peer.url, 32, 1, peer.roots())  # caches, compilers, connection pools
    for number in range(rounds):
        for peer in peers if number % 2 == 0 else reversed(peers):
            for connections in (32, 1):
                run = load(peer.url, connections, seconds, peer.roots())
                runs.setdefault((peer.name, connections), []).append(run)
            print(f"round {number + 1}/{rounds} {peer.name}: {runs[(peer.name, 32)][-1]['rate']:.0f}/s, "
                  f"others used {runs[(peer.name, 32)][-1]['others']:.0%} of the machine", file=sys.stderr)
    rows = {}
    for peer in peers:
        many, one = medians(runs[(peer.name, 32)]), medians(runs[(peer.name, 1)])
        rows[peer.name] = {
            "rate32": many["rate"], "p50_32": many["p50_us"], "p99_32": many["p99_us"], "cpu32": many["cpu_us"],
            "p50_1": one["p50_us"], "p99_1": one["p99_us"], "cpu1": one["cpu_us"],
            "memory_mb": pss_mb(trees(peer.roots())), "bad": many["bad"] + one["bad"],
            "others": many["others"],
        }
    return rows


def print_warm(rows):
    print("\n| warm | 32 connections: requests/s | p50 µs | p99 µs | CPU µs a call | 1 connection: p50 µs | p99 µs "
          "| CPU µs a call | memory MB (PSS) | faults | others |\n|" + "---|" * 11)
    for name, r in rows.items():
        print(f"| {name} | {r['rate32']:,.0f} | {r['p50_32']:.0f} | {r['p99_32']:.0f} | {r['cpu32']:.1f} "
              f"| {r['p50_1']:.0f} | {r['p99_1']:.0f} | {r['cpu1']:.1f} | {r['memory_mb']:.1f} | {r['bad']} "
              f"| {r['others']:.0%} |")
    print("\n| ratio | of | to | measured |\n|---|---|---|---|")
    for what, a, b, key in RATIOS:
        if a in rows and b in rows and rows[b][key]:
            print(f"| {what} | {a} | {b} | {rows[a][key] / rows[b][key]:.2f} |")


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two short rounds, few cold starts: a look, not a claim")
    parser.add_argument("--rounds", type=int, help="rounds of the warm rows (default 4)")
    parser.add_argument("--seconds", type=int, help="of load in each measurement (default 4)")
    parser.add_argument("--only", help="names of rows, with commas between them; 'cold', 'events' and 'lambda' are three")
    parser.add_argument("--idle", type=int, metavar="N", help="memory of N idle instances (default 1000; 0: left out)")
    parser.add_argument("--functions", type=int, metavar="N",
                        help="cost of N deployed functions (default 10000; 0: left out)")
    parser.add_argument("--json", metavar="FILE", help="append the results to FILE as one line of JSON")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 4)
    seconds = options.seconds or (1 if options.quick else 4)
    wanted = [w.strip() for w in options.only.split(",")] if options.only else []
    known = {n for n, _ in PEERS} | {n for n, _, _ in FUNCTIONS} | {"cold", "events", "lambda"}
    if set(wanted) - known:
        raise SystemExit(f"no such row: {', '.join(sorted(set(wanted) - known))}; there are {', '.join(sorted(known))}")
    result = {"cpus": os.cpu_count()}
    peers = []
    if not wanted or set(wanted) - {"cold", "events", "lambda"}:
        try:
            peers = start_all(wanted)
            result["warm"] = warm(peers, rounds, seconds)
        finally:
            for peer in peers:
                peer.stop()
        print_warm(result["warm"])
    if not wanted or "cold" in wanted:
        result["cold"] = cold.measure(10 if options.quick else 50)
    if not wanted or "events" in wanted:
        result["events"] = events.measure(100_000 if options.quick else 1_000_000, seconds, rounds=2 if options.quick else 3)
    if not wanted or "lambda" in wanted:
        result["lambda"] = lambda_path.measure(2 if options.quick else 3, seconds)
    part = options.quick or bool(wanted)
    idle = options.idle if options.idle is not None else 0 if part else 1000
    if idle:
        result["idle"] = cold.idle_instances(idle)
    functions = options.functions if options.functions is not None else 0 if part else 10_000
    if functions:
        result["functions"] = cold.deployed_functions(functions)
    aims.show(result)
    if options.json:
        with open(options.json, "a") as f:
            f.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
