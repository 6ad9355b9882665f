"""The context object of Lambda handlers."""

import os
import time

from .frames import EFFECTS, frame
from .jsonio import loads
from .state import State, stage_message


class _Parts:
    """An object with the members of a JSON object that AWS knows; None for those that are missing."""

    __slots__ = ()

    def __init__(self, data):
        for name in self.__slots__:
            setattr(self, name, data.get(name))

    def __repr__(self):
        inner = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, inner)


class Client(_Parts):
    __slots__ = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Parts):
    __slots__ = ("custom", "env", "client")

    def __init__(self, data):
        super().__init__(data)
        if isinstance(self.client, dict):
            self.client = Client(self.client)


class CognitoIdentity(_Parts):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


def client_context(text):
    if not text:
        return None
    try:
        data = loads(text.encode()) if isinstance(text, str) else text
    except ValueError:
        return None
    return ClientContext(data) if isinstance(data, dict) else None


class LambdaContext:
    """AWS's members; `cancelled`: true once nobody waits for the result any more; `state` and
    `send()`: what is to happen together with the success of this invocation.

    The meta JSON is parsed when a member of it is first asked for: most handlers never do.
    """

    function_name = function_version = memory_limit_in_mb = log_group_name = ""  # read_environment
    tenant_id = None
    _partial = None  # unfinished lines of stdout and stderr
    _cancelled = False
    _poll = None
    _effects = None
    _ask = None  # of the server: (context, question, take) -> the answer

    def __init__(self, stream, meta):
        self._stream = stream
        self._meta = meta

    def __getattr__(self, name):
        if "_meta" not in self.__dict__:
            raise AttributeError("'LambdaContext' object has no attribute %r" % name)
        meta = loads(self.__dict__.pop("_meta"))
        self.aws_request_id = meta.get("id", "")
        self.invoked_function_arn = meta.get("arn", "")
        self.identity = CognitoIdentity({})
        self.client_context = client_context(meta.get("client_context"))
        self._epoch_deadline_time_in_ms = meta.get("deadline_ms", 0)
        self._trace = meta.get("trace") or ""
        return getattr(self, name)

    @property
    def log_stream_name(self):  # a clone has its own
        return os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")

    @property
    def cancelled(self):
        if not self._cancelled and self._poll is not None:
            self._poll()
        return self._cancelled

    def get_remaining_time_in_millis(self):
        return max(0, int(self._epoch_deadline_time_in_ms - time.time() * 1000))

    @property
    def state(self):
        return State(self)

    def send(
        self, queue, body, delay=None, group=None, deduplication_id=None, attributes=None
    ):
        """Stages a message; a body that is no str is sent as JSON."""
        stage_message(self, queue, body, delay, group, deduplication_id, attributes)

    def _stage(self, out):
        """Adds the frame of what was staged, before the first frame of the answer."""
        effects = self._effects.frame()
        if effects is not None:
            out.append(frame(self._stream, EFFECTS, 0, effects))

    def log(self, message):
        import sys

        text = str(message)
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def _trace_header(self):
        """What _X_AMZN_TRACE_ID is to be; does not parse the meta JSON where there is none."""
        meta = self.__dict__.get("_meta")
        return "" if meta is not None and b'"trace"' not in meta else self._trace

    def __repr__(self):
        names = ("aws_request_id", "log_group_name", "log_stream_name", "function_name")
        names += ("memory_limit_in_mb", "function_version", "invoked_function_arn")
        names += ("client_context", "identity", "tenant_id")
        inner = ",".join("%s=%s" % (name, getattr(self, name)) for name in names)
        return "LambdaContext([%s])" % inner


def read_environment():
    """As this module is loaded, and once more in a program that comes from a zygote."""
    LambdaContext.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    LambdaContext.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    LambdaContext.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    LambdaContext.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")


read_environment()
