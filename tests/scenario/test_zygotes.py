"""Zygotes for real: the second version of a runtime has its program from one, as good as a started one;
a zygote may die at any moment; nothing of one stays behind."""

import os
import shutil
import signal

import pytest

from harness import descendants, eventually

SOURCES = {
    "python": ("handler.py", """
import os, random, tempfile, uuid
at_start = [random.random(), str(uuid.uuid4()), next(tempfile._get_candidate_names())]
def handler(event, context):
    return {"env": dict(os.environ), "cwd": os.getcwd(), "start": at_start, "pid": os.getpid(),
            "now": [random.random(), str(uuid.uuid4()), os.urandom(8).hex()]}
"""),
    "node": ("index.js", """
const crypto = require('crypto');
const start = [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString('hex')];
exports.handler = async () => ({env: process.env, cwd: process.cwd(), start, pid: process.pid,
  now: [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString('hex')]});
"""),
    "ruby": ("app.rb", """
require 'openssl'
require 'securerandom'
require 'tmpdir'
OWN = Random.new
def draw = [rand, OWN.rand, Random.rand, Random.new_seed, SecureRandom.uuid, Random.bytes(8).unpack1('H*'),
            OpenSSL::Random.random_bytes(8).unpack1('H*'), Dir::Tmpname.create('x') { |path| path }, (1..40).to_a.shuffle.join(' ')]
START = draw
def handler(event:, context:)
  { env: ENV.to_h, cwd: Dir.pwd, start: START, pid: Process.pid, now: draw, name: $PROGRAM_NAME, arguments: ARGV,
    mask: File.umask, threads: [3, 4].map { |n| Thread.new { sleep 0.001; n } }.map(&:value), zone: Time.now.zone,
    encoding: Encoding.default_external.to_s, child: (Process.wait(fork { exit 7 }); $?.exitstatus) }
end
"""),
    "php": ("app.php", """<?php
$draw = fn () => [mt_rand() . rand(), lcg_value(), uniqid('', true), random_int(0, PHP_INT_MAX), bin2hex(random_bytes(8)),
    bin2hex(openssl_random_pseudo_bytes(8)), session_create_id(), str_shuffle(implode('', range('a', 'z')))];
$start = $draw();
return function () use ($draw, $start) {
    $server = $_SERVER; $child = pcntl_fork();
    if ($child === 0) exit(7);
    pcntl_waitpid($child, $status);
    return ['env' => getenv(), 'cwd' => getcwd(), 'start' => $start, 'pid' => getmypid(), 'now' => $draw(), 'name' => $server['argv'][0],
        'arguments' => array_slice($server['argv'], 1), 'mask' => umask(), 'child' => pcntl_wexitstatus($status), 'zone' => date('T'),
        'age' => time() - $server['REQUEST_TIME'],
        'differs' => array_keys(array_diff_assoc(getenv(), $server)), 'more' => preg_grep('/ZYGOTE|CLONE_LIB/', array_keys($server))];
};
"""),
    "perl": ("app.pl", """
use Cwd (); use File::Temp ();
sub draw { return [rand, int(rand 2 ** 48), do { opendir my $d, '/tmp'; my (undef, $n) = File::Temp::tempfile(OPEN => 0); $n }] }
my $start = draw();
sub handler {
    my $child = fork; exit 7 if !$child; waitpid $child, 0;
    return { env => { map { utf8::decode(my $value = $ENV{$_}); $_ => $value } keys %ENV }, cwd => Cwd::getcwd(), start => $start, pid => $$ + 0, now => draw(), name => $0, arguments => [@ARGV],
        mask => umask, child => $? >> 8, zone => (qx(date +%Z) =~ s/\n//r), age => time - $^T };
}
1;
"""),
}
BOOTED = sorted(set(SOURCES) - {"node"})  # of Node templates alone come from one


@pytest.fixture
def source(language, tmp_path):
    if language in ("ruby", "php", "perl") and shutil.which(language) is None:
        pytest.skip(f"{language} is not installed")
    name, text = SOURCES[language]
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def zygotes(server, exclude=()):
    """Their pids: children of the spawner that the marker is in the environment of. Programs that come
    from one have its /proc/PID/environ, but are children of their init."""
    found = []
    for spawner in [p for p in descendants(server.pid) if parent(p) == server.pid]:
        for pid in descendants(spawner):
            if parent(pid) == spawner and pid not in exclude and b"MAYFLY_ZYGOTE_FD=4" in environ(pid):
                found.append(pid)
    return found


