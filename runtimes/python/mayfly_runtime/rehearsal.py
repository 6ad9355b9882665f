"""A template answers some invocations before it is cloned, with a handler that does nothing: what
the interpreter allocates, specialises and imports when the runtime's own code first runs is then
there in every clone. Nothing of the user's runs.
"""

import _socket
import copy

from . import frames
from .jsonio import dumps
from .serve import server_of
from .sync import SyncServer

_ROUNDS = 20  # more than the interpreter takes to adapt its instructions


def rehearse(app):
    """For the server that blocks. Others start threads or loops of their own, which clones must not
    inherit. Returns how many rounds were answered."""
    if server_of(app) is not SyncServer:
        return 0
    stand_in = copy.copy(app)
    stand_in.target, stand_in.announcement = _handler, None
    ours, theirs = _socket.socketpair()
    channel = frames.Channel(theirs.detach())
    try:
        ours.setblocking(False)
        for number in range(_ROUNDS):
            ours.send(_invoke_frame(number + 1))
        ours.send(frames.frame(0, frames.SHUTDOWN))
        SyncServer(stand_in, channel).run()
        replies = frames.Decoder().feed(ours.recv(1 << 16))
    finally:
        ours.close()
        channel.socket.close()
    return sum(kind == frames.REPLY for _, kind, _, _ in replies)


def _handler(event, context):
    return {"statusCode": 200, "body": event["body"]}


def _invoke_frame(stream):
    meta = dumps({"id": "rehearsal", "deadline_ms": 0, "arn": ""})
    body = dumps({"version": "2.0", "headers": {"host": "localhost"}, "body": "{}"})
    parts = frames.U32.pack(len(meta)), meta, frames.U32.pack(0), body
    return frames.frame(stream, frames.INVOKE, frames.END, b"".join(parts))
