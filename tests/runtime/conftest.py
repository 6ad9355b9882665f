"""The runtimes under test, and how they are started. Every case runs against every one that fits."""

import os
import shutil
import subprocess

import pytest

import driver

FUNCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions")
PYTHON = os.environ.get("MAYFLY_TEST_PYTHON", "/usr/bin/python3")
NODE = os.environ.get("MAYFLY_TEST_NODE") or shutil.which("node") or "/usr/bin/node"


class Language:
    def __init__(self, name, program, main, trace):
        self.name = name
        self.argv = [program, os.path.join(driver.ROOT, "runtimes", name, main)]
        self.trace = trace  # the member of an error that holds the stack

    def start(self, root, **options):
        grant = options.pop("grant", True)
        env = driver.environment(root, **options)
        return driver.Runtime(self.argv, env, str(root), grant=grant)


PY = Language("python", PYTHON, "main.py", "stackTrace")
JS = Language("node", NODE, "main.js", "trace")


class Flavour:
    """A language, a function of functions/ and a concurrency."""

    def __init__(self, language, handler, concurrency):
        self.language = language
        self.handler = handler
        self.concurrency = concurrency

    def start(self, **options):
        options.setdefault("handler", self.handler)
        options.setdefault("concurrency", self.concurrency)
        return self.language.start(FUNCTIONS, **options)

    @property
    def is_async(self):
        return self.handler != "event.handler"


EVENT = {
    "python": Flavour(PY, "event.handler", 0),
    "python-threads": Flavour(PY, "event.handler", 8),
    "python-async": Flavour(PY, "event_async.handler", 0),
    "python-async-8": Flavour(PY, "event_async.handler", 8),
    "node-commonjs": Flavour(JS, "event_commonjs.handler", 0),
    "node-module-8": Flavour(JS, "event_module.handler", 8),
    "node-callback": Flavour(JS, "event_callback.handler", 0),
}

HTTP = {
    "wsgi": Flavour(PY, "app_wsgi.app", 0),
    "wsgi-1": Flavour(PY, "app_wsgi.app", 1),
    "asgi": Flavour(PY, "app_asgi.app", 0),
    "listener": Flavour(JS, "app_listener.default", 0),
    "listener-1": Flavour(JS, "app_listener.default", 1),
    "fetch": Flavour(JS, "app_fetch.default", 0),
}


def only(table, *names):
    return {name: flavour for name, flavour in table.items() if name in names}


def each(table):
    """Parametrizes a test over a table of flavours."""
    return pytest.mark.parametrize("flavour", list(table.values()), ids=list(table))


_shared = {}


@pytest.fixture
def runtime(flavour):
    """A started runtime that the cases share: it must be as good afterwards as before."""
    if flavour in _shared and _shared[flavour].ended:
        _shared.pop(flavour).__exit__()  # a case before has ended it: that one has failed
    if flavour not in _shared:
        started = flavour.start()
        _shared[flavour] = started
        started.wait_ready()
    return _shared[flavour]


@pytest.fixture(scope="session", autouse=True)
def end_shared():
    yield
    for started in _shared.values():
        started.__exit__()
    _shared.clear()


@pytest.fixture(scope="session")
def tools():
    """(name, found) of programs that some cases need."""
    return {name: shutil.which(name) for name in ("python3", "node")}


def has_python_module(name):
    done = subprocess.run([PYTHON, "-c", "import " + name], capture_output=True)
    return done.returncode == 0
