"""Async event handlers and ASGI apps: any number of invocations on one asyncio loop."""

import asyncio
import os
import sys
from collections import deque

from . import frames, logs, streaming
from .context import LambdaContext
from .errors import (
    cancelled_fault,
    describe,
    fault,
    log_text,
    log_text_of,
    marshal_fault,
    of_call,
    unmarshal_fault,
)
from .jsonio import dumps, loads
from .serve import leave, send_ready
from .state import taken

_EAGER = {"eager_start": True} if hasattr(asyncio, "eager_task_factory") else {}


class Disconnected(OSError):
    """The caller is gone; raised by send() of an ASGI app."""


class Stream:
    """One invocation. Belongs to the loop."""

    def __init__(self, number, meta, head, body, complete, ask):
        self.number = number
        self.context = LambdaContext(number, meta)
        self.context._ask = ask
        self.head = head
        self.body = [body] if body else []
        self.complete = complete  # the request body is all here
        self.credit = frames.INITIAL_WINDOW
        self.task = None
        self.replied = False
        self.over = False  # the end has been sent
        self.waiters = []

    def wake(self):
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self):
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        await waiter


class AsyncServer:
    def __init__(self, app, channel):
        self.app = app
        self.channel = channel
        self.out = channel.out
        self.decoder = frames.Decoder()
        self.streams = {}
        self.questions = {}  # number -> future of the answer
        self.asked = 0
        self.closing = False
        self.trace = ""  # that of the last call
        self.blocked = False  # the socket takes no more: a writer is registered
        self.flush_due = False
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.http = app.kind == "asgi"
        self.limit = app.settings.concurrency or 1  # of event handlers; web apps have none here
        self.running = 0
        self.waiting = deque()  # complete events beyond the limit
        if self.http:
            from .asgi import AsgiRunner

            self.runner = AsgiRunner(self, app.target)

    def run(self):
        loop = self.loop
        if self.http:
            loop.run_until_complete(self.runner.startup())
        send_ready(self.channel, self.app)
        self.channel.socket.setblocking(False)
        self.channel.flush = self.flush_from_anywhere
        self.fd = self.channel.socket.fileno()
        loop.add_reader(self.fd, self.readable)
        loop.run_forever()
        if self.http:
            loop.run_until_complete(self.runner.shutdown())
        leave(0)

    # ---- the socket

    def readable(self):
        try:
            data = self.channel.recv()
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            data = b""
        if not data:
            leave(0)
        try:
            for frame in self.decoder.feed(data):
                self.take(*frame)
        except frames.ProtocolError as error:
            print("mayfly: %s" % error, file=sys.stderr)
            leave(1)
        self.flush_soon()

    def flush_soon(self):
        if not self.flush_due and self.out:
            self.flush_due = True
            self.loop.call_soon(self.flush)

    def flush(self):
        self.flush_due = False
        if not self.blocked and self.out:
            self.flush_from_anywhere()

    def flush_from_anywhere(self):
        """Sends what the socket takes; the rest follows when it is writable. For any thread."""
        channel, out = self.channel, self.out
        with channel.lock:
            while out and channel.usable:
                count = len(out)
                data = out[0] if count == 1 else b"".join(out[:count])
                del out[:count]
                try:
                    sent = channel.socket.send(data)
                except (BlockingIOError, InterruptedError):
                    sent = 0
                except ConnectionError:
                    os._exit(0)  # the engine is gone
                if sent < len(data):
                    out.insert(0, data[sent:])
                    if not self.blocked:
                        self.blocked = True
                        self.loop.call_soon_threadsafe(self.loop.add_writer, self.fd, self.writable)
                    return

    def writable(self):
        self.blocked = False
        self.flush_from_anywhere()
        if not self.blocked:
            self.loop.remove_writer(self.fd)

    # ---- frames

    def take(self, number, kind, flags, payload):
        if kind == frames.INVOKE:
            self.begin(number, flags, payload)
        elif kind == frames.DATA:
            stream = self.streams.get(number)
            if stream is not None and not stream.complete:
                stream.body.append(payload)
                stream.complete = bool(flags & frames.END)
                self.more(stream, len(payload))
        elif kind == frames.WINDOW:
            stream = self.streams.get(number)
            if stream is not None:
                stream.credit += frames.U32.unpack(payload)[0]
                stream.wake()
        elif kind == frames.CANCEL:
            stream = self.streams.get(number)
            if stream is not None:
                self.cancel(stream)
        elif kind == frames.ANSWER:
            future = self.questions.pop(frames.U32.unpack_from(payload)[0], None)
            if future is not None and not future.done():
                future.set_result(payload[4:])
        elif kind == frames.SHUTDOWN:
            self.closing = True
            self.stop_when_idle()
        else:
            raise frames.ProtocolError("unexpected frame type %d" % kind)

    def begin(self, number, flags, payload):
        meta, head, body = frames.split_invoke(payload, flags)
        stream = Stream(number, meta, head, body, bool(flags & frames.END), self.ask)
        self.streams[number] = stream
        if bool(flags & frames.HTTP) != self.http:
            message = "the invocation does not fit the model of the function"
            self.finish(stream, fault("Runtime.ProtocolError", message))
        elif self.http:
            self.start(stream, self.runner.run(stream))
        else:
            self.more(stream, len(body))

    def more(self, stream, count):
        if self.http:
            stream.wake()
        elif stream.complete:
            self.waiting.append(stream)
            self.start_waiting()
        else:
            self.grant(stream, count)

    def grant(self, stream, count):
        if count and not stream.over:
            self.out.append(frames.window_frame(stream.number, count))
            self.flush_soon()

    def start_waiting(self):
        while self.waiting and self.running < self.limit:
            stream = self.waiting.popleft()
            if not stream.over:
                self.running += 1
                if self.limit == 1:
                    self.set_trace(stream.context)
                self.start(stream, self.run_event(stream))

    def start(self, stream, work):
        token = logs.current.set(stream.context)  # the task copies the context now
        stream.task = asyncio.Task(work, loop=self.loop, **_EAGER)
        logs.current.reset(token)

    def set_trace(self, context):
        trace = context._trace_header()
        if trace == self.trace:
            return
        self.trace = trace
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)

    def cancel(self, stream):
        stream.context._cancelled = True
        if stream.task is None:
            self.finish(stream, cancelled_fault())
        elif self.http:
            self.runner.cancel(stream)
        else:
            stream.task.cancel()

    def finish(self, stream, error=None, text=None):
        """Ends an invocation; error: it failed."""
        if stream.context._partial is not None:
            logs.finish(stream.context)
        if error is not None and not stream.over:
            of_call(error, stream.context)
            if not stream.context._cancelled:
                logs.emit(stream.context, 2, text or log_text(error))
            self.out.append(frames.frame(stream.number, frames.ERROR, frames.END, dumps(error)))
        stream.over = True
        self.streams.pop(stream.number, None)
        self.flush_soon()
        if self.closing:
            self.stop_when_idle()

    def failed(self, stream, exc):
        if stream.context._cancelled:
            return self.finish(stream, cancelled_fault())
        error = of_call(describe(exc), stream.context)
        self.finish(stream, error, log_text_of(exc, error))

    async def ask(self, context, question, take):
        """Asks the engine. On the loop's thread only."""
        if question is None:
            return take(None)
        if context._cancelled:
            raise asyncio.CancelledError
        self.asked = number = (self.asked + 1) & 0xFFFFFFFF
        self.questions[number] = future = self.loop.create_future()
        self.out.append(frames.ask_frame(context._stream, number, question))
        self.flush_soon()
        try:
            return taken(await future, take)
        finally:
            self.questions.pop(number, None)

    def stop_when_idle(self):
        if not self.streams:
            self.loop.call_soon(self.stop_if_idle)

    def stop_if_idle(self):
        self.flush()
        if self.streams:
            return
        if self.out:
            self.loop.call_later(0.001, self.stop_if_idle)
        else:
            self.loop.stop()

    # ---- response bodies

    async def send_body(self, stream, head, flags, data, last):
        """Sends a piece of the response, and the head with the first one."""
        at, size = 0, len(data)
        while True:
            count = min(size - at, stream.credit, frames.BODY_BYTES)
            if count <= 0 and at < size:
                if stream.context._cancelled:
                    raise Disconnected("the caller is gone")
                self.flush()
                await stream.changed()
                continue
            stream.credit -= count
            piece = data if count == size else data[at : at + count]
            at += count
            end = frames.END if last and at == size else 0
            if end and stream.context._partial is not None:
                logs.finish(stream.context)
            if not stream.replied:
                stream.replied = True
                if stream.context._effects is not None:
                    stream.context._stage(self.out)
                self.out.append(frames.reply_frame(stream.number, flags | end, head, piece))
            elif piece or end:
                self.out.append(frames.frame(stream.number, frames.DATA, end, piece))
            if end:
                stream.over = True
            self.flush_soon()
            if at >= size:
                return

    # ---- event handlers

    async def run_event(self, stream):
        try:
            body = b"".join(stream.body)
            stream.body = None
            try:
                event = loads(body) if body else {}
            except ValueError as error:
                return self.finish(stream, unmarshal_fault(error))
            result = self.app.target(event, stream.context)
            if hasattr(result, "__await__"):
                result = await result
            try:
                text = dumps(result)
            except Exception as error:
                parts = streaming.parts_of(result)
                if parts is None:
                    return self.finish(stream, marshal_fault(error))
                await self.stream_event(stream, *parts)
            else:
                await self.send_body(stream, b"", 0, text, True)
        except (Exception, asyncio.CancelledError) as error:
            self.failed(stream, error)
        else:
            self.finish(stream)
        finally:
            self.running -= 1
            if self.waiting:
                self.start_waiting()

    async def stream_event(self, stream, head, items):
        first = b""
        try:
            async for item in _each(items):
                if not stream.replied:
                    if head is None and streaming.is_head(item):
                        head = item
                        continue
                    first = item
                data = streaming.chunk_bytes(item)
                head_bytes = b"" if stream.replied else streaming.head_json(head, first)
                await self.send_body(stream, head_bytes, frames.HTTP, data, False)
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        head_bytes = b"" if stream.replied else streaming.head_json(head, first)
        await self.send_body(stream, head_bytes, frames.HTTP, b"", True)


async def _each(items):
    if streaming.is_async_stream(items):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
            await asyncio.sleep(0)
