"""What cloning must keep and what it must notice: hooks, exits, threads, connections, environment."""

import os
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

import clones
import driver
from conftest import JS, PY
from test_unique import start


@pytest.fixture
def form():
    """These tests make their own templates."""


LANGUAGES = pytest.mark.parametrize("language", [JS, PY], ids=["node", "python"])


def main_file(language):
    return "index.js" if language is JS else "app.py"


def source_of(language, node, python):
    return node if language is JS else python


# ---- hooks


NODE_HOOKS = """
const log = [];
mayfly.beforeSnapshot(async (name) => { await 1; log.push('before ' + name); }, 'one');
mayfly.beforeSnapshot(() => log.push('before two'));
mayfly.afterRestore(async (name) => { await new Promise((r) => setTimeout(r, 5)); log.push('after ' + name); }, 'one');
mayfly.afterRestore(() => log.push('after two'));
exports.handler = () => log;
"""
PYTHON_HOOKS = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
log = []
register_before_snapshot(lambda name: log.append('before ' + name), name='one')
@register_before_snapshot
def two():
    log.append('before two')
register_after_restore(log.append, 'after one')
register_after_restore(log.append, 'after two')
def handler(event, context):
    return log
"""


@LANGUAGES
def test_hooks_run_in_the_order_of_aws(language, tmp_path):
    expected = ["before two", "before one", "after one", "after two"]
    source = source_of(language, NODE_HOOKS, PYTHON_HOOKS)
    with start(language, main_file(language), source, tmp_path) as template:
        for _ in range(2):
            with template.clone() as clone:
                assert clone.event({}).result() == expected
    with language.start(tmp_path) as booted:  # a function may rely on them in either form
        booted.wait_ready()
        assert booted.event({}).result() == expected


def test_a_package_may_bring_its_own_hook_module(tmp_path):
    (tmp_path / "snapshot_restore_py.py").write_text(
        "ran = []\n"
        "def get_before_snapshot(): return [(ran.append, ('before',), {})]\n"
        "def get_after_restore(): return [(ran.append, ('after',), {})]\n"
    )
    # get_before_snapshot() of AWS's module returns its list, which the runtime empties.
    source = "import snapshot_restore_py as s\nhooks = s.get_before_snapshot()\ns.get_before_snapshot = lambda: hooks\ndef handler(e, c): return s.ran\n"
    with start(PY, "app.py", source, tmp_path) as template, template.clone() as clone:
        assert clone.event({}).result() == ["before", "after"]


@LANGUAGES
@pytest.mark.parametrize("which", ["before", "after"])
def test_a_hook_that_fails_fails_the_start(language, which, tmp_path):
    node = {"before": "beforeSnapshot", "after": "afterRestore"}[which]
    python = {"before": "register_before_snapshot", "after": "register_after_restore"}[which]
    source = source_of(
        language,
        "mayfly.%s(() => { throw new RangeError('no way'); }); exports.handler = () => 1;" % node,
        "import snapshot_restore_py as s\n@s.%s\ndef hook(): raise ValueError('no way')\ndef handler(e, c): return 1\n" % python,
    )
    (tmp_path / main_file(language)).write_text(source)
    env = driver.environment(tmp_path)
    with clones.Template(language.name, language.argv, env, str(tmp_path)) as template:
        template.wait(lambda: template.ready or template.init_error, "ready frame")
        failed = template
        if which == "after":
            failed = template.clone()
            failed.wait(lambda: failed.init_error, "init error frame")
        assert failed.init_error["errorMessage"] == "no way"
        assert failed.init_error["errorType"] in ("RangeError", "ValueError")
        assert failed.process.wait(10) == 1
        if which == "after":
            failed.__exit__()


# ---- what belongs to the clone


@LANGUAGES
def test_the_environment_of_the_order_and_the_clones_own_pid(language, tmp_path):
    source = source_of(
        language,
        "process.env.KEPT = 'yes'; const at = process.pid;"
        "exports.handler = () => ({ env: process.env, pid: process.pid, other: process.pid !== at, zone: new Date(0).getHours(),"
        " sub: require('child_process').execSync('echo $ADDED-$LD_PRELOAD').toString().trim() });",
        "import os, subprocess, time\nos.environ['KEPT'] = 'yes'\nat = os.getpid()\n"
        "def handler(event, context): return {'env': dict(os.environ), 'pid': os.getpid(), 'other': os.getpid() != at,"
        " 'zone': time.localtime(0).tm_hour, 'sub': subprocess.check_output('echo $ADDED-$LD_PRELOAD', shell=True, text=True).strip()}\n",
    )
    with start(language, main_file(language), source, tmp_path) as template:
        order = {"ADDED": "a=b ü", "MAYFLY_CONCURRENCY": "3", "TZ": "Etc/GMT-5"}
        with template.clone(order) as clone:
            seen = clone.event({}).result()
            assert seen["pid"] == clone.pid and seen["other"]
        with template.clone() as other:
            assert "ADDED" not in other.event({}).result()["env"]
    env = seen["env"]
    assert {name: env[name] for name in order} == order
    assert env["KEPT"] == "yes" and env["AWS_REGION"] == "eu-local-1"
    assert not {"MAYFLY_TEMPLATE_FD", "MAYFLY_CLONE_LIB", "MAYFLY_NODE_ADDON", "LD_PRELOAD"} & set(env)
    assert seen["zone"] == 5 and seen["sub"] == "a=b ü-"


@LANGUAGES
def test_a_clone_answers_what_was_sent_before_it_was_there(language, tmp_path):
    """The engine may write to the channel before the clone reads; there is no second ready."""
    source = source_of(language, "exports.handler = (e) => e.a;", "def handler(e, c): return e['a']\n")
    with start(language, main_file(language), source, tmp_path) as template, template.clone() as clone:
        clone.ready = None
        calls = [clone.start_event({"a": number}) for number in range(20)]
        assert [clone.finish(call).result() for call in calls] == list(range(20))
        assert clone.ready is None
        assert clone.shutdown() == 0


def test_timers_of_a_clone_count_from_its_start(tmp_path):
    source = (
        "exports.handler = async () => { const began = Date.now(); const before = performance.now();"
        " await new Promise((resolve) => setTimeout(resolve, 200)); return [Date.now() - began, performance.now() - before, process.uptime()]; };"
    )
    with start(JS, "index.js", source, tmp_path) as template:
        time.sleep(0.25)  # longer than the timer: a stale clock would let it fire at once
        ordered = time.monotonic()
        with template.clone() as clone:
            waited, measured, uptime = clone.event({}).result()
            alive = time.monotonic() - ordered
    assert waited >= 195 and measured >= 195
    assert waited / 1000 - 0.01 <= uptime < alive, "of the clone, not of its template"


# ---- how clones end


@pytest.mark.parametrize(
    "code, status",
    [
        ("process.exit(3);", 3),
        ("process.exitCode = 4; process.exit();", 4),
        ("process.reallyExit(5);", 5),
        ("process.kill(process.pid, 'SIGTERM');", -15),
        ("process.on('SIGTERM', () => process.exit(6)); process.kill(process.pid, 'SIGTERM');", 6),
        ("process.abort();", -6),
        ("process.on('uncaughtException', () => { throw new Error('again'); }); setTimeout(() => { throw new Error('first'); });", None),
        ("const { Worker } = require('worker_threads'); new Worker('setInterval(() => {}, 1000)', { eval: true }).on('online', () => process.exit(8));", 8),
    ],
)
def test_a_clone_of_node_ends_when_it_is_told_to(code, status, tmp_path):
    source = "exports.handler = () => new Promise(() => { %s });" % code
    with start(JS, "index.js", source, tmp_path) as template:
        clone = template.clone()
        clone.start_event({})
        ended = clone.process.wait(10)
        assert ended == status if status is not None else ended != 0
        clone.__exit__()
        with template.clone() as next_one:
            next_one.start_event({})
            assert next_one.process.wait(10) == ended


@LANGUAGES
def test_sigterm_ends_a_clone_and_not_its_template(language, tmp_path):
    source = source_of(language, "exports.handler = () => 1;", "def handler(e, c): return 1\n")
    with start(language, main_file(language), source, tmp_path) as template:
        for _ in range(3):
            with template.clone() as clone:
                clone.process.send_signal(signal.SIGTERM)
                assert clone.process.wait(10) == -signal.SIGTERM
        with template.clone() as clone:
            assert clone.event({}).result() == 1


@LANGUAGES
def test_a_template_ends_with_its_control_socket_and_leaves_its_clones(language, tmp_path):
    source = source_of(language, "exports.handler = () => 1;", "def handler(e, c): return 1\n")
    template = start(language, main_file(language), source, tmp_path)
    clone = template.clone()
    ended = os.pidfd_open(clone.pid)  # it becomes the child of a process that is not ours
    template.control.close()
    assert template.process.wait(10) == 0
    assert clone.event({}).result() == 1
    clone.socket.close()
    assert select.select([ended], [], [], driver.TIMEOUT)[0], "the clone ends with its channel"
    os.close(ended)
    clone.close_pipes()
    template.close_pipes()
    template.socket.close()


# ---- what keeps a process from being cloned


@pytest.mark.parametrize(
    "language, source, words",
    [
        (PY, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='poller', daemon=True).start()\ndef handler(e, c): return 1\n", ["'poller'"]),
        (PY, "from concurrent.futures import ThreadPoolExecutor as T\npool = T(2, 'mine')\npool.submit(int)\ndef handler(e, c): return 1\n", ["'mine_0'"]),
        (JS, "const { Worker } = require('worker_threads'); new Worker('setInterval(() => {}, 1000)', { eval: true }).unref(); exports.handler = () => 1;", ["1 thread of worker_threads"]),
        (JS, "require('child_process').execSync('mkfifo f', { cwd: '/tmp/' + process.env.FOLDER }); require('fs').readFile('/tmp/' + process.env.FOLDER + '/f', () => {}); exports.handler = () => 1;", ["has not ended", "FSReq"]),
    ],
    ids=["python-thread", "python-pool", "node-worker", "node-file"],
)
def test_threads_keep_a_process_from_being_cloned(language, source, words, tmp_path):
    (tmp_path / main_file(language)).write_text(source)
    env = driver.environment(tmp_path, extra={"FOLDER": os.path.relpath(tmp_path, "/tmp")})
    with clones.Template(language.name, language.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        assert template.ready["cloneable"] is False
        for word in words:
            assert word in template.ready["why"]
        assert template.event({}).result() == 1  # it serves like any other
        if "node-file" in str(tmp_path) or "mkfifo" in source:
            template.process.send_signal(signal.SIGKILL)


def test_threads_may_be_ended_before_the_snapshot(tmp_path):
    source = (
        "import threading, snapshot_restore_py as s\nstop = threading.Event()\n"
        "thread = threading.Thread(target=stop.wait)\nthread.start()\n"
        "@s.register_before_snapshot\ndef end():\n    stop.set()\n    thread.join()\n"
        "def handler(e, c): return threading.active_count()\n"
    )
    with start(PY, "app.py", source, tmp_path) as template:
        assert template.ready["cloneable"], template.ready
        with template.clone() as clone:
            assert clone.event({}).result() == 1


def test_a_worker_that_has_ended_is_no_hindrance(tmp_path):
    source = (
        "const { Worker } = require('worker_threads');"
        "const worker = new Worker('1 + 1', { eval: true });"
        "mayfly.beforeSnapshot(() => new Promise((resolve) => worker.on('exit', resolve)));"
        "require('fs').readFile('/etc/passwd', () => {}); require('zlib').gzip(Buffer.alloc(1e6), () => {});"
        "exports.handler = () => 1;"
    )
    with start(JS, "index.js", source, tmp_path) as template:
        assert template.ready["cloneable"], template.ready


def test_node_without_its_preloaded_library_is_not_cloned(tmp_path):
    (tmp_path / "index.js").write_text("exports.handler = () => 1;")
    env = driver.environment(tmp_path)
    argv, extra = clones.arguments("node", JS.argv)
    cases = [
        (["env", "-u", "LD_PRELOAD", *argv], {}, "preloaded"),
        ([argv[0], argv[-1]], {}, "--single-threaded"),
        (argv, {"MAYFLY_NODE_ADDON": "/nonexistent.node"}, "native library"),
        (argv, {"MAYFLY_CLONE_LIB": "/nonexistent.so"}, "native library"),
    ]
    for command, change, word in cases:
        with driver.Runtime(command, {**env, **extra, **change}, str(tmp_path)) as runtime:
            runtime.wait_ready()
            assert runtime.ready["cloneable"] is False and word in runtime.ready["why"]
            assert runtime.event({}).result() == 1


# ---- connections


class Peer:
    """A listening socket that remembers what each connection has sent."""

    def __init__(self, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.listener = socket.socket(family)
        self.listener.bind(address)
        self.listener.listen()
        self.port = self.listener.getsockname()[1] if family != socket.AF_UNIX else 0
        self.received = []
        self.ended = threading.Semaphore(0)  # once for each connection that has been read to its end
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.received.append(b"")
            threading.Thread(target=self.read, args=(connection, len(self.received) - 1), daemon=True).start()

    def read(self, connection, number):
        with connection:
            connection.sendall(b"hello\n")
            while data := connection.recv(4096):
                self.received[number] += data
        self.ended.release()

    def wait_ended(self, count):
        for _ in range(count):
            assert self.ended.acquire(timeout=driver.TIMEOUT), self.received


NODE_CONNECTION = """
const net = require('net');
let state = 'none';
const socket = net.connect(Number(process.env.PEER), '127.0.0.1');
socket.on('close', () => { state = 'closed'; }); socket.on('error', () => {});
const here = new Promise((resolve) => socket.once('data', resolve));
module.exports.handler = async (event) => {
  socket.write('shared'); if (!socket.closed) await new Promise((r) => socket.once('close', r));
  const own = net.connect(Number(process.env.PEER), '127.0.0.1');
  own.write(`own ${process.pid}`); await new Promise((r) => own.once('data', r)); own.end();
  return state;
};
mayfly.beforeSnapshot(() => here);
"""
PYTHON_CONNECTION = """
import os, socket
def connect():
    made = socket.create_connection(('127.0.0.1', int(os.environ['PEER'])))
    made.recv(100)
    return made
