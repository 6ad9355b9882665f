"""JSON in and out, as AWS's Python runtime does it, with the C functions called directly."""

import sys
from json import JSONDecoder, JSONEncoder
from json import encoder as _encoder

_decoder = JSONDecoder()
_decode = _decoder.decode
_scan = _decoder.scan_once


def loads(data):
    """The value of JSON bytes. Raises ValueError."""
    text = str(data, "utf-8")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decode(text)  # white space in front, or an error with its position
    if end != len(text) and text[end:].strip(" \t\n\r"):
        return _decode(text)
    return value


class _Digits(float):
    """A number that is written with the digits it was made from."""


class _NeedsDigits(Exception):
    """The value holds a Decimal: the C encoder would not write its digits as they are."""


def _is_decimal(value):
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def _default(value):
    if _is_decimal(value):
        raise _NeedsDigits
    if isinstance(value, bytes):
        return str(value, "utf-8")
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _default_digits(value):
    if not _is_decimal(value):
        return _default(value)
    if value.is_nan():
        return float("nan")
    digits = _Digits(0)
    digits.text = str(value)
    return digits


def _number(value):
    if type(value) is _Digits:
        return value.text
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def _dumps_digits(value):
    make, escape = _encoder._make_iterencode, _encoder.encode_basestring
    encode = make({}, _default_digits, escape, None, _number, ": ", ", ", False, False, True)
    return "".join(encode(value, 0)).encode()


_plain = JSONEncoder(default=_default, ensure_ascii=False)
_ascii = JSONEncoder(default=_default)


def _make_fast():
    """The encoder that JSONEncoder.encode() would build anew for every call."""
    make, escape = _encoder.c_make_encoder, _encoder.encode_basestring
    try:
        encode = make({}, _default, escape, None, ": ", ", ", False, False, True)
        if "".join(encode({"a": [1, "\u20ac", None, 0.5]}, 0)) == '{"a": [1, "\u20ac", null, 0.5]}':
            return encode
    except (TypeError, ValueError):
        pass
    return None


_fast = _make_fast()


def dumps(value):
    """UTF-8 JSON of a value; bytes are taken as they are. Raises TypeError, ValueError or
    RecursionError."""
    if type(value) is bytes:
        return value
    try:
        if _fast is None or type(value) is str:
            return _plain.encode(value).encode()
        return "".join(_fast(value, 0)).encode()
    except UnicodeEncodeError:
        return _ascii.encode(value).encode()  # lone surrogates
    except _NeedsDigits:
        _reset()
        return _dumps_digits(value)
    except Exception:
        _reset()
        raise


def _reset():
    # The encoder remembers the containers it was inside of, to find circles.
    global _fast
    if _fast is not None:
        _fast = _make_fast()
