"""A real server for tests: starts build/mayfly on free ports with its own data directory, speaks with
it by HTTP, curl and the CLI, and can say what a stopped server left behind."""

import base64
import functools
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zipfile
from urllib.parse import urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("MAYFLY_BUILD_DIR", os.path.join(ROOT, "build")))
MAYFLY = os.path.join(BUILD, "mayfly")
FUNCTIONS = os.path.join(ROOT, "tests", "support", "functions")
EXAMPLES = os.path.join(ROOT, "examples")
# An instrumented build is slower; so is a machine that others use.
PATIENCE = float(os.environ.get("MAYFLY_TEST_PATIENCE", "3" if re.search("asan|sanitize", BUILD) else "1"))


def eventually(check, what, timeout=30.0, interval=0.01):
    """Polls until check() is true and returns its value; fails with `what` after the deadline."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout * PATIENCE:g} s: "
                                 f"{what() if callable(what) else what}")
        time.sleep(interval)


class Answer:
    """An HTTP answer: status, headers as a list of pairs, body as bytes."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"not JSON: {self!r}") from None

    @property
    def error(self):
        """The error object of a failure; an AssertionError when the answer has none."""
        assert isinstance(self.json, dict) and "error" in self.json, repr(self)
        return self.json["error"]

    @property
    def request_id(self):
        return self.header("X-Mayfly-Request-Id")

    def expect(self, *statuses):
        assert self.status in statuses, repr(self)
        return self

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:2000]!r}>"


class CommandResult:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"not JSON: {self!r}") from None

    @property
    def lines(self):
        """NDJSON, or one JSON array, as a list."""
        text = self.out.decode().strip()
        if text.startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line]

    def __repr__(self):
        return (f"`{' '.join(map(str, self.words))}` exit {self.code}\n--- stdout\n"
                f"{self.out.decode('utf-8', 'replace')[-3000:]}\n--- stderr\n{self.err[-3000:]}")


def run(words, timeout=60, check=None, input=None, env=None, cwd=None):
    """Runs a command. check: the exit code that is demanded, or None."""
    if isinstance(input, str):
        input = input.encode()
    done = subprocess.run([str(w) for w in words], capture_output=True, timeout=timeout * PATIENCE,
                          input=input if input is not None else b"", env=env, cwd=cwd)
    result = CommandResult(words, done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
    if check is not None:
        assert done.returncode == check, repr(result)
    return result


def request(base, method, target, body=None, headers=None, timeout=30):
    """One exchange on a connection of its own. headers: a dict or a list of pairs."""
    url = urlsplit(base)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout * PATIENCE)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        given = {k.lower() for k, _ in pairs}
        if isinstance(body, str):
            body = body.encode()
        if body is not None and not given & {"content-length", "transfer-encoding"}:
            pairs.append(("Content-Length", str(len(body))))
        for name, value in pairs:
            connection.putheader(name, value)
        connection.endheaders()
        if body:
            try:
                connection.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the answer may have come before the body was read
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()


