"""The sanitized build is made while other stages run: with idle cores, once, and it ends with the run."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOOLS)

import run_tests  # noqa: E402

PATIENCE = 120  # seconds; idle programs on a busy machine

# Says what it runs as, in the file `begun`; ends when `go` is opened, or after its own child when it is killed.
NINJA = """#!/usr/bin/env python3
import os, subprocess, sys
os.mkdir("{0}/one-ninja")  # fails while there is another
try:
    with open("/proc/self/autogroup") as f:
        nice = f.read().split("nice ")[1].strip()
except FileNotFoundError:
    nice = 19
child = subprocess.Popen(["/bin/cat", "{0}/never"])
with open("{0}/begun", "w") as f:
    print(os.getpid(), child.pid, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), nice, file=f)
with open("{0}/go") as f:
    code = f.read()
child.kill()
child.wait()
os.rmdir("{0}/one-ninja")
print("FAILED: the compiler's words" if code else "done")
sys.exit(int(code or 0))
"""


class Fakes:
    """cmake and ninja in a folder that PATH begins with."""

    def __init__(self, folder):
        self.folder = folder
        self.add("cmake", "#!/bin/sh\necho configured\n")
        self.add("ninja", NINJA.format(folder))
        for fifo in ("begun", "go", "never"):
            os.mkfifo(folder / fifo)

    def add(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def begun(self):
        """Waits for a ninja; returns what it said: pid, child, scheduler, nice value, that of its group."""
        descriptor = os.open(self.folder / "begun", os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor) as f:
            assert select.select([descriptor], [], [], PATIENCE)[0], "ninja has not been called"
            os.set_blocking(descriptor, True)
            return [int(word) for word in f.read().split()]

    def go(self, code=""):
        (self.folder / "go").write_text(code)


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(run_tests, "ROOT", str(tmp_path))
    return Fakes(tmp_path)


def passes(run, tally):
    tally.passed += 1


def fails(run, tally):
    tally.fail("it", "fails")


def run_stages(tmp_path, *stages):
    run = run_tests.Run(types.SimpleNamespace(k=None, fast=False), str(tmp_path))
    return run_tests.run_stages(run, [(name, function, ()) for name, function in stages])


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(pid):
    """Of a process that need not be a child of ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], PATIENCE)[0], f"process {pid} does not end"
    finally:
        os.close(descriptor)


def test_the_sanitized_build_runs_beside_the_stages_with_idle_cores(tmp_path, fakes):
    seen = {}

    def beside(run, tally):
        seen["ninja"] = fakes.begun()
        assert run.command(["true"], PATIENCE)[0] == 0  # what is not ahead has its own turn
        seen["mine"] = os.sched_getscheduler(0)
        fakes.go()
        tally.passed += 1

    def asan(run, tally):
        seen["folder"] = run_tests.build_sanitized(run, tally)

    total = run_stages(tmp_path, ("build", passes), ("runtime", beside), ("asan", asan))
    assert total.words() == "3 passed, 0 failed"
    assert seen["folder"] == f"{tmp_path}/build-sanitize"
    assert seen["ninja"][2:4] == [os.SCHED_IDLE, 19] and seen["mine"] == os.SCHED_OTHER
    if os.geteuid() == 0:  # another's second change in a tenth of a second is refused
        assert seen["ninja"][4] == 19


def test_who_waits_for_it_has_it_take_turns(tmp_path, fakes):
    """Others may use the machine: idle, it would wait for them."""
    ninja = []

    def turns():
        deadline = time.monotonic() + PATIENCE
        while any(os.sched_getscheduler(pid) != os.SCHED_OTHER for pid in ninja[:2]):
            if time.monotonic() > deadline:
                break
        ninja[:] = [os.sched_getscheduler(pid) for pid in ninja[:2]]
        fakes.go()

    def asan(run, tally):
        ninja.extend(fakes.begun())
        assert ninja[2] == os.SCHED_IDLE
        helper = threading.Thread(target=turns)
        helper.start()
        run_tests.build_sanitized(run, tally)
        helper.join()

    assert run_stages(tmp_path, ("build", passes), ("asan", asan)).words() == "2 passed, 0 failed"
    if os.geteuid() == 0:  # another may not take it back
        assert ninja == [os.SCHED_OTHER, os.SCHED_OTHER]


