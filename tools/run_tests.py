#!/usr/bin/env python3
"""run_tests.py [--fast] [--stage NAME]... [-k EXPR] [--list]: builds and runs the tests of Mayfly.

Called by ./test, which installs what is missing first. Each stage prints one line with its counts
and its time; what a failure printed is shown. The last line is 'N passed, N failed[, N skipped]',
and the exit code is 0 only if nothing failed.
"""

import argparse
import concurrent.futures
import glob
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUTPUT_LINES_MAX = 120  # of one failure, unless MAYFLY_TEST_VERBOSE is set


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.details = []  # (name, output) of what failed
        self.skips = {}    # reason -> count

    def fail(self, name, output):
        self.failed += 1
        self.details.append((name, output))

    def skip(self, reason, count=1):
        self.skipped += count
        self.skips[reason] = self.skips.get(reason, 0) + count

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.details += other.details
        for reason, count in other.skips.items():
            self.skip(reason, count)

    def words(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


class Run:
    """Options, and the ways of running a program that all stages share."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.serial = itertools.count(1)
        self.sanitized = None  # Ahead with the sanitized build, until a stage takes it

    def scratch_file(self, suffix):
        return os.path.join(self.scratch, f"{next(self.serial)}{suffix}")

    def popen(self, words, **options):
        return subprocess.Popen(words, **options)

    def command(self, words, timeout, env=None, cwd=ROOT):
        """Runs to the end or the time limit; returns (exit code or None, output). The whole process
        group is ended with it, so that a hanging test leaves nothing behind."""
        path = self.scratch_file(".out")
        with open(path, "wb") as out:
            child = self.popen(words, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                               stdin=subprocess.DEVNULL, start_new_session=True,
                               env={**os.environ, **(env or {})})
            code = None
            try:
                code = child.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
            finally:
                if code is None:
                    end_group(child)
        with open(path, errors="replace") as f:
            text = f.read()
        if code is None:
            text += f"\n[ended after the limit of {timeout} s]"
        return code, text

    def python(self):
        """An interpreter that has pytest: the one in PATH, else Debian's."""
        for name in ("/usr/bin/python3", shutil.which("python3"), sys.executable):
            if name and os.path.exists(name):
                if subprocess.run([name, "-c", "import pytest"], capture_output=True).returncode == 0:
                    return name
        return None


def end_group(child):
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def cores():
    return len(os.sched_getaffinity(0))


def side_by_side(tally, action, items):
    """action(tally, item) of each, as many at once as there are cores; counted in their order."""
    def one(item):
        mine = Tally()
        action(mine, item)
        return mine
    with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        for counted in pool.map(one, items):
            tally.add(counted)


# -- ahead of its stage -----------------------------------------------------------------------------

# Runs a command that ends with the run; `idle`, it has what others leave of the cores: SCHED_IDLE, which counts for the
# disk, too. Where the scheduler groups sessions, an idle one has the share of any other, hence the group's nice value.
LAUNCHER = """
import ctypes, os, signal, sys
def attempt(action, *words):
    try:
        action(*words)
    except OSError:
        pass  # what runs beside it is slower then
def autogroup():
    with open("/proc/self/autogroup", "w") as f:
        f.write("19")
if sys.argv[1] == "idle":
    attempt(autogroup)
    attempt(os.nice, 19)
    attempt(os.sched_setscheduler, 0, os.SCHED_IDLE, os.sched_param(0))
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def undo_idle(session):
    """For the processes of a session, as far as it is allowed: they are waited for, and others may use the machine."""
    def attempt(action, *words):
        try:
            action(*words)
        except OSError:
            pass  # or it has just ended

    def take_turns(pid):
        if os.getsid(pid) == session:
            attempt(os.setpriority, os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0))
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))

    def autogroup():
        with open(f"/proc/{session}/autogroup", "w") as f:
            f.write("0")
    attempt(autogroup)
    for _ in range(2):  # the second time, what one has begun that was still idle
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                attempt(take_turns, int(entry))


class Ahead(Run):
    """Does action(run, tally) in a thread while stages run. Its commands are idle ones until it is waited for."""

    PATIENCE = 4  # times the limit of a command that has the cores for itself

    def __init__(self, run, action):
        super().__init__(run.options, tempfile.mkdtemp(dir=run.scratch))
        self.lock = threading.Lock()
        self.ended, self.idle, self.child = False, True, None  # protected by lock
        self.tally, self.value, self.fault = Tally(), None, None
        self.done = threading.Event()  # and not join(): interrupted once, that holds the thread for ended
        threading.Thread(target=self.work, args=(action,)).start()

    def work(self, action):
        try:
            self.value = action(self, self.tally)
        except Exception as e:  # for the stage that waits
            self.fault = e
        finally:
            self.done.set()

    def popen(self, words, **options):
        with self.lock:
            if self.ended:
                raise InterruptedError("the run was ended")
            launcher = [sys.executable, "-c", LAUNCHER, "idle" if self.idle else "in turn"]
            self.child = super().popen([*launcher, *words], **options)
            return self.child

    def command(self, words, timeout, env=None, cwd=ROOT):
        return super().command(words, timeout * self.PATIENCE, env, cwd)

    def wait(self, tally):
        """What action returned; its counts are added to tally."""
        with self.lock:
            self.idle, child = False, self.child
        if child and not self.done.is_set():
            undo_idle(child.pid)
        self.done.wait()
        if self.fault:
            raise self.fault
        tally.add(self.tally)
        return self.value

    def end(self):
        """Ends the command that runs, with its process group. Nothing runs afterwards."""
        with self.lock:
            self.ended, child = True, self.child
        if child and not self.done.is_set():
            end_group(child)
        self.done.wait()


# -- building ---------------------------------------------------------------------------------------

def build(run, tally, folder, options, targets=(), env=None, limit=3000):
    """Configures and builds; failure is one failed test with the compiler's words."""
    words = ["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *options]
    code, text = run.command(words, 300, env)
    if code != 0:
        tally.fail(f"configure {os.path.basename(folder)}", text)
        return False
    code, text = run.command(["ninja", "-C", folder, "-j", str(cores()), *targets], limit, env)
    if code != 0:
        failed = text.find("FAILED:")
        tally.fail(f"build {os.path.basename(folder)}", text[failed:] if failed >= 0 else text)
        return False
    tally.passed += 1
    return True


def build_plain(run, tally, target):
    return build(run, tally, f"{ROOT}/build", ["-DCMAKE_BUILD_TYPE=Release", "-DMAYFLY_TESTS=ON",
                                               "-DMAYFLY_WERROR=ON", "-DMAYFLY_SANITIZE=OFF"], [target])


def stage_build(run, tally):
    build_plain(run, tally, "all")


# -- checks -----------------------------------------------------------------------------------------

def stage_checks(run, tally):
    for name in ("check_rooms", "check_style"):
        code, text = run.command([sys.executable, f"{ROOT}/tools/{name}.py"], 120)
        if code == 0:
            tally.passed += 1
        else:
            tally.fail(name, text)
    sources = [f for top in ("src", "tests", "bench", "examples", "runtimes")
               for pattern in ("*.cc", "*.h") for f in
               glob.glob(f"{ROOT}/{top}/**/{pattern}", recursive=True) if "/node_modules/" not in f]
    formatter = shutil.which("clang-format-14")
    if not formatter:
        tally.skip("clang-format-14 is not installed")
    elif sources:
        code, text = run.command([formatter, "--dry-run", "-Werror", *sorted(sources)], 300)
        if code == 0:
            tally.passed += 1
        else:
            files = sorted({line.split(":", 1)[0] for line in text.splitlines() if ": error:" in line})
            tally.fail("format (clang-format-14 -i mends it)",
                       "\n".join(os.path.relpath(f, ROOT) for f in files) or text)
    pytest(run, tally, f"{ROOT}/tools/tests", 300)
    check_collection(run, tally)


def check_collection(run, tally):
    """Every test file can be imported: told in a second, and not by its stage half an hour later."""
    python = run.python()
    for folder in sorted({os.path.dirname(f) for f in glob.glob(f"{ROOT}/tests/*/test_*.py")} if python else ()):
        code, text = run.command([python, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", folder],
                                 120, {"PYTHONDONTWRITEBYTECODE": "1"})
        if code == 0:
            tally.passed += 1
        else:
            tally.fail(f"collect {os.path.relpath(folder, ROOT)}", text)


# -- C++ unit tests ---------------------------------------------------------------------------------

def test_programs(run, folder):
    """What CTest knows of: [(name, command)]."""
    code, text = run.command(["ctest", "--test-dir", folder, "--show-only=json-v1"], 60)
    if code != 0:
        return None, text
    tests = json.loads(text[text.index("{"):])["tests"]
    return [(t["name"], t["command"]) for t in tests if t.get("command")], ""


def gtest(run, tally, name, command, limit, env=None):
    """Runs one test program and counts its cases; a crash is a failure of the case that ran."""
    report = run.scratch_file(".json")
    words = list(command)
    if run.options.k:
        words.append(f"--gtest_filter=*{run.options.k}*")
    code, text = run.command(words, limit, {**(env or {}), "GTEST_OUTPUT": f"json:{report}",
                                            "GTEST_COLOR": "no"})
    cases = 0
    if os.path.exists(report):
        with open(report) as f:
            suites = json.load(f).get("testsuites", [])
        for suite in suites:
            for case in suite.get("testsuite", []):
                cases += 1
                title = f"{name}: {suite['name']}.{case['name']}"
                if case.get("failures"):
                    tally.fail(title, "\n".join(f["failure"] for f in case["failures"]))
                elif case.get("result") == "SKIPPED":
                    words = case.get("skipped") or [{}]
                    tally.skip(words[0].get("message", "").strip().splitlines()[0]
                               if words[0].get("message", "").strip() else f"{title} skipped itself")
                elif case.get("status") == "RUN":
                    tally.passed += 1
    if code != 0 and not (cases and code == 1):
        tally.fail(f"{name}: ended with {'a time-out' if code is None else f'code {code}'}",
                   "\n".join(text.splitlines()[-60:]))
    elif not cases and code == 0 and not run.options.k:
        tally.passed += 1  # not a GoogleTest program: its exit code is its one result


def run_programs(run, tally, folder, limit, is_unit, env=None):
    programs, why = test_programs(run, folder)
    if programs is None:
        tally.fail("ctest", why)
        return
    side_by_side(tally, lambda mine, each: gtest(run, mine, *each, limit, env),
                 [each for each in programs if each[0].startswith("unit_") == is_unit])


def stage_unit(run, tally):
    if build_plain(run, tally, "units"):
        run_programs(run, tally, f"{ROOT}/build", 600, is_unit=True)


def stage_sandbox(run, tally):
    """Everything else that CTest knows: programs that make real sandboxes, each with a spawner of its own."""
    run_programs(run, tally, f"{ROOT}/build", 900, is_unit=False)
    pytest(run, tally, f"{ROOT}/tests/sandbox", 900)


# -- pytest -----------------------------------------------------------------------------------------

def pytest(run, tally, folder, limit, env=None, extra=()):
    name = os.path.relpath(folder, ROOT)
    if not glob.glob(f"{folder}/**/test_*.py", recursive=True):
        return
    python = run.python()
    if not python:
        tally.fail(name, "no python3 with pytest was found (package python3-pytest)")
        return
    report = run.scratch_file(".xml")
    words = [python, "-m", "pytest", "-q", "-ra", "--tb=short", "-p", "no:cacheprovider", "-o",
             "junit_family=xunit2", f"--junitxml={report}", folder, *extra]
    if run.options.k:
        words += ["-k", run.options.k]
    env = {"PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    code, text = run.command(words, limit, env)
    counted = 0
    if os.path.exists(report):
        for case in ElementTree.parse(report).iter("testcase"):
            counted += 1
            title = f"{name}: {case.get('classname', '').split('.')[-1]}::{case.get('name')}"
            fault = [e for e in case if e.tag in ("failure", "error")]
            skipped = case.find("skipped")
            if fault:
                tally.fail(title, (fault[0].get("message") or "") + "\n" + (fault[0].text or ""))
            elif skipped is not None:
                tally.skip(skipped.get("message") or "skipped")
            else:
                tally.passed += 1
    # 0: all passed; 1: some failed, counted above; 5: none selected by -k.
    if code not in (0, 1) and not (code == 5 and run.options.k) or (code == 1 and not counted):
        tally.fail(f"{name}: pytest ended with {'a time-out' if code is None else f'code {code}'}",
                   "\n".join(text.splitlines()[-60:]))


def pytest_stage(folder, limit, workers=1):
    """workers: for each core, where tests mostly wait (pytest-xdist)."""
    def stage(run, tally):
        short = {"MAYFLY_CRASH_ROUNDS": "4", "MAYFLY_LEAK_STARTS": "60"} if run.options.fast else {}
        env = {k: os.environ.get(k, v) for k, v in short.items()}
        extra = ["-n", str(workers * cores())] if workers > 1 else []
        pytest(run, tally, f"{ROOT}/tests/{folder}", limit, env, extra)
    return stage


# -- sanitizers and fuzzing -------------------------------------------------------------------------

SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def build_sanitized(run, tally):
    """One build for both stages: the second finds it made. Returns its folder, or None."""
    if run.sanitized:
        ahead, run.sanitized = run.sanitized, None
        return ahead.wait(tally)
    folder = f"{ROOT}/build-sanitize"
    made = build(run, tally, folder, ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -g1",
                                      "-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_C_COMPILER=clang",
                                      "-DMAYFLY_TESTS=ON", "-DMAYFLY_SANITIZE=ON"], ["all", "units"])
    return folder if made else None


def stage_asan(run, tally):
    folder = build_sanitized(run, tally)
    if folder:
        run_programs(run, tally, folder, 900, True, SANITIZERS)
        pytest(run, tally, f"{ROOT}/tests/scenario", 900, {**SANITIZERS, "MAYFLY_BUILD_DIR": folder},
               ["-m", "smoke"])


def stage_fuzz(run, tally):
    folder = build_sanitized(run, tally)
    names = [os.path.basename(path).removesuffix(".cc") for path in sorted(glob.glob(f"{ROOT}/tests/fuzz/*_fuzz.cc"))]

    def fuzz(mine, name):
        corpus = tempfile.mkdtemp(dir=run.scratch)  # new finds go here, never into the repository
        seeds = [d for d in (f"{ROOT}/tests/fuzz/corpus/{n}" for n in
                             (name, name.removesuffix("_fuzz"), name.removeprefix("fuzz_")))
                 if os.path.isdir(d)][:1]
        code, text = run.command(
            [f"{folder}/{name}", "-max_total_time=5", "-timeout=10", "-rss_limit_mb=2048",
             "-print_final_stats=1", f"-artifact_prefix={corpus}/", corpus, *seeds], 120)
        if code == 0:
            mine.passed += 1
        else:
            mine.fail(f"fuzz {name}", "\n".join(text.splitlines()[-60:]))

    if folder:
        side_by_side(tally, fuzz, [n for n in names if not run.options.k or run.options.k in n])


FAST, WHOLE = "with --fast", "without it"
STAGES = [
    # Name, function, when it runs. The unit tests run once: asan has them under the sanitizers.
    ("build", stage_build, (FAST, WHOLE)),
    ("checks", stage_checks, (FAST, WHOLE)),
    ("unit", stage_unit, (FAST,)),
    ("runtime", pytest_stage("runtime", 1500, workers=2), (FAST, WHOLE)),
    ("sandbox", stage_sandbox, (FAST, WHOLE)),
    ("scenario", pytest_stage("scenario", 1500), (FAST, WHOLE)),
    ("client", pytest_stage("client", 900), (FAST, WHOLE)),
    ("bad_input", pytest_stage("bad_input", 600), (FAST, WHOLE)),
    ("crash", pytest_stage("crash", 1500), (FAST, WHOLE)),
    ("leak", pytest_stage("leak", 1500), (FAST, WHOLE)),
    ("asan", stage_asan, (WHOLE,)),
    ("fuzz", stage_fuzz, (WHOLE,)),
]


SANITIZED = ("asan", "fuzz")  # what build_sanitized() is for


def show(tally):
    for name, output in tally.details:
        lines = output.rstrip().splitlines()
        if len(lines) > OUTPUT_LINES_MAX and not os.environ.get("MAYFLY_TEST_VERBOSE"):
            half = OUTPUT_LINES_MAX // 2
            lines = lines[:half] + [f"... {len(lines) - 2 * half} lines left out ..."] + lines[-half:]
        print(f"  FAILED {name}")
        for line in lines:
            print(f"    {line}")
    for reason, count in sorted(tally.skips.items()):
        print(f"  skipped {count}: {reason}")


def run_stages(run, wanted):
    """Runs them in turn. The sanitized build is made meanwhile, where a stage wants it after the build."""
    total, ahead = Tally(), None
    try:
        for name, function, _ in wanted:
            tally, begin = Tally(), time.monotonic()
            print(f"{name} ...", flush=True)
            try:
                function(run, tally)
            except Exception as e:  # a fault of the runner itself must not pass for success
                tally.fail(name, f"{type(e).__name__}: {e}")
            show(tally)
            print(f"{name}: {tally.words()} in {time.monotonic() - begin:.1f} s", flush=True)
            total.add(tally)
            if name == "build" and tally.failed:
                break  # nothing else would tell more
            if name == "build" and any(other in SANITIZED for other, _, _ in wanted):
                run.sanitized = ahead = Ahead(run, build_sanitized)
    finally:
        if ahead:
            ahead.end()
    return total


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Builds and runs every test of Mayfly.")
    parser.add_argument("--fast", action="store_true",
                        help="short crash and leak runs; unit tests without sanitizers, no fuzz targets")
    parser.add_argument("--stage", action="append", choices=[s[0] for s in STAGES], help="only this stage (repeatable)")
    parser.add_argument("-k", metavar="EXPR", help="only tests whose name matches (as in pytest)")
    parser.add_argument("--list", action="store_true", help="print the stages")
    options = parser.parse_args()
    if options.list:
        print("\n".join(s[0] for s in STAGES))
        return 0
    when = FAST if options.fast else WHOLE
    wanted = [s for s in STAGES if (s[0] in options.stage if options.stage else when in s[2])]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mayfly-tests-") as scratch:
        run = Run(options, scratch)
        total = run_stages(run, wanted)
    print(f"all stages: {time.monotonic() - started:.0f} s")
    if not total.passed and not total.failed:
        print("no test was selected")
        total.failed = 1
    print(total.words())
    return 1 if total.failed else 0


def run_by_hand():
    """The program: signals that end it let it end what it runs."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:  # as nohup has it
            signal.signal(each, lambda number, _: sys.exit(128 + number))
    sys.exit(main())


if __name__ == "__main__":
    run_by_hand()
