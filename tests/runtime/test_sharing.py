"""What a fork would share or lose, threads, connections and open files, is noticed and told."""

import os
import signal
import socket
import threading

import pytest

import clones
import driver
from conftest import JS, PHP, PL, PY, RB
from sources import LANGUAGES, has_perl_module, main_file, source_of
from test_unique import start


@pytest.fixture
def form():
    """These tests make their own templates."""


# ---- what keeps a process from being cloned


# A library's thread: one that waits for ever.
RUBY_NATIVE_THREAD = """
require 'fiddle'
libc = Fiddle.dlopen(nil)
create = Fiddle::Function.new(libc['pthread_create'], [Fiddle::TYPE_VOIDP] * 4, Fiddle::TYPE_INT)
create.call(Fiddle::Pointer.malloc(8), nil, libc['pause'], nil).zero? or raise 'no thread'
def handler(event:, context:) = 1
"""
RUBY_THREAD_THAT_ENDS = """
queue = Queue.new
thread = Thread.new { queue.pop }
Mayfly.before_snapshot do
  queue << :end
  thread.join
end
def handler(event:, context:) = Thread.list.size
"""
PHP_NATIVE_THREAD = """<?php
$libc = FFI::cdef('typedef void *(*work)(void *); int pause(void); int pthread_create(unsigned long *, void *, work, void *);');
$id = $libc->new('unsigned long', false);
$libc->pthread_create(FFI::addr($id), null, $libc->cast('work', $libc->pause), null) === 0 or throw new Exception('no thread');
return fn () => 1;
"""

