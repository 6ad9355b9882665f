"""What cloning must keep and what it must notice: hooks, exits, threads, connections, environment."""

import os
import select
import shutil
import signal
import subprocess
import time

import pytest

import clones
import driver
from conftest import JS, PHP, PL, PY, RB
from sources import ALL, LANGUAGES, ONE, main_file, source_of
from test_unique import start


@pytest.fixture
def form():
    """These tests make their own templates."""


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
RUBY_HOOKS = """
LOG = []
Mayfly.before_snapshot('one') { |name| LOG << "before #{name}" }
Mayfly.before_snapshot { LOG << 'before two' }
Mayfly.after_restore('one') { |name| LOG << "after #{name}" }
Mayfly.after_restore { LOG << 'after two' }
def handler(event:, context:)
  LOG
end
"""
PHP_HOOKS = """<?php
$log = [];
Mayfly\\before_snapshot(function ($name) use (&$log) { $log[] = "before $name"; }, 'one');
Mayfly\\before_snapshot(function () use (&$log) { $log[] = 'before two'; });
Mayfly\\after_restore(function ($name) use (&$log) { $log[] = "after $name"; }, 'one');
Mayfly\\after_restore(function () use (&$log) { $log[] = 'after two'; });
return function () use (&$log) { return $log; };
"""
PERL_HOOKS = """
my @log;
Mayfly::before_snapshot(sub { push @log, "before $_[0]" }, 'one');
Mayfly::before_snapshot(sub { push @log, 'before two' });
Mayfly::after_restore(sub { push @log, "after $_[0]" }, 'one');
Mayfly::after_restore(sub { push @log, 'after two' });
sub handler { return \\@log }
"""
HOOKS = (NODE_HOOKS, PYTHON_HOOKS, RUBY_HOOKS, PHP_HOOKS, PERL_HOOKS)


