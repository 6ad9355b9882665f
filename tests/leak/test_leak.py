"""Thousands of starts leave nothing: descriptors, zombies, mounts, cgroups, namespaces, memory.

MAYFLY_LEAK_STARTS sets how many (the full run takes 10,000).
"""

import contextlib
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import (BUILD, cgroup_tags, descendants, eventually, fixture_path, mayfly_cgroups,
                     network_namespaces, process_table, waits_without_limit)

STARTS = int(os.environ.get("MAYFLY_LEAK_STARTS", "300"))
WARM_UP = 40


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def count_lines(path):
    with open(path) as f:
        return sum(1 for _ in f)


def census(server):
    spawner = server.spawner_pid()
    table = process_table()
    below = descendants(server.pid, table)
    tags = cgroup_tags(below)  # the server's own: others may run beside it
    return {
        "server descriptors": len(os.listdir(f"/proc/{server.pid}/fd")),
        "spawner descriptors": len(os.listdir(f"/proc/{spawner}/fd")),
        "server threads": len(os.listdir(f"/proc/{server.pid}/task")),
        "processes": len(below),
        "zombies": sum(1 for p in below if p in table and table[p][2] == "Z"),
        "server mounts": count_lines(f"/proc/{server.pid}/mountinfo"),
        "spawner mounts": count_lines(f"/proc/{spawner}/mountinfo"),
        "host mounts": count_lines("/proc/self/mountinfo"),
        "cgroups": len(mayfly_cgroups(tags)),
        "network namespaces": len(network_namespaces(tags)),
        "interfaces": len(os.listdir("/sys/class/net")),
        "state files": sum(len(f) for _, _, f in os.walk(os.path.join(server.data, "spawner"))),
        "server memory": rss_kb(server.pid),
        "spawner memory": rss_kb(spawner),
    }


# What may differ between two moments of rest, whatever the number of starts: a few namespaces that are
# kept prepared for a function that is called, a log file of the store, a closing connection.
SLACK = {"server descriptors": 8, "spawner descriptors": 8, "server threads": 2, "processes": 4,
         "zombies": 0, "server mounts": 2, "spawner mounts": 4, "host mounts": 0, "cgroups": 16,
         "network namespaces": 4, "interfaces": 0, "state files": 4}


# A prepared namespace is a process too, and the spawner holds so many descriptors of each: its
# cgroups, namespaces, counters and the listener for services.
DESCRIPTORS_EACH = 23


def at_rest(server, *names):
    eventually(lambda: all(server.stats(n).get("instances", 0) + server.stats(n).get("starting", 0) == 0
                           for n in names), "no instance is left", 30)
    eventually(lambda: waits_without_limit(server.spawner_pid()), "the spawner is at rest", 30)


def growth(before, after, starts):
    """What has grown by more than moments of rest may differ: {name: (before, after)}."""
    slack = dict(SLACK)
    slack["spawner descriptors"] += DESCRIPTORS_EACH * max(0, after["processes"] - before["processes"])
    grown = {k: (before[k], after[k]) for k, more in slack.items() if after[k] > before[k] + more}
    # Memory: the store's write buffer and the allocator's arenas fill up once; beyond that, a start
    # may cost its record and its bill, not more.
    for name, once, each in (("server memory", 24_000, 2.0), ("spawner memory", 1_000, 0.05)):
        if after[name] > before[name] + once + each * starts:
            grown[name] = (before[name], after[name])
    return grown


def compare(server, before, starts):
    """What was made ahead for a busy function goes when it is idle, within a minute or so."""
    after = census(server)

    def settled():
        nonlocal after
        after = census(server)
        return not growth(before, after, starts)

    eventually(settled, lambda: f"after {starts} starts: {growth(before, after, starts)}", 120)
    print(f"{starts} starts\nbefore {before}\nafter  {after}")


ASKS = """\
import os, socket
def handler(event, context):
    held = [socket.create_connection(("127.0.0.2", 80)) for _ in range(3)]
    held[0].sendall(b"GET / HTTP/1.1\\r\\nHost: 127.0.0.2\\r\\n\\r\\n")
    return held[0].recv(4096).decode()[:12]
"""


