"""Several invocations at once in threads: WSGI apps, and sync handlers with a concurrency over 1.

One thread leads: it reads, and hands invocations to workers, each of which runs one at a time and
sends for itself. Handing over costs more than a short handler takes, so while a function's handlers
are short the leader runs them itself, one after the other. Should one of them block after all, a
watching thread takes the lead within two ticks, and the function has to be quick for twice as long
before the leader runs its handlers again.
"""

import threading
import time
from _thread import get_ident
from collections import deque
from queue import SimpleQueue

from . import frames, logs, streaming
from .context import LambdaContext
from .errors import (
    Cancelled,
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
from .serve import exit_code, leave, send_ready
from .state import taken

DEFAULT_THREADS = 64

_TICK = 0.01  # seconds; a handler that runs longer than one or two of them is blocked
_QUICK = 0.001  # seconds that a handler takes at most to count as short
_SLOW = 0.005  # seconds after which one that the leader ran was not
_STREAK = 32  # short handlers in a row that make the leader run them
_NEVER = 1 << 62
_IDLE_TICKS = 100  # without a handler to watch: the watching thread ends
_FLUSH_AFTER = 0.0005  # seconds a reply may wait for more of its kind


class Stream:
    """One invocation. Members are changed under the server's lock, except by its own worker."""

    __slots__ = ("number", "context", "head", "complete", "body", "credit", "changed", "replied", "over")

    def __init__(self, number, meta, head, body, complete, ask):
        self.number = number
        self.context = LambdaContext(number, meta)
        self.context._ask = ask
        self.head = head
        self.complete = complete  # the request body is all here
        self.body = body if complete else deque((body,) if body else ())
        self.credit = frames.INITIAL_WINDOW
        self.changed = None  # Condition, made when the worker first waits
        self.replied = False
        self.over = False  # the end has been sent


class ThreadServer:
    def __init__(self, app, channel):
        self.app = app
        self.channel = channel
        self.out = channel.out
        self.limit = app.settings.concurrency or DEFAULT_THREADS
        self.lock = threading.Lock()
        self.streams = {}
        self.jobs = SimpleQueue()
        self.questions = {}  # number -> [lock that is held until the answer is there, the answer]
        self.asked = 0
        self.idle = 0
        self.threads = 0
        self.closing = False
        self.decoder = frames.Decoder()
        self.received = iter(())  # frames that the leader has not taken yet
        self.leader = None  # the thread that leads
        self.inside = None  # the stream whose handler the leader runs
        self.quick = 0  # short handlers in a row
        self.streak = _STREAK  # that many are wanted
        self.watched = False
        self.flushed = 0.0  # when the leader last sent
        self.over_at = 0.0  # when it was through with the last handler, or received
        if app.kind == "wsgi":
            from .wsgi import WsgiRunner

            self.streaming_input = True
            self.run_one = WsgiRunner(self, app.target).run
        else:
            self.streaming_input = False
            self.run_one = self.run_event

    def run(self):
        send_ready(self.channel, self.app)
        self.lead()

    # ---- the leader

    def lead(self):
        """Until another thread leads; then this one is a worker."""
        logs.current.set(None)  # who started it may have been at work
        me = self.leader = get_ident()
        while self.leader == me:
            for stream, kind, flags, payload in self.received:
                self.take(stream, kind, flags, payload)
                if self.leader != me:
                    break
            else:
                if self.out:
                    self.channel.flush()
                data = self.channel.recv()
                if not data:
                    leave(0)
                self.flushed = self.over_at = time.monotonic()
                self.received = iter(self.decoder.feed(data))
        with self.lock:
            self.threads += 1
            self.idle += 1
        self.work()

    def run_here(self, stream):
        """The leader runs a handler that is expected to be short. It is inside already."""
        if not self.watched:
            self.watched = True
            self.start(self.watch, "mayfly-watch")
        began = self.over_at
        self.run_call(stream)
        self.over_at = now = time.monotonic()
        if now - began > _SLOW:
            self.quick = 0
        if now - self.flushed > _FLUSH_AFTER:
            self.channel.flush()
            self.flushed = now

    def watch(self):
        """Takes the lead when the leader's handler is the same for a whole tick."""
        seen, unchanged = None, 0
        while True:
            time.sleep(_TICK)
            with self.lock:
                inside = self.inside
                if inside is not None and inside is seen:
                    self.hand_over(get_ident())
                    self.watched = False
                    break
                unchanged = unchanged + 1 if inside is None else 0
                if unchanged > _IDLE_TICKS:
                    self.watched = False
                    self.quick = 0  # calls are rare: a worker that waits is as good
                    return
                seen = inside
        self.channel.flush()
        self.lead()

    def hand_over(self, leader):
        """The handler that the leader runs waits for something. The lock is held."""
        self.inside, self.leader = None, leader
        self.quick, self.streak = 0, min(self.streak * 2, _NEVER)

    def let_lead(self):
        """Before a handler waits for what only the leader reads."""
        with self.lock:
            if self.inside is None or self.leader != get_ident():
                return
            self.hand_over(None)
            self.streak = _NEVER
        self.channel.flush()
        self.start(self.lead, "mayfly-lead")

    def start(self, target, name):
        threading.Thread(target=target, name=name, daemon=True).start()

    def take(self, number, kind, flags, payload):
        if kind == frames.INVOKE:
            self.begin(number, flags, payload)
        elif kind == frames.DATA:
            self.more(number, flags, payload)
        elif kind == frames.WINDOW:
            with self.lock:
                stream = self.streams.get(number)
                if stream is not None:
                    stream.credit += frames.U32.unpack(payload)[0]
                    self.wake(stream)
        elif kind == frames.CANCEL:
            with self.lock:
                stream = self.streams.get(number)
                if stream is not None:
                    stream.context._cancelled = True
                    self.wake(stream)
            if stream is not None and not stream.complete and not self.streaming_input:
                self.error(stream, cancelled_fault())  # no worker has it yet
                self.end(stream)
        elif kind == frames.ANSWER:
            with self.lock:
                question = self.questions.pop(frames.U32.unpack_from(payload)[0], None)
            if question is not None:
                question[1] = payload[4:]
                question[0].release()
        elif kind == frames.SHUTDOWN:
            with self.lock:
                self.closing = True
                over = not self.streams
            if over:
                leave(0)
        else:
            raise frames.ProtocolError("unexpected frame type %d" % kind)

    def begin(self, number, flags, payload):
        meta, head, body = frames.split_invoke(payload, flags)
        complete = bool(flags & frames.END)
        stream = Stream(number, meta, head, body, complete, self.ask)
        fits = bool(flags & frames.HTTP) == (self.app.model == "http")
        here = fits and complete and self.quick >= self.streak
        with self.lock:
            self.streams[number] = stream
            if here:
                self.inside = stream
        if here:
            return self.run_here(stream)
        if not fits:
            message = "the invocation does not fit the model of the function"
            self.error(stream, fault("Runtime.ProtocolError", message))
            return self.end(stream)
        if complete or self.streaming_input:
            self.dispatch(stream)
        elif body:
            self.out.append(frames.window_frame(number, len(body)))

    def more(self, number, flags, payload):
        with self.lock:
            stream = self.streams.get(number)
            if stream is None or stream.complete:
                return
            stream.body.append(payload)
            stream.complete = bool(flags & frames.END)
            self.wake(stream)
        if self.streaming_input:
            return
        if stream.complete:
            stream.body = b"".join(stream.body)
            self.dispatch(stream)
        else:
            self.out.append(frames.window_frame(number, len(payload)))

    def dispatch(self, stream):
        self.jobs.put(stream)
        with self.lock:
            if self.idle > 0 or self.threads >= self.limit:
                self.idle -= 1  # claims an idle worker, or counts one who is wanted
                return
            self.threads += 1
        self.start(self.work, "mayfly-%d" % self.threads)

    # ---- workers

    def work(self):
        while True:
            stream = self.jobs.get()
            self.run_call(stream)
            stream = None
            with self.lock:
                self.idle += 1

    def run_call(self, stream):
        logs.current.set(stream.context)
        try:
            self.run_one(stream)
        except SystemExit as error:
            leave(exit_code(error))
        except BaseException as error:
            self.raised(stream, error)
        self.end(stream)
        logs.current.set(None)

    def begin_timing(self, stream):
        """Of the user's code in a worker; the leader looks at the clock for itself."""
        return None if self.inside is stream else time.monotonic()

    def end_timing(self, began):
        if began is not None:
            self.quick = self.quick + 1 if time.monotonic() - began < _QUICK else 0

    def wake(self, stream):
        if stream.changed is not None:
            stream.changed.notify_all()

    def wait(self, stream):
        """Waits for a change of the stream. The lock is held."""
        if stream.changed is None:
            stream.changed = threading.Condition(self.lock)
        stream.changed.wait()

    def end(self, stream):
        if stream.context._partial is not None:
            logs.finish(stream.context)
        with self.lock:
            if self.inside is stream:
                self.inside = None
            self.streams.pop(stream.number, None)
            over = self.closing and not self.streams
        if over:
            self.channel.flush()
            leave(0)

    def send(self, *parts):
        self.out.extend(parts)
        if self.inside is not None and self.leader == get_ident():
            return  # goes out with others
        try:
            self.channel.flush()
        except ConnectionError:
            pass  # the engine is gone: the main thread ends the process

    def error(self, stream, error):
        if stream.over:
            return  # what happens after the answer cannot change it
        stream.over = True
        self.send(frames.frame(stream.number, frames.ERROR, frames.END, dumps(error)))

    def raised(self, stream, exc):
        if stream.context._cancelled or isinstance(exc, Cancelled):
            return self.error(stream, cancelled_fault())
        error = of_call(describe(exc), stream.context)
        self.failed(stream, error, log_text_of(exc, error))

    def failed(self, stream, error, text=None):
        if stream.context._partial is not None:
            logs.finish(stream.context)
        of_call(error, stream.context)
        logs.emit(stream.context, 2, text or log_text(error))
        self.error(stream, error)

    def ask(self, context, question, take):
        """Asks the engine from any thread but the one that reads, and waits."""
        if question is None:
            return take(None)
        if not self.channel.usable or context._stream not in self.streams:
            raise RuntimeError("context.state is for the handler itself, while it runs")
        self.let_lead()
        waiting = [threading.Lock(), None]
        waiting[0].acquire()
        with self.lock:
            self.asked = number = (self.asked + 1) & 0xFFFFFFFF
            self.questions[number] = waiting
        self.send(frames.ask_frame(context._stream, number, question))
        waiting[0].acquire()
        return taken(waiting[1], take)

    def take_credit(self, stream, wanted):
        """How many of the wanted body bytes may be sent now; waits for at least one."""
        wanted = min(wanted, frames.BODY_BYTES)
        if stream.credit <= 0:
            self.let_lead()
        with self.lock:
            while stream.credit <= 0 and not stream.context._cancelled:
                self.wait(stream)
            if stream.context._cancelled:
                raise Cancelled("the caller is gone")
            taken = min(wanted, stream.credit)
            stream.credit -= taken
        return taken

    def send_body(self, stream, head, flags, data, last):
        """Sends a piece of the response, and the head with the first one."""
        at, number = 0, stream.number
        while True:
            rest = len(data) - at
            count = self.take_credit(stream, rest) if rest else 0
            piece = data[at : at + count] if count < len(data) else data
            at += count
            end = frames.END if last and at == len(data) else 0
            stream.over = end != 0
            if not stream.replied:
                if stream.context._partial is not None and end:
                    logs.finish(stream.context)
                stream.replied = True
                if stream.context._effects is not None:
                    stream.context._stage(self.out)
                self.send(frames.reply_frame(number, flags | end, head, piece))
            elif piece or end:
                self.send(frames.frame(number, frames.DATA, end, piece))
            if at >= len(data):
                return

    # ---- event handlers

    def run_event(self, stream):
        context = stream.context
        if context._cancelled:
            return self.error(stream, cancelled_fault())
        try:
            event = loads(stream.body) if stream.body else {}
        except ValueError as error:
            return self.failed(stream, unmarshal_fault(error))
        stream.body = None
        began = self.begin_timing(stream)
        result = self.app.target(event, context)
        self.end_timing(began)
        if hasattr(result, "__await__"):
            import asyncio

            result = asyncio.run(_wait(result))
        try:
            text = dumps(result)
        except Exception as error:
            parts = streaming.parts_of(result)
            if parts is None:
                return self.failed(stream, marshal_fault(error))
            return self.stream_event(stream, *parts)
        size = len(text)
        if self.inside is not stream or size > frames.INITIAL_WINDOW or context._effects is not None:
            return self.send_body(stream, b"", 0, text, True)
        if context._partial is not None:
            logs.finish(context)
        stream.replied = stream.over = True
        header = frames.REPLY_HEADER.pack(4 + size, stream.number, frames.REPLY, frames.END, 0, 0)
        self.out.append(header + text)

    def stream_event(self, stream, head, items):
        if streaming.is_async_stream(items):
            items = _drain(items)
        first = b""
        try:
            for item in items:
                if not stream.replied:
                    if head is None and streaming.is_head(item):
                        head = item
                        continue
                    first = item
                data = streaming.chunk_bytes(item)
                head_bytes = b"" if stream.replied else streaming.head_json(head, first)
                self.send_body(stream, head_bytes, frames.HTTP, data, False)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        head_bytes = b"" if stream.replied else streaming.head_json(head, first)
        self.send_body(stream, head_bytes, frames.HTTP, b"", True)


async def _wait(awaitable):
    return await awaitable


def _drain(items):
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        step = items.__aiter__().__anext__
        while True:
            try:
                item = loop.run_until_complete(_wait(step()))
            except StopAsyncIteration:
                return
            yield item
    finally:
        loop.close()
