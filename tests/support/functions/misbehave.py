"""Everything that a function should not do, on demand: {"do": "..."}."""

import ctypes
import os
import signal
import sys
import time


def fork_daemon(seconds):
    """Double fork: a process that the handler's own process does not know any more."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in (0, 1, 2):
                try:
                    os.close(fd)
                except OSError:
                    pass
            time.sleep(seconds)
        os._exit(0)
    os.wait()


def handler(event, context):
    what = event.get("do")
    if what == "raise":
        raise ValueError("no such luck")
    if what == "exit":
        os._exit(event.get("code", 3))
    if what == "segv":
        ctypes.string_at(0)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(event["s"])
    if what == "loop":
        while True:
            pass
    if what == "ignore_term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(event.get("s", 3600))
    if what == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1)) * (4 << 20))
    if what == "fork_bomb":
        made, refused = 0, None
        for _ in range(100_000):
            try:
                pid = os.fork()
            except OSError as e:
                refused = e.strerror
                break
            if pid == 0:
                time.sleep(3600)
                os._exit(0)
            made += 1
        return {"made": made, "refused": refused, "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]}
    if what == "disk":
        written = 0
        try:
            with open("/tmp/fill", "wb") as f:
                while True:
                    written += f.write(b"x" * (1 << 20))
        except OSError as e:
            return {"written": written, "refused": e.strerror, "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]}
    if what == "output":
        line = "y" * 1023
        for _ in range(event.get("kb", 4096)):
            print(line)
        sys.stdout.flush()
    if what == "long_line":
        print("z" * event.get("bytes", 1 << 20), flush=True)
    if what == "big_answer":
        return "b" * event["bytes"]
    if what == "daemon":
        fork_daemon(3600)
    if what == "print":
        print("to stdout", event.get("word", ""))
        print("to stderr", event.get("word", ""), file=sys.stderr)
    return {"did": what, "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]}
