"""What went wrong in the user's code, in the form of AWS Lambda's Python runtime."""

import os

from . import logs
from .jsonio import dumps

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAIN = os.path.join(os.path.dirname(_HERE), "main.py")


class InitError(Exception):
    """Initialisation failed; error is the JSON form as a dict, text goes to the log."""

    def __init__(self, error, text=None):
        super().__init__(error["errorMessage"])
        self.error = error
        self.text = text or log_text(error)


class Cancelled(Exception):
    """The caller is gone; raised inside of app code that reads or writes a body."""


def fault(kind, message, trace=()):
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": "",
        "stackTrace": list(trace),
    }


def of_call(error, context):
    """The error as that of one invocation."""
    error["requestId"] = context.aws_request_id
    return error


def _ours(filename):
    return filename.startswith(_HERE) or filename == _MAIN or filename.startswith("<frozen importlib")


def user_frames(exc):
    """The trace as AWS gives it: a list of strings, frames of the user's side only."""
    import traceback

    frames = [f for f in traceback.extract_tb(exc.__traceback__) if not _ours(f.filename)]
    return traceback.format_list(frames)


def describe(exc):
    """The error JSON of an exception raised by the user's code."""
    try:
        message = str(exc)
    except Exception:
        message = "<the exception cannot be printed>"
    return fault(type(exc).__name__, message, user_frames(exc))


def log_text(error):
    """What the log shows for an error."""
    if logs.JSON:
        return log_json(error)
    text = "[ERROR] %s: %s\n" % (error["errorType"], error["errorMessage"])
    if error["stackTrace"]:
        text += "Traceback (most recent call last):\n" + "".join(
            line if line.endswith("\n") else line + "\n" for line in error["stackTrace"]
        )
    return text


def log_text_of(exc, error):
    """As log_text, with the chain of causes in front."""
    text, seen = log_text(error), {id(exc)}
    while not logs.JSON:
        cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        if cause is None or id(cause) in seen:
            return text
        seen.add(id(cause))
        text += "caused by " + log_text(describe(cause))[len("[ERROR] ") :]
        exc = cause
    return text


def log_json(error):
    """One line, in the log format JSON."""
    import time

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = dumps({"timestamp": stamp, "log_level": "ERROR", **error})
    return line.decode("utf-8", "replace") + "\n"


def marshal_fault(exc):
    return fault("Runtime.MarshalError", "Unable to marshal response: %s" % exc)


def unmarshal_fault(exc):
    return fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % exc)


def cancelled_fault():
    return fault("Runtime.Cancelled", "The invocation was cancelled: the caller is gone or it is late.")
