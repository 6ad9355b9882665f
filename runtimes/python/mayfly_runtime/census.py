"""What a process has that a fork of it would share or lose: threads, connections, open files."""

import os
import socket
import struct
import sys
import time

_THREAD_SECONDS = 1.0  # for threads that are about to end
_TCP_LISTEN = "0A"
_ADVICE = "open it in a hook registered with register_after_restore() or in the handler"


def _lines(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")
    except OSError:
        return []


# ---- threads


def _task_ids():
    return [int(name) for name in os.listdir("/proc/self/task")]


def _survivors():
    """Threads that are there after a fork, too: some libraries end theirs before one."""
    if len(_task_ids()) > 1:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    until = time.monotonic() + _THREAD_SECONDS
    while len(_task_ids()) > 1 and time.monotonic() < until:
        time.sleep(0.005)
    return [tid for tid in _task_ids() if tid != os.getpid() and tid != _main_id()]


def _main_id():
    return int(os.readlink("/proc/self"))


def why_threads():
    """Why threads keep the process from being cloned, or None."""
    ids = _survivors()
    if not ids:
        return None
    threading = sys.modules.get("threading")
    known = {t.native_id: t.name for t in threading.enumerate()} if threading else {}
    names = []
    for tid in ids:
        if tid in known:
            names.append("'%s'" % known[tid])
        else:
            name = "".join(_lines("/proc/self/task/%d/comm" % tid)[:1])
            names.append("one of a native library (%s)" % (name or "without a name"))
    return (
        "initialisation has started threads that still run: %s. A process with threads cannot be "
        "cloned; start them in the handler, or end them in a hook registered with "
        "register_before_snapshot()" % ", ".join(names)
    )


# ---- descriptors


def descriptors():
    """Number -> where it leads to, of descriptors above 4."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 4:
            try:
                found[int(name)] = os.readlink("/proc/self/fd/" + name)
            except OSError:
                pass  # that of the folder itself
    return found


def _address(text):
    """/proc/net/tcp has addresses as words in the order of the machine."""
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    data = struct.pack("=%dI" % len(words), *words)
    if len(data) == 4 or data[:12] == bytes(10) + b"\xff\xff":
        return "%s:%d" % (socket.inet_ntop(socket.AF_INET, data[-4:]), int(port, 16))
    return "[%s]:%d" % (socket.inet_ntop(socket.AF_INET6, data), int(port, 16))


def _row(table, column, inode):
    for line in _lines("/proc/self/net/" + table):
        fields = line.split()
        if len(fields) > column and fields[column] == inode:
            return fields
    return None


def _socket(inode):
    """(kind, text) of a socket; kind: stream, datagram or listening."""
    for table in ("tcp", "tcp6"):
        row = _row(table, 9, inode)
        if row is not None:
            if row[3] == _TCP_LISTEN:
                return "listening", "on " + _address(row[1])
            return "stream", "to %s (TCP)" % _address(row[2])
    for table in ("udp", "udp6"):
        row = _row(table, 9, inode)
        if row is not None:
            peer = _address(row[2])
            return "datagram", "to %s (UDP)" % peer if not peer.endswith(":0") else "on %s (UDP)" % _address(row[1])
    row = _row("unix", 6, inode)
    if row is None:
        return "stream", "of another kind"
    name = row[7] if len(row) > 7 else ""
    if int(row[3], 16) & 0x10000:
        return "listening", "on the unix socket " + name
    if row[4] == "0002":
        return "datagram", "(unix datagram %s)" % name
    return "stream", "(unix socket %s)" % (name or "without a name")


def _is_writable_file(fd, target):
    if not target.startswith("/") or target.startswith(("/dev/", "/proc/")):
        return False
    flags = [line for line in _lines("/proc/self/fdinfo/%d" % fd) if line.startswith("flags:")]
    return bool(flags) and int(flags[0][6:], 8) & 3 != 0


def opened(baseline, own=()):
    """(connections, notes) of what was opened since baseline, without the descriptors in own:
    numbers of sockets whose stream would be shared, and sentences about them and others."""
    connections, notes = [], []
    for fd, target in sorted(descriptors().items()):
        if baseline.get(fd) == target or fd in own:
            continue
        if target.startswith("socket:["):
            kind, text = _socket(target[8:-1])
            if kind == "stream":
                connections.append(fd)
                notes.append(
                    "initialisation has left a connection open %s: instances find it closed; %s"
                    % (text, _ADVICE)
                )
            else:
                what = "a listening socket" if kind == "listening" else "a socket"
                notes.append(
                    "initialisation has left %s open %s: all instances share it; %s"
                    % (what, text, _ADVICE)
                )
        elif _is_writable_file(fd, target):
            notes.append(
                "initialisation has left %s open for writing: all instances share its position; %s"
                % (target, _ADVICE)
            )
    return connections, notes
