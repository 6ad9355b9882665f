"""stdout, stderr and logging of the user's code, attributed to the invocation that wrote.

Who writes is told by a context variable where several invocations run at once, and by `sole` where
one runs at a time. What is written before the channel is open goes to the pipes on fd 1 and 2.
"""

import contextvars
import io
import os
import sys

current = contextvars.ContextVar("mayfly_invocation", default=None)

JSON = False  # else text
_LINE_BYTES = 64 << 10  # an unfinished line longer than this is sent in pieces


def read_environment():
    """As this module is loaded, and once more in a program that comes from a zygote."""
    global JSON
    JSON = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


read_environment()


class _Process:
    """Stands for output that belongs to no invocation."""

    _stream = 0
    _partial = None


class _State:
    sole = None  # the one invocation that runs, where only one may
    channel = None
    process = _Process()


state = _State()


def writer():
    """The invocation (LambdaContext) that the running code belongs to, or the process."""
    found = current.get()
    if found is None:
        found = state.sole
    return state.process if found is None else found


def emit(target, which, text):
    data = text.encode("utf-8", "backslashreplace")
    channel = state.channel
    if channel is None:
        while data:
            data = data[os.write(which, data) :]
    else:
        channel.log(target._stream, which, data)


def finish(target):
    """Sends unfinished lines: call when _partial is not None."""
    partial, target._partial = target._partial, None
    for which in (1, 2):
        if partial[which]:
            emit(target, which, partial[which] + "\n")


class _Binary(io.RawIOBase):
    def __init__(self, text):
        self._text = text

    def writable(self):
        return True

    def fileno(self):
        return self._text.fileno()

    def write(self, data):
        data = bytes(data)
        self._text.write(data.decode("utf-8", "replace"))
        return len(data)


class LogStream(io.TextIOBase):
    """Takes the place of sys.stdout or sys.stderr; sends a frame for each finished line."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = True

    def __init__(self, which):
        self._which = which
        self.buffer = _Binary(self)
        self.name = "<stdout>" if which == 1 else "<stderr>"
        self.mode = "w"

    def writable(self):
        return True

    def isatty(self):
        return False

    def fileno(self):
        return self._which

    def close(self):
        pass

    def detach(self):
        raise io.UnsupportedOperation("detach")

    def reconfigure(self, **options):
        pass

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        target, which = writer(), self._which
        partial = target._partial
        if partial is None:
            partial = target._partial = ["", "", ""]
        head, newline, tail = text.rpartition("\n")
        if newline:
            line = partial[which] + head + "\n"
            partial[which] = tail
            emit(target, which, line)
        else:
            partial[which] += tail
            if len(partial[which]) > _LINE_BYTES:
                line, partial[which] = partial[which], ""
                emit(target, which, line + "\n")
        return len(text)

    def flush(self):
        pass


def install():
    sys.stdout = sys.__stdout__ = LogStream(1)
    sys.stderr = sys.__stderr__ = LogStream(2)
    sys.meta_path.insert(0, _AfterImport())
    for name, action in after_import.items():
        if name in sys.modules:
            action(sys.modules[name])


def open_channel(channel):
    if state.process._partial is not None:
        finish(state.process)  # to the pipes
    state.channel = channel


def request_id():
    return getattr(writer(), "aws_request_id", "")


def _after_logging(logging):
    """Gives the root logger AWS's handler, when the user's code imports logging."""
    import time

    from . import logformat

    class Handler(logging.StreamHandler):
        def __init__(self):
            super().__init__(sys.stdout)

        def emit(self, record):
            record.aws_request_id = request_id()
            record.tenant_id = None
            super().emit(record)

    handler = Handler()
    logging.Formatter.converter = time.gmtime
    handler.setFormatter(logformat.formatter(logging, JSON))
    root = logging.getLogger()
    level = logformat.level(os.environ.get("AWS_LAMBDA_LOG_LEVEL"))
    if level in logging._nameToLevel:
        root.setLevel(level)
    root.addHandler(handler)


def _after_threading(threading):
    """Threads started by an invocation write as that invocation."""
    start, inner = threading.Thread.start, threading.Thread._bootstrap_inner

    def inherit_and_start(thread):
        thread._mayfly_invocation = current.get()
        return start(thread)

    def run_inherited(thread):
        current.set(getattr(thread, "_mayfly_invocation", None))
        return inner(thread)

    threading.Thread.start = inherit_and_start
    threading.Thread._bootstrap_inner = run_inherited


def _after_executor(module):
    """A pool's threads outlive the invocation that started them: each job carries its own."""
    submit = module.ThreadPoolExecutor.submit

    def submit_with_context(self, fn, /, *args, **kwargs):
        return submit(self, contextvars.copy_context().run, fn, *args, **kwargs)

    module.ThreadPoolExecutor.submit = submit_with_context


# Name of a module -> what is done with it right after its first import.
after_import = {
    "logging": _after_logging,
    "threading": _after_threading,
    "concurrent.futures.thread": _after_executor,
}


class _AfterImport:
    """Runs the action of a module right after its first import, so that nothing is imported
    only to be adjusted."""

    def find_spec(self, name, path=None, target=None):
        if name not in after_import:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec = find(name, path, target)
            if spec is not None:
                break
        else:
            return None
        if spec.loader is None or spec.origin is None or not hasattr(spec.loader, "exec_module"):
            return spec
        execute, action = spec.loader.exec_module, after_import[name]

        def exec_module(module):
            execute(module)
            action(module)

        spec.loader.exec_module = exec_module
        return spec
