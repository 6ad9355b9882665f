"""An ASGI application: streams, waits for other requests, and tells what it saw."""

import asyncio
import hashlib
import json
import os

gates = {}
running = peak = 0


def gate(name):
    return gates.setdefault(name, asyncio.Event())


async def read_body(receive):
    count, digest = 0, hashlib.sha256()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return count, digest.hexdigest()
        count += len(message.get("body", b""))
        digest.update(message.get("body", b""))
        if not message.get("more_body"):
            return count, digest.hexdigest()


async def start(send, status=200, headers=()):
    await send({"type": "http.response.start", "status": status,
                "headers": [(k.encode(), v.encode()) for k, v in headers]})


async def answer(send, value, status=200, headers=()):
    body = json.dumps(value).encode()
    await start(send, status, [("content-type", "application/json"),
                               ("content-length", str(len(body))), *headers])
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    global running, peak
    if scope["type"] != "http":
        return
    path = scope["path"]
    running += 1
    peak = max(peak, running)
    try:
        if path.startswith("/trickle/"):  # the first chunk, then the rest once /open/NAME was called
            kind = "text/event-stream" if path.endswith("/sse") else "text/plain"
            await start(send, headers=[("content-type", kind),
                                       ("x-instance", os.environ["AWS_LAMBDA_LOG_STREAM_NAME"])])
            await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
            await gate(path).wait()
            await send({"type": "http.response.body", "body": b"data: second\n\n", "more_body": True})
            await send({"type": "http.response.body", "body": b"data: last\n\n"})
        elif path.startswith("/open/"):
            gate(path.replace("/open/", "/trickle/", 1)).set()
            await answer(send, {"opened": path})
        elif path.startswith("/hold/"):  # stays until /release was called
            await gate("hold").wait()
            await answer(send, {"peak": peak, "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]})
        elif path == "/release":
            gate("hold").set()
            await answer(send, {"running": running})
        elif path == "/running":
            await answer(send, {"running": running, "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]})
        elif path == "/upload":
            count, digest = await read_body(receive)
            await answer(send, {"bytes": count, "sha256": digest})
        elif path == "/mirror":  # sends back each part as it comes
            await start(send, headers=[("content-type", "application/octet-stream")])
            while True:
                message = await receive()
                await send({"type": "http.response.body", "body": message.get("body", b""),
                            "more_body": bool(message.get("more_body"))})
                if not message.get("more_body"):
                    return
        elif path == "/binary":
            await start(send, headers=[("content-type", "application/octet-stream")])
            await send({"type": "http.response.body", "body": bytes(range(256))})
        elif path.startswith("/status/"):
            await answer(send, {"ok": False}, int(path.rsplit("/", 1)[1]))
        elif path == "/cookies":
            await answer(send, {}, headers=[("set-cookie", "a=1"), ("set-cookie", "b=2"),
                                            ("x-many", "1"), ("x-many", "2")])
        elif path == "/large":
            await start(send, headers=[("content-type", "application/octet-stream")])
            for _ in range(256):
                await send({"type": "http.response.body", "body": b"L" * 65536, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif path == "/cut":
            await start(send, headers=[("content-length", "1000")])
            await send({"type": "http.response.body", "body": b"only this", "more_body": True})
            raise RuntimeError("broke off")
        else:
            await answer(send, {
                "method": scope["method"], "path": path, "root_path": scope.get("root_path", ""),
                "raw_path": scope.get("raw_path", b"").decode("latin-1"),
                "query": scope["query_string"].decode("latin-1"),
                "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]],
                "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
            })
    finally:
        running -= 1
