"""What a handler asks of the platform and stages through its context: `context.state`, `context.send`.

Nothing that is staged happens before the handler has ended well; then all of it happens at once,
together with "this event is done", or none of it (docs/guides/queues.md).
"""

from .jsonio import dumps, loads

_KEY_BYTES = 1024


class StateError(RuntimeError):
    """The platform refused; code says why ("too_large", "unavailable" ...)."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Effects:
    """What one invocation has staged. Not thread-safe."""

    def __init__(self):
        self.seen = {}  # key -> etag, None when there was no such key
        self.writes = {}  # key -> JSON text, None: delete
        self.adds = {}  # key -> (delta, at_least)
        self.sends = []
        self.sent = False

    def open(self):
        if self.sent:
            raise RuntimeError("the answer has begun: nothing more can be staged")
        return self

    def add(self, key, delta, at_least):
        if key in self.writes:
            text = self.writes[key]
            value = 0 if text is None else loads(text)
            if type(value) is not int:
                raise TypeError("%r holds no whole number" % key)
            if at_least is not None and value + delta < at_least:
                raise StateError("conflict", "%r would fall below %d" % (key, at_least))
            self.writes[key] = dumps(value + delta)
            return
        before, floor = self.adds.get(key, (0, None))
        floors = [limit for limit in (floor, at_least) if limit is not None]
        self.adds[key] = (before + delta, max(floors) if floors else None)

    def frame(self):
        """The JSON of the effects frame; None when nothing was staged."""
        self.sent = True
        if not (self.writes or self.adds or self.sends):
            return None
        puts = [_item(key, text) for key, text in self.writes.items() if text is not None]
        parts = [
            _member("require", [dumps({"key": k, "etag": tag}) for k, tag in self.seen.items()]),
            _member("put", puts),
            _member("delete", [dumps(key) for key, text in self.writes.items() if text is None]),
            _member("add", [_addition(key, *change) for key, change in self.adds.items()]),
            _member("send", [dumps(message) for message in self.sends]),
        ]
        return b"{" + b",".join(part for part in parts if part) + b"}"


def _item(key, text):
    return b'{"key":' + dumps(key) + b',"value":' + text + b"}"


def _addition(key, delta, at_least):
    change = {"key": key, "delta": delta}
    if at_least is not None:
        change["at_least"] = at_least
    return dumps(change)


def _member(name, items):
    return b'"%s":[%s]' % (name.encode(), b",".join(items)) if items else b""


def _checked(key):
    if type(key) is not str:
        raise TypeError("a key is a str, not %s" % type(key).__name__)
    if not 0 < len(key.encode("utf-8", "surrogatepass")) <= _KEY_BYTES:
        raise ValueError("a key takes 1 to %d bytes" % _KEY_BYTES)
    return key


def _whole(value, what):
    if type(value) is not int:
        raise TypeError("%s is a whole number (int), not %s" % (what, type(value).__name__))
    return value


class State:
    """`context.state`. Keys are str, values what JSON can say.

    In an `async def` handler get() and list() are awaited.
    """

    def __init__(self, context):
        self._context = context

    def _effects(self):
        effects = self._context._effects
        if effects is None:
            effects = self._context._effects = Effects()
        return effects.open()

    def get(self, key, default=None):
        """The value, as it will be with what has been staged. That it has not changed meanwhile is
        made sure of when the staged changes are done: else the event is handled again."""
        effects = self._effects()
        if key in effects.writes:
            text = effects.writes[key]
            value = default if text is None else loads(text)
            return self._context._ask(self._context, None, lambda _: value)
        question = dumps({"op": "state.get", "key": _checked(key)})

        def take(answer):
            effects.seen.setdefault(key, answer.get("etag"))
            found = answer.get("etag") is not None
            value = answer.get("value")
            if key in effects.adds:
                return (value if found else 0) + effects.adds[key][0]
            return value if found else default

        return self._context._ask(self._context, question, take)

    def list(self, prefix="", limit=100, after=""):
        """[(key, value)] of keys with the prefix, in order; not what is staged."""
        wanted = {"op": "state.list", "prefix": prefix, "limit": _whole(limit, "limit")}
        if after:
            wanted["after"] = after

        def take(answer):
            return [(item["key"], item["value"]) for item in answer["items"]]

        return self._context._ask(self._context, dumps(wanted), take)

    def put(self, key, value):
        effects, text = self._effects(), dumps(value)
        effects.writes[_checked(key)] = text
        effects.adds.pop(key, None)

    def delete(self, key):
        effects = self._effects()
        effects.writes[_checked(key)] = None
        effects.adds.pop(key, None)

    def add(self, key, delta, at_least=None):
        """Adds to a whole number (0 when there is none) without reading it: calls at the same time
        do not get in each other's way. at_least: else nothing of the invocation is done."""
        if at_least is not None:
            _whole(at_least, "at_least")
        self._effects().add(_checked(key), _whole(delta, "delta"), at_least)


def stage_message(context, queue, body, delay, group, deduplication_id, attributes):
    """context.send()"""
    if type(queue) is not str or not queue:
        raise TypeError("the queue is named by a str")
    message = {"queue": queue, "body": body if type(body) is str else dumps(body).decode()}
    if delay is not None:
        message["delay_s"] = _whole(delay, "delay")
    if group is not None:
        message["group"] = str(group)
    if deduplication_id is not None:
        message["deduplication_id"] = str(deduplication_id)
    if attributes:
        message["attributes"] = {name: _attribute(value) for name, value in attributes.items()}
    State(context)._effects().sends.append(message)


def _attribute(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return {"type": "Binary", "value": base64.b64encode(value).decode()}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"type": "Number", "value": repr(value)}
    if isinstance(value, str):
        return {"type": "String", "value": value}
    raise TypeError("an attribute is a str, a number or bytes, not %s" % type(value).__name__)


def taken(payload, take):
    """What take() makes of an answer frame's JSON; raises StateError for an error."""
    answer = loads(payload)
    error = answer.get("error")
    if error is not None:
        raise StateError(error.get("code", "internal"), error.get("message", "refused"))
    return take(answer)
