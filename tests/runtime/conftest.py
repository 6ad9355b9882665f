"""The runtimes under test, and how they are started. Every case runs against every one that fits."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

import clones
import driver

sys.path.append(os.path.join(driver.ROOT, "tests", "support"))

FUNCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions")
PYTHON = os.environ.get("MAYFLY_TEST_PYTHON", "/usr/bin/python3")
NODE = os.environ.get("MAYFLY_TEST_NODE") or shutil.which("node") or "/usr/bin/node"


def arguments_of(name):
    """What runtimes/NAME/arguments says, one argument a line, as the engine reads it."""
    try:
        with open(os.path.join(driver.ROOT, "runtimes", name, "arguments"), encoding="utf-8") as file:
            return file.read().replace("{memory_mb}", "1024").split("\n")[:-1]
    except FileNotFoundError:
        return []


CLONEABLE = ("python", "node", "ruby", "php", "perl")


class Language:
    """A runtime. called: how its ready frame begins; package: what brings it on Debian."""

    form = "booted"  # or "cloned": from a template made for it; "zygote": the template from one

    def __init__(self, name, program, main, trace="stackTrace", called="", package=""):
        self.name = name
        self.program = program
        main = os.path.join(driver.ROOT, "runtimes", name, main)
        self.argv = [program] + arguments_of(name) + [main]
        self.trace = trace  # the member of an error that holds the stack
        self.called = called
        self.package = package

    def need(self):
        """Skips where the language is not installed."""
        if shutil.which(self.program) is None:
            pytest.skip("%s is not installed (apt-get install %s)" % (self.name, self.package))

    def start(self, root, **options):
        self.need()
        grant = options.pop("grant", True)
        env = driver.environment(root, **options)
        if Language.form != "booted" and self.name in CLONEABLE:
            zygote = Language.form == "zygote" and self.name in clones.ZYGOTES
            return clones.start(self.name, self.argv, env, str(root), grant=grant, zygote=zygote)
        return driver.Runtime(self.argv, env, str(root), grant=grant)


class Compiled(Language):
    """A language whose functions are compiled, once for each session, as its runtime has been.

    The runtime is the one of the build, else what runtimes/NAME/build FOLDER makes;
    compiler(runtime, sources, folder) compiles functions.
    """

    def __init__(self, name, program, main, tool, compiler, **options):
        super().__init__(name, program, main, **options)
        self.main = main
        self.tool = tool
        self.compiler = compiler
        self.built = {}

    def need(self):
        super().need()
        if shutil.which(self.tool) is None:
            pytest.skip("%s is not installed (apt-get install %s)" % (self.tool, self.package))
        if "runtime" not in self.built:
            self.scratch = tempfile.mkdtemp(prefix="mayfly-%s-" % self.name)
            atexit.register(shutil.rmtree, self.scratch, True)
            folder = os.path.join(clones.BUILD, "runtimes-staged", self.name)
            if not os.path.exists(os.path.join(folder, self.main)):
                folder = os.path.join(self.scratch, "runtime")
                build = os.path.join(driver.ROOT, "runtimes", self.name, "build")
                subprocess.run([build, folder], check=True, stdout=subprocess.DEVNULL)
            self.argv[-1] = os.path.join(folder, self.main)
            self.built["runtime"] = folder

    def compiled(self, sources, folder):
        """Compiles sources into folder; returns it."""
        self.need()
        os.makedirs(folder, exist_ok=True)
        subprocess.run(self.compiler(self.built["runtime"], sources, str(folder)), check=True)
        return folder

    def start(self, root, **options):
        self.need()
        if root == FUNCTIONS:
            if "functions" not in self.built:
                folder = os.path.join(self.scratch, "functions")
                source = os.path.join(FUNCTIONS, self.name)
                sources = [os.path.join(source, name) for name in sorted(os.listdir(source))]
                self.built["functions"] = self.compiled(sources, folder)
            root = self.built["functions"]
        return super().start(root, **options)


def javac(runtime, sources, folder):
    path = os.path.join(runtime, "main.jar")
    return ["javac", "-nowarn", "-encoding", "UTF-8", "-cp", path, "-d", folder] + sources


def mcs(runtime, sources, folder):
    """Makes an assembly that is called as its first source."""
    name = os.path.splitext(os.path.basename(sources[0]))[0]
    core = "-r:" + os.path.join(runtime, "Amazon.Lambda.Core.dll")
    return ["mcs", "-nologo", "-debug", "-target:library", core, "-out:%s/%s.dll" % (folder, name)] + sources


PY = Language("python", PYTHON, "main.py", "stackTrace", "Python 3.", "python3")
JS = Language("node", NODE, "main.js", "trace", "Node.js ", "nodejs")
RB = Language("ruby", "ruby", "main.rb", called="Ruby 3.", package="ruby")
PHP = Language("php", "php", "main.php", called="PHP 8.", package="php-cli")
PL = Language("perl", "perl", "main.pl", called="Perl 5.", package="perl")
NET = Compiled("dotnet", "mono", "main.exe", "mcs", mcs, called="Mono ", package="mono-runtime mono-mcs")
JAVA = Compiled("java", "java", "main.jar", "javac", javac, called="Java ", package="default-jdk-headless")


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
        return self.handler.startswith("event_")


EVENT = {
    "python": Flavour(PY, "event.handler", 0),
    "python-threads": Flavour(PY, "event.handler", 8),
    "python-async": Flavour(PY, "event_async.handler", 0),
    "python-async-8": Flavour(PY, "event_async.handler", 8),
    "node-commonjs": Flavour(JS, "event_commonjs.handler", 0),
    "node-module-8": Flavour(JS, "event_module.handler", 8),
    "node-callback": Flavour(JS, "event_callback.handler", 0),
    "ruby": Flavour(RB, "event.handler", 0),
    "ruby-threads": Flavour(RB, "event.handler", 8),
    "php": Flavour(PHP, "event.handler", 0),
    "perl": Flavour(PL, "event.handler", 0),
    "java": Flavour(JAVA, "Event::handleRequest", 0),
    "java-threads": Flavour(JAVA, "Event::handleRequest", 8),
    "dotnet": Flavour(NET, "Event::Event::FunctionHandler", 0),
    "dotnet-threads": Flavour(NET, "Event::Event::FunctionHandler", 8),
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


# For cases that start nothing which could be cloned.
once = pytest.mark.once
# For cases that a program's coming from a zygote could break: those alone run in that form.
zygote = pytest.mark.zygote


def pytest_collection_modifyitems(items):
    """The first run once, and so do those of languages that are not cloned."""
    def runs(item):
        params = getattr(getattr(item, "callspec", None), "params", {})
        subject = params.get("flavour") or params.get("language")
        language = getattr(subject, "language", subject)
        name = getattr(language, "name", "python")
        form = params.get("form", "booted")
        if form == "zygote":
            return name in clones.ZYGOTES and item.get_closest_marker("zygote")
        return form == "booted" or (name in CLONEABLE and not item.get_closest_marker("once"))

    items[:] = [item for item in items if runs(item)]


@pytest.fixture(autouse=True, params=["booted", "cloned", "zygote"])
def form(request, monkeypatch):
    """How runtimes are started: every case runs with the first two, those marked with the third, too."""
    monkeypatch.setattr(Language, "form", request.param)
    return request.param


_shared = {}


@pytest.fixture
def runtime(flavour, form):
    """A started runtime that the cases share: it must be as good afterwards as before."""
    key = flavour, form
    if key in _shared and _shared[key].ended:
        _shared.pop(key).__exit__()  # a case before has ended it: that one has failed
    if key not in _shared:
        started = flavour.start()
        _shared[key] = started
        started.wait_ready()
    return _shared[key]


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
