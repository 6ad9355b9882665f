"""Answers of event handlers that are streamed: what a handler may return besides a JSON value.

A generator or iterator: its items are the body; a first item that is a dict with "statusCode" is
the head. A dict with "statusCode" whose "body" is an iterator or generator: head and body.
"""

from .jsonio import dumps


def is_async_stream(value):
    return hasattr(value, "__aiter__")


def is_stream(value):
    return hasattr(value, "__next__") or hasattr(value, "__aiter__")


def parts_of(result):
    """(head dict or None, iterator) when the result is a stream, else None."""
    if is_stream(result):
        return None, result
    if isinstance(result, dict) and "statusCode" in result and is_stream(result.get("body")):
        return result, result["body"]
    return None


def is_head(item):
    return isinstance(item, dict) and "statusCode" in item


def head_json(head, first_chunk=b""):
    """The response head of a Lambda style dict, as the bytes of a reply frame."""
    head = head or {}
    fields, names = [], set()
    many = head.get("multiValueHeaders") or {}
    for name, values in many.items():
        for value in values:
            fields.append([str(name), str(value)])
        names.add(str(name).lower())
    for name, value in (head.get("headers") or {}).items():
        if str(name).lower() not in names:
            for one in value if isinstance(value, (list, tuple)) else (value,):
                fields.append([str(name), str(one)])
    names.update(name.lower() for name, _ in fields)
    for cookie in head.get("cookies") or ():
        fields.append(["set-cookie", str(cookie)])
    if "content-type" not in names:
        text = isinstance(first_chunk, str)
        fields.append(
            ["content-type", "text/plain; charset=utf-8" if text else "application/octet-stream"]
        )
    return dumps({"status": int(head.get("statusCode", 200)), "headers": fields})


def chunk_bytes(item):
    """Body bytes of a streamed item: bytes as they are, text as UTF-8, the rest as a JSON line."""
    if isinstance(item, str):
        return item.encode("utf-8", "replace")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return dumps(item) + b"\n"
