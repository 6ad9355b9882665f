"""Opens the channel and picks the server for the app."""

import os
import sys

from . import frames, logs
from .errors import InitError
from .jsonio import dumps


def server_of(app):
    """The server class for an app. Imports it: part of initialisation."""
    if app.is_async:
        from .aio import AsyncServer as Server

        if app.kind == "asgi":
            from . import asgi  # noqa: F401
    elif app.kind == "wsgi" or app.settings.concurrency > 1:
        from .threads import ThreadServer as Server

        if app.kind == "wsgi":
            from . import wsgi  # noqa: F401
    else:
        from .sync import SyncServer as Server
    return Server


def prepare(app, fd):
    """The channel and the server that a template makes for its clones, each of which has a channel of
    its own in the place of fd. None where they have threads or loops: those are each clone's."""
    Server = server_of(app)
    if not getattr(Server, "cloneable", False):
        return None
    channel = frames.Channel(fd)
    return channel, Server(app, channel)


def serve(app, fd, ready, prepared=None):
    app.announcement = ready
    channel, server = prepared or (frames.Channel(fd), None)
    os.register_at_fork(after_in_child=channel.leave)
    logs.open_channel(channel)
    code = 0
    try:
        if server is None:
            server = server_of(app)(app, channel)
        server.run()
    except InitError as error:
        fail_initialisation(error, channel)
    except (ConnectionError, frames.ProtocolError) as error:
        code = 1 if isinstance(error, frames.ProtocolError) else 0
        if code:
            os.write(2, ("mayfly: %s\n" % error).encode())
    except SystemExit as error:
        code = exit_code(error)
    leave(code)


def exit_code(error):
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def leave(code):
    """Ends the process. Threads that the user's code left behind must not hold it up."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException as error:  # the process ends anyway; say what went wrong
        print("exit handlers failed: %r" % error, file=sys.stderr)
    flush_logs()
    os._exit(code)


def flush_logs():
    try:
        if logs.state.process._partial is not None:
            logs.finish(logs.state.process)
        if logs.state.channel is not None:
            logs.state.channel.flush()
    except OSError:
        pass  # the engine is gone


def send_ready(channel, app):
    """Says that app may be invoked, unless its template has said so."""
    if app.announcement is not None:
        channel.send(ready_frame(app))


def ready_frame(app):
    return frames.frame(0, frames.READY, 0, dumps({**app.ready(), **app.announcement}))


def announce(app, fd, ready):
    """Sends ready for a template, which opens no channel: that is for its clones."""
    app.announcement = ready
    data = ready_frame(app)
    while data:
        data = data[os.write(fd, data) :]


def report_init_error(error, fd):
    """Tells the engine that initialisation failed, and ends the process."""
    channel = frames.Channel(fd)
    logs.open_channel(channel)
    fail_initialisation(error, channel)


def fail_initialisation(error, channel):
    try:
        sys.stderr.write(error.text)
        if logs.state.process._partial is not None:
            logs.finish(logs.state.process)
        channel.send(frames.frame(0, frames.INIT_ERROR, 0, dumps(error.error)))
    except OSError:
        pass  # the engine is gone
    os._exit(1)
