"""Drives a runtime over a socket pair, as the engine does: no sandbox, no server."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

INVOKE, DATA, CANCEL, WINDOW, SHUTDOWN, ANSWER = 1, 2, 3, 4, 5, 6
READY, INIT_ERROR, REPLY, ERROR, LOG, EFFECTS, ASK = 65, 66, 67, 69, 70, 71, 72
END, HTTP = 1, 2
INITIAL_WINDOW = 1 << 20
MAX_FRAME = 64 << 20
HEADER = struct.Struct("<IIBBH")

TIMEOUT = float(os.environ.get("MAYFLY_TEST_TIMEOUT") or 60.0)  # seconds for one answer or an end, on a machine that others use; longer is broken
# Time, request id and level before what console.log prints, as on AWS.
CONSOLE = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z\t[^\t\n]*\t[A-Z]+\t", re.M)
ARN = "arn:aws:lambda:eu-local-1:000000000000:function:conformance"


def frame(stream, kind, flags=0, payload=b""):
    return HEADER.pack(len(payload), stream, kind, flags, 0) + payload


def blob(data):
    return struct.pack("<I", len(data)) + data


def to_json(value):
    return json.dumps(value, ensure_ascii=False).encode()


def invoke_frame(stream, body, head=None, meta=None, end=True):
    """An invoke frame; head: dict of an HTTP request, or None for an event."""
    meta = dict(meta or {})
    meta.setdefault("id", "request-%d" % stream)
    meta.setdefault("deadline_ms", int(time.time() * 1000) + 30000)
    meta.setdefault("trace", "")
    meta.setdefault("client_context", "")
    meta.setdefault("arn", ARN)
    flags = (END if end else 0) | (HTTP if head is not None else 0)
    payload = blob(to_json(meta)) + blob(to_json(head) if head is not None else b"") + body
    return frame(stream, INVOKE, flags, payload)


def http_head(method="GET", path="/", query="", headers=(), base="", remote="192.0.2.7"):
    fields = [list(field) for field in headers]
    if not any(name.lower() == "host" for name, _ in fields):
        fields.insert(0, ["Host", "example.test:8080"])
    return {
        "method": method,
        "path": path,
        "query": query,
        "headers": fields,
        "remote": remote,
        "scheme": "http",
        "version": "1.1",
        "base": base,
    }


class Broken(AssertionError):
    """The runtime broke the protocol, or did not answer in time."""


class Call:
    """What has come back on one stream."""

    def __init__(self, stream):
        self.stream = stream
        self.replied = False
        self.http = False
        self.head = None
        self.chunks = []
        self.error = None
        self.done = False
        self.logs = []
        self.request_credit = INITIAL_WINDOW
        self.response_credit = INITIAL_WINDOW
        self.window_frames = 0
        self.effects = None  # what was staged
        self.questions = []  # (number, question) not answered yet

    @property
    def body(self):
        return b"".join(self.chunks)

    def result(self):
        """The JSON value of an event that went well."""
        assert self.error is None, self.error
        assert not self.http, "a plain result was expected, not an HTTP response"
        return json.loads(self.body.decode())

    def header(self, name):
        found = [value for key, value in self.head["headers"] if key.lower() == name.lower()]
        return found[0] if found else None

    def headers(self, name):
        return [value for key, value in self.head["headers"] if key.lower() == name.lower()]

    def log(self, which=None):
        """What was printed, without what Lambda's console puts before a line."""
        return CONSOLE.sub("", self.logged(which))

    def logged(self, which=None):
        return "".join(text for kind, text in self.logs if which in (None, kind))