@pytest.mark.parametrize(
    "language, source, words",
    [
        (PY, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='poller', daemon=True).start()\ndef handler(e, c): return 1\n", ["'poller'"]),
        (PY, "from concurrent.futures import ThreadPoolExecutor as T\npool = T(2, 'mine')\npool.submit(int)\ndef handler(e, c): return 1\n", ["'mine_0'"]),
        (JS, "const { Worker } = require('worker_threads'); new Worker('setInterval(() => {}, 1000)', { eval: true }).unref(); exports.handler = () => 1;", ["1 thread of worker_threads"]),
        (JS, "require('child_process').execSync('mkfifo f', { cwd: '/tmp/' + process.env.FOLDER }); require('fs').readFile('/tmp/' + process.env.FOLDER + '/f', () => {}); exports.handler = () => 1;", ["has not ended", "FSReq"]),
        (RB, "Thread.new { sleep }.name = 'poller'\ndef handler(event:, context:) = 1\n", ["'poller'", "Mayfly.before_snapshot"]),
        (RB, RUBY_NATIVE_THREAD, ["'ruby'"]),
        (PHP, PHP_NATIVE_THREAD, ["'php'"]),
        (PL, "use threads; threads->create(sub { sleep 60 })->detach; sub handler { return 1 } 1;", ["'perl'", "before the snapshot"]),
    ],
    ids=["python-thread", "python-pool", "node-worker", "node-file", "ruby-thread", "ruby-native", "php-native", "perl-thread"],
)
def test_threads_keep_a_process_from_being_cloned(language, source, words, tmp_path):
    (tmp_path / main_file(language)).write_text(source)
    if language is PL and not has_perl_module("threads"):
        pytest.skip("this Perl is built without threads")
    env = driver.environment(tmp_path, extra={"FOLDER": os.path.relpath(tmp_path, "/tmp")})
    with clones.Template(language.name, language.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        assert template.ready["cloneable"] is False
        for word in words:
            assert word in template.ready["why"]
        assert template.event({}).result() == 1  # it serves like any other
        if "node-file" in str(tmp_path) or "mkfifo" in source:
            template.process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("language", [PY, RB], ids=["python", "ruby"])
def test_threads_may_be_ended_before_the_snapshot(language, tmp_path):
    source = RUBY_THREAD_THAT_ENDS if language is RB else (
        "import threading, snapshot_restore_py as s\nstop = threading.Event()\n"
        "thread = threading.Thread(target=stop.wait)\nthread.start()\n"
        "@s.register_before_snapshot\ndef end():\n    stop.set()\n    thread.join()\n"
        "def handler(e, c): return threading.active_count()\n"
    )
    with start(language, main_file(language), source, tmp_path) as template:
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


def test_the_thread_of_rubys_gem_timeout_is_no_hindrance(tmp_path):
    """Its newer versions keep one, which they start again where it is not alive."""
    source = (
        "def watcher\n  return $watcher if $watcher&.alive?\n  $watcher = Thread.new { sleep }\n"
        "  $watcher.name = 'Timeout stdlib thread'\n  $watcher\nend\n"
        "FIRST = watcher\ndef handler(event:, context:) = [FIRST.alive?, watcher.alive?]\n"
    )
    (tmp_path / main_file(RB)).write_text(source)
    env = driver.environment(tmp_path, handler="app.handler")
    with clones.Template(RB.name, RB.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        assert template.ready["cloneable"], template.ready
        with template.clone() as clone:
            assert clone.event({}).result() == [False, True]


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
RUBY_CONNECTION = """
require 'socket'
def connect
  made = TCPSocket.new('127.0.0.1', ENV['PEER'].to_i)
  made.recv(100)
  made
end
SHARED = connect
def handler(event:, context:)
  begin
    SHARED.write('shared')
    state = SHARED.recv(1).to_s.empty? ? 'closed' : 'open'
  rescue SystemCallError
    state = 'closed'
  end
  own = connect
  own.write("own #{Process.pid}")
  own.close
  state
end
"""
PHP_CONNECTION = """<?php
function connect() {
    $made = stream_socket_client('tcp://127.0.0.1:' . getenv('PEER'));
    fread($made, 100);
    return $made;
}
$GLOBALS['shared'] = connect();
function handler() {
    global $shared;
    $state = @fwrite($shared, 'shared') && fread($shared, 1) !== '' ? 'open' : 'closed';
    $own = connect();
    fwrite($own, 'own ' . getmypid());
    fclose($own);
    return $state;
}
"""
PERL_CONNECTION = """
use IO::Socket::INET;
sub connect_it {
    my $made = IO::Socket::INET->new("127.0.0.1:$ENV{PEER}") or die "$@";
    sysread $made, my $hello, 100;
    return $made;
}
my $shared = connect_it();
sub handler {
    local $SIG{PIPE} = 'IGNORE';
    my $state = syswrite($shared, 'shared') && sysread($shared, my $got, 1) ? 'open' : 'closed';
    my $own = connect_it();
    syswrite $own, "own $$";
    close $own;
    return $state;
}
1;
"""
CONNECTIONS = (NODE_CONNECTION, PYTHON_CONNECTION, RUBY_CONNECTION, PHP_CONNECTION, PERL_CONNECTION)


@LANGUAGES
def test_a_connection_of_the_template_is_named_and_not_shared(language, tmp_path):
    peer = Peer()
    (tmp_path / main_file(language)).write_text(source_of(language, *CONNECTIONS))
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


PYTHON_OPEN = """
import os, socket
kept = open(os.environ['FOLDER'] + '/out.log', 'w')
unix = socket.socket(socket.AF_UNIX); unix.bind(os.environ['FOLDER'] + '/s'); unix.listen()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.connect(('127.0.0.1', 8125))
six = socket.socket(socket.AF_INET6); six.bind(('::1', 0)); six.listen()
def handler(e, c): return 1
"""
RUBY_OPEN = """
require 'socket'
KEPT = [File.open(ENV['FOLDER'] + '/out.log', 'w'), UNIXServer.new(ENV['FOLDER'] + '/s'), UDPSocket.new, TCPServer.new('::1', 0), File.open('/dev/null', 'w')]
KEPT[2].connect('127.0.0.1', 8125)
def handler(event:, context:) = 1
"""


@pytest.mark.parametrize("language, source", [(PY, PYTHON_OPEN), (RB, RUBY_OPEN)], ids=["python", "ruby"])
def test_files_and_other_sockets_are_named(language, source, tmp_path):
    (tmp_path / main_file(language)).write_text(source)
    env = driver.environment(tmp_path, extra={"FOLDER": str(tmp_path)})
    with clones.Template(language.name, language.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        assert template.ready["cloneable"], template.ready
        assert len(template.ready["notes"]) == 4
        notes = "\n".join(template.ready["notes"])
    for word in ("out.log open for writing", "/s", "unix socket", "127.0.0.1:8125 (UDP)", "on [::1]:"):
        assert word in notes, notes
