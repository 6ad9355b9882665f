"""A process with the interpreter and this runtime loaded, and nothing of any user's. The programs of
new sandboxes are forked from it instead of being started. docs/internals/cloning-runtimes.md.
"""

import ctypes
import gc
import os
import time

from . import context, logs
from .template import read_lines

_forking = False


def run(environ):
    """Waits for orders and forks for each. Returns in the programs, as if they had been started."""
    global _forking
    control = int(environ.pop("MAYFLY_ZYGOTE_FD"))
    library = ctypes.PyDLL(environ.pop("MAYFLY_CLONE_LIB"))
    library.mayfly_zygote_environment.restype = ctypes.c_void_p

    def enter():
        if _forking:
            library.mayfly_zygote_enter(0)

    # As the first of all such handlers, so that the others run inside the program's sandbox.
    os.register_at_fork(after_in_child=enter)
    _load()
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every object in every program
    while library.mayfly_zygote_next(control) == 1:
        _forking = True
        try:
            pid = os.fork()
        except OSError as error:
            pid = -error.errno
        _forking = False
        if pid == 0:
            return _become_program(library)
        library.mayfly_zygote_forked(pid)
    os._exit(0)


def _load():
    """What every function needs sooner or later. Nothing that draws random numbers as it is loaded,
    and nothing that a fork would share: descriptors, threads. What reads the environment as it is
    loaded has a function to read it again."""
    from . import census, rehearsal, serve, snapshot_restore_py, state, sync, threads, unique  # noqa: F401


def _become_program(library):
    os.environ.clear()
    for line in read_lines(library.mayfly_zygote_environment()):
        name, _, value = line.partition(b"=")
        os.environb[name] = value
    time.tzset()
    context.read_environment()
    logs.read_environment()
