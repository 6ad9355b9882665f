"""Runs ASGI 3 apps: lifespan and http."""

import asyncio
import sys
from types import FunctionType
from urllib.parse import unquote

from . import frames
from .aio import Disconnected
from .errors import InitError, describe, fault, log_text_of
from .jsonio import dumps, loads

_CANCEL_AFTER = 2.0  # seconds that an app may take to notice that its caller is gone


def _wants_full_path(app):
    """ASGI says that path begins with root_path. Starlette before 0.33 and plain functions that
    compare paths want it without."""
    if isinstance(app, FunctionType):
        return False
    starlette = sys.modules.get("starlette")
    if starlette is not None:
        try:
            major, minor = starlette.__version__.split(".")[:2]
            return (int(major), int(minor)) >= (0, 33)
        except (AttributeError, ValueError):
            return True
    return True


class AsgiRunner:
    def __init__(self, server, app):
        self.server = server
        self.app = app
        self.full_path = _wants_full_path(app)
        self.lifespan = None

    # ---- lifespan

    async def startup(self):
        self.lifespan = _Lifespan(self.app)
        await self.lifespan.startup()

    async def shutdown(self):
        await self.lifespan.shutdown()

    # ---- http

    def scope(self, stream):
        head = loads(stream.head)
        base = head.get("base", "")
        raw = head["path"]
        headers = [
            (name.lower().encode("latin-1", "replace"), value.encode())
            for name, value in head["headers"]
        ]
        scheme = head.get("scheme", "http")
        host, port = "localhost", 443 if scheme == "https" else 80
        for name, value in headers:
            if name == b"host":
                text, _, digits = value.decode().rpartition(":")
                if text and digits.isdigit():
                    host, port = text, int(digits)
                else:
                    host = value.decode()
                break
        full = base + raw if self.full_path else raw
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": head.get("version", "1.1"),
            "method": head["method"],
            "scheme": scheme,
            "path": unquote(full) if "%" in full else full,
            "raw_path": full.encode(),
            "query_string": head.get("query", "").encode(),
            "root_path": base,
            "headers": headers,
            "client": (head.get("remote", ""), 0),
            "server": (host, port),
            "extensions": {"mayfly": {"context": stream.context}},
        }
        if self.lifespan.supported:
            scope["state"] = self.lifespan.state.copy()
        return scope

    async def run(self, stream):
        server = self.server
        exchange = _Exchange(server, stream)
        try:
            await self.app(self.scope(stream), exchange.receive, exchange.send)
        except (Exception, asyncio.CancelledError) as error:
            return server.failed(stream, error)
        if stream.over:
            return server.finish(stream)
        if stream.context._cancelled:
            return server.failed(stream, Disconnected())
        message = "The ASGI app returned before its answer was complete"
        server.finish(stream, fault("Runtime.IncompleteResponse", message))

    def cancel(self, stream):
        """First as ASGI says it: receive() tells of it and send() raises. Then by force."""
        stream.wake()
        self.server.loop.call_later(_CANCEL_AFTER, stream.task.cancel)


class _Exchange:
    """receive() and send() of one request."""

    def __init__(self, server, stream):
        self.server = server
        self.stream = stream
        self.told_end = False  # the app has been given the end of the request
        self.head = None

    async def receive(self):
        stream = self.stream
        while True:
            if stream.over or stream.context._cancelled:
                return {"type": "http.disconnect"}
            if not self.told_end and (stream.body or stream.complete):
                body = b"".join(stream.body)
                stream.body = []
                if stream.complete:
                    self.told_end = True
                else:
                    self.server.grant(stream, len(body))
                return {"type": "http.request", "body": body, "more_body": not stream.complete}
            await stream.changed()

    async def send(self, message):
        stream, kind = self.stream, message["type"]
        if stream.context._cancelled:
            raise Disconnected("the caller is gone")
        if kind == "http.response.start":
            if self.head is not None:
                raise RuntimeError("http.response.start was sent a second time")
            headers = [
                (bytes(name).decode("latin-1"), bytes(value).decode("utf-8", "replace"))
                for name, value in message.get("headers", ())
            ]
            self.head = dumps({"status": int(message["status"]), "headers": headers})
        elif kind == "http.response.body":
            if self.head is None:
                raise RuntimeError("http.response.body was sent before http.response.start")
            if stream.over:
                raise RuntimeError("http.response.body was sent after the end of the answer")
            last = not message.get("more_body", False)
            await self.server.send_body(
                stream, self.head, frames.HTTP, bytes(message.get("body", b"")), last
            )
            if last:
                stream.wake()
        else:
            raise RuntimeError("unknown ASGI message %r" % kind)


class _Lifespan:
    """The lifespan protocol, for apps that know it."""

    def __init__(self, app):
        self.app = app
        self.state = {}
        self.supported = True
        self.failure = None
        self.inbox = asyncio.Queue()
        self.outbox = asyncio.Queue()
        self.task = None

    async def run(self):
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.app(scope, self.inbox.get, self.outbox.put)
        except Exception as error:  # apps that do not know lifespan raise
            self.failure = error
        await self.outbox.put({"type": "over"})

    async def startup(self):
        self.task = asyncio.get_running_loop().create_task(self.run())
        await self.inbox.put({"type": "lifespan.startup"})
        answer = await self.outbox.get()
        if answer["type"] == "lifespan.startup.failed":
            message = answer.get("message") or "the app's start-up failed"
            if self.failure is None:
                await asyncio.sleep(0)  # let it raise, for its stack trace
            if self.failure is not None:
                described = describe(self.failure)
                raise InitError(described, log_text_of(self.failure, described))
            raise InitError(fault("Runtime.LifespanStartupFailed", message))
        if answer["type"] != "lifespan.startup.complete":
            self.supported = False

    async def shutdown(self):
        if not self.supported:
            return
        await self.inbox.put({"type": "lifespan.shutdown"})
        await self.outbox.get()
