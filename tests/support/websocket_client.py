"""A WebSocket client that says and shows bytes as they are."""

import base64
import json
import os
import socket
import struct
from urllib.parse import urlsplit

from harness import PATIENCE


class Client:
    """One WebSocket, by bytes."""

    def __init__(self, gateway, target="/talk?who=me", key=None, headers=""):
        url = urlsplit(gateway)
        self.socket = socket.create_connection((url.hostname, url.port), 20 * PATIENCE)
        self.key = key or base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {target} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
                             f"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {self.key}\r\nUser-Agent: raw\r\n{headers}\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            assert data, self.buffer
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, payload, first=0x81):
        payload = payload if isinstance(payload, bytes) else payload.encode()
        size = len(payload)
        head = bytes([first]) + (bytes([0x80 | size]) if size < 126 else
                                 struct.pack(">BH", 0xfe, size) if size < 65536 else struct.pack(">BQ", 0xff, size))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        """(first byte, payload), or None at the end."""
        head = self.exactly(2)
        if head is None:
            return None
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exactly(8))[0]
        return head[0], self.exactly(size)

    def text(self):
        first, payload = self.frame()
        assert first == 0x81, (first, payload)
        return payload.decode()

    def ask(self, payload, first=0x81):
        self.send(payload, first)
        return json.loads(self.text())

    def closed_with(self):
        first, payload = self.frame()
        assert first == 0x88, (first, payload)
        return struct.unpack(">H", payload[:2])[0]