class Runtime:
    """One started runtime process. Use as a context manager."""

    def __init__(self, argv, env, cwd, grant=True):
        self.grant = grant  # give credit back for every response byte received
        self.calls = {}
        self.loose = []  # logs of stream 0
        self.ready = None
        self.init_error = None
        self.buffer = bytearray()
        self.next_stream = 1
        self.ended = False
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.pipes = [os.pipe(), os.pipe()]
        self.process = self.begin(argv, env, cwd, theirs)
        theirs.close()
        for _, end in self.pipes:
            os.close(end)
        self.raw = [b"", b""]

    def descriptors(self):
        """Number -> descriptor of what the process gets beside the channel."""
        return {}

    def begin(self, argv, env, cwd, channel):
        wanted = {3: channel.fileno(), **self.descriptors()}
        high = {number: fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for number, fd in wanted.items()}

        def at_their_places():
            for number, fd in high.items():
                os.dup2(fd, number)

        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self.pipes[0][1],
            stderr=self.pipes[1][1],
            preexec_fn=at_their_places,
            pass_fds=tuple(wanted),
        )
        for fd in high.values():
            os.close(fd)
        return process

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.close_pipes()
            raise Broken("the runtime did not end when its channel was closed") from None
        self.close_pipes()

    def close_pipes(self):
        for number, (end, _) in enumerate(self.pipes):
            while True:
                data = os.read(end, 65536)
                if not data:
                    break
                self.raw[number] += data
            os.close(end)

    # ---- sending

    def send(self, data):
        """Sends while taking in what comes, as an event loop would."""
        view = memoryview(data)
        self.socket.setblocking(False)
        until = time.monotonic() + TIMEOUT
        while view:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 1.0)
            if readable:
                self.receive()
            if writable and not self.ended:
                try:
                    view = view[self.socket.send(view) :]
                except BlockingIOError:
                    pass
            if self.ended or time.monotonic() > until:
                raise Broken("the runtime takes no more bytes")

    def open(self):
        call = Call(self.next_stream)
        self.calls[call.stream] = call
        self.next_stream += 1
        return call

    def start_event(self, event, meta=None):
        """Sends an event; a large one in pieces, within the credit. Returns the Call."""
        return self.start(to_json(event), None, meta)

    def start_http(self, method="GET", path="/", body=b"", **head):
        return self.start(body, http_head(method, path, **head))

    def start(self, body, head=None, meta=None):
        call = self.open()
        first = body[: 256 << 10]
        call.request_credit -= len(first)
        self.send(invoke_frame(call.stream, first, head, meta, end=len(first) == len(body)))
        if len(first) < len(body):
            self.send_data(call, body[len(first) :], end=True)
        return call

    def send_data(self, call, data, end):
        at = 0
        while True:
            count = min(len(data) - at, 256 << 10, call.request_credit)
            if count == 0 and at < len(data):
                self.wait(lambda: call.request_credit > 0 or call.done, "credit for the request")
                if call.done:
                    return
                continue
            call.request_credit -= count
            last = end and at + count == len(data)
            self.send(frame(call.stream, DATA, END if last else 0, data[at : at + count]))
            at += count
            if at == len(data):
                return

    def credit(self, call, count):
        call.response_credit += count
        self.send(frame(call.stream, WINDOW, 0, struct.pack("<I", count)))

    def cancel(self, call):
        self.send(frame(call.stream, CANCEL))

    def answer(self, call, answer):
        """Answers the oldest question of the call, once it is there; returns the question."""
        self.wait(lambda: call.questions or call.done, "question of stream %d" % call.stream)
        number, question = call.questions.pop(0)
        self.send(frame(call.stream, ANSWER, 0, struct.pack("<I", number) + to_json(answer)))
        return question

    def shutdown(self):
        """Asks the runtime to end; returns its exit status."""
        self.send(frame(0, SHUTDOWN))
        until = time.monotonic() + TIMEOUT
        while not self.ended:
            if time.monotonic() > until:
                raise Broken("the runtime did not end after a shutdown frame")
            self.poll(0.5)
        return self.process.wait(TIMEOUT)

    # ---- receiving

    def receive(self):
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            return
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 12:
            size, stream, kind, flags, zero = HEADER.unpack_from(self.buffer, at)
            if zero or size > MAX_FRAME or flags & ~3:
                raise Broken("bad frame header %r" % (bytes(self.buffer[at : at + 12]),))
            if len(self.buffer) - at < 12 + size:
                break
            payload = bytes(self.buffer[at + 12 : at + 12 + size])
            at += 12 + size
            self.take(stream, kind, flags, payload)
        del self.buffer[:at]

    def take(self, stream, kind, flags, payload):
        if kind == READY:
            self.ready = json.loads(payload.decode())
            return
        if kind == INIT_ERROR:
            self.init_error = json.loads(payload.decode())
            return
        if kind == LOG:
            if payload[:1] not in (b"\1", b"\2") or not payload.endswith(b"\n"):
                raise Broken("bad log frame %r" % payload[:80])
            entry = (payload[0], payload[1:].decode())
            (self.calls[stream].logs if stream else self.loose).append(entry)
            return
        call = self.calls[stream]
        if kind == WINDOW:
            call.request_credit += struct.unpack("<I", payload)[0]
            call.window_frames += 1
            return
        if call.done:
            raise Broken("frame of type %d after the end of stream %d" % (kind, stream))
        if kind == EFFECTS:
            if call.replied or call.effects is not None:
                raise Broken("an effects frame out of turn")
            call.effects = json.loads(payload.decode())
        elif kind == ASK:
            (number,) = struct.unpack_from("<I", payload)
            call.questions.append((number, json.loads(payload[4:].decode())))
        elif kind == REPLY:
            self.take_reply(call, flags, payload)
        elif kind == DATA:
            if not call.replied:
                raise Broken("data before the reply")
            self.take_body(call, payload)
            call.done = bool(flags & END)
        elif kind == ERROR:
            call.error = json.loads(payload.decode())
            call.done = True
        else:
            raise Broken("unexpected frame type %d" % kind)

    def take_reply(self, call, flags, payload):
        if call.replied:
            raise Broken("a second reply")
        (size,) = struct.unpack_from("<I", payload)
        if 4 + size > len(payload):
            raise Broken("the length of the head does not fit")
        call.replied = True
        call.http = bool(flags & HTTP)
        if call.http != bool(size):
            raise Broken("the HTTP flag and the head do not agree")
        if size:
            call.head = json.loads(payload[4 : 4 + size].decode())
        self.take_body(call, payload[4 + size :])
        call.done = bool(flags & END)

    def take_body(self, call, data):
        if data:
            call.chunks.append(data)
        call.response_credit -= len(data)
        if call.response_credit < 0:
            raise Broken("the runtime sent more than its credit")
        if self.grant and call.response_credit < INITIAL_WINDOW // 2:
            count = INITIAL_WINDOW - call.response_credit
            call.response_credit += count
            self.socket.setblocking(True)
            self.socket.sendall(frame(call.stream, WINDOW, 0, struct.pack("<I", count)))

    def poll(self, seconds):
        """Takes in what comes within that time; False when nothing did."""
        readable, _, _ = select.select([self.socket], [], [], seconds)
        if readable:
            self.socket.setblocking(False)
            self.receive()
        return bool(readable)

    def wait(self, condition, what):
        until = time.monotonic() + TIMEOUT
        while not condition():
            if self.ended:
                raise Broken("the runtime ended; waiting for %s" % what)
            left = until - time.monotonic()
            if left <= 0:
                raise Broken("no %s within %d s" % (what, TIMEOUT))
            self.poll(min(left, 1.0))

    def wait_ready(self):
        self.wait(lambda: self.ready or self.init_error, "ready frame")
        assert self.init_error is None, self.init_error
        return self.ready

    def finish(self, call):
        self.wait(lambda: call.done, "end of stream %d" % call.stream)
        return call

    def event(self, event, meta=None):
        return self.finish(self.start_event(event, meta))

    def http(self, method="GET", path="/", body=b"", **head):
        return self.finish(self.start_http(method, path, body, **head))


def environment(task_root, handler="", concurrency=0, entry="", extra=None):
    """The environment of an instance, as the engine makes it."""
    env = {
        "_HANDLER": handler,
        "LAMBDA_TASK_ROOT": str(task_root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_FUNCTION_NAME": "conformance",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/conformance",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef",
        "AWS_REGION": "eu-local-1",
        "MAYFLY_CONCURRENCY": str(concurrency),
        "MAYFLY_ENTRY": entry,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    env.update(extra or {})
    return env
