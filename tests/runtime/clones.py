"""Templates and their clones by a plain fork (standin_clone.c): no sandbox, no server.

A Template is a runtime that was started with a control socket at fd 4; its clone() makes a Clone,
which is driven like a Runtime of driver.py.
"""

import functools
import os
import select
import socket
import struct
import subprocess
import tempfile
import time

import driver

BUILD = os.environ.get("MAYFLY_BUILD_DIR") or os.path.join(driver.ROOT, "build")
RUNTIME_LIB = os.path.join(BUILD, "runtime-lib")
PRELOAD = os.path.join(RUNTIME_LIB, "libmayfly_forksafe.so")
ADDON = os.path.join(RUNTIME_LIB, "mayfly_node.node")
SHARED = os.path.join(RUNTIME_LIB, "libmayfly_template.so")
NODE_OPTIONS = ["--single-threaded", "--no-memory-reducer"]

_HERE = os.path.dirname(os.path.abspath(__file__))
_ANSWER = struct.Struct("<QQ")


@functools.lru_cache(maxsize=None)
def standin():
    """Path of the stand-in for libmayfly_clone.so, compiled."""
    path = os.path.join(tempfile.mkdtemp(prefix="mayfly-standin-"), "libmayfly_clone.so")
    source = os.path.join(_HERE, "standin_clone.c")
    subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def needs_build():
    """Why some languages cannot be cloned here, or None."""
    missing = [path for path in (PRELOAD, ADDON, SHARED) if not os.path.exists(path)]
    return "not built: " + ", ".join(missing) if missing else None


ZYGOTES = ("python", "node", "ruby", "php", "perl")  # languages that can be one


def zygote_environment(program):
    """That of a zygote, which has nothing of the program's; the stand-in finds the program's in a file."""
    own = ("PATH", "MAYFLY_CLONE_LIB", "MAYFLY_TEMPLATE_LIB", "MAYFLY_NODE_ADDON", "LD_PRELOAD")
    kept = {name: program[name] for name in own if name in program}
    file, path = tempfile.mkstemp(prefix="mayfly-environment-", dir=os.path.dirname(standin()))
    with os.fdopen(file, "wb") as out:
        out.write(b"".join(os.fsencode("%s=%s" % item) + b"\0" for item in program.items()))
    return {**kept, "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": ":UTC", "MAYFLY_ZYGOTE_FD": "4",
            "MAYFLY_STANDIN_ENVIRONMENT": path}


def arguments(language, argv):
    """The command line of a template, and what its environment has more."""
    extra = {"MAYFLY_TEMPLATE_FD": "4", "MAYFLY_CLONE_LIB": standin()}
    if language == "node":
        extra.update(MAYFLY_NODE_ADDON=ADDON, LD_PRELOAD=PRELOAD)
        argv = argv[:1] + NODE_OPTIONS + argv[1:]
    else:
        extra.update(MAYFLY_TEMPLATE_LIB=SHARED)
    return argv, extra


class _Ended:
    """A clone's process: what subprocess.Popen is for a child of one's own."""

    def __init__(self, template, pid):
        self.template, self.pid = template, pid

    def wait(self, timeout=None):
        return self.template.wait_for_end(self.pid, timeout)

    def poll(self):
        self.template.take_answers(0)
        return self.template.ended_pids.get(self.pid)

    def send_signal(self, number):
        os.kill(self.pid, number)


class Template(driver.Runtime):
    """A runtime that is to be cloned. ready["cloneable"] says whether it can be."""

    def __init__(self, language, argv, env, cwd, prefix=(), zygote=False, **options):
        self.control, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pids, self.entered, self.ended_pids = [], [], {}
        argv, extra = arguments(language, argv)
        if prefix and "LD_PRELOAD" in extra:  # the library leaves the environment of what loads it
            prefix = [*prefix, "env", "LD_PRELOAD=" + extra.pop("LD_PRELOAD")]
        environment = {**env, **extra}
        if zygote:
            environment = zygote_environment(environment)
        super().__init__([*prefix, *argv], environment, cwd, **options)
        self.theirs.close()

    def descriptors(self):
        return {**super().descriptors(), 4: self.theirs.fileno()}

    def take_answers(self, seconds):
        """Takes in what the template says within that time; False when it has gone."""
        while select.select([self.control], [], [], seconds)[0]:
            try:
                message = self.control.recv(64)
            except ConnectionResetError:
                message = b""
            if not message:
                return False
            kind, value = _ANSWER.unpack(message)
            if kind == ord("p"):
                self.pids.append(value - (1 << 64) if value >> 63 else value)
            elif kind == ord("e"):
                self.entered.append(value)
            else:
                status = os.waitstatus_to_exitcode(value & 0xFFFFFFFF)
                self.ended_pids[value >> 32] = status
            seconds = 0
        return True

    def until(self, condition, what, timeout=driver.TIMEOUT):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise driver.Broken("no %s within %d s" % (what, timeout))
            if not self.take_answers(0.05) and not condition():
                raise driver.Broken("the template has ended; waiting for " + what)

    def wait_for_end(self, pid, timeout=None):
        try:
            self.until(lambda: pid in self.ended_pids, "end of a clone", timeout or driver.TIMEOUT)
        except driver.Broken:
            if self.process.poll() is not None:
                return -9  # with the template; nobody has seen its status
            raise subprocess.TimeoutExpired("clone %d" % pid, timeout) from None
        return self.ended_pids[pid]

    def clone(self, env=None, **options):
        """A new Clone; env: what its order adds to the environment."""
        return Clone(self, env or {}, **options)

    def order(self, env, fds):
        """Sends an order; returns the clone's pid."""
        known, entered = len(self.pids), len(self.entered)
        lines = b"".join(("%s=%s" % item).encode() + b"\0" for item in env.items())
        socket.send_fds(self.control, [lines or b"\0"], fds)
        self.until(lambda: len(self.pids) > known, "answer to an order")
        pid = self.pids[known]
        if pid < 0:
            raise driver.Broken("fork: %s" % os.strerror(-pid))
        self.until(lambda: len(self.entered) > entered, "clone that has entered")
        return pid

    def __exit__(self, *unused):
        self.control.close()
        super().__exit__()


class Clone(driver.Runtime):
    """One clone of a template; of_one: the template is only there for it, and ends with it."""

    def __init__(self, template, env, of_one=False, grant=True):
        self.template, self.of_one = template, of_one
        self.order_env = env
        super().__init__(None, None, None, grant=grant)
        self.ready = template.ready

    def begin(self, argv, env, cwd, channel):
        with open(os.devnull) as nothing:
            fds = [nothing.fileno(), self.pipes[0][1], self.pipes[1][1], channel.fileno()]
            self.pid = self.template.order(self.order_env, fds)
        return _Ended(self.template, self.pid)

    def close_pipes(self):
        super().close_pipes()
        if self.of_one:
            self.template.__exit__()
            self.raw = [a + b for a, b in zip(self.template.raw, self.raw)]


def start(language, argv, env, cwd, grant=True, zygote=False):
    """A clone of a template made for it; the template itself where it cannot be cloned."""
    template = Template(language, argv, env, cwd, grant=grant, zygote=zygote)
    template.wait(lambda: template.ready or template.init_error or template.ended, "ready frame")
    if not template.ready or not template.ready["cloneable"]:
        return template
    return Clone(template, {"MAYFLY_TEST_ORDER": "1"}, of_one=True, grant=grant)


