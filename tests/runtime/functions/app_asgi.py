"""The ASGI app of the conformance suite."""

import asyncio
import json
import os
import sys
from urllib.parse import parse_qs

started = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    route = ROUTES.get(scope["path"], show)
    await route(scope, receive, send, query)


async def lifespan(scope, receive, send):
    await receive()
    scope["state"]["ready"] = "yes"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("lifespan is over")
    await send({"type": "lifespan.shutdown.complete"})


async def start(send, status=200, kind=b"text/plain", headers=()):
    fields = [(b"content-type", kind), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})


async def answer(send, status, body, headers=()):
    await start(send, status, headers=headers)
    await send({"type": "http.response.body", "body": body})


async def pieces(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("disconnected")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def echo(scope, receive, send, query):
    data = b""
    async for piece in pieces(receive):
        data += piece
    await answer(send, 200, data)


async def count(scope, receive, send, query):
    total = 0
    async for piece in pieces(receive):
        total += len(piece)
    await answer(send, 200, str(total).encode())


async def ignore(scope, receive, send, query):
    await answer(send, 200, b"ignored")


async def cookies(scope, receive, send, query):
    fields = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2"), (b"x-many", b"1"), (b"x-many", b"2")]
    await answer(send, 202, b"", fields)


async def empty(scope, receive, send, query):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def sse(scope, receive, send, query):
    await start(send, kind=b"text/event-stream")
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.get_running_loop().run_in_executor(None, lambda: open(query["gate"]).read(1))
    await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": True})
    await send({"type": "http.response.body"})


async def blocks(scope, receive, send, query):
    await start(send, kind=b"application/octet-stream")
    for _ in range(int(query["count"])):
        await send({"type": "http.response.body", "body": b"b" * int(query["size"]), "more_body": True})
    await send({"type": "http.response.body"})


async def throw(scope, receive, send, query):
    raise KeyError("thrown")


async def broken(scope, receive, send, query):
    await start(send)
    await send({"type": "http.response.body", "body": b"before", "more_body": True})
    raise RuntimeError("in the middle")


async def log(scope, receive, send, query):
    print("out", query["name"])
    sys.stderr.write("err %s\n" % query["name"])
    await asyncio.sleep(float(query.get("seconds", 0)))
    while not os.path.exists(query.get("until", "/")):
        await asyncio.sleep(0.005)
    print("done", query["name"])
    await answer(send, 200, query["name"].encode())


async def disconnect(scope, receive, send, query):
    await start(send)
    await send({"type": "http.response.body", "body": b"waiting", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    print("saw the disconnect")


async def show(scope, receive, send, query):
    headers = {}
    for name, value in scope["headers"]:
        name = name.decode()
        headers[name] = headers[name] + "," + value.decode() if name in headers else value.decode()
    text = json.dumps(
        {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "base": scope["root_path"],
            "remote": scope["client"][0],
            "host": headers["host"],
            "accept": headers.get("accept"),
            "cookie": headers.get("cookie"),
            "twice": headers.get("x-twice"),
            "state": scope["state"]["ready"],
        }
    ).encode()
    await answer(send, 200, text, [(b"content-length", str(len(text)).encode())])


ROUTES = {
    "/echo": echo,
    "/count": count,
    "/ignore": ignore,
    "/cookies": cookies,
    "/empty": empty,
    "/sse": sse,
    "/blocks": blocks,
    "/throw": throw,
    "/broken": broken,
    "/log": log,
    "/disconnect": disconnect,
}
