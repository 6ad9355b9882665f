"""Measuring from outside: wrk for load, /proc for CPU time and memory of whole process trees."""

import json
import os
import re
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            text = f.read()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def trees(roots):
    """All pids of the process trees below and with roots."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = set(), list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """CPU time of the processes, and of children that they have waited for."""
    total = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def machine_cpu():
    """(busy, all) CPU seconds of the machine since its start."""
    with open("/proc/stat") as f:
        values = list(map(int, f.readline().split()[1:9]))
    return (sum(values) - values[3] - values[4]) / TICKS, sum(values) / TICKS


def pss_mb(pids):
    """Proportional memory: shared pages count in parts."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            continue
    return total / 1024


def rss_mb(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status") as f:
                total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        except (OSError, AttributeError):
            continue
    return total / 1024


def load(url, connections, seconds, roots, script=f"{HERE}/hello.lua", env=None):
    """One run of wrk against url: rates, latencies, CPU microseconds for a request over the trees of
    roots, and the share of the machine that somebody else used meanwhile. env: what the script finds
    besides."""
    pids = trees(roots)
    busy, all_cpu, mine = *machine_cpu(), cpu_seconds(pids)
    child = subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
                              script, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, env={**os.environ, **(env or {})})
    out = child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    match = re.search(r"^RESULT (.*)$", out, re.M)
    if not match:
        raise RuntimeError(f"wrk against {url} said: {out[-400:]}")
    run = json.loads(match.group(1))
    used = cpu_seconds(pids | trees(roots)) - mine
    busy2, all2 = machine_cpu()
    requests = max(run["requests"], 1)
    others = (busy2 - busy) - used - usage.ru_utime - usage.ru_stime
    return {
        "rate": run["requests"] / (run["duration_us"] / 1e6), "p50_us": run["p50_us"], "p99_us": run["p99_us"],
        "cpu_us": used * 1e6 / requests, "bad": run["bad"],
        "others": max(0.0, others) / max(all2 - all_cpu, 1e-9),
    }


def medians(runs):
    """Key by key; faults are summed."""
    out = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
    out["bad"] = sum(r["bad"] for r in runs)
    return out


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def wait_until(check, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.002)
