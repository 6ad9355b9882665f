"""The formats of AWS's logging handler: text with tabs, and JSON."""

_DATE = "%Y-%m-%dT%H:%M:%S"
_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
# Members of a record that are not the user's own.
_KNOWN = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno "
    "funcName created msecs relativeCreated thread threadName processName process taskName "
    "aws_request_id tenant_id".split()
)


def level(name):
    """The name of AWS_LAMBDA_LOG_LEVEL in the words of logging."""
    name = (name or "").upper()
    return {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(name, name)


def formatter(logging, json):
    return _json_formatter(logging) if json else logging.Formatter(_TEXT, _DATE)


def _json_formatter(logging):
    from json import JSONEncoder

    encode = JSONEncoder(ensure_ascii=False, default=str).encode

    class JsonFormatter(logging.Formatter):
        def __init__(self):
            super().__init__(datefmt=_DATE + "Z")

        def format(self, record):
            rounded = min(50, max(0, record.levelno)) // 10 * 10
            line = {
                "timestamp": self.formatTime(record, self.datefmt),
                "level": logging.getLevelName(rounded),
                "message": record.getMessage(),
                "logger": record.name,
            }
            if record.exc_info and record.exc_info[0] is not None:
                line.update(_of_exception(record))
            request_id = getattr(record, "aws_request_id", None)
            if request_id is not None:
                line["requestId"] = request_id
            if record.exc_info:
                line["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
            for name, value in record.__dict__.items():
                if name not in _KNOWN and name not in line and value is not None:
                    line[name] = value
            return encode(line)

    return JsonFormatter()


def _of_exception(record):
    from traceback import format_tb

    kind, error, trace = record.exc_info
    return {
        "stackTrace": format_tb(trace),
        "errorType": kind.__name__,
        "errorMessage": str(error),
    }