shared = connect()
def handler(event, context):
    state = 'open'
    try:
        shared.sendall(b'shared')
        shared.recv(1)
    except OSError:
        state = 'closed'
    own = connect()
    own.sendall(b'own %d' % os.getpid())
    own.close()
    return state
"""


@LANGUAGES
def test_a_connection_of_the_template_is_named_and_not_shared(language, tmp_path):
    peer = Peer()
    (tmp_path / main_file(language)).write_text(source_of(language, NODE_CONNECTION, PYTHON_CONNECTION))
    env = driver.environment(tmp_path, extra={"PEER": str(peer.port)})
    with clones.Template(language.name, language.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        assert template.ready["cloneable"], template.ready
        assert any("127.0.0.1:%d (TCP)" % peer.port in note for note in template.ready["notes"])
        pids = []
        for _ in range(2):
            with template.clone() as clone:
                assert clone.event({}).result() == "closed"
                pids.append(clone.pid)
    peer.wait_ended(3)  # the template's, and one of each clone
    peer.listener.close()
    assert peer.received[0] == b""  # nothing of a clone has come over the template's
    assert sorted(peer.received[1:]) == sorted(b"own %d" % pid for pid in pids)


def test_files_and_other_sockets_are_named(tmp_path):
    source = (
        "import socket\nkept = open('/tmp/%s/out.log', 'w')\n"
        "unix = socket.socket(socket.AF_UNIX); unix.bind('/tmp/%s/s'); unix.listen()\n"
        "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.connect(('127.0.0.1', 8125))\n"
        "six = socket.socket(socket.AF_INET6); six.bind(('::1', 0)); six.listen()\n"
        "def handler(e, c): return 1\n"
    ) % ((os.path.relpath(tmp_path, "/tmp"),) * 2)
    with start(PY, "app.py", source, tmp_path) as template:
        notes = "\n".join(template.ready["notes"])
    for word in ("out.log open for writing", "unix socket /tmp", "127.0.0.1:8125 (UDP)", "on [::1]:"):
        assert word in notes, notes


# ---- Python's event loops


def test_a_loop_made_before_the_clone_is_each_clones_own(tmp_path):
    source = (
        "import asyncio\nloop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\n"
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "async def work(number):\n"
        "    server = await asyncio.start_server(lambda r, w: (w.write(b'%d' % number), w.close()), '127.0.0.1', 0)\n"
        "    port = server.sockets[0].getsockname()[1]\n"
        "    reader, writer = await asyncio.open_connection('127.0.0.1', port)\n"
        "    data = await reader.read()\n    writer.close()\n    server.close()\n"
        "    await loop.run_in_executor(None, int)\n    return int(data)\n"
        "def handler(event, context): return loop.run_until_complete(work(event['n']))\n"
    )
    with start(PY, "app.py", source, tmp_path) as template:
        assert template.ready["cloneable"] and template.ready["notes"] == [], template.ready
        running = [template.clone() for _ in range(4)]
        for _ in range(5):
            calls = [(clone, clone.start_event({"n": n})) for n, clone in enumerate(running)]
            assert [clone.finish(call).result() for clone, call in calls] == [0, 1, 2, 3]
        for clone in running:
            clone.__exit__()


# ---- the preloaded library by itself


def test_condition_variables_survive_a_fork(tmp_path):
    program = tmp_path / "forksafe_test"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "forksafe_test.c")
    subprocess.run(["cc", "-O1", "-Wall", "-o", program, source, "-ldl", "-lpthread"], check=True)
    done = subprocess.run([program, "60"], env={**os.environ, "LD_PRELOAD": clones.PRELOAD}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    without = subprocess.run([program, "2"], capture_output=True, text=True)
    assert without.returncode != 0, "the test must see the fault that the library cures"