@pytest.mark.parametrize("kind", ["stdio", "python", "services"])
def test_starts_leave_nothing(make_server, kind):
    server = make_server()
    if kind == "stdio":  # one process for each call
        server.deploy(fixture_path("words.sh"), "--name", "once", "--keep-alive", "0")
        starts = STARTS

        def call(_):
            return server.call("once", "x").status == 200
    elif kind == "services":  # connections are open when the instance ends
        server.deploy_source("once", "asks.py", ASKS, "--keep-alive", "0")
        starts = max(STARTS // 3, 50)

        def call(_):
            return server.invoke("once", {}).json == "HTTP/1.1 403"
    else:
        server.deploy(fixture_path("echo.py"), "--name", "once", "--keep-alive", "0")
        starts = max(STARTS // 3, 50)

        def call(_):
            return server.invoke("once", {}).status == 200

    # Calls that follow at once may find the last instance still there: count starts, not calls.
    def start_times(pool, count):
        wanted = server.stats("once").get("cold_starts", 0) + count

        def batch():
            assert all(pool.map(call, range(20)))
            return server.stats("once")["cold_starts"] >= wanted

        eventually(batch, f"{count} starts", 120 + count)

    with ThreadPoolExecutor(4) as pool:
        start_times(pool, WARM_UP)
        at_rest(server, "once")
        before = census(server)
        start_times(pool, starts)
        at_rest(server, "once")
    compare(server, before, starts)
    assert server.stop() == 0


def test_failing_starts_leave_nothing(make_server):
    """Starts that fail in initialisation, time out or crash go the other ways out."""
    server = make_server()
    server.deploy_source("broken", "main.py", "raise ValueError('never starts')\n", "--no-check")
    server.deploy(fixture_path("misbehave.py"), "--name", "crasher", "--keep-alive", "0")
    rounds = max(STARTS // 10, 20)

    def one(i):
        server.invoke("broken", {})
        server.invoke("crasher", {"do": "exit"})
        server.invoke("crasher", {"do": "daemon"})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(10)))
        at_rest(server, "broken", "crasher")
        before = census(server)
        list(pool.map(one, range(rounds)))
        at_rest(server, "broken", "crasher")
    compare(server, before, rounds * 3)
    assert server.stop() == 0


def test_a_spawner_whose_server_stops_before_it_is_ready_leaves_nothing(tmp_path):
    # As when a server that has just started another one ends: there is nobody to say "ready" to.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    state = str(tmp_path / "spawner")
    child = os.posix_spawn(os.path.join(BUILD, "mayfly-spawner"), ["mayfly-spawner", "--state-dir", state],
                           dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
    theirs.close()
    tags = set()

    def ended():
        tags.update(cgroup_tags([child, *descendants(child)]))
        with contextlib.suppress(OSError), open(os.path.join(state, "cgroups")) as f:
            tags.update(os.path.basename(line.strip()) for line in f)
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG)

    end = eventually(ended, "the spawner's end", 30)
    assert (end.si_code, end.si_status != 0) == (os.CLD_EXITED, True)
    assert len(tags) == 1 or not os.path.isdir("/sys/fs/cgroup"), "the test has not seen its cgroups"
    assert mayfly_cgroups(tags) == set()
    assert sorted(os.listdir(state)) == ["lock"]


def test_the_memory_of_a_burst_goes_back(make_server):
    """Once nothing runs, what the server's allocator has free is the machine's again."""
    server = make_server()
    server.deploy_source("measure", "measure.py", "def handler(event, context):\n    return len(event['text'])\n")
    server.invoke("measure", {"text": ""}).expect(200)
    before, body = rss_kb(server.pid), {"text": "x" * 2_000_000}
    with ThreadPoolExecutor(8) as pool:
        assert all(answer.json == 2_000_000 for answer in pool.map(lambda _: server.invoke("measure", body), range(48)))
    peak = rss_kb(server.pid)
    assert peak > before + 30_000, "else this shows nothing"
    eventually(lambda: rss_kb(server.pid) < before + 12_000, lambda: f"{before}, {peak}, {rss_kb(server.pid)}")
    assert server.stop() == 0
