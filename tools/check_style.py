#!/usr/bin/env python3
"""check_style.py [ROOT]: the project's own bans, and dead links in Markdown.

Each rule has a name; an exception needs a line in tools/allow.txt with its reason.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sources import ROOT, Allowances, line_of, matching, project_files, read_text, strip_cpp

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 90
CODE = (".cc", ".h", ".c", ".py", ".js", ".mjs", ".cjs", ".sh", ".ts", ".go")

# rule, where (regex on the path), what (regex on C++ text without comments and literals), why
CPP_BANS = [
    ("fork", r"src/(?!spawner/|os/)", r"(?<![\w.>])(?:::)?v?fork\s*\(",
     "only the spawner forks: the server has threads"),
    ("detached", r"src/", r"\basio::detached\b",
     "a detached task loses its exceptions; spawn it through io/"),
    ("thread", r"src/(?!io/|telemetry/|store/)", r"\bstd::j?thread\b(?!::)",
     "threads belong to io, telemetry and store"),
    ("exit", r"src/spawner/", r"(?<!_)\bexit\s*\(", "the spawner's children leave by _exit"),
    ("cloexec", r"src/", r"(?<![\w.>])::(?:pipe|accept|dup|epoll_create|creat)\s*\(",
     "makes a descriptor that is not CLOEXEC from birth"),
]
# Calls that make descriptors: the argument list has to name a CLOEXEC flag.
_FD_CALL = re.compile(
    r"(?<![\w.>:])(?:::)?(open|openat|socket|socketpair|accept4|pipe2|memfd_create|eventfd|signalfd|"
    r"epoll_create1|timerfd_create|recvmsg|inotify_init1|dup3|open_tree|fsopen|fsmount)\s*\(")
_FD_ARGUMENT = {
    "open": r"\bO_[A-Z]+", "openat": r"\bO_[A-Z]+", "socket": r"\bSOCK_[A-Z]+",
    "socketpair": r"\bSOCK_[A-Z]+", "recvmsg": r",", "accept4": r",",
}
_CO_SPAWN = re.compile(r"\bco_spawn\s*\(")
# A completion that drops the exception: a handler whose parameter has no name, or takes anything.
_DROPS = re.compile(r"\(\s*(?:const\s+)?std::exception_ptr\s*&?\s*[,)]|\(\s*auto\s*&{0,2}\s*\.\.\.\s*\)"
                    r"|\[\s*\]\s*\{|\[\s*\]\s*\(\s*\)")
_SLEEP = re.compile(r"\bsleep_for\s*\(|\bsleep_until\s*\(|\btime\.sleep\s*\(|\busleep\s*\("
                    r"|\bnanosleep\s*\(|^\s*sleep\s+[\d.$]", re.M)
# Written in pieces, so that this file does not trip over itself.
_UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
_MACHINE = re.compile(r"(?<![\w.~}$])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "home/[a-z]+"]) + r")/\w"
                      r"|\b" + "|".join([r"registry\.npm" + r"js\.org", r"deb\.deb" + r"ian\.org",
                                         r"\bpypi\." + "org"]))
_LAMBDA = re.compile(r"\[([^\[\]]*)\]\s*(\((?:[^()]|\([^()]*\))*\))?\s*(?:mutable\b|noexcept\b|\s)*"
                     r"(->[^{};]+?)?\s*\{")
_COROUTINE = re.compile(r"\bco_(?:await|return|yield)\b")


def lambda_coroutines(text):
    """Positions of lambdas that capture something and are coroutines themselves."""
    found = []
    for match in _LAMBDA.finditer(text):
        before = text[:match.start()].rstrip()
        if not match.group(1).strip() or before[-1:].isalnum() or before[-1:] in ("_", ")", "]", "["):
            continue  # no capture, or a subscript
        opening = match.end() - 1
        body = text[opening + 1:matching(text, opening, "{", "}") - 1]
        while True:  # what inner lambdas do is their own affair
            inner = _LAMBDA.search(body)
            if not inner:
                break
            end = matching(body, inner.end() - 1, "{", "}")
            body = body[:inner.start()] + body[end:]
        if _COROUTINE.search(body):
            found.append(match.start())
    return found


_CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$")


def long_functions(text):
    """(line, length) of function bodies longer than the limit; a heuristic over braces."""
    stack, found, start = [], [], 0  # stack: (is_container, line) for each open brace
    for i, c in enumerate(text):
        if c in ";}":
            start = i + 1
        if c == "{":
            head = text[start:i]
            outside = all(kind for kind, _ in stack)
            container = outside and ("(" not in head or bool(_CONTAINER.search(head)))
            stack.append((container, line_of(text, i) if outside and not container else 0))
            start = i + 1
        elif c == "}" and stack:
            _, line = stack.pop()
            if line:
                length = line_of(text, i) - line + 1
                if length > FUNCTION_LINES_MAX:
                    found.append((line, length))
    return found


def check_cpp(name, text, say):
    code = strip_cpp(text)
    for rule, where, what, why in CPP_BANS:
        if re.match(where, name):
            for match in re.finditer(what, code):
                say(rule, line_of(code, match.start()), why)
    if name.startswith("src/"):
        for match in _FD_CALL.finditer(code):
            arguments = code[match.end():matching(code, match.end() - 1)]
            for constant in re.findall(r"\bk[A-Z]\w*", arguments):  # flags under a name of this file
                value = re.search(r"\b%s\s*=([^;]*);" % constant, code)
                arguments += value.group(1) if value else ""
            wanted = _FD_ARGUMENT.get(match.group(1))
            if (not wanted or re.search(wanted, arguments)) and "CLOEXEC" not in arguments.upper():
                say("cloexec", line_of(code, match.start()), f"{match.group(1)}() without a CLOEXEC flag")
        for match in _CO_SPAWN.finditer(code):
            arguments = code[match.end():matching(code, match.end() - 1) - 1]
            if arguments.count(",") < 2 or _DROPS.search(arguments):
                say("co_spawn", line_of(code, match.start()),
                    "a task whose exception nobody sees; give it a handler that logs")
    for position in lambda_coroutines(code):
        say("lambda", line_of(code, position),
            "a coroutine lambda with captures: GCC 12 destroys them twice; use a named function")
    for line, length in long_functions(code):
        say("function-length", line, f"a function of {length} lines; the limit is {FUNCTION_LINES_MAX}")


def anchor_of(heading):
    heading = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def check_links(root, name, text, say):
    plain = re.sub(r"```.*?```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
    plain = re.sub(r"`[^`\n]*`", "", plain)
    for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)", plain):
        target, _, anchor = match.group(1).partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # another site: not ours to check without a network
        line = line_of(plain, match.start())
        path = os.path.normpath(os.path.join(root, os.path.dirname(name), target)) if target \
            else os.path.join(root, name)
        if not os.path.exists(path):
            say("link", line, f"a link to {target}, which is not there")
        elif anchor and path.endswith(".md"):
            with open(path) as f:
                headings = re.findall(r"^#+\s+(.*)$", f.read(), re.M)
            if anchor not in {anchor_of(h) for h in headings}:
                say("link", line, f"a link to #{anchor}, and no heading of {target or name} has that name")


def check(root=ROOT, allow=None):
    allow = allow or Allowances(os.path.join(root, "tools", "allow.txt"))
    faults = []
    for name in project_files(root):
        text = read_text(root, name)
        if text is None:
            continue

        def say(rule, line, why, name=name):
            if not allow.allows(rule, name):
                faults.append(f"{name}:{line}: {why} [{rule}]")

        for match in _UNFINISHED.finditer(text):
            say("unfinished", line_of(text, match.start()), f"says {match.group(0)}")
        for match in _MACHINE.finditer(text):
            say("machine-path", line_of(text, match.start()), f"names a place of one machine: {match.group(0)}")
        if name.endswith(CODE) and text.count("\n") > FILE_LINES_MAX:
            say("file-length", 1, f"{text.count(chr(10))} lines; the limit is {FILE_LINES_MAX}")
        # The code of functions under test may sleep: that is their job.
        if name.startswith("tests/") and not re.search(r"/(functions|fixtures)/", name):
            for match in _SLEEP.finditer(text):
                say("sleep", line_of(text, match.start()), "a test waits for an event, not for a time")
        if name.endswith((".cc", ".h")):
            check_cpp(name, text, say)
        if name.endswith(".md"):
            check_links(root, name, text, say)
    return allow.errors + faults


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) if found else "style: clean")
    sys.exit(1 if found else 0)
