"""Starts a Python function: python3 /var/runtime/main.py, frame channel on fd 3.

Two strictly separate steps, so that a template process can be forked between them:
initialise() loads the user's code and opens nothing; serve() opens the channel and never returns.
"""

import gc
import os
import sys

from mayfly_runtime import frames, jsonio, logs  # noqa: F401  (before a user's json.py is in sight)
from mayfly_runtime.errors import InitError
from mayfly_runtime.load import Settings, load
from mayfly_runtime.serve import report_init_error, server_of
from mayfly_runtime.serve import serve as serve_app


def initialise(environ):
    """Loads the user's code and what it takes to serve it. Returns the App; raises InitError."""
    settings = Settings.from_environ(environ)
    logs.install()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [settings.task_root] + [
        entry for entry in sys.path if entry not in (settings.task_root, here)
    ]
    sys.argv = [sys.argv[0]]
    app = load(settings)
    server_of(app)
    gc.freeze()  # what was loaded stays: the collector need not look at it again
    return app


def serve(app, fd=3):
    """Serves the app on the frame channel until it is shut down. Does not return."""
    serve_app(app, fd)


def main():
    fd = 3
    try:
        os.set_inheritable(fd, False)
    except OSError:
        sys.exit("mayfly: file descriptor 3 is not open: this program is started by Mayfly")
    try:
        app = initialise(os.environ)
    except InitError as error:
        report_init_error(error, fd)
    else:
        serve(app, fd)


if __name__ == "__main__":
    main()
