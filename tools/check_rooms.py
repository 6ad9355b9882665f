#!/usr/bin/env python3
"""check_rooms.py [ROOT]: a folder of src/ may include only folders above it in ROOMS.

Also holds what a room must not use at all (FORBIDDEN). Exceptions, each with its reason, stand in
tools/allow.txt under the rule 'rooms'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sources import ROOT, Allowances, project_files, read_text

# From the bottom layer up; rooms on one line do not know one another.
ROOMS = [
    ["base"],
    ["os"],
    ["wire"],
    ["spawner"],
    ["io"],
    ["store"],
    ["telemetry"],
    ["sandbox"],
    ["functions"],
    ["engine"],
    ["simulation"],
    ["queues", "tables", "identity", "buckets"],
    ["triggers", "workflows"],
    ["cluster"],
    ["gateway"],
    ["aws"],
    ["dialects"],
    ["server"],
    ["cli"],
]
# A program, not a library: nobody else includes it.
CLOSED = {"spawner"}

_ASIO = r"boost/(asio|beast)"
_THREADS = r"thread$|future$"
FORBIDDEN = {
    "base": [_ASIO, r"rocksdb/", r"sys/(socket|mount|epoll)\.h"],
    "os": [_ASIO, r"rocksdb/", _THREADS],
    "wire": [_ASIO, r"rocksdb/", r"sys/socket\.h", r"fcntl\.h", _THREADS],
    "spawner": [_ASIO, r"rocksdb/", _THREADS],
    "functions": [r"rocksdb/"],
    "engine": [r"boost/beast", r"rocksdb/"],
    "simulation": [_ASIO, r"rocksdb/", _THREADS],
    "gateway": [r"rocksdb/"],
}

# What a room may include of those above it, where that is not all.
ONLY = {
    "simulation": r"base/|engine/policy/|engine/(scaler|median)\.h$",
}

LEVEL = {room: level for level, row in enumerate(ROOMS) for room in row}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)


def check(root=ROOT, allow=None):
    allow = allow or Allowances(os.path.join(root, "tools", "allow.txt"))
    faults = []
    for name in project_files(root):
        parts = name.split("/")
        if parts[0] != "src" or not name.endswith((".h", ".cc")):
            continue
        room = parts[1] if len(parts) > 2 else ""
        if room not in LEVEL:
            faults.append(f"{name}: '{room or 'src'}' is not a room of the table in tools/check_rooms.py")
            continue
        text = read_text(root, name) or ""
        for match in _INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(0)) + 1
            own, system = match.group(1), match.group(2)
            if system is not None:
                for pattern in FORBIDDEN.get(room, []):
                    if re.match(pattern, system) and not allow.allows("rooms", name):
                        faults.append(f"{name}:{line}: the room {room} must not use <{system}>")
                continue
            other = own.split("/")[0]
            if "/" not in own or other not in LEVEL or other == room:
                continue
            only = ONLY.get(room)
            if only and not re.match(only, own) and not allow.allows("rooms", name):
                faults.append(f"{name}:{line}: includes \"{own}\"; {room} may use only {only}")
                continue
            if (LEVEL[other] >= LEVEL[room] or other in CLOSED) and not allow.allows("rooms", name):
                why = "is a program of its own" if other in CLOSED else f"does not stand above {room}"
                faults.append(f"{name}:{line}: includes \"{own}\", but {other} {why}")
    return allow.errors + faults


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) if found else "rooms: in order")
    sys.exit(1 if found else 0)
