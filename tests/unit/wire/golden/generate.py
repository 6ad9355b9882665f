#!/usr/bin/env python3
"""Writes the golden frames: one hex text file for each, read by the tests of all codecs.

    python3 generate.py        writes NAME.bin beside itself

A file holds the frame as hex digits, 32 bytes a line. README.md says what each frame means.
"""

import os
import struct

END, HTTP = 1, 2


def frame(stream, kind, flags=0, payload=b""):
    return struct.pack("<IIBBH", len(payload), stream, kind, flags, 0) + payload


def sized(data):
    return struct.pack("<I", len(data)) + data


META = (
    b'{"id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd","deadline_ms":1767225600000,"trace":"",'
    b'"client_context":"","arn":"arn:aws:lambda:eu-local-1:000000000000:function:hello"}'
)
REQUEST = (
    b'{"method":"POST","path":"/a%20b","query":"x=1&x=2","headers":[["Host","h:8080"],'
    b'["Cookie","a=1"]],"remote":"127.0.0.1","scheme":"http","version":"1.1",'
    b'"base":"/function/hello"}'
)
RESPONSE = (
    b'{"status":200,"headers":[["content-type","text/plain"],["set-cookie","a=1"],'
    b'["set-cookie","b=2"]]}'
)
FAILURE = (
    b'{"errorType":"ValueError","errorMessage":"boom","stackTrace":["  File \\"/var/task/app.py\\", '
    b'line 2, in handler\\n    raise ValueError(\\"boom\\")\\n"]}'
)
READY = b'{"model":"event","handler":"app.handler","runtime":"Python 3.11.2","concurrency":0,"notes":[]}'
UNICODE = '{"text":"größe € \U0001f600"}'.encode()

FRAMES = {
    "invoke_event": frame(7, 1, END, sized(META) + sized(b"") + b'{"name":"World"}'),
    "invoke_empty": frame(8, 1, END, sized(META) + sized(b"")),
    "invoke_unicode": frame(0xFFFFFFFF, 1, END, sized(META) + sized(b"") + UNICODE),
    "invoke_http": frame(9, 1, HTTP, sized(META) + sized(REQUEST) + b"first"),
    "invoke_http_end": frame(10, 1, HTTP | END, sized(META) + sized(REQUEST)),
    "data": frame(9, 2, 0, bytes(range(256))),
    "data_end": frame(9, 2, END, b""),
    "cancel": frame(9, 3),
    "window": frame(9, 4, 0, struct.pack("<I", 65536)),
    "shutdown": frame(0, 5),
    "answer": frame(7, 6, 0, struct.pack("<I", 1) + b'{"value":20,"etag":"9f"}'),
    "ready": frame(0, 65, 0, READY),
    "init_error": frame(0, 66, 0, FAILURE),
    "reply_event": frame(7, 67, END, sized(b"") + b'{"ok":true}'),
    "reply_http": frame(9, 67, HTTP, sized(RESPONSE) + b"hello"),
    "reply_http_end": frame(10, 67, HTTP | END, sized(RESPONSE) + b"hello"),
    "error": frame(7, 69, END, FAILURE),
    "effects": frame(7, 71, 0, b'{"add":[{"key":"budget","delta":-5,"at_least":0}]}'),
    "ask": frame(7, 72, 0, struct.pack("<I", 1) + b'{"op":"state.get","key":"budget"}'),
    "log_out": frame(7, 70, 0, b"\1one line\n"),
    "log_err_two_lines": frame(0, 70, 0, b"\2one\ntwo gr\xc3\xb6\xc3\x9fe\n"),
}


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, data in FRAMES.items():
        text = data.hex()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        with open(os.path.join(folder, name + ".bin"), "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
