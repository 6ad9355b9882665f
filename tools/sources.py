"""What the checks look at: the project's own files, and C++ text without comments and strings."""

import fnmatch
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = {"build", "node_modules", "__pycache__", ".git", ".pytest_cache"}


def project_files(root=ROOT):
    """Relative paths of all files that git knows or would add; of all files where there is no git."""
    try:
        out = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True).stdout.decode()
        top = subprocess.run(["git", "-C", root, "rev-parse", "--show-toplevel"],
                             capture_output=True, check=True, text=True).stdout.strip()
        if os.path.samefile(top, root):
            names = [n for n in out.split("\0") if n and os.path.isfile(os.path.join(root, n))]
            return sorted(set(names))
    except (OSError, subprocess.CalledProcessError):
        pass
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith("build-")]
        names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(names)


def read_text(root, name):
    """The file's text, or None for a binary file."""
    with open(os.path.join(root, name), "rb") as f:
        data = f.read()
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", "replace")


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\ ]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


def strip_cpp(text):
    """Comments and literals become blanks; line numbers stay."""
    def blank(match):
        token = match.group(0)
        lines = "\n" * token.count("\n")
        if token.startswith("/"):
            return " " + lines
        return '""' + lines if token[0] in '"R' else "' '"
    return _TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matching(text, position, opening="(", closing=")"):
    """Index just behind the bracket that closes the one at position; len(text) if none does."""
    depth = 0
    for i in range(position, len(text)):
        if text[i] == opening:
            depth += 1
        elif text[i] == closing:
            depth -= 1
            if depth == 0:
                return i + 1
    return len(text)


class Allowances:
    """tools/allow.txt: 'rule  path-pattern  reason' on each line; a reason is demanded."""

    def __init__(self, path):
        self.rows, self.errors = [], []
        if not os.path.exists(path):
            return
        with open(path) as f:
            for number, line in enumerate(f, 1):
                line = line.strip()
                if not line or line.startswith("#"):
                    continue
                parts = line.split(None, 2)
                if len(parts) < 3:
                    self.errors.append(f"{path}:{number}: an allowance needs a rule, a path and a reason")
                else:
                    self.rows.append(parts)

    def allows(self, rule, name):
        return any(r == rule and fnmatch.fnmatchcase(name, p) for r, p, _ in self.rows)