class RawConnection:
    """A TCP connection for bytes as they are."""

    def __init__(self, base, timeout=10):
        url = urlsplit(base)
        self.socket = socket.create_connection((url.hostname, url.port), timeout * PATIENCE)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def read_until(self, mark):
        """Everything up to and with mark; less when the peer closes before."""
        while mark not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                break
            self.buffer += data
        end = self.buffer.find(mark)
        end = len(self.buffer) if end < 0 else end + len(mark)
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    def read_exactly(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            assert data, f"closed after {self.buffer!r}"
            self.buffer += data
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def read_all(self):
        while True:
            data = self.socket.recv(65536)
            if not data:
                found, self.buffer = self.buffer, b""
                return found
            self.buffer += data

    def read_head(self):
        """(status, [(name, value)]) of the next answer."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert lines[0].startswith("HTTP/1."), lines
        return int(lines[0].split()[1]), [tuple(h.split(": ", 1)) for h in lines[1:] if h]

    def read_answer(self, head_only=False):
        status, headers = self.read_head()
        fields = {k.lower(): v for k, v in headers}
        body = b""
        if not head_only and status not in (204, 304) and status >= 200:
            if "chunked" in fields.get("transfer-encoding", ""):
                while True:
                    size = int(self.read_until(b"\r\n").split(b";")[0], 16)
                    body += self.read_exactly(size)
                    self.read_until(b"\r\n")
                    if size == 0:
                        break
            elif "content-length" in fields:
                body = self.read_exactly(int(fields["content-length"]))
            else:
                body = self.read_all()
        return Answer(status, headers, body)

    def get(self, target):
        """Sends a GET and does not wait."""
        self.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        return self

    def read_chunk(self):
        """The next chunk of a chunked body; b'' at its end."""
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        data = self.read_exactly(size)
        self.read_until(b"\r\n")
        return data


# -- processes, mounts, cgroups ---------------------------------------------------------------------

def process_table():
    """{pid: (parent, start time)} of all processes."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    text = f.read()
            except OSError:
                continue
            fields = text[text.rindex(")") + 2:].split()
            table[int(entry)] = (int(fields[1]), int(fields[19]), fields[0])
    return table


def descendants(pid, table=None):
    """{pid: start time} of everything below pid."""
    table = table or process_table()
    children = {}
    for child, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(child)
    found, todo = {}, [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            if child not in found:
                found[child] = table[child][1]
                todo.append(child)
    return found


def waits_without_limit(pid):
    """Whether a process waits for events with no time limit: a spawner has one while it fills its pools
    and removes what has ended."""
    with open(f"/proc/{pid}/syscall") as f:
        words = f.read().split()  # number, then arguments; the limit is epoll_wait's fourth
    return len(words) > 5 and int(words[4], 16) & 0xffffffff == 0xffffffff


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def mounts_with(text):
    with open("/proc/self/mountinfo") as f:
        return sorted(line.split()[4] for line in f if text in line)


def mayfly_cgroups(tags=("mayfly",)):
    """Cgroup directories whose path has one of the words, in every hierarchy."""
    found = set()
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in folders:
            if any(tag in name for tag in tags):
                for below, _, _ in os.walk(os.path.join(root, name)):
                    found.add(below)
    return found


def cgroup_tags(pids):
    """Names of the folders in which a spawner keeps the cgroups of these processes."""
    tags = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cgroup") as f:
                tags.update(re.findall(r"/(mayfly-[0-9a-f]{6,})(?=/|$)", f.read(), re.M))
        except OSError:
            continue
    return tags


def network_namespaces(tags):
    """Network namespaces of the processes in cgroups of these spawners, whoever their parents are; with
    no cgroups here, of all processes."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (not tags or cgroup_tags([entry]) & tags):
            try:
                found.add(os.readlink(f"/proc/{entry}/ns/net"))
            except OSError:
                continue
    return found


class Census:
    """What there was before a server; leftovers() says what there is too much afterwards."""

    def __init__(self):
        self.tags = set()  # cgroup folders of the server's spawner
        self.named_netns = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
        self.interfaces = set(os.listdir("/sys/class/net"))
        self.seen = {}  # pid -> start time of everything that a server was seen to have started

    def watch(self, pid):
        """Notes what runs below pid now."""
        below = descendants(pid)
        self.seen.update(below)
        self.tags |= cgroup_tags(below)

    def leftovers(self, data):
        table = process_table()
        alive = [f"process {pid}: {command_of(pid)}" for pid, start in self.seen.items()
                 if pid in table and table[pid][1] == start and table[pid][2] != "Z"]
        here = [f"process {pid}: {command_of(pid)}" for pid in table
                if data in command_of(pid) and "pytest" not in command_of(pid)]
        netns = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
        return (alive + here + [f"mount {m}" for m in mounts_with(data)]
                + [f"cgroup {c}" for c in sorted(mayfly_cgroups(self.tags) if self.tags else ())]
                + [f"network namespace {n}" for n in sorted(netns - self.named_netns)]
                + [f"interface {i}" for i in sorted(set(os.listdir("/sys/class/net")) - self.interfaces)])

    def assert_clean(self, data, timeout=10.0):
        eventually(lambda: not self.leftovers(data), lambda: f"left behind: {self.leftovers(data)}",
                   timeout)


# -- the server -------------------------------------------------------------------------------------

class Server:
    def __init__(self, data=None, config=None, args=(), env=None, wrap=()):
        """config: text of a settings file. wrap: words before the command (unshare, setpriv ...)."""
        self.own_data = data is None
        self.home = tempfile.mkdtemp(prefix="mayfly-home-")
        self.data = data or os.path.join(self.home, "data")
        self.args, self.env, self.wrap = list(args), dict(env or {}), list(wrap)
        if config is not None:
            path = os.path.join(self.home, "settings.yaml")
            with open(path, "w") as f:
                f.write(config)
            self.args += ["--config", path]
        self.log_path = os.path.join(self.home, "server.log")
        self.process = None
        self.gateway = self.api_url = self.key = None
        self.census = Census()

    # Life

    def launch(self):
        """Starts the program and does not wait."""
        log = open(self.log_path, "ab")
        environment = {**os.environ, "HOME": self.home, **self.env}
        for name in ("MAYFLY_API", "MAYFLY_KEY", "MAYFLY_DATA", "XDG_DATA_HOME"):
            if name not in self.env:
                environment.pop(name, None)
        self.process = subprocess.Popen(
            [*self.wrap, MAYFLY, "serve", "--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0",
             "--data", self.data, *self.args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment,
            start_new_session=True)
        log.close()
        return self

    def start(self, timeout=30):
        self.launch()
        line = self.read_ready_line(timeout)
        match = re.fullmatch(r"ready gateway=(http://\S+) api=(http://\S+) data=(.+)", line)
        assert match, f"not the ready line: {line!r}\n{self.log()}"
        self.gateway, self.api_url = match.group(1), match.group(2)
        assert os.path.realpath(match.group(3)) == os.path.realpath(self.data), line
        if os.path.exists(os.path.join(self.data, "api.key")):
            with open(os.path.join(self.data, "api.key")) as f:
                self.key = f.read().strip()
        return self

    def read_ready_line(self, timeout=30):
        out = self.process.stdout
        os.set_blocking(out.fileno(), False)
        collected = b""

        def step():
            nonlocal collected
            data = out.read() or b""
            collected += data
            return b"\n" in collected or self.process.poll() is not None

        eventually(step, lambda: f"no ready line; log:\n{self.log()}", timeout)
        assert b"\n" in collected, f"ended with {self.process.returncode}:\n{self.log()}"
        return collected.split(b"\n")[0].decode()

    def stop(self, timeout=60, clean=True):
        """SIGTERM, waits, and checks that nothing is left; returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.census.watch(self.process.pid)
            self.process.terminate()
        try:
            code = self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {timeout} s after SIGTERM:\n{self.log()}") from None
        finally:
            self.process.stdout.close()
            self.process = None
        if clean:
            self.census.assert_clean(self.data)
        return code

    def kill(self):
        """kill -9; returns when the process is gone."""
        self.census.watch(self.process.pid)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Ends everything and removes the files; never raises for a server that a test has broken."""
        if self.process is not None:
            self.census.watch(self.process.pid)
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
            try:
                self.census.assert_clean(self.data, 5)
            except AssertionError:
                pass  # the test that killed it has said what is wrong
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()[-6000:]
        except OSError:
            return ""

    @property
    def pid(self):
        return self.process.pid

    def spawner_pid(self, folder="spawner"):
        """That of the server's first loop; of loop 2 it is in the folder spawner-1, and so on."""
        for pid in descendants(self.pid):
            try:
                program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")  # rebuilt meanwhile
                if os.path.basename(program) == "mayfly-spawner":
                    with open(f"/proc/{pid}/stat") as f:
                        text = f.read()
                    parent = int(text[text.rindex(")") + 2:].split()[1])
                    if parent == self.pid and command_of(pid).split(" --no-nat")[0].endswith("/" + folder):
                        return pid
            except OSError:
                continue
        return None

    # Speaking with it

    def http(self, method, target, body=None, headers=None, timeout=30):
        return request(self.gateway, method, target, body, headers, timeout)

    def call(self, name, body=None, method=None, path="", headers=None, timeout=30):
        """A call through the gateway's /function/NAME."""
        return self.http(method or ("GET" if body is None else "POST"), f"/function/{name}{path}", body,
                         headers, timeout)

    def api(self, method, target, body=None, headers=None, key=None, timeout=60):
        pairs = {"Authorization": f"Bearer {self.key if key is None else key}", **(headers or {})}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            pairs.setdefault("Content-Type", "application/json")
        return request(self.api_url, method, target, body, pairs, timeout)

    def invoke(self, name, event=None, timeout=60, **query):
        """The raw invocation through the API."""
        suffix = "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
        return self.api("POST", f"/v1/functions/{name}/invoke{suffix}", json.dumps(event), timeout=timeout)

    def cli(self, *words, check=0, input=None, timeout=60, env=None, cwd=None):
        environment = {**os.environ, "HOME": self.home, "MAYFLY_API": self.api_url or "",
                       "MAYFLY_KEY": self.key or "", **(env or {})}
        return run([MAYFLY, *words], timeout, check, input, environment, cwd)

    def curl(self, *words, check=0, timeout=60):
        return run(["curl", "-sS", "--max-time", str(int(timeout * PATIENCE)), *words], timeout + 5, check)

    def deploy(self, path, *flags, check=0, timeout=120):
        """mayfly deploy PATH ...; the parsed answer of --json when it succeeded."""
        result = self.cli("deploy", path, "--json", *flags, check=check, timeout=timeout)
        return result.json if check == 0 else result

    def deploy_source(self, name, file_name, source, *flags, check=0):
        """Deploys source text as a single file."""
        folder = tempfile.mkdtemp(dir=self.home)
        path = os.path.join(folder, file_name)
        with open(path, "w") as f:
            f.write(source)
        if file_name.endswith(".sh") or source.startswith("#!"):
            os.chmod(path, 0o755)
        return self.deploy(path, "--name", name, *flags, check=check)

    def put_package(self, data):
        return self.api("PUT", "/v1/packages", data, {"Content-Type": "application/octet-stream"})

    def put_function(self, name, package, settings=None, check=True):
        return self.api("PUT", f"/v1/functions/{name}",
                        {"package": package, "settings": settings or {}, "check": check})

    def stats(self, name):
        """The row of one function in /v1/stats."""
        rows = self.api("GET", f"/v1/stats?function={name}").expect(200).json["functions"]
        return next((r for r in rows if r.get("function", r.get("name")) == name), {})

    def invocations(self, **query):
        suffix = "&".join(f"{k}={v}" for k, v in query.items())
        return self.api("GET", f"/v1/invocations?{suffix}").expect(200).json["invocations"]

    def record(self, request_id):
        """The invocation record of a request; records are written in batches, so wait for it."""
        return eventually(lambda: next(iter(self.invocations(request_id=request_id)), None),
                          f"a record of {request_id}")

    def logs(self, name, **query):
        suffix = "&".join(f"{k}={v}" for k, v in query.items())
        answer = self.api("GET", f"/v1/functions/{name}/logs?{suffix}").expect(200)
        return [json.loads(line) for line in answer.text.splitlines() if line]

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        values = {}
        for line in self.api("GET", "/metrics").expect(200).text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values


def fixture_path(name):
    return os.path.join(FUNCTIONS, name)


def zip_bytes(files):
    """A zip of {name: text or bytes}; the same content gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100755 << 16
            archive.writestr(info, data)
    return out.getvalue()


def decode_log_tail(answer):
    return base64.b64decode(answer.header("X-Mayfly-Log-Tail") or "").decode("utf-8", "replace")


def needs(*programs):
    """pytest.skip with the reason when a program is missing."""
    import pytest
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            pytest.skip(f"{program} is not installed")


@functools.lru_cache
def registry_reachable():
    """Whether npm can fetch from its registry here."""
    try:
        done = subprocess.run(["npm", "view", "is-number@7.0.0", "version", "--fetch-retries=0",
                               "--fetch-timeout=8000"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