@pytest.mark.parametrize("stages", [
    [("build", passes), ("client", passes)],  # no stage needs it
    [("build", fails), ("asan", passes)],     # there is nothing to test
    [("checks", passes), ("asan", passes)],   # it is not known yet whether anything builds
])
def test_nothing_is_built_ahead(tmp_path, fakes, monkeypatch, stages):
    def never(run, action):
        raise AssertionError("built ahead")
    monkeypatch.setattr(run_tests, "Ahead", never)
    run_stages(tmp_path, *stages)


def test_without_stage_build_the_stage_builds_itself(tmp_path, fakes):
    seen = {}

    def asan(run, tally):
        helper = threading.Thread(target=lambda: (seen.update(ninja=fakes.begun()), fakes.go()))
        helper.start()
        seen["folder"] = run_tests.build_sanitized(run, tally)
        helper.join()

    assert run_stages(tmp_path, ("asan", asan)).words() == "1 passed, 0 failed"
    assert seen["folder"] and seen["ninja"][2] == os.SCHED_OTHER


def test_its_failure_is_told_by_the_stage_and_built_anew_by_the_next(tmp_path, fakes):
    """As without building ahead; the fake ninja fails otherwise when it is not alone."""
    folders = []

    def asan(run, tally):
        fakes.begun()
        fakes.go("1")
        folders.append(run_tests.build_sanitized(run, tally))

    def fuzz(run, tally):
        helper = threading.Thread(target=lambda: (fakes.begun(), fakes.go("1")))
        helper.start()
        folders.append(run_tests.build_sanitized(run, tally))
        helper.join()

    total = run_stages(tmp_path, ("build", passes), ("asan", asan), ("fuzz", fuzz))
    assert total.words() == "1 passed, 2 failed" and folders == [None, None]
    assert total.details[0] == total.details[1] == ("build build-sanitize", "FAILED: the compiler's words\n")


def test_a_failed_configuration_is_told(tmp_path, fakes):
    fakes.add("cmake", "#!/bin/sh\necho no clang\nexit 1\n")
    total = run_stages(tmp_path, ("build", passes), ("asan", run_tests.build_sanitized))
    assert total.details == [("configure build-sanitize", "no clang\n")]


def test_it_ends_when_no_stage_takes_it(tmp_path, fakes):
    seen = []
    run_stages(tmp_path, ("build", passes), ("runtime", lambda run, tally: seen.extend(fakes.begun())), ("asan", passes))
    assert not is_there(seen[0]), "it runs on after the run"
    wait_for_end(seen[1])


RUNNER = """
import signal, sys
sys.path.insert(0, {tools!r})
import run_tests
run_tests.ROOT = {root!r}
def passes(run, tally): tally.passed += 1
def hangs(run, tally): run.command(["cat", "{root}/never"], 1000)
{stages}
run_tests.run_by_hand()
"""
WAITING = {
    "while another stage runs": "('build', passes, both), ('runtime', hangs, both), ('asan', passes, both)",
    "while its stage waits": "('build', passes, both), ('asan', run_tests.build_sanitized, both)",
}


def heed_signals():
    """Whoever runs the tests may have had some ignored (nohup, a shell's &): what is started would inherit that."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("where", WAITING)
def test_it_ends_with_a_run_that_is_interrupted(tmp_path, fakes, where, number):
    stages = f"both = (run_tests.FAST, run_tests.WHOLE)\nrun_tests.STAGES = [{WAITING[where]}]"
    program = RUNNER.format(tools=TOOLS, root=str(tmp_path), stages=stages)
    runner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True, preexec_fn=heed_signals)
    ninja, child = fakes.begun()[:2]
    try:
        runner.send_signal(number)
        assert runner.wait(PATIENCE) == {signal.SIGKILL: -9, signal.SIGINT: -2}.get(number, 128 + number)
        wait_for_end(ninja)
        if number != signal.SIGKILL:  # a true ninja ends what it runs
            wait_for_end(child)
    finally:
        os.close(os.open(tmp_path / "never", os.O_RDWR))  # each cat ends
        for pid in (ninja, child):
            if is_there(pid):
                os.kill(pid, signal.SIGKILL)
