"""Frames: see docs/internals/frames.md, which this file and src/wire/frames.h follow."""

import _socket
import os
import struct
from _thread import allocate_lock

INVOKE, DATA, CANCEL, WINDOW, SHUTDOWN, ANSWER = 1, 2, 3, 4, 5, 6
READY, INIT_ERROR, REPLY, ERROR, LOG, EFFECTS, ASK = 65, 66, 67, 69, 70, 71, 72
END, HTTP = 1, 2

MAX_FRAME = 64 << 20
INITIAL_WINDOW = 1 << 20
RECV_BYTES = 256 << 10
BODY_BYTES = 256 << 10  # the most body bytes put into one frame

HEADER = struct.Struct("<IIBBH")
U32 = struct.Struct("<I")
REPLY_HEADER = struct.Struct("<IIBBHI")  # a frame header and the length of the head
ZERO = b"\0\0\0\0"


def frame(stream, kind, flags=0, payload=b""):
    return HEADER.pack(len(payload), stream, kind, flags, 0) + payload


def window_frame(stream, count):
    return HEADER.pack(4, stream, WINDOW, 0, 0) + U32.pack(count)


def reply_frame(stream, flags, head, body=b""):
    """A reply. head: bytes of JSON, empty for the result of an event."""
    return b"".join(
        (REPLY_HEADER.pack(4 + len(head) + len(body), stream, REPLY, flags, 0, len(head)), head, body)
    )


def ask_frame(stream, number, question):
    return HEADER.pack(4 + len(question), stream, ASK, 0, 0) + U32.pack(number) + question


def split_invoke(payload, flags):
    """(meta, head, body) of an invoke payload; head is empty when it is not an HTTP request."""
    (n,) = U32.unpack_from(payload, 0)
    (m,) = U32.unpack_from(payload, 4 + n)
    start = 8 + n
    if start + m > len(payload):
        raise ProtocolError("the lengths inside an invoke frame do not fit")
    return payload[4 : 4 + n], payload[start : start + m], payload[start + m :]


class ProtocolError(Exception):
    """The other side broke the protocol: there is no way to go on."""


class Decoder:
    """Cuts received bytes into frames. Not thread-safe."""

    def __init__(self):
        self.rest = b""
        self.parts = []  # pieces of a frame larger than one read
        self.missing = 0

    def feed(self, data):
        """Returns the complete frames as (stream, kind, flags, payload)."""
        if self.missing > len(data):
            self.parts.append(data)
            self.missing -= len(data)
            return ()
        if self.parts:
            self.parts.append(data)
            data = b"".join(self.parts)
            self.parts = []
            self.missing = 0
        elif self.rest:
            data = self.rest + data
        frames = []
        at, size = 0, len(data)
        unpack = HEADER.unpack_from
        while size - at >= 12:
            length, stream, kind, flags, zero = unpack(data, at)
            end = at + 12 + length
            if end > size:
                check_length(length)
                break
            frames.append((stream, kind, flags, data[at + 12 : end]))
            at = end
        else:
            self.rest = data[at:]
            return frames
        self.rest = b""
        self.parts = [data[at:]]
        self.missing = end - size
        return frames


def check_length(length):
    if length > MAX_FRAME:
        raise ProtocolError("a frame of %d bytes is over the limit of %d" % (length, MAX_FRAME))


_buffer = bytearray(RECV_BYTES)  # recv() would map and unmap as much for every call


class Channel:
    """The channel's socket, blocking. send() and log() may be called by any thread.

    A process has one at a time: they share a buffer, which a clone inherits ready to use.
    """

    def __init__(self, fd):
        self.socket = _socket.socket(fileno=fd)
        self.socket.setblocking(True)
        buffer, recv_into = _buffer, self.socket.recv_into
        view = memoryview(buffer)

        def recv(flags=0):
            """Up to RECV_BYTES; empty at the end. One thread only."""
            return view[: recv_into(buffer, 0, flags)].tobytes()

        self.recv = recv
        self.out = []  # frames not sent yet; append() is atomic
        self.lock = allocate_lock()
        self.usable = True

    def leave(self):
        """In a forked child of the user's: the channel belongs to the parent."""
        self.usable = False
        self.lock = allocate_lock()
        self.out = []

    def flush(self):
        out = self.out
        with self.lock:
            while out:
                count = len(out)
                data = out[0] if count == 1 else b"".join(out[:count])
                del out[:count]
                if self.usable:
                    self.socket.sendall(data)

    def send(self, data):
        self.out.append(data)
        self.flush()

    def log(self, stream, which, text):
        """Sends whole lines at once: they must survive if the process dies next."""
        if not self.usable:
            os.write(which, text)
            return
        for at in range(0, len(text), BODY_BYTES):
            piece = text[at : at + BODY_BYTES]
            self.out.append(HEADER.pack(len(piece) + 1, stream, LOG, 0, 0))
            self.out.append(b"\1" + piece if which == 1 else b"\2" + piece)
        self.flush()
