"""Event handlers, one at a time, on the main thread: a blocking loop with nothing in its way."""

import os
from _thread import get_ident
from collections import deque
from time import monotonic

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
from .serve import send_ready
from .state import taken

_FLUSH_AFTER = 0.0005  # seconds a finished reply may wait for more of its kind


class SyncServer:
    cloneable = True  # made in a template, it can serve in clones

    def __init__(self, app, channel):
        self.app = app
        self.handler = app.target
        self.channel = channel
        self.out = channel.out
        self.data, self.at = b"", 0
        self.backlog = deque()  # invokes that arrived while a stream waited for credit
        self.incoming = {}  # stream -> [payload so far], of invokes not complete yet
        self.sending = {}  # stream -> body bytes that wait for credit
        self.credit = {}
        self.active = None
        self.closing = False
        self.loop = None
        self.questions = 0
        self.answers = {}
        self.thread = get_ident()
        self.environ = os.environ
        self.trace_last = None

    def run(self):
        send_ready(self.channel, self.app)
        invoke_end, flags_mask = frames.INVOKE, frames.END | frames.HTTP
        unpack, header = frames.HEADER.unpack_from, 12
        flushed = monotonic()
        while not self.closing or self.backlog or self.sending or self.incoming:
            self.read()
            data, at = self.data, self.at
            while len(data) - at >= header:
                length, stream, kind, flags, _ = unpack(data, at)
                start = at + header
                end = start + length
                if end > len(data):
                    break
                self.at = end
                if kind == invoke_end and flags & flags_mask == frames.END:
                    self.invoke(stream, data[start:end])
                    now = monotonic()
                    if now - flushed > _FLUSH_AFTER:
                        self.channel.flush()
                        flushed = now
                else:
                    self.other(stream, kind, flags, data[start:end])
                while self.backlog:
                    self.invoke(*self.backlog.popleft())
                data, at = self.data, self.at
            self.channel.flush()
            flushed = monotonic()

    # ---- reading

    def read(self, wait=True):
        """Receives once, so that at least the frame at the front is complete or has grown."""
        data = self.data[self.at :] if self.at else self.data
        self.at = 0
        if wait:
            chunk = self.channel.recv()
        else:
            try:
                chunk = self.channel.recv(0x40)  # MSG_DONTWAIT
            except BlockingIOError:
                self.data = data
                return False
        if not chunk:
            raise ConnectionResetError
        self.data = data = data + chunk if data else chunk
        if len(data) >= 12:
            (length,) = frames.U32.unpack_from(data)
            frames.check_length(length)
            if wait and length + 12 > len(data):
                self.read_rest(length + 12 - len(data))
        return True

    def read_rest(self, missing):
        parts = [self.data]
        while missing > 0:
            chunk = self.channel.recv()
            if not chunk:
                raise ConnectionResetError
            parts.append(chunk)
            missing -= len(chunk)
        self.data = b"".join(parts)

    def pump(self, wait):
        """Takes in what has arrived while a handler runs; invokes wait in the backlog."""
        if wait:
            self.channel.flush()
        if not self.read(wait):
            return
        while len(self.data) - self.at >= 12:
            length, stream, kind, flags, _ = frames.HEADER.unpack_from(self.data, self.at)
            start = self.at + 12
            if start + length > len(self.data):
                return
            self.at = start + length
            payload = self.data[start : start + length]
            if kind == frames.INVOKE and flags & frames.END:
                self.backlog.append((stream, payload))
            else:
                self.other(stream, kind, flags, payload)

    def other(self, stream, kind, flags, payload):
        if kind == frames.INVOKE:
            if flags & frames.HTTP:
                self.fail(stream, "an HTTP request came to an event handler")
                return
            self.incoming[stream] = [payload]
            self.grant(stream, len(frames.split_invoke(payload, flags)[2]))
        elif kind == frames.DATA:
            parts = self.incoming.get(stream)
            if parts is None:
                return  # of a stream that is over
            parts.append(payload)
            if flags & frames.END:
                del self.incoming[stream]
                self.backlog.append((stream, b"".join(parts)))
            else:
                self.grant(stream, len(payload))
        elif kind == frames.WINDOW:
            if stream in self.credit:
                self.credit[stream] += frames.U32.unpack(payload)[0]
                self.send_rest(stream)
        elif kind == frames.CANCEL:
            self.cancel(stream)
        elif kind == frames.SHUTDOWN:
            self.closing = True
        elif kind == frames.ANSWER:
            self.answers[frames.U32.unpack_from(payload)[0]] = payload[4:]
        else:
            raise frames.ProtocolError("unexpected frame type %d" % kind)

    def grant(self, stream, count):
        if count:
            self.out.append(frames.window_frame(stream, count))

    def cancel(self, stream):
        if self.active is not None and self.active._stream == stream:
            self.active._cancelled = True
            return
        waiting = [item for item in self.backlog if item[0] == stream]
        for item in waiting:
            self.backlog.remove(item)
        if waiting or self.incoming.pop(stream, None) or self.sending.pop(stream, None):
            self.credit.pop(stream, None)
            self.error(stream, cancelled_fault())

    # ---- calling

    def invoke(self, stream, payload):
        (n,) = frames.U32.unpack_from(payload)
        context = LambdaContext(stream, payload[4 : 4 + n])
        logs.state.sole = self.active = context
        context._poll = self.poll
        context._ask = self.ask
        body = payload[8 + n :]
        try:
            event = loads(body) if body else {}
        except ValueError as error:
            return self.done(context, unmarshal_fault(error))
        self.set_trace(context)
        try:
            result = self.handler(event, context)
        except Exception as error:
            return self.raised(context, error)
        except BaseException:
            self.channel.flush()
            raise
        try:
            text = dumps(result)
        except Exception as error:
            return self.special(context, result, error)
        if context._partial is not None:
            logs.finish(context)
        logs.state.sole = self.active = None
        if context._effects is not None:
            context._stage(self.out)
        size = len(text)
        if size <= frames.INITIAL_WINDOW:
            pack = frames.REPLY_HEADER.pack
            self.out.append(pack(4 + size, stream, frames.REPLY, frames.END, 0, 0) + text)
        else:
            self.out.append(frames.reply_frame(stream, 0, b"", text[: frames.INITIAL_WINDOW]))
            self.credit[stream] = 0
            self.sending[stream] = text[frames.INITIAL_WINDOW :]

    def set_trace(self, context):
        meta = context._meta
        if b'"trace":""' in meta or b'"trace"' not in meta or not context._trace:
            if self.trace_last:
                self.trace_last = None
                self.environ.pop("_X_AMZN_TRACE_ID", None)
            return
        trace = context._trace
        if trace != self.trace_last:
            self.environ["_X_AMZN_TRACE_ID"] = self.trace_last = trace

    def poll(self):
        if self.active is not None and not self.closing:
            self.pump(wait=False)

    def ask(self, context, question, take):
        """Asks the engine, and waits; what arrives meanwhile waits its turn."""
        if question is None:
            return take(None)
        if get_ident() != self.thread or not self.channel.usable or self.active is not context:
            raise RuntimeError("context.state is for the handler itself, while it runs")
        self.questions = number = (self.questions + 1) & 0xFFFFFFFF
        self.out.append(frames.ask_frame(context._stream, number, question))
        while number not in self.answers:
            self.pump(wait=True)
        return taken(self.answers.pop(number), take)

    def raised(self, context, exc):
        error = of_call(describe(exc), context)
        self.done(context, error, log_text_of(exc, error))

    def done(self, context, error, text=None):
        """Ends a failed invocation."""
        if context._partial is not None:
            logs.finish(context)
        of_call(error, context)
        logs.emit(context, 2, text or log_text(error))
        self.error(context._stream, error)
        logs.state.sole = self.active = None

    def error(self, stream, error):
        self.out.append(frames.frame(stream, frames.ERROR, frames.END, dumps(error)))

    def fail(self, stream, message):
        self.error(stream, fault("Runtime.ProtocolError", message))

    def send_rest(self, stream):
        body = self.sending.get(stream)
        while body and self.credit[stream] > 0:
            take = min(self.credit[stream], frames.BODY_BYTES)
            piece, body = body[:take], body[take:]
            self.credit[stream] -= len(piece)
            last = 0 if body else frames.END
            self.out.append(frames.frame(stream, frames.DATA, last, piece))
        if body:
            self.sending[stream] = body
        elif body is not None:
            del self.sending[stream], self.credit[stream]

    # ---- results that are not plain JSON

    def special(self, context, result, error):
        """The result could not be marshalled: it is a stream, a coroutine, or a mistake."""
        if hasattr(result, "__await__"):
            return self.wait_for(context, result)
        parts = streaming.parts_of(result)
        if parts is None:
            return self.done(context, marshal_fault(error))
        self.stream(context, *parts)

    def run_async(self, awaitable):
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)

        async def wait():
            return await awaitable

        return self.loop.run_until_complete(wait())

    def wait_for(self, context, awaitable):
        try:
            result = self.run_async(awaitable)
        except Exception as error:
            return self.raised(context, error)
        try:
            text = dumps(result)
        except Exception as error:
            parts = streaming.parts_of(result)
            if parts is None:
                return self.done(context, marshal_fault(error))
            return self.stream(context, *parts)
        self.credit[context._stream] = frames.INITIAL_WINDOW
        self.write_all(context, b"", text)

    def iterate(self, items):
        if not streaming.is_async_stream(items):
            yield from items
            return
        step = items.__aiter__().__anext__
        while True:
            try:
                item = self.run_async(step())
            except StopAsyncIteration:
                return
            yield item

    def stream(self, context, head, items):
        stream = context._stream
        self.credit[stream] = frames.INITIAL_WINDOW
        source = self.iterate(items)
        started = False
        try:
            for item in source:
                if not started:
                    if head is None and streaming.is_head(item):
                        head = item
                        continue
                    if context._effects is not None:
                        context._stage(self.out)
                    self.out.append(
                        frames.reply_frame(stream, frames.HTTP, streaming.head_json(head, item))
                    )
                    started = True
                if not self.write(context, streaming.chunk_bytes(item)):
                    break
        except Exception as error:
            self.credit.pop(stream, None)
            return self.raised(context, error)
        finally:
            if context._cancelled:
                source.close()
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        self.credit.pop(stream, None)
        if context._cancelled:
            return self.done(context, cancelled_fault())
        if context._partial is not None:
            logs.finish(context)
        logs.state.sole = self.active = None
        if started:
            self.out.append(frames.frame(stream, frames.DATA, frames.END))
        else:
            if context._effects is not None:
                context._stage(self.out)
            flags = frames.HTTP | frames.END
            self.out.append(frames.reply_frame(stream, flags, streaming.head_json(head, b"")))

    def write(self, context, data):
        """Sends streamed body bytes as credit allows; False when the invocation was cancelled."""
        stream, at = context._stream, 0
        while at < len(data) and not context._cancelled:
            take = min(self.credit[stream], frames.BODY_BYTES, len(data) - at)
            if take == 0:
                self.pump(wait=True)
                continue
            self.credit[stream] -= take
            self.out.append(frames.frame(stream, frames.DATA, 0, data[at : at + take]))
            at += take
        self.channel.flush()
        self.pump(wait=False)
        return not context._cancelled

    def write_all(self, context, head, text):
        stream = context._stream
        if context._partial is not None:
            logs.finish(context)
        logs.state.sole = self.active = None
        self.credit[stream] = max(0, frames.INITIAL_WINDOW - len(text))
        first, rest = text[: frames.INITIAL_WINDOW], text[frames.INITIAL_WINDOW :]
        if context._effects is not None:
            context._stage(self.out)
        self.out.append(frames.reply_frame(stream, 0 if rest else frames.END, head, first))
        if rest:
            self.credit[stream] = 0
            self.sending[stream] = rest
        else:
            self.credit.pop(stream, None)
