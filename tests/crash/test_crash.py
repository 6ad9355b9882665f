"""kill -9 at random moments, under load: what was acknowledged is there, nothing is half, nothing stays.

The expected state lives here, outside the victim. Each deploy writes its number into the code and into
the settings, so a function that is half one deploy and half another gives itself away.
MAYFLY_CRASH_ROUNDS sets the number of kills, MAYFLY_CRASH_SEED repeats a run.
"""

import json
import os
import random
import threading

import pytest

from harness import Census, Server, descendants, eventually, zip_bytes
from workers import Workers

ROUNDS = int(os.environ.get("MAYFLY_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
NAMES = [f"f{i}" for i in range(6)]
CODE = "import os\nNUMBER = %d\ndef handler(event, context):\n    return [NUMBER, int(os.environ['NUMBER'])]\n"
GONE = None


class Expected:
    """For each name: the acknowledged number (or GONE), and what was sent after it without an answer."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.acknowledged = {name: GONE for name in NAMES}
        self.open = {name: [] for name in NAMES}

    def intend(self, name, value):
        with self.lock:
            self.open[name].append(value)

    def acknowledge(self, name, value):
        with self.lock:
            self.acknowledged[name] = value
            self.open[name] = []
            self.save()

    def save(self):
        with open(self.path + ".new", "w") as f:
            json.dump({"acknowledged": self.acknowledged, "open": self.open}, f)
        os.replace(self.path + ".new", self.path)

    def allowed(self, name):
        return [self.acknowledged[name], *self.open[name]]

    def settle(self, name, value):
        with self.lock:
            self.acknowledged[name], self.open[name] = value, []
            self.save()


class Load(Workers):
    """Deployers (each has names of its own, so that the order of its deploys is known) and callers."""

    def __init__(self, server, expected, counter, seed):
        self.server, self.expected, self.counter = server, expected, counter
        super().__init__([lambda rng: self.deploy(NAMES[:3], rng), lambda rng: self.deploy(NAMES[3:], rng), self.call],
                         seed)

    def deploy(self, names, rng):
        while not self.stop.is_set():
            name = rng.choice(names)
            try:
                if rng.random() < 0.15:
                    self.expected.intend(name, GONE)
                    answer = self.server.api("DELETE", f"/v1/functions/{name}", timeout=10)
                    if answer.status in (200, 204, 404):
                        self.expected.acknowledge(name, GONE)
                    continue
                with self.expected.lock:
                    self.counter[0] += 1
                    number = self.counter[0]
                package = self.server.put_package(zip_bytes({"main.py": CODE % number}))
                if package.status not in (200, 201):
                    continue
                self.expected.intend(name, number)
                answer = self.server.put_function(name, package.json["sha256"],
                                                  {"env": {"NUMBER": str(number)}, "keep_alive_ms": 200},
                                                  check=rng.random() < 0.5)
                if answer.status == 200:
                    self.expected.acknowledge(name, number)
            except Exception:  # the server is being killed: an answer may be cut anywhere
                pass
            finally:
                self.done.release()

    def call(self, rng):
        while not self.stop.is_set():
            name = rng.choice(NAMES)
            try:
                answer = self.server.invoke(name, {}, timeout=10)
                if answer.status == 200 and answer.json[0] != answer.json[1]:
                    self.faults.append(f"{name} is half one deploy, half another: {answer.json}")
            except Exception:  # as above
                pass
            finally:
                self.done.release()


def check_state(server, expected):
    listed = {f.get("name", f.get("function")): f
              for f in server.api("GET", "/v1/functions").expect(200).json["functions"]}
    assert set(listed) <= set(NAMES), f"never deployed: {set(listed) - set(NAMES)}"
    for name in NAMES:
        allowed = expected.allowed(name)
        if name not in listed:
            assert GONE in allowed, f"{name} is lost; acknowledged: {allowed}"
            expected.settle(name, GONE)
            continue
        number = int(listed[name]["settings"]["env"]["NUMBER"])
        assert number in allowed, f"{name} has {number}; allowed: {allowed}"
        assert server.invoke(name, {}).expect(200).json == [number, number]
        expected.settle(name, number)


def check_packages(server):
    """No half package: every folder is complete or is not there."""
    folder = os.path.join(server.data, "packages")
    for entry in os.listdir(folder):
        if len(entry) == 64:
            assert os.path.exists(os.path.join(folder, entry, "archive")), entry
            assert os.path.isdir(os.path.join(folder, entry, "tree")), entry


def test_kill_nine_at_random_moments(tmp_path):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    census = Census()
    server = Server()
    expected, counter = Expected(str(tmp_path / "expected.json")), [0]
    try:
        server.start()
        for number in range(ROUNDS):
            load = Load(server, expected, counter, rng.randrange(1 << 30))
            load.wait_for(rng.randrange(0, 25))
            before = dict(descendants(server.pid))
            if rng.random() < 0.25:
                spawner = server.spawner_pid()
                if spawner:
                    os.kill(spawner, 9)
                load.wait_for(rng.randrange(0, 6))
            before.update(descendants(server.pid))
            server.kill()
            load.end()
            server.start()
            server.census.seen = before
            eventually(lambda: not [x for x in server.census.leftovers("\0nothing")
                                    if x.startswith("process")],
                       lambda: f"round {number}, seed {SEED}: processes of the killed server live: "
                               f"{server.census.leftovers(chr(0))}", 15)
            check_state(server, expected)
            check_packages(server)
        assert server.stop() == 0
        census.assert_clean(server.data)
    except BaseException:
        print(server.log())
        raise
    finally:
        server.close()
    assert counter[0] > ROUNDS, "the load did deploy"


@pytest.mark.parametrize("moment", range(3))
def test_the_spawner_is_killed_under_load(moment):
    """The server notices, starts another one, and only what ran at that moment fails."""
    server = Server()
    stop, after_ok = threading.Event(), threading.Semaphore(0)
    try:
        server.start()
        package = server.put_package(zip_bytes({"main.py": CODE % 1})).expect(200, 201).json["sha256"]
        server.put_function("steady", package, {"env": {"NUMBER": "1"}, "keep_alive_ms": 50}).expect(200)

        def call():
            while not stop.is_set():
                if server.invoke("steady", {}, timeout=30).status == 200:
                    after_ok.release()

        threads = [threading.Thread(target=call) for _ in range(3)]
        for t in threads:
            t.start()
        for _ in range(5 * (moment + 1)):
            assert after_ok.acquire(timeout=20)
        first = server.spawner_pid()
        os.kill(first, 9)
        eventually(lambda: server.spawner_pid() not in (None, first), "another spawner", 20)
        while after_ok.acquire(blocking=False):
            pass
        for _ in range(10):
            assert after_ok.acquire(timeout=20), server.log()
        stop.set()
        for t in threads:
            t.join(60)
        assert server.stop() == 0
    finally:
        stop.set()
        server.close()
