"""A process that has run the function's initialisation and is then cloned instead of serving.

docs/internals/cloning-runtimes.md. Made before anything of the user's is imported.
"""

import ctypes
import gc
import os
import sys

from . import census, logs, unique


class Template:
    def __init__(self, environ):
        self.control = int(environ.pop("MAYFLY_TEMPLATE_FD"))
        os.set_inheritable(self.control, False)
        path = environ.pop("MAYFLY_CLONE_LIB", "")
        beside = os.path.join(os.path.dirname(path), "libmayfly_template.so")
        beside = environ.pop("MAYFLY_TEMPLATE_LIB", beside)
        self.why = self.prepared = None
        which = "clone"
        try:
            library = ctypes.PyDLL(path)  # one thread: nobody waits for the lock
            # Looked up here: each clone would look again.
            self.next, self.forked = library.mayfly_clone_next, library.mayfly_clone_forked
            self.enter_sandbox = library.mayfly_clone_enter
            self.environment = library.mayfly_clone_environment
            self.environment.restype = ctypes.c_void_p
            which = "template"
            shared = ctypes.PyDLL(beside)
            self.look, self.renew = shared.mayfly_template_libraries, shared.mayfly_template_renew
            self.look.restype = ctypes.c_void_p
            self.renew.restype = None
            shared.mayfly_template_know()
        except (OSError, AttributeError) as error:
            self.why = "Mayfly's %s library cannot be used: %s" % (which, error)
            return
        self.cloning = False
        # As the first of all such handlers, so that the others run inside the clone's sandbox.
        os.register_at_fork(after_in_child=self.enter)
        for name, action in unique.AFTER_IMPORT.items():
            if name in sys.modules:
                action(sys.modules[name])
        logs.after_import.update(unique.AFTER_IMPORT)
        self.descriptors = census.descriptors()

    def settle(self, app):
        """After initialisation. Returns the members of ready that say whether it can be cloned."""
        if self.why is None:
            self.why = census.why_threads()
        if self.why is not None:
            return {"cloneable": False, "why": self.why}
        from .rehearsal import rehearse  # imports what runs the functions
        from .serve import prepare

        app.notes.extend(line.decode(errors="replace") for line in read_lines(self.look()))
        self.reseeder = unique.Reseeder(self.renew)
        rehearse(app)
        gc.collect()
        self.loops = list(_open_loops())
        own = set()
        for loop in self.loops:
            own.update((loop._ssock.fileno(), loop._csock.fileno()))
        self.connections, notes = census.opened(self.descriptors, own)
        app.notes.extend(notes)
        self.prepared = prepare(app, 3)
        apply_environment(read_lines(self.environment()))  # nothing yet: for the next time
        gc.freeze()  # the collector would touch, and so copy, every object in every clone
        return {"cloneable": True}

    def run(self):
        """Waits for orders and forks for each. Returns in the clones."""
        while self.next(self.control) == 1:
            self.cloning = True
            try:
                pid = os.fork()
            except OSError as error:
                pid = -error.errno
            if pid == 0:
                self.cloning = False
                self.become_clone()
                return
            self.cloning = False
            self.forked(pid)
        os._exit(0)

    def enter(self):
        """In the child of a fork, before everything else."""
        if self.cloning and self.enter_sandbox() != 0:
            os._exit(1)

    def become_clone(self):
        os.set_inheritable(3, False)
        _cut(self.connections)
        for loop in self.loops:
            _renew_loop(loop)
        self.reseeder.reseed()
        apply_environment(read_lines(self.environment()))


def read_lines(address):
    """The strings of a block that an empty one ends."""
    while address:
        line = ctypes.string_at(address)
        if not line:
            return
        address += len(line) + 1
        yield line


def apply_environment(lines):
    for line in lines:
        name, _, value = line.partition(b"=")
        if name:
            os.environb[name] = value
            if name == b"TZ":
                import time

                time.tzset()


def _cut(connections):
    """The template's connections are not the clone's: in their place it finds one that the other
    side has closed, so that bytes of two clones never mix and a pool connects anew."""
    if not connections:
        return
    import _socket

    ours, theirs = _socket.socketpair()
    theirs.close()
    for fd in connections:
        os.dup2(ours.fileno(), fd, inheritable=False)
    ours.close()


def _open_loops():
    """Event loops that initialisation has made and that are still open."""
    events = sys.modules.get("asyncio.selector_events")
    if events is None:
        return
    for found in gc.get_objects():
        if isinstance(found, events.BaseSelectorEventLoop) and not found.is_closed():
            yield found


def _renew_loop(loop):
    """An epoll descriptor and a self-pipe of the clone's own: it shares those of the template, and
    with them its events, with every other clone."""
    shared = loop._selector
    loop._selector = type(shared)()
    for key in list(shared.get_map().values()):
        loop._selector.register(key.fd, key.events, key.data)
    shared.close()
    loop._close_self_pipe()
    loop._make_self_pipe()