def environ(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return f.read()
    except OSError:
        return b""


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def from_zygote(server):
    return server.metrics().get('mayfly_program_starts_total{from="zygote"}', 0)


def deploy(server, source, name, *flags, **env):
    server.deploy(source, "--name", name, *flags, *[w for item in env.items() for w in ("--env", "%s=%s" % item)])


def deploy_from_zygote(server, source, name, *flags, **env):
    """Deploys until the program has come from a zygote: the first of its runtime, and those while it is
    being made, have theirs by an exec."""
    for i in range(100):
        before = from_zygote(server)
        deploy(server, source, name, *flags, TRY=i, **env)
        if from_zygote(server) > before:
            return
    raise AssertionError("no program has come from a zygote")


def differ(one, two):
    assert not set(map(str, one)) & set(map(str, two))


def as_any_other(server, first, second):
    """What the first two programs of a zygote say of themselves."""
    one, two = server.invoke(first).expect(200).json, server.invoke(second).expect(200).json
    assert one["env"]["TOKEN"] == "of the first" and "TOKEN" not in two["env"]
    assert two["env"]["OTHER"] == "größe = ü" and two["env"]["AWS_LAMBDA_FUNCTION_NAME"] == second
    assert not any("ZYGOTE" in name or "PRELOAD" in name or "CLONE_LIB" in name for name in one["env"])
    assert one["cwd"] == two["cwd"] == "/var/task"
    differ(one["start"], two["start"])
    again = [server.invoke(first).expect(200).json["now"] for _ in range(2)]
    differ(again[0], again[1])
    for told in (one, two):
        assert told["pid"] < 20, "in a namespace of its own"
        assert told.get("arguments", []) == [] and told.get("mask", 0o22) == 0o22 and told.get("zone", "UTC") == "UTC"
        assert told.get("child", 7) == 7 and told.get("threads", [3, 4]) == [3, 4]
        assert told.get("encoding", "UTF-8") == "UTF-8" and 0 <= told.get("age", 0) < 60
        assert told.get("differs", []) == [] and list(told.get("more", [])) == []
    return one, two


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_a_version_from_a_zygote_is_as_any_other(server, source, language):
    first, second = f"first-{language}", f"second-{language}"
    deploy_from_zygote(server, source, first, TOKEN="of the first")
    deploy_from_zygote(server, source, second, OTHER="größe = ü")
    as_any_other(server, first, second)
    assert server.stats(first)["templates"] == 1 and server.stats(second)["templates"] == 1


@pytest.mark.parametrize("language", BOOTED)
def test_an_instance_from_a_zygote_is_as_any_other(server, source, language):
    first, second = f"booted-{language}", f"other-{language}"
    deploy_from_zygote(server, source, first, "--snapshot", "off", TOKEN="of the first")
    deploy_from_zygote(server, source, second, "--snapshot", "off", OTHER="größe = ü")
    as_any_other(server, first, second)
    assert server.stats(first)["templates"] == 0


# Hands out files of /proc/self.
READERS = {
    "python": "def handler(event, context):\n    return open(event).read()\n",
    "node": "exports.handler = async (path) => require('fs').readFileSync(path, 'latin1');\n",
    "ruby": "def handler(event:, context:)\n  File.read(event)\nend\n",
    "php": "<?php return fn ($path) => file_get_contents($path);\n",
    "perl": "sub handler { open my $file, '<', shift; local $/; return scalar <$file> }\n1;\n",
}
SAME = ("Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Threads",
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def process(server, name):
    """What the kernel says of an instance, without what differs from start to start."""
    read = lambda file: server.invoke(name, "/proc/self/" + file).expect(200).json  # noqa: E731
    status = dict(line.split(":\t", 1) for line in read("status").splitlines() if ":\t" in line)
    mounts = sorted(line.split()[4:6] for line in read("mountinfo").splitlines())
    return {**{name: status.get(name) for name in SAME}, "limits": read("limits"), "mounts": mounts,
            "cmdline": read("cmdline"), "cgroup": len(read("cgroup").splitlines()), "oom": read("oom_score_adj")}


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_the_process_is_as_one_that_is_started(server, make_server, source, language, tmp_path):
    path = tmp_path / os.path.basename(source)
    path.write_text(READERS[language])
    other = make_server(config="engine:\n  zygotes: false\n")
    for snapshot in ("on", "off"):
        name = f"reads-{language}-{snapshot}"
        if language == "node" and snapshot == "off":
            before = from_zygote(server)
            deploy(server, str(path), name, "--snapshot", "off")
            assert from_zygote(server) == before
        else:
            deploy_from_zygote(server, str(path), name, "--snapshot", snapshot)
        deploy(other, str(path), name, "--snapshot", snapshot)
        assert process(server, name) == process(other, name)


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_a_killed_zygote_is_done_without(server, source, language):
    deploy_from_zygote(server, source, f"before-{language}")
    for pid in zygotes(server):
        os.kill(pid, signal.SIGKILL)
    assert server.invoke(f"before-{language}").expect(200).json["pid"] > 0
    deploy(server, source, f"without-{language}")
    assert server.invoke(f"without-{language}").expect(200).json["cwd"] == "/var/task"
    deploy_from_zygote(server, source, f"after-{language}")


@pytest.mark.parametrize("language", ["python"])
def test_a_variable_of_the_interpreter_needs_a_start(server, source, language):
    deploy_from_zygote(server, source, "plain")
    before = from_zygote(server)
    deploy(server, source, "own-seed", PYTHONHASHSEED="7")
    assert from_zygote(server) == before
    assert server.invoke("own-seed").expect(200).json["env"]["PYTHONHASHSEED"] == "7"


@pytest.mark.parametrize("language", ["python"])
def test_the_setting_turns_them_off(make_server, source, language):
    server = make_server(config="engine:\n  zygotes: false\n")
    for i in range(3):
        deploy(server, source, f"by-exec-{i}")
    assert from_zygote(server) == 0 and zygotes(server) == []


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_a_killed_server_leaves_no_zygote(make_server, source, language):
    server = make_server()
    deploy_from_zygote(server, source, "f")
    members = list(descendants(server.pid))
    assert zygotes(server)
    server.kill()
    eventually(lambda: not any(b"ZYGOTE" in environ(pid) for pid in members), "the end of all", 10)
