"""Cold rows: nothing of the function runs when the request comes in."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from urllib.parse import urlsplit

from harness import Server, zip_bytes
from measure import HERE, percentile, pss_mb, rss_mb, trees, wait_until

PAUSE = 0.1  # seconds; the pools are full again, as they are where cold starts are rare
STATIC = '#include <unistd.h>\nint main(void) { return write(1, "hello\\n", 6) != 6; }\n'


def row(rows, name, milliseconds):
    values = [m for m in milliseconds]
    rows[name] = {"p50_ms": percentile(values, 0.5), "p99_ms": percentile(values, 0.99), "count": len(values)}


def at_zero(server, name):
    wait_until(lambda: not server.stats(name).get("instances") and not server.stats(name).get("starting"),
               f"{name} has no instance")


def connected(server):
    at = urlsplit(server.gateway)
    sock = socket.create_connection((at.hostname, at.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def raw_call(sock, name):
    """One POST on a connection, bytes in, bytes out; the answer's body. The client costs some 30 us."""
    sock.sendall(f"POST /function/{name} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                 'Content-Length: 16\r\n\r\n{"name":"World"}'.encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += received(sock)
    head, _, body = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{name} answered {got[:300]!r}")
    length = int(re.search(rb"\r\ncontent-length: (\d+)", head, re.I).group(1))
    while len(body) < length:
        body += received(sock)
    return body


def received(sock):
    piece = sock.recv(65536)
    if not piece:
        raise RuntimeError("the server closed the connection")
    return piece


def cold_calls(server, name, count):
    """(milliseconds, body) of calls that each found no instance, PAUSE after the last one ended."""
    for number in range(count + 2):
        at_zero(server, name)
        time.sleep(PAUSE)
        with connected(server) as sock:
            began = time.perf_counter()
            body = raw_call(sock, name)
            took = (time.perf_counter() - began) * 1e3
        if number >= 2:  # the first ones read files from the disk
            yield took, body


def cold_starts(server, rows, label, path, flags, count):
    server.cli("deploy", path, "--name", "cold", "--keep-alive", "0", *flags, timeout=300)
    row(rows, label, [took for took, _ in cold_calls(server, "cold", count)])
    server.cli("rm", "cold")


def cold_without_template(server, rows, count):
    """The function's own initialisation, as it measures it, is not counted."""
    server.cli("deploy", f"{HERE}/functions/imports.py", "--name", "booted", "--keep-alive", "0", timeout=300)
    row(rows, "cold start with no template, beyond the function's own initialisation",
        [took - json.loads(body)["initialised_ms"] for took, body in cold_calls(server, "booted", count)])
    server.cli("rm", "booted")


def cold_rate(server, rows, label, path, seconds, functions=24, clients=6):
    """Closed loop over many functions without keep-alive; what counts are starts, by the server's count."""
    names = [f"rate{number}" for number in range(functions)]
    for name in names:
        server.cli("deploy", path, "--name", name, "--keep-alive", "0", timeout=300)
    for name in names:
        at_zero(server, name)
    stop = time.perf_counter() + seconds
    counts, times = [0] * clients, []

    def work(client):
        with connected(server) as sock:
            mine = names[client::clients]
            while time.perf_counter() < stop:
                for name in mine:
                    began = time.perf_counter()
                    raw_call(sock, name)
                    times.append((time.perf_counter() - began) * 1e3)
                    counts[client] += 1
    before, began = cold_count(server, names), time.perf_counter()
    threads = [threading.Thread(target=work, args=(c,)) for c in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.perf_counter() - began
    rows[label] = {"rate": (cold_count(server, names) - before) / took, "calls": sum(counts) / took,
                   "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), "count": sum(counts)}
    for name in names:
        server.cli("rm", name)


def cold_count(server, names):
    """Cold starts of these functions until now."""
    total = 0
    for line in server.api("GET", "/metrics").expect(200).text.splitlines():
        match = re.match(r'mayfly_cold_starts_total\{.*function="([^"]+)".*\} (\d+)', line)
        if match and match.group(1) in names:
            total += int(match.group(2))
    return total


def deploy_to_answer(server, rows, count):
    times = []
    for number in range(count):
        package = zip_bytes({"main.py": f"def handler(event, context):\n    return {number}\n"})
        began = time.perf_counter()
        sha256 = server.put_package(package).expect(200, 201).json["sha256"]
        server.put_function("fresh", sha256).expect(200)
        server.call("fresh").expect(200)
        times.append((time.perf_counter() - began) * 1e3)
    row(rows, "deploy of a small function until it answers", times)
    server.cli("rm", "fresh")


def parallel_sleepers(server, rows, count=100):
    server.cli("deploy", f"{HERE}/functions/sleeper.py", "--name", "sleeper", "--keep-alive", "0")
    at_zero(server, "sleeper")
    answers, threads = [], []
    gate = threading.Barrier(count + 1)

    def call():
        gate.wait()
        answers.append(server.call("sleeper", "{}", timeout=60).status)

    for _ in range(count):
        threads.append(threading.Thread(target=call))
        threads[-1].start()
    gate.wait()
    began = time.perf_counter()
    for t in threads:
        t.join()
    row(rows, f"{count} parallel calls that sleep 1 s, from zero, all answered",
        [(time.perf_counter() - began) * 1e3])
    if set(answers) != {200}:
        print(f"  (answers were {sorted(set(answers))})")
    server.cli("rm", "sleeper")


def container_run(rows, runtime, count):
    """`runc run` and `crun run` of a static hello, for comparison."""
    program, compiler = shutil.which(runtime, path=os.environ["PATH"] + ":/usr/sbin"), shutil.which("gcc")
    if not program or not compiler:
        return f"{runtime} or gcc is not installed"
    with tempfile.TemporaryDirectory() as bundle:
        os.makedirs(f"{bundle}/rootfs")
        with open(f"{bundle}/hello.c", "w") as f:
            f.write(STATIC)
        subprocess.run([compiler, "-O2", "-static", "-o", f"{bundle}/rootfs/hello", f"{bundle}/hello.c"], check=True)
        subprocess.run([program, "spec"], cwd=bundle, check=True)
        with open(f"{bundle}/config.json") as f:
            config = json.load(f)
        config["process"]["terminal"], config["process"]["args"] = False, ["/hello"]
        with open(f"{bundle}/config.json", "w") as f:
            json.dump(config, f)
        times = []
        for number in range(count + 1):
            began = time.perf_counter()
            done = subprocess.run([program, "run", "--bundle", bundle, f"mayfly-bench-{os.getpid()}-{number}"],
                                  capture_output=True, stdin=subprocess.DEVNULL)
            if done.returncode != 0 or done.stdout != b"hello\n":
                return f"{runtime} run fails here: {done.stderr.decode().strip()[-160:]}"
            if number:
                times.append((time.perf_counter() - began) * 1e3)
    row(rows, f"{runtime} run of a static hello, for comparison", times)
    return None


def warm_up(server):
    """Zygotes are made behind the first function of a language; what follows has one."""
    for file in ("hello.py", "hello.js"):
        server.cli("deploy", f"{HERE}/functions/{file}", "--name", "first", timeout=300)
        server.call("first", '{"name":"World"}').expect(200)
        server.cli("rm", "first")
        time.sleep(1)


def measure(count):
    rows, server = {}, Server().start()
    try:
        warm_up(server)
        native = os.path.join(server.home, "hello-native")
        cold_starts(server, rows, "cold start, Python, 100 ms of imports", f"{HERE}/functions/imports.py", [], count)
        cold_starts(server, rows, "cold start, Node, 100 ms of requires", f"{HERE}/functions/requires.js", [], count)
        cold_starts(server, rows, "cold start, Python, nothing imported", f"{HERE}/functions/hello.py", [], count)
        cold_starts(server, rows, "cold start, Node, nothing required", f"{HERE}/functions/hello.js", [], count)
        if shutil.which("gcc"):
            subprocess.run(["gcc", "-O2", "-o", native, f"{HERE}/functions/hello_frames.c"], check=True)
            cold_starts(server, rows, "cold start, native", native, [], count)
            cold_rate(server, rows, "cold starts one after the other, native", native, max(2, count // 10))
        cold_rate(server, rows, "cold starts one after the other, Python", f"{HERE}/functions/hello.py",
                  max(2, count // 10))
        deploy_to_answer(server, rows, max(5, count // 5))
        parallel_sleepers(server, rows)
    finally:
        server.close()
    server = Server(config="engine:\n  templates_bytes_max: 1\n").start()
    try:
        cold_without_template(server, rows, max(5, count // 2))
    finally:
        server.close()
    left_out = [why for why in (container_run(rows, runtime, count) for runtime in ("runc", "crun")) if why]
    print("\n| cold, request in to response out | p50 ms | p99 ms | of |\n|---|---|---|---|")
    for name, r in rows.items():
        rate = f" ({r['rate']:.0f} starts/s)" if "rate" in r else ""
        print(f"| {name}{rate} | {r['p50_ms']:.1f} | {r['p99_ms']:.1f} | {r['count']} |")
    for why in left_out:
        print(f"left out: {why}")
    return rows


def idle_instances(count):
    server = Server(config=f"engine:\n  instances_max: {count + 10}\n  memory_bytes_max: {count * (16 << 20)}\n").start()
    try:
        before = pss_mb(trees([server.pid]))
        server.cli("deploy", f"{HERE}/functions/hello.py", "--name", "idle", "--memory", "16", "--min", str(count),
                   timeout=300)
        wait_until(lambda: server.stats("idle").get("instances", 0) >= count, f"{count} instances", 300)
        each = (pss_mb(trees([server.pid])) - before) / count
        print(f"\n{count:,} idle Python instances: {each:.2f} MB each (PSS)")
        return {"count": count, "pss_mb_each": each}
    finally:
        server.close()


def deployed_functions(count):
    server = Server().start()
    try:
        package = server.put_package(zip_bytes({"main.py": "def handler(event, context):\n    return 1\n"})).json
        rest = rss_mb([server.pid])
        began = time.perf_counter()
        for number in range(count):
            server.put_function(f"f{number}", package["sha256"], {"handler": "main.handler"}, check=False).expect(200)
        took = time.perf_counter() - began
        each_kb = (rss_mb([server.pid]) - rest) * 1024 / count
        processes = len(trees([server.pid]))
        server.stop()
        began = time.perf_counter()
        server.start()
        start_s = time.perf_counter() - began
        print(f"\n{count:,} deployed, idle functions: {each_kb:.1f} KB each, {processes} processes in all, "
              f"start of the server {start_s:.2f} s, {count / took:,.0f} deploys/s without a check")
        return {"count": count, "kb_each": each_kb, "processes": processes, "start_s": start_s}
    finally:
        server.close()
