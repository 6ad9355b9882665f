"""The WSGI app of the conformance suite."""

import json
import os
import sys
import time
from urllib.parse import parse_qs


def answer(start_response, status, body, headers=()):
    start_response(status, [("Content-Type", "text/plain"), *headers])
    return [body]


def describe(environ):
    return {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"].encode("latin-1").decode(),
        "query": environ["QUERY_STRING"],
        "base": environ["SCRIPT_NAME"],
        "remote": environ["REMOTE_ADDR"],
        "host": environ["HTTP_HOST"],
        "accept": environ.get("HTTP_ACCEPT"),
        "cookie": environ.get("HTTP_COOKIE"),
        "twice": environ.get("HTTP_X_TWICE"),
    }


def trickle(gate):
    yield b"data: 1\n\n"
    with open(gate) as file:  # a pipe: goes on when the test writes to it
        file.read(1)
    yield b"data: 2\n\n"


def blocks(count, size):
    for _ in range(count):
        yield b"b" * size


def broken():
    yield b"before"
    raise RuntimeError("in the middle")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    body = environ["wsgi.input"]
    if path == "/echo":
        data = body.read()
        return answer(start_response, "200 OK", data)
    if path == "/count":
        total = 0
        while True:
            piece = body.read(100000)
            if not piece:
                break
            total += len(piece)
        return answer(start_response, "200 OK", str(total).encode())
    if path == "/ignore":
        return answer(start_response, "200 OK", b"ignored")
    if path == "/cookies":
        fields = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Many", "1"), ("X-Many", "2")]
        return answer(start_response, "202 Accepted", b"", fields)
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/sse":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return trickle(query["gate"])
    if path == "/blocks":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return blocks(int(query["count"]), int(query["size"]))
    if path == "/throw":
        raise KeyError("thrown")
    if path == "/broken":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return broken()
    if path == "/log":
        print("out", query["name"])
        sys.stderr.write("err %s\n" % query["name"])
        time.sleep(float(query.get("seconds", 0)))
        while not os.path.exists(query.get("until", "/")):
            time.sleep(0.005)
        print("done", query["name"])
        return answer(start_response, "200 OK", query["name"].encode())
    text = json.dumps(describe(environ)).encode()
    return answer(start_response, "200 OK", text, [("Content-Length", str(len(text)))])