@LANGUAGES
def test_hooks_run_in_the_order_of_aws(language, tmp_path):
    expected = ["before two", "before one", "after one", "after two"]
    source = source_of(language, *HOOKS)
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
    other = {"before": "before_snapshot", "after": "after_restore"}[which]
    source = source_of(
        language,
        "mayfly.%s(() => { throw new RangeError('no way'); }); exports.handler = () => 1;" % node,
        "import snapshot_restore_py as s\n@s.register_%s\ndef hook(): raise ValueError('no way')\ndef handler(e, c): return 1\n" % other,
        "Mayfly.%s { raise RangeError, 'no way' }\ndef handler(event:, context:) = 1\n" % other,
        "<?php Mayfly\\%s(function () { throw new RangeException('no way'); }); function handler() { return 1; }" % other,
        "Mayfly::%s(sub { die bless [], 'RangeError' }); package RangeError; use overload q(\"\") => sub { 'no way' }; package main; sub handler { return 1 } 1;" % other,
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
        expected = source_of(language, "RangeError", "ValueError", "Init<RangeError>", "RangeException", "RangeError")
        assert failed.init_error["errorType"] == expected
        assert failed.process.wait(driver.TIMEOUT) == 1
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
        "ENV['KEPT'] = 'yes'\nAT = Process.pid\ndef handler(event:, context:)\n"
        "  { env: ENV.to_h, pid: Process.pid, other: Process.pid != AT, zone: Time.at(0).hour, sub: `echo $ADDED-$LD_PRELOAD`.strip }\nend\n",
        "<?php putenv('KEPT=yes'); $at = getmypid(); return fn () => ['env' => getenv(), 'pid' => getmypid(), 'other' => getmypid() !== $at,"
        " 'zone' => (int) shell_exec('date -d @0 +%H'), 'sub' => trim(shell_exec('echo $ADDED-$LD_PRELOAD')),"
        " 'same' => isset($_SERVER['ADDED']) ? $_SERVER['ADDED'] === getenv('ADDED') && $_ENV['ADDED'] === getenv('ADDED') : 0];",
        "$ENV{KEPT} = 'yes'; my $at = $$; sub handler { chomp(my $sub = `echo \\$ADDED-\\$LD_PRELOAD`); utf8::decode($sub);"
        " my %env = %ENV; utf8::decode($_) for values %env;"
        " return { env => \\%env, pid => $$ + 0, other => $$ != $at ? \\1 : \\0, zone => (localtime 0)[2], sub => $sub } } 1;",
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
    gone = {"MAYFLY_TEMPLATE_FD", "MAYFLY_CLONE_LIB", "MAYFLY_NODE_ADDON", "LD_PRELOAD", "MAYFLY_TEMPLATE_LIB", "MAYFLY_TEMPLATE_PID"}
    assert not gone & set(env) and seen.get("same", True)
    assert seen["zone"] == 5 and seen["sub"] == "a=b ü-"


@LANGUAGES
def test_a_clone_answers_what_was_sent_before_it_was_there(language, tmp_path):
    """The engine may write to the channel before the clone reads; there is no second ready."""
    source = source_of(
        language,
        "exports.handler = (e) => e.a;",
        "def handler(e, c): return e['a']\n",
        "def handler(event:, context:) = event['a']\n",
        "<?php return fn ($event) => $event['a'];",
        "sub handler { return $_[0]{a} } 1;",
    )
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
        ended = clone.process.wait(driver.TIMEOUT)
        assert ended == status if status is not None else ended != 0
        clone.__exit__()
        with template.clone() as next_one:
            next_one.start_event({})
            assert next_one.process.wait(driver.TIMEOUT) == ended


@LANGUAGES
def test_sigterm_ends_a_clone_and_not_its_template(language, tmp_path):
    source = source_of(language, *ONE)
    with start(language, main_file(language), source, tmp_path) as template:
        for _ in range(3):
            with template.clone() as clone:
                clone.process.send_signal(signal.SIGTERM)
                assert clone.process.wait(driver.TIMEOUT) == -signal.SIGTERM
        with template.clone() as clone:
            assert clone.event({}).result() == 1


@LANGUAGES
def test_a_template_ends_with_its_control_socket_and_leaves_its_clones(language, tmp_path):
    source = source_of(language, *ONE)
    template = start(language, main_file(language), source, tmp_path)
    clone = template.clone()
    ended = os.pidfd_open(clone.pid)  # it becomes the child of a process that is not ours
    template.control.close()
    assert template.process.wait(driver.TIMEOUT) == 0
    assert clone.event({}).result() == 1
    clone.socket.close()
    assert select.select([ended], [], [], driver.TIMEOUT)[0], "the clone ends with its channel"
    os.close(ended)
    clone.close_pipes()
    template.close_pipes()
    template.socket.close()


@pytest.mark.parametrize("language", ALL[1:], ids=[language.name for language in ALL[1:]])  # Node is told to end, and does
def test_what_is_registered_for_the_exit_runs_in_each_clone_and_not_in_the_template(language, tmp_path):
    source = source_of(
        language,
        "",
        "import atexit\natexit.register(lambda: print('bye', end=''))\ndef handler(e, c): return 1\n",
        "at_exit { print 'bye' }\ndef handler(event:, context:) = 1\n",
        "<?php register_shutdown_function(function () { echo 'bye'; }); return fn () => 1;",
        "END { print 'bye' } sub handler { return 1 } 1;",
    )
    with start(language, main_file(language), source, tmp_path) as template:
        for _ in range(2):
            with template.clone() as clone:
                assert clone.event({}).result() == 1
                assert clone.shutdown() == 0
            assert (clone.loose, clone.raw) == ([(1, "bye\n")], [b"", b""])
    assert (template.loose, template.raw) == ([], [b"", b""])


@pytest.mark.parametrize(
    "code, message",
    [("ini_set('memory_limit', '20M'); str_repeat('a', 10 ** 8);", "memory size"), ("trigger_error('too bad', E_USER_ERROR);", "too bad")],
    ids=["memory", "triggered"],
)
def test_a_fatal_error_in_a_clone_of_php_is_told(code, message, tmp_path):
    source = "<?php return function () { echo 'unfinished'; %s };" % code
    with start(PHP, main_file(PHP), source, tmp_path) as template, template.clone() as clone:
        call = clone.event({})
        assert call.error["errorType"] == "FatalError" and message in call.error["errorMessage"]
        assert "unfinished" in call.log(1)


@pytest.mark.parametrize("language", [JS, PY, PHP, PL], ids=["node", "python", "php", "perl"])  # Ruby tries until it can
def test_a_fork_that_fails_is_reported_and_the_next_one_works(language, tmp_path):
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("a user of its own takes root and setpriv")
    (tmp_path / main_file(language)).write_text(source_of(language, *ONE))
    user = ["setpriv", "--reuid=61234"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    env = driver.environment(tmp_path)
    with clones.Template(language.name, language.argv, env, str(tmp_path), prefix=user + reading) as template:
        template.wait_ready()
        assert template.ready["cloneable"], template.ready
        limit = [*user, "prlimit", "--pid", str(template.process.pid)]
        subprocess.run([*limit, "--nproc=1:"], check=True)
        for _ in range(2):
            with pytest.raises(driver.Broken, match="fork: Resource temporarily unavailable"):
                template.clone()
        subprocess.run([*limit, "--nproc=1000:"], check=True)
        with template.clone() as clone:
            assert clone.event({}).result() == 1


PERL_CHILDREN = """
my $ended = 0;
$SIG{CHLD} = sub { $ended++ };
sub handler { my $pid = fork; exit 0 if !$pid; 1 until waitpid($pid, 0) == $pid; return $ended } 1;
"""
RUBY_CHILDREN = """
$ended = 0
trap('CLD') { $ended += 1 }
def handler(event:, context:)
  Process.wait(fork { exit!(0) })
  sleep 0.001 until $ended == 1
  $ended
end
"""


@pytest.mark.parametrize("language, source", [(RB, RUBY_CHILDREN), (PL, PERL_CHILDREN)], ids=["ruby", "perl"])
def test_the_end_of_clones_wakes_nothing_in_a_waiting_template(language, source, tmp_path):
    """Ruby's handler would set a timer that fires for as long as the template waits."""
    def catches_child_signals(pid):
        with open("/proc/%d/status" % pid, encoding="utf-8") as status:
            mask = next(line for line in status if line.startswith("SigCgt:"))
        return bool(int(mask.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)

    with start(language, main_file(language), source, tmp_path) as template:
        for _ in range(2):
            with template.clone() as clone:
                assert clone.event({}).result() == 1
                assert catches_child_signals(clone.pid) and not catches_child_signals(template.process.pid)


def test_what_rubys_packages_do_after_a_fork_happens_in_the_clone(tmp_path):
    source = (
        "module After\n  def _fork\n    pid = super\n    $seen = [ENV['ADDED'], Process.pid, rand] if pid.zero?\n    pid\n  end\nend\n"
        "rand\nProcess.singleton_class.prepend(After)\ndef handler(event:, context:)\n"
        "  mine = $seen\n  [*mine, (Process.wait(fork { exit!(0) }); $?.exitstatus)]\nend\n"
    )
    with start(RB, main_file(RB), source, tmp_path) as template:
        seen = []
        for number in range(3):
            with template.clone({"ADDED": str(number)}) as clone:
                seen.append(clone.event({}).result())
                assert seen[-1][:2] == [str(number), clone.pid] and seen[-1][3] == 0
        assert len({entry[2] for entry in seen}) == 3


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


@pytest.mark.parametrize("language", [PY, RB, PHP, PL], ids=["python", "ruby", "php", "perl"])
def test_without_its_library_a_language_is_not_cloned(language, tmp_path):
    (tmp_path / main_file(language)).write_text(source_of(language, *ONE))
    argv, extra = clones.arguments(language.name, language.argv)
    for name, word in (("MAYFLY_TEMPLATE_LIB", "template library"), ("MAYFLY_CLONE_LIB", "clone library")):
        env = {**driver.environment(tmp_path), **extra, name: "/nonexistent.so", "MAYFLY_TEMPLATE_FD": "0"}
        with driver.Runtime(argv, env, str(tmp_path)) as runtime:
            runtime.wait_ready()
            assert runtime.ready["cloneable"] is False and word in runtime.ready["why"]
            assert runtime.event({}).result() == 1


def test_condition_variables_survive_a_fork(tmp_path):
    program = tmp_path / "forksafe_test"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "forksafe_test.c")
    subprocess.run(["cc", "-O1", "-Wall", "-o", program, source, "-ldl", "-lpthread"], check=True)
    done = subprocess.run([program, "60"], env={**os.environ, "LD_PRELOAD": clones.PRELOAD}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    without = subprocess.run([program, "2"], capture_output=True, text=True)
    assert without.returncode != 0, "the test must see the fault that the library cures"


# ---- what a clone does not find anew

NODE_CODE = """
const code = () => {
  let kilobytes = 0, code = false;
  for (const line of require('fs').readFileSync('/proc/self/smaps', 'utf8').split('\\n')) {
    const range = /^[0-9a-f]+-[0-9a-f]+ (\\S+) \\S+ \\S+ \\d+ *(.*)$/.exec(line);
    if (range !== null) code = range[1] === 'r-xp' && range[2] === '';
    else if (code && line.startsWith('AnonHugePages:')) kilobytes += parseInt(line.split(/ +/)[1]);
  }
  return kilobytes;
};
exports.handler = () => code();
"""


def huge_pages_are_given():
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as text:
            return "[never]" not in text.read()
    except OSError:
        return False


@pytest.mark.skipif(not huge_pages_are_given(), reason="transparent huge pages are off")
def test_nodes_code_is_in_huge_pages_if_a_zygote_has_put_it_there(tmp_path):
    kilobytes = {}
    for zygote in (False, True):
        with start(JS, "index.js", NODE_CODE, tmp_path, zygote=zygote) as template:
            with template.clone() as clone:
                kilobytes[zygote] = clone.event({}).result()
    # All or none: the machine may have had no such pages to give.
    assert kilobytes[False] == 0 and (kilobytes[True] == 0 or kilobytes[True] > 8192), kilobytes


NODE_TURN = """
const marks = [];
exports.handler = async () => {
  marks.push('called');
  await new Promise((resolve) => setTimeout(resolve, 5));
  return [marks, process.listenerCount('exit'), process.getActiveResourcesInfo().length];
};
"""


def test_what_a_template_of_node_prepares_serves_each_clone_alone(tmp_path):
    with start(JS, "index.js", NODE_TURN, tmp_path) as template:
        with template.clone() as one, template.clone() as other:
            first = one.event({}).result()
            assert other.event({}).result() == first and first[0] == ["called"]
            assert one.event({}).result()[0] == ["called", "called"]
            other.shutdown()
            assert other.process.wait(driver.TIMEOUT) == 0
            assert one.event({}).result()[0] == ["called"] * 3
