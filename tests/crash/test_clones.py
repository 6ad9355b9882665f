"""kill -9 of the server, of its spawner, and of both, while clones of a template live, idle and at work:
nothing of them stays, and the next server clones again."""

import os
import threading

import pytest

from harness import Census, Server, descendants, eventually, fixture_path

CLONES = 6


def clones_alive(server):
    """In the background: CLONES calls that last longer than the test, and as many idle clones."""
    source = fixture_path("cloned.py")
    for name in ("busy", "idle"):
        server.deploy(source, "--name", name, "--keep-alive", "600", "--timeout", "300")
    callers = [threading.Thread(target=hopeless, args=(server, "busy", {"s": 300}), daemon=True)
               for _ in range(CLONES)]
    callers += [threading.Thread(target=hopeless, args=(server, "idle", {"s": 0.5}), daemon=True)
                for _ in range(CLONES)]
    for caller in callers:
        caller.start()
    eventually(lambda: server.stats("busy")["running"] == CLONES and server.stats("idle")["instances"] >= 2
               and server.stats("idle")["running"] == 0 and server.stats("idle")["clones"] >= 2,
               lambda: f"clones: {server.stats('busy')} {server.stats('idle')}", 60)
    assert server.stats("busy")["clones"] >= CLONES - 1  # a first one may have been started before


def hopeless(server, name, event):
    try:
        server.invoke(name, event, timeout=60)
    except OSError:
        pass  # the server is killed


@pytest.mark.parametrize("victims", ["server", "spawner", "spawner and server"])
def test_kill_nine_with_clones_alive(victims):
    census, server = Census(), Server()
    try:
        server.start()
        clones_alive(server)
        spawner = server.spawner_pid()
        # Of the spawner alone, those below it: other loops have theirs.
        living, below = descendants(server.pid), descendants(spawner)
        if "server" not in victims:
            living = {pid: began for pid, began in living.items() if pid == spawner or pid in below}
        server.census.watch(server.pid)
        if "spawner" in victims:
            os.kill(spawner, 9)
        if "server" in victims:
            server.kill()
            server.start()
        server.census.seen = living
        eventually(lambda: not [x for x in server.census.leftovers("\0nothing") if x.startswith("process")],
                   lambda: f"they live on: {server.census.leftovers(chr(0))}", 15)
        eventually(lambda: server.spawner_pid() not in (None, spawner), "another spawner", 20)
        assert server.invoke("idle", {}).expect(200).json["started"] > 0
        eventually(lambda: server.stats("idle")["templates"] == 1, "a new template", 30)
        assert server.stop() == 0
        census.assert_clean(server.data)
    finally:
        server.close()
