"""Runs WSGI apps (PEP 3333) in the worker threads of a ThreadServer."""

import io
import sys
from urllib.parse import unquote_to_bytes

from . import frames
from .errors import Cancelled
from .jsonio import dumps, loads

_names = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_NAMES_MAX = 1000  # header names come from outside: the cache must not grow for ever


def _environ_name(name):
    name = name.lower()
    found = _names.get(name)
    if found is None:
        found = "HTTP_" + name.upper().replace("-", "_")
        if len(_names) < _NAMES_MAX:
            _names[name] = found
    return found


def _native(text):
    """WSGI strings hold bytes as latin-1."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def _from_native(text):
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _decoded(path):
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else _native(path)


class _Input(io.RawIOBase):
    """A request body that is still coming; reading it gives the engine credit for more."""

    def __init__(self, server, stream):
        self._server = server
        self._stream = stream
        self._left = memoryview(b"")

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._left and not self._next():
            return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _next(self):
        server, stream = self._server, self._stream
        while True:
            with server.lock:
                while not stream.body and not stream.complete and not stream.context._cancelled:
                    server.wait(stream)
                if stream.context._cancelled:
                    raise Cancelled("the caller is gone")
                if not stream.body:
                    return False
                piece = stream.body.popleft()
                complete = stream.complete
            if piece and not complete:
                server.send(frames.window_frame(stream.number, len(piece)))
            if piece:
                self._left = memoryview(piece)
                return True


class WsgiRunner:
    def __init__(self, server, app):
        self.server = server
        self.app = app

    def environ(self, stream):
        head = loads(stream.head)
        context = stream.context
        if type(stream.body) is bytes:
            body = io.BytesIO(stream.body)
        else:
            body = io.BufferedReader(_Input(self.server, stream), 64 << 10)
        path, query = head["path"], head.get("query", "")
        environ = {
            "REQUEST_METHOD": head["method"],
            "SCRIPT_NAME": _decoded(head.get("base", "")),
            "PATH_INFO": _decoded(path),
            "QUERY_STRING": _native(query),
            "REQUEST_URI": head.get("base", "") + path + ("?" + query if query else ""),
            "SERVER_PROTOCOL": "HTTP/" + head.get("version", "1.1"),
            "SERVER_SOFTWARE": "mayfly",
            "REMOTE_ADDR": head.get("remote", ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": head.get("scheme", "http"),
            "wsgi.input": body,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": self.server.limit > 1,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "mayfly.context": context,
        }
        for name, value in head["headers"]:
            # X_Forwarded_For would pass for X-Forwarded-For: dropped, as other servers do.
            if "_" in name:
                continue
            key = _environ_name(name)
            value = _native(value)
            if key in environ:
                value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
            environ[key] = value
        if type(stream.body) is bytes:
            if stream.body or "CONTENT_LENGTH" in environ:
                environ["CONTENT_LENGTH"] = str(len(stream.body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        host, _, port = environ.get("HTTP_HOST", "localhost").rpartition(":")
        if not host or not port.isdigit():
            host = environ.get("HTTP_HOST", "localhost")
            port = "443" if environ["wsgi.url_scheme"] == "https" else "80"
        environ["SERVER_NAME"], environ["SERVER_PORT"] = host, port
        return environ

    def run(self, stream):
        environ = self.environ(stream)
        response = _Response(self.server, stream)
        began = self.server.begin_timing(stream)
        chunks = self.app(environ, response.start)
        try:
            if type(chunks) in (list, tuple):
                self.server.end_timing(began)
                response.finish(b"".join(chunks))
                return
            for chunk in chunks:
                if chunk:
                    response.write(chunk)
            self.server.end_timing(began)
            response.finish(b"")
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()


class _Response:
    """start_response, write() and the order of the two. A single chunk with a known length goes
    out as one frame."""

    def __init__(self, server, stream):
        self.server = server
        self.stream = stream
        self.head = None
        self.left = None  # bytes that the app has promised and not yet given
        self.over = False  # the end has been sent

    def start(self, status, headers, exc_info=None):
        if exc_info is not None:
            try:
                if self.stream.replied:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise AssertionError("start_response() was called a second time without exc_info")
        fields = [(name, _from_native(value)) for name, value in headers]
        self.head = dumps({"status": int(status[:3]), "headers": fields})
        self.left = None
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self.left = int(value)
        return self.write

    def write(self, data):
        self.check()
        last = False
        if self.left is not None:
            self.left -= len(data)
            last = self.left <= 0
        self.send(data, last)

    def finish(self, data):
        self.check()
        self.send(data, True)

    def check(self):
        if self.head is None:
            raise AssertionError("the app gave a body before it called start_response()")

    def send(self, data, last):
        if self.over:
            return
        self.over = last
        if self.stream.context._cancelled and not self.stream.replied:
            raise Cancelled("the caller is gone")
        self.server.send_body(self.stream, self.head, frames.HTTP, data, last)


