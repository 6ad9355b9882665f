"""Starts a Python function: python3 /var/runtime/main.py, frame channel on fd 3.

Two strictly separate steps, so that a template process can be forked between them:
initialise() loads the user's code and opens nothing; serve() opens the channel and never returns.
With MAYFLY_TEMPLATE_FD the process is such a template: what it serves, it serves in its clones.
With MAYFLY_ZYGOTE_FD it is a zygote: whatever of the above, it does in forks of itself.
"""

import gc
import os
import sys

from mayfly_runtime import frames, hooks, jsonio, logs  # noqa: F401  (before a user's json.py is in sight)
from mayfly_runtime.errors import InitError
from mayfly_runtime.load import Settings, load
from mayfly_runtime.serve import announce, report_init_error, server_of
from mayfly_runtime.serve import serve as serve_app


def initialise(environ):
    """Loads the user's code and what it takes to serve it. Returns the App; raises InitError."""
    settings = Settings.from_environ(environ)
    logs.install()
    hooks.install()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [settings.task_root, *layer_paths()] + [
        entry for entry in sys.path if entry not in (settings.task_root, here)
    ]
    sys.argv = [sys.argv[0]]
    app = load(settings)
    server_of(app)
    return app


def layer_paths():
    """Where AWS's layers have Python modules, as far as there are any."""
    version = "python%d.%d" % sys.version_info[:2]
    paths = ("/opt/python/lib/%s/site-packages" % version, "/opt/python")
    return [path for path in paths if os.path.isdir(path)]


def serve(app, fd=3, ready={}, prepared=None):
    """Serves the app on the frame channel until it is shut down. Does not return.

    ready: members that its first frame has beside the usual ones; None: a clone, whose template
    has said that it is ready, and perhaps prepared what it serves with.
    """
    serve_app(app, fd, ready, prepared)


def start(template, fd):
    """Initialises, and in a template waits for orders. Returns what serve() takes. Raises InitError."""
    app = initialise(os.environ)
    hooks.run_before()
    if template is None:
        gc.freeze()  # what was loaded stays: the collector need not look at it again
        ready = {}
    else:
        ready = template.settle(app)
        if ready["cloneable"]:
            announce(app, fd, ready)
            template.run()  # returns in each clone
            ready = None
    hooks.run_after()
    return app, fd, ready, template and template.prepared


def main():
    fd = 3
    if os.environ.get("MAYFLY_ZYGOTE_FD"):
        from mayfly_runtime import zygote

        zygote.run(os.environ)  # returns in each program
    try:
        os.set_inheritable(fd, False)
    except OSError:
        sys.exit("mayfly: file descriptor 3 is not open: this program is started by Mayfly")
    template = None
    if os.environ.get("MAYFLY_TEMPLATE_FD"):
        from mayfly_runtime.template import Template

        template = Template(os.environ)
    try:
        started = start(template, fd)
    except InitError as error:
        report_init_error(error, fd)
    else:
        serve(*started)


if __name__ == "__main__":
    main()
