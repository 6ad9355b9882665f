"""Initialisation: what is found in a package, and what is said when it fails."""

import shutil
import subprocess

import pytest

import clones
import driver
from conftest import JAVA, JS, NET, PHP, PL, PY, RB, each, once, zygote


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def failure(language, root, **options):
    """(error JSON, log text) of an initialisation that fails."""
    with language.start(root, **options) as runtime:
        if isinstance(runtime, clones.Clone):  # what only starts in a clone, fails in it
            runtime.wait(lambda: runtime.init_error, "init error frame of the clone")
        runtime.wait(lambda: runtime.init_error or runtime.ready, "init error frame")
        assert runtime.init_error is not None, "initialisation must fail"
        assert runtime.process.wait(driver.TIMEOUT) in (1, 4)  # 4: the function's own exit
    text = "".join(text for _, text in runtime.loose) + (runtime.raw[0] + runtime.raw[1]).decode()
    return runtime.init_error, text


PY_EVENT = "def {name}(event, context):\n    return '{name}'\n"
JS_EVENT = "exports.{name} = async () => '{name}';\n"
RB_EVENT = "def {name}(event:, context:)\n  '{name}'\nend\n"
PHP_EVENT = "<?php function {name}($event, $context) {{ return '{name}'; }}\n"
PL_EVENT = "sub {name} {{ return '{name}' }}\n1;\n"
JS_DEFAULT = "module.exports = async (event) => 'default';\n"

FAILURES = [
    # language, files, handler, error type, parts of the message, part of the stack
    (PY, {"m.py": "def h(:\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["Syntax error in module 'm': invalid syntax"], 'm.py" Line 1'),
    (PY, {"m.py": "import nothing_like_it\n"}, "m.h", "Runtime.ImportModuleError", ["Unable to import module 'm': No module named 'nothing_like_it'"], "m.py"),
    (PY, {"m.py": ""}, "other.h", "Runtime.ImportModuleError", ["Unable to import module 'other': No module named 'other'"], ""),
    (PY, {"m.py": PY_EVENT.format(name="x")}, "m.h", "Runtime.HandlerNotFound", ["Handler 'h' missing on module 'm'"], ""),
    (PY, {"m.py": "h = 5\n"}, "m.h", "Runtime.HandlerNotFound", ["'h'", "int"], ""),
    (PY, {"m.py": "x = 1 / 0\n"}, "m.h", "ZeroDivisionError", ["division by zero"], "m.py"),
    (PY, {"m.py": "import sys\nsys.exit(4)\n"}, "m.h", "Runtime.ExitError", ["sys.exit(4)"], ""),
    (PY, {"m.py": ""}, "m", "Runtime.HandlerNotFound", ["m.py", "--handler"], ""),
    (PY, {"m.py": ""}, "nodot", "Runtime.MalformedHandlerName", ["Bad handler 'nodot'"], ""),
    (PY, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No Python module", "app.py"], ""),
    (PY, {"app.py": "async def app(scope, receive, send):\n    await receive()\n    await send({'type': 'lifespan.startup.failed', 'message': 'no db'})\n"}, "", "Runtime.LifespanStartupFailed", ["no db"], ""),
    (JS, {"m.js": "exports.h = (\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["SyntaxError: "], "m.js:"),
    (JS, {"m.mjs": "export const h = (\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["SyntaxError: "], "m.mjs:"),
    (JS, {"m.js": "require('nothing-like-it');\n"}, "m.h", "Runtime.ImportModuleError", ["Error: Cannot find module 'nothing-like-it'"], ""),
    (JS, {"m.mjs": "import 'nothing-like-it';\n"}, "m.h", "Runtime.ImportModuleError", ["Cannot find package 'nothing-like-it'"], ""),
    (JS, {"m.js": ""}, "other.h", "Runtime.ImportModuleError", ["Error: Cannot find module 'other'"], ""),
    (JS, {"m.js": JS_EVENT.format(name="x")}, "m.h", "Runtime.HandlerNotFound", ["m.h is undefined or not exported"], ""),
    (JS, {"m.js": "exports.h = 5;\n"}, "m.h", "Runtime.HandlerNotFound", ["m.h is not a function"], ""),
    (JS, {"m.js": "function inner() { throw new RangeError('early'); }\ninner();\n"}, "m.h", "RangeError", ["early"], "inner"),
    (JS, {"m.mjs": "throw new TypeError('early');\n"}, "m.h", "TypeError", ["early"], "m.mjs"),
    (JS, {"m.mjs": "await new Promise(() => {});\n"}, "m.h", "Runtime.InitError", ["never ends"], ""),
    (JS, {"m.js": "Promise.reject(new Error('lost')); setTimeout(() => {}, 1e6);\n", }, "", "Runtime.UnhandledPromiseRejection", ["Error: lost"], ""),
    (JS, {"m.js": "process.exit(4);\n"}, "m.h", "Runtime.ExitError", ["process.exit(4)"], ""),
    (JS, {"m.js": ""}, "nodot", "Runtime.MalformedHandlerName", ["Bad handler"], ""),
    (JS, {"index.js": "exports.value = 1;\n"}, "", "Runtime.HandlerNotFound", ["index.js", "--handler"], ""),
    (JS, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No JavaScript file", "index.js"], ""),
    (RB, {"m.rb": "def h(\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["Syntax error in file 'm.rb'"], "m.rb:"),
    (RB, {"m.rb": "require 'nothing_like_it'\n"}, "m.h", "Runtime.ImportModuleError", ["cannot load such file -- nothing_like_it"], "m.rb"),
    (RB, {"m.rb": ""}, "other.h", "Runtime.ImportModuleError", ["Unable to load file 'other'"], ""),
    (RB, {"m.rb": RB_EVENT.format(name="x")}, "m.h", "Runtime.HandlerNotFound", ["Handler 'm.h'", "'h' missing"], ""),
    (RB, {"m.rb": RB_EVENT.format(name="x")}, "m.system", "Runtime.HandlerNotFound", ["'system' missing"], ""),
    (RB, {"m.rb": ""}, "m.A.h", "Runtime.HandlerNotFound", ["class 'A' missing"], ""),
    (RB, {"m.rb": "def inner\n  raise RangeError, 'early'\nend\ninner\n"}, "m.h", "Init<RangeError>", ["early"], "inner"),
    (RB, {"m.rb": "exit 4\n"}, "m.h", "Runtime.ExitError", ["exit(4)"], "m.rb"),
    (RB, {"m.rb": ""}, "nodot", "Runtime.MalformedHandlerName", ["nodot"], ""),
    (RB, {"app.rb": "X = 1\n"}, "", "Runtime.HandlerNotFound", ["app.rb", "--handler"], ""),
    (RB, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No Ruby file", "app.rb"], ""),
    (PHP, {"m.php": "<?php function h( {\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["Syntax error in file 'm.php'"], "m.php:1"),
    (PHP, {"m.php": "<?php\nrequire 'nothing_like_it.php';\n"}, "m.h", "Runtime.ImportModuleError", ["nothing_like_it"], "m.php:2"),
    (PHP, {"m.php": "<?php"}, "other.h", "Runtime.ImportModuleError", ["Unable to load file 'other'"], ""),
    (PHP, {"m.php": PHP_EVENT.format(name="x")}, "m.h", "Runtime.HandlerNotFound", ["Handler 'm.h'", "function or class 'h'"], ""),
    (PHP, {"m.php": "<?php class A {}"}, "m.A.h", "Runtime.HandlerNotFound", ["no method 'h'"], ""),
    (PHP, {"m.php": "<?php\nfunction inner() { throw new RangeException('early'); }\ninner();\n"}, "m.h", "RangeException", ["early"], "inner"),
    (PHP, {"m.php": "<?php exit(4);"}, "m.h", "Runtime.ExitError", ["exit()"], ""),
    (PHP, {"m.php": "<?php"}, "nodot", "Runtime.MalformedHandlerName", ["nodot"], ""),
    (PHP, {"index.php": "<?php $x = 1;"}, "", "Runtime.HandlerNotFound", ["index.php", "--handler"], ""),
    (PHP, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No PHP file", "index.php"], ""),
    (PL, {"m.pl": "sub h {\n"}, "m.h", "Runtime.UserCodeSyntaxError", ["Syntax error in file 'm.pl'"], "m.pl line"),
    (PL, {"m.pl": "use Nothing::LikeIt;\n"}, "m.h", "Runtime.ImportModuleError", ["Nothing/LikeIt.pm"], ""),
    (PL, {"m.pl": "1;"}, "other.h", "Runtime.ImportModuleError", ["Unable to load file 'other'"], ""),
    (PL, {"m.pl": PL_EVENT.format(name="x")}, "m.h", "Runtime.HandlerNotFound", ["Handler 'm.h'", "no sub h"], ""),
    (PL, {"m.pl": "sub inner { die 'early' }\ninner();\n"}, "m.h", "Error", ["early"], "inner"),
    (PL, {"m.pl": "exit 4;"}, "m.h", "Runtime.ExitError", ["exit(4)"], ""),
    (PL, {"m.pl": "1;"}, "nodot", "Runtime.MalformedHandlerName", ["nodot"], ""),
    (PL, {"app.pl": "our $x = 1;"}, "", "Runtime.HandlerNotFound", ["app.pl", "--handler"], ""),
    (PL, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No Perl file", "app.pl"], ""),
]


# Of what ends a start each way once: in words, by an exit, later.
ENDS = ("Runtime.UserCodeSyntaxError", "Runtime.ExitError", "Runtime.UnhandledPromiseRejection", "Runtime.LifespanStartupFailed")


@pytest.mark.parametrize(
    "language, files, handler, kind, message, stack",
    [pytest.param(*case, marks=[zygote] if case[3] in ENDS else []) for case in FAILURES],
    ids=["%s-%s-%d" % (case[0].name, case[3].split(".")[-1], number) for number, case in enumerate(FAILURES)],
)
def test_initialisation_fails(tmp_path, language, files, handler, kind, message, stack):
    error, log = failure(language, write(tmp_path, files), handler=handler)
    assert error["errorType"] == kind
    for part in message:
        assert part in error["errorMessage"]
    assert isinstance(error[language.trace], list)
    assert stack in "\n".join(error[language.trace])
    assert "runtimes/%s/" % language.name not in "\n".join(error[language.trace])
    assert kind.split(".")[-1] in log or error["errorMessage"] in log


APP_WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'app']\n"
APP_ASGI = "async def app(scope, receive, send):\n    pass\n"
BOTH = "module.exports.handler = async () => 'handler';\nmodule.exports.app = (req, res) => res.end();\n"

DETECTED = [
    # language, files, options, model, handler
    (PY, {"lambda_function.py": PY_EVENT.format(name="lambda_handler")}, {}, "event", "lambda_function.lambda_handler"),
    (PY, {"handler.py": PY_EVENT.format(name="handler"), "app.py": APP_WSGI}, {}, "event", "handler.handler"),
    (PY, {"main.py": PY_EVENT.format(name="main")}, {}, "event", "main.main"),
    (PY, {"main.py": APP_WSGI + "def main():\n    pass\n"}, {}, "http", "main.app"),
    (PY, {"app.py": APP_WSGI}, {}, "http", "app.app"),
    (PY, {"asgi.py": APP_ASGI.replace("app(", "application(")}, {}, "http", "asgi.application"),
    (PY, {"app.py": "def create_app():\n    return inner\n" + APP_WSGI.replace("app(", "inner(")}, {}, "http", "app.create_app"),
    (PY, {"__init__.py": PY_EVENT.format(name="handler")}, {}, "event", "__init__.handler"),
    (PY, {"odd-name.py": PY_EVENT.format(name="handler")}, {}, "event", "odd-name.handler"),
    (PY, {"json.py": PY_EVENT.format(name="handler")}, {"entry": "json.py"}, "event", "json.handler"),
    (PY, {"a.py": PY_EVENT.format(name="handler"), "main.py": "x = 1\n"}, {"entry": "a.py"}, "event", "a.handler"),
    (PY, {"thing.py": PY_EVENT.format(name="do_it")}, {}, "event", "thing.do_it"),
    (PY, {"pkg/sub/mod.py": PY_EVENT.format(name="run")}, {"handler": "pkg/sub/mod.run"}, "event", "pkg.sub.mod.run"),
    (PY, {"pkg/mod.py": APP_WSGI}, {"handler": "pkg.mod:app"}, "http", "pkg.mod.app"),
    (PY, {"app.py": "class A:\n    async def __call__(self, scope, receive, send):\n        pass\napp = A()\n"}, {}, "http", "app.app"),
    (JS, {"index.js": JS_EVENT.format(name="handler")}, {}, "event", "index.handler"),
    (JS, {"index.mjs": "export const handler = async () => 1;\n"}, {}, "event", "index.handler"),
    (JS, {"index.js": "export const handler = async () => 1;\n", "package.json": '{"type":"module"}'}, {}, "event", "index.handler"),
    (JS, {"fn.js": "export const handler = async () => 1;\n"}, {"entry": "fn.js"}, "event", "fn.handler"),
    (JS, {"index.js": JS_DEFAULT}, {}, "event", "index.default"),
    (JS, {"index.js": BOTH}, {}, "event", "index.handler"),
    (JS, {"app.js": "module.exports = (req, res) => res.end('x');\n"}, {}, "http", "app.default"),
    (JS, {"app.mjs": "export default function (request, response) { response.end('x'); }\n"}, {}, "http", "app.default"),
    (JS, {"app.mjs": "export default { fetch: () => new Response('x') };\n"}, {}, "http", "app.default"),
    (JS, {"app.mjs": "export const fetch = () => new Response('x');\n"}, {}, "http", "app.fetch"),
    (JS, {"lib/start.js": JS_EVENT.format(name="handler"), "package.json": '{"main":"lib/start.js"}'}, {}, "event", "lib/start.handler"),
    (JS, {"lib/x.mjs": "export const handler = async () => 1;\n", "package.json": '{"exports":{".":{"import":"./lib/x.mjs"}}}'}, {}, "event", "lib/x.handler"),
    (JS, {"web.js": "require('http').createServer((a, b) => b.end('x')).listen(1);\n", "package.json": '{"scripts":{"start":"node web.js"}}'}, {}, "http", "web.listen"),
    (JS, {"index.js": "exports.server = require('http').createServer((a, b) => b.end('x'));\n"}, {}, "http", "index.server"),
    (JS, {"src/a.js": "exports.deep = { handler: async () => 1 };\n"}, {"handler": "src/a.deep.handler"}, "event", "src/a.deep.handler"),
    (JS, {"only.js": "exports.work = async (event) => event;\n"}, {}, "event", "only.work"),
    (RB, {"lambda_function.rb": RB_EVENT.format(name="lambda_handler")}, {}, "event", "lambda_function.lambda_handler"),
    (RB, {"app.rb": RB_EVENT.format(name="do_it")}, {}, "event", "app.do_it"),
    (RB, {"odd-name.rb": RB_EVENT.format(name="handler")}, {}, "event", "odd-name.handler"),
    (RB, {"json.rb": RB_EVENT.format(name="handler")}, {"entry": "json.rb"}, "event", "json.handler"),
    (RB, {"app.rb": "module A\n  class B\n    def self.work(event:, context:) = 1\n  end\nend\n"}, {"handler": "app.A::B.work"}, "event", "app.A::B.work"),
    (RB, {"app.rb": "class B\n  def self.handler(event:, context:) = 1\nend\n"}, {}, "event", "app.B.handler"),
    (RB, {"src/x.rb": RB_EVENT.format(name="run")}, {"handler": "src/x.run"}, "event", "src/x.run"),
    (PHP, {"index.php": "<?php return function ($event, $context) { return 1; };"}, {}, "event", "index.php"),
    (PHP, {"index.php": "<?php return new class { function handle($event, \\Bref\\Context\\Context $context) { return 1; } };"}, {}, "event", "index.php"),
    (PHP, {"app.php": PHP_EVENT.format(name="do_it")}, {}, "event", "app.do_it"),
    (PHP, {"odd-name.php": PHP_EVENT.format(name="handler")}, {}, "event", "odd-name.handler"),
    (PHP, {"app.php": "<?php namespace A; class B { function work($event) { return 1; } }"}, {"handler": "app.A\\B::work"}, "event", "app.A\\B::work"),
    (PHP, {"src/x.php": "<?php class Job { function __invoke($event) { return 1; } }"}, {"handler": "src/x.Job"}, "event", "src/x.Job"),
    (PHP, {"main.php": PHP_EVENT.format(name="main"), "vendor/autoload.php": "<?php"}, {"handler": "main.php"}, "event", "main.main"),
    (PL, {"handler.pl": PL_EVENT.format(name="handle")}, {}, "event", "handler.handle"),
    (PL, {"app.pl": PL_EVENT.format(name="do_it")}, {}, "event", "app.do_it"),
    (PL, {"odd-name.pl": PL_EVENT.format(name="handler")}, {}, "event", "odd-name.handler"),
    (PL, {"app.pl": "package My::App;\nsub work { 1 }\n1;\n"}, {"handler": "app.My::App::work"}, "event", "app.My::App::work"),
    (PL, {"app.pl": "package My::App;\nsub handler { 1 }\nsub other { 2 }\n1;\n"}, {}, "event", "app.My::App::handler"),
    (PL, {"src/x.pl": "sub { 1 };\n"}, {"handler": "src/x.pl"}, "event", "src/x.pl"),
    (JS, {"a.mjs": "await null;\nexport const handler = async () => 1;\n"}, {"handler": "a.handler"}, "event", "a.handler"),
]


@pytest.mark.parametrize(
    "language, files, options, model, handler",
    DETECTED,
    ids=["%s-%s-%d" % (case[0].name, case[4], number) for number, case in enumerate(DETECTED)],
)
def test_what_is_found(tmp_path, language, files, options, model, handler):
    with language.start(write(tmp_path, files), **options) as runtime:
        ready = runtime.wait_ready()
        assert (ready["model"], ready["handler"]) == (model, handler)
        assert runtime.shutdown() == 0


@pytest.mark.parametrize(
    "source, result",
    [
        ("def handler(event):\n    return event['a']\n", 1),
        ("def handler():\n    return 2\n", 2),
        ("async def handler(event):\n    return event['a']\n", 1),
        ("import functools\ndef h(extra, event, context):\n    return [extra, event['a']]\nhandler = functools.partial(h, 5)\n", [5, 1]),
        ("class C:\n    def handle(self, event, context):\n        return event['a']\nhandler = C().handle\n", 1),
        ("class C:\n    def __call__(self, event, context):\n        return event['a']\nhandler = C()\n", 1),
        ("handler = lambda event, context: event['a']\n", 1),
        ("async def inner(event):\n    return event['a']\ndef handler(event, context):\n    return inner(event)\n", 1),
        ("from decimal import Decimal\ndef handler(event, context):\n    return Decimal('1.5')\n", 1.5),
        ("def handler(event, context):\n    return '\\ud800'\n", "\ud800"),
    ],
)
@pytest.mark.parametrize("concurrency", [0, 4])
def test_forms_of_python_handlers(tmp_path, source, result, concurrency):
    with PY.start(write(tmp_path, {"app.py": source}), concurrency=concurrency) as runtime:
        runtime.wait_ready()
        assert runtime.event({"a": 1}).result() == result


@each({"python": PY, "node": JS, "ruby": RB, "php": PHP, "perl": PL})
@zygote
def test_output_of_initialisation_goes_to_the_pipes(flavour, tmp_path):
    files = {
        "app.py": "print('starting')\n" + PY_EVENT.format(name="handler"),
        "index.js": "console.log('starting');\n" + JS_EVENT.format(name="handler"),
        "app.rb": "puts 'starting'\n" + RB_EVENT.format(name="handler"),
        "app.pl": "print qq(starting\\n);\n" + PL_EVENT.format(name="handler"),
        "app.php": "<?php echo \"starting\\n\";?>" + PHP_EVENT.format(name="handler").rstrip(),
    }
    with flavour.start(write(tmp_path, files)) as runtime:
        runtime.wait_ready()
        assert runtime.shutdown() == 0
    assert runtime.raw == [b"starting\n", b""]


@zygote
def test_child_processes_write_to_the_pipes_and_do_not_hold_the_channel(tmp_path):
    source = (
        "import multiprocessing, os, subprocess\n"
        "def child():\n"
        "    print('from a fork')\n"
        "def handler(event, context):\n"
        "    print('from the handler')\n"
        "    subprocess.run(['sh', '-c', 'echo from sh; test -e /proc/$$/fd/3 && echo leaked'])\n"
        "    p = multiprocessing.get_context('fork').Process(target=child)\n"
        "    p.start()\n"
        "    p.join()\n"
        "    return p.exitcode\n"
    )
    with PY.start(write(tmp_path, {"app.py": source})) as runtime:
        runtime.wait_ready()
        call = runtime.event({})
        assert call.result() == 0
        assert call.log() == "from the handler\n"
        assert runtime.shutdown() == 0
    lines = runtime.raw[0].decode().split("\n")
    assert "from sh" in lines and "from a fork" in lines
    assert "leaked" not in lines


@zygote
def test_the_channel_ends_with_the_engine(tmp_path):
    apps = (
        (PY, {"app.py": PY_EVENT.format(name="handler")}),
        (JS, {"index.js": JS_EVENT.format(name="handler")}),
        (RB, {"app.rb": RB_EVENT.format(name="handler")}),
        (PHP, {"app.php": PHP_EVENT.format(name="handler")}),
        (PL, {"app.pl": PL_EVENT.format(name="handler")}),
    )
    for language, files in apps:
        if shutil.which(language.program) is None:
            continue
        with language.start(write(tmp_path / language.name, files)) as runtime:
            runtime.wait_ready()
            runtime.socket.close()
            runtime.process.wait(driver.TIMEOUT)


@each({"python": PY, "ruby": RB, "php": PHP, "perl": PL, "java": JAVA, "dotnet": NET})
def test_the_program_says_how_it_is_started(flavour):
    flavour.need()
    done = subprocess.run(flavour.argv, capture_output=True, env=driver.environment("/tmp"), close_fds=True)
    assert done.returncode == 1 and b"started by Mayfly" in done.stderr


@pytest.mark.parametrize(
    "language, source",
    [
        (RB, "def handler(event:, context:)\n  puts 'from the handler'\n  system(\"SH\")\n  Process.wait(fork { puts 'from a fork' })\n  $?.exitstatus\nend\n"),
        (PHP, "<?php function handler($event) { echo \"from the handler\\n\"; passthru(\"SH\"); system(\"SH >&2\"); $pid = pcntl_fork(); if (!$pid) { echo \"from a fork\\n\"; exit(0); } pcntl_waitpid($pid, $status); return $status; }"),
        (PL, "sub handler { print qq(from the handler\\n); system(q(SH)); my $pid = fork; if (!$pid) { print qq(from a fork\\n); exit 0 } waitpid $pid, 0; return $?; }"),
    ],
    ids=["ruby", "php", "perl"],
)
@zygote
def test_child_processes_write_to_the_pipes(tmp_path, language, source):
    source = source.replace("SH", "echo from sh; for fd in /proc/self/fd/*; do test -S $fd && echo leaked; done; true")
    source = source.replace("$fd", "\\$fd") if language is PHP else source
    name = {"ruby": "app.rb", "php": "app.php", "perl": "app.pl"}[language.name]
    with language.start(write(tmp_path, {name: source})) as runtime:
        runtime.wait_ready()
        call = runtime.event({})
        assert call.result() == 0
        assert "from the handler\n" in call.log(1)
        assert runtime.shutdown() == 0
    text = (runtime.raw[0] + runtime.raw[1]).decode() + call.log()
    assert "from sh\n" in text and "from a fork\n" in text
    assert "leaked" not in text


@pytest.mark.parametrize(
    "language, source, result",
    [
        (RB, "def handler(event, context)\n  event['a']\nend\n", 1),
        (RB, "def handler(event)\n  event['a']\nend\n", 1),
        (RB, "def handler\n  2\nend\n", 2),
        (RB, "def handler(event:, **rest)\n  [event['a'], rest.keys]\nend\n", [1, ["context"]]),
        pytest.param(RB, "require 'set'\nrequire 'bigdecimal'\ndef handler(event:, context:)\n  { sym: :bol, time: Gem.name }\nend\n", {"sym": "bol", "time": "Gem"}, marks=zygote),
        (PHP, "<?php function handler($event) { return $event['a']; }", 1),
        (PHP, "<?php return new class { function __invoke(array $event, $context) { return $event['a']; } };", 1),
        pytest.param(PHP, "<?php function handler() { while (ob_get_level()) { ob_end_clean(); } return 2.0; }", 2.0, marks=zygote),
        (PL, "sub handler { my ($event) = @_; return [$event->{a}, 'x' . $event->{a}, 1 == 1, 0.5, \\1, undef, \"5\"] }", [1, "x1", True, 0.5, True, None, "5"]),
        pytest.param(PHP, "<?php pcntl_async_signals(true); pcntl_signal(SIGALRM, function () {}); function handler() { pcntl_alarm(1); sleep(2); return 3; }", 3, marks=zygote),
        pytest.param(PL, "use JSON::PP; sub handler { return [JSON::PP::true, JSON::PP::false, ref($_[0]{b})] }", [True, False, "JSON::PP::Boolean"], marks=zygote),
    ],
)
def test_forms_of_handlers(tmp_path, language, source, result):
    name = {"ruby": "app.rb", "php": "app.php", "perl": "app.pl"}[language.name]
    with language.start(write(tmp_path, {name: source})) as runtime:
        runtime.wait_ready()
        for _ in range(2):
            assert runtime.event({"a": 1, "b": True}).result() == result


# ---- compiled languages: the sources are compiled as deploy would

JAVA_HANDLER = "public class {name} {{ public Object handleRequest(java.util.Map<String, Object> event) {{ return {result}; }} }}\n"
NET_HANDLER = "public class {name} {{ public object FunctionHandler(System.Collections.Generic.Dictionary<string, object> e) {{ return {result}; }} }}\n"


def compiled(language, tmp_path, files):
    write(tmp_path / "source", files)
    sources = [str(tmp_path / "source" / name) for name in files]
    return language.compiled(sources, tmp_path / "out") if sources else write(tmp_path / "out", {"readme.txt": ""})


# Each case is a package (namespace) of its own, so that one run of the compiler makes them all.
EARLY_JAVA = "public class A { static int x = inner(); static int inner() { throw new IllegalStateException(\"early\"); } public int handleRequest() { return x; } }"
EARLY_NET = "public class A { static int x = Inner(); static int Inner() { throw new System.InvalidOperationException(\"early\"); } public int Handle() { return x; } }"

COMPILED_FAILURES = [
    # language, source, handler behind the package, error type, part of the message, part of the stack
    (JAVA, JAVA_HANDLER.format(name="A", result="1"), "B::handle", "Runtime.ImportModuleError", "Class not found: case0.B", ""),
    (JAVA, JAVA_HANDLER.format(name="A", result="1"), "A::other", "Runtime.HandlerNotFound", "no public method other", ""),
    (JAVA, JAVA_HANDLER.format(name="A", result="1"), "A b::c", "Runtime.MalformedHandlerName", "A b::c", ""),
    (JAVA, EARLY_JAVA, "A", "java.lang.IllegalStateException", "early", "A.inner(A.java:1)"),
    (JAVA, "public class A { public A() { System.exit(4); } public int handleRequest() { return 1; } }", "A", "Runtime.ExitError", "System.exit()", ""),
    (NET, NET_HANDLER.format(name="A", result="1"), "B::FunctionHandler", "Runtime.HandlerNotFound", "no type case5.B", ""),
    (NET, NET_HANDLER.format(name="A", result="1"), "A::Other", "Runtime.HandlerNotFound", "no public method Other", ""),
    (NET, NET_HANDLER.format(name="A", result="1"), "A", "Runtime.MalformedHandlerName", "case7.A'", ""),
    (NET, EARLY_NET, "A::Handle", "InvalidOperationException", "early", "A.Inner"),
    (NET, "public class A { public A() { System.Environment.Exit(4); } public int Handle() { return 1; } }", "A::Handle", "Runtime.ExitError", "Environment.Exit()", ""),
]

FORMS = [
    # language, source, method, event, result
    (JAVA, "import com.amazonaws.services.lambda.runtime.*;\npublic class A implements RequestHandler<Integer, String> { public String handleRequest(Integer n, Context c) { return c.getFunctionName() + (n + 1); } }", "", 4, "conformance5"),
    (JAVA, "public class A { public record P(int x, java.util.List<Long> y, java.util.Optional<String> z) {} public P handleRequest(P p) { return p; } }", "", {"x": 1, "Y": [2, 3], "w": 0}, {"x": 1, "y": [2, 3], "z": None}),
    (JAVA, "public class A { public static class P { private String name; public double[] w; public java.time.Instant t; public E e; public String getName() { return name; } public void setName(String n) { name = n; } } public enum E { ONE } public P handleRequest(P p) { return p; } }", "", {"name": "ü", "w": [1.5], "t": "2026-01-01T00:00:00Z", "e": "ONE"}, {"name": "ü", "w": [1.5], "t": "2026-01-01T00:00:00Z", "e": "ONE"}),
    (JAVA, "import java.io.*;\npublic class A implements com.amazonaws.services.lambda.runtime.RequestStreamHandler { public void handleRequest(InputStream in, OutputStream out, com.amazonaws.services.lambda.runtime.Context c) throws IOException { in.transferTo(out); } }", "", {"a": [1]}, {"a": [1]}),
    (JAVA, "public class A { public static int some() { return 7; } }", "::some", {}, 7),
    (JAVA, "public class A extends Base<java.util.List<String>> { public java.util.List<String> handleRequest(java.util.List<String> l, com.amazonaws.services.lambda.runtime.Context c) { for (String s : l) System.out.println(s); return l; } }\nabstract class Base<T> implements com.amazonaws.services.lambda.runtime.RequestHandler<T, T> {}", "", ["x"], ["x"]),
    (NET, "using Amazon.Lambda.Core; public class A { public string Handle(int n, ILambdaContext c) { return c.FunctionName + (n + 1); } }", "::Handle", 4, "conformance5"),
    (NET, "using System.Threading.Tasks; public class A { public async Task<int> Handle(int n) { await Task.Delay(1); return n + 1; } }", "::Handle", 1, 2),
    (NET, "public class P { public string Name { get; set; } public int[] W; public System.DateTime T { get; set; } public int? N { get; set; } } public class A { public P Handle(P p) { return p; } }", "::Handle", {"name": "ü", "w": [1, 2], "t": "2026-01-01T00:00:00Z", "x": 0}, {"Name": "ü", "W": [1, 2], "T": "2026-01-01T00:00:00Z", "N": None}),
    (NET, "using System.IO; public class A { public Stream Handle(Stream s) { return s; } }", "::Handle", {"a": [1]}, {"a": [1]}),
    (NET, "public static class A { public static object Handle() { return null; } }", "::Handle", {}, None),
    (NET, "using System.Collections.Generic; public class A { public Dictionary<string, List<double>> Handle(Dictionary<string, List<double>> d) { d[\"b\"] = new List<double> { 0.5 }; return d; } }", "::Handle", {"a": [1.5]}, {"a": [1.5], "b": [0.5]}),
    (JAVA, "public class A implements org.crac.Resource { static String told = \"\"; public A() { org.crac.Core.getGlobalContext().register(this); } public void beforeCheckpoint(org.crac.Context<? extends org.crac.Resource> c) { told += \"before \"; } public void afterRestore(org.crac.Context<? extends org.crac.Resource> c) { told += \"after\"; } public String handleRequest(Object o) { return told; } }", "", {}, "before after"),
]
CASES = [case[:2] for case in COMPILED_FAILURES + FORMS]


def cases(language, factory):
    """The folder with all cases of a language."""
    language.need()
    if "cases" not in language.built:
        files = {} if language is JAVA else {"Cases.cs": ""}
        for number, (of, source) in enumerate(CASES):
            if of is not language:
                continue
            if language is JAVA:
                files["case%d/A.java" % number] = "package case%d;%s" % (number, source)
            else:
                files["case%d.cs" % number] = "namespace case%d { %s }" % (number, source)
        language.built["cases"] = compiled(language, factory.mktemp(language.name), files)
    return language.built["cases"]


def handler_of(language, number, rest):
    prefix = "" if language is JAVA or "::" not in rest else "Cases::"
    return "%scase%d.%s" % (prefix, number, rest)


@once
@pytest.mark.parametrize("number", range(len(COMPILED_FAILURES)))
def test_initialisation_of_compiled_code_fails(tmp_path_factory, number):
    language, _, handler, kind, message, stack = COMPILED_FAILURES[number]
    root = cases(language, tmp_path_factory)
    error, log = failure(language, root, handler=handler_of(language, number, handler))
    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    assert stack in "\n".join(error["stackTrace"])
    assert error["errorMessage"] in log


@once
@pytest.mark.parametrize("number", range(len(FORMS)))
def test_forms_of_compiled_handlers(tmp_path_factory, number):
    language, _, method, event, result = FORMS[number]
    handler = handler_of(language, len(COMPILED_FAILURES) + number, "A" + method)
    with language.start(cases(language, tmp_path_factory), handler=handler) as runtime:
        runtime.wait_ready()
        assert runtime.event(event).result() == result


@once
def test_what_is_found_of_compiled_code(tmp_path, tmp_path_factory):
    """Without a handler: none, several, and an assembly by another name that is found by its type."""
    error, _ = failure(NET, write(tmp_path / "none", {"readme.txt": ""}))
    assert "No public method FunctionHandler" in error["errorMessage"]
    error, _ = failure(NET, tmp_path / "none", handler="A::B::C")
    assert (error["errorType"], "there is no A.dll" in error["errorMessage"]) == ("Runtime.ImportModuleError", True)
    error, _ = failure(NET, cases(NET, tmp_path_factory))
    assert "several methods" in error["errorMessage"] and "Cases::case5.A::FunctionHandler" in error["errorMessage"]
    number = len(COMPILED_FAILURES) + 10
    with NET.start(cases(NET, tmp_path_factory), handler="Other::case%d.A::Handle" % number) as runtime:
        assert runtime.wait_ready()["handler"] == "Cases::case%d.A::Handle" % number
    error, _ = failure(JAVA, cases(JAVA, tmp_path_factory))
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert "Several classes have a method handleRequest: case0.A, case1.A" in error["errorMessage"]


@once
def test_a_java_function_in_a_jar_with_a_library(tmp_path):
    JAVA.need()
    library = compiled(JAVA, tmp_path / "library", {"Tool.java": "public class Tool { public static String say() { return \"from lib\"; } }"})
    root = tmp_path / "root"
    (root / "lib").mkdir(parents=True)
    subprocess.run(["jar", "--create", "--file", str(root / "lib" / "tool.jar"), "-C", str(library), "."], check=True)
    source = tmp_path / "A.java"
    source.write_text("package my.app; public class A { public String handleRequest(java.util.Map<String, Object> e) { return Tool2.say(); } }\nclass Tool2 { static String say() { try { return (String) Class.forName(\"Tool\").getMethod(\"say\").invoke(null); } catch (Exception e) { return e.toString(); } } }")
    JAVA.compiled([str(source)], tmp_path / "classes")
    subprocess.run(["jar", "--create", "--file", str(root / "app.jar"), "-C", str(tmp_path / "classes"), "."], check=True)
    with JAVA.start(root) as runtime:
        assert runtime.wait_ready()["handler"] == "my.app.A::handleRequest"
        assert runtime.event({}).result() == "from lib"


@once
def test_a_cause_is_told_in_java(tmp_path):
    source = "public class A { public Object handleRequest(Object e) { try { Object o = null; return o.toString(); } catch (NullPointerException x) { throw new RuntimeException(\"outer\", x); } } }"
    with JAVA.start(compiled(JAVA, tmp_path, {"A.java": source})) as runtime:
        runtime.wait_ready()
        call = runtime.event({})
        assert call.error["errorType"] == "java.lang.RuntimeException"
        assert call.error["cause"]["errorType"] == "java.lang.NullPointerException"
        assert "Caused by: java.lang.NullPointerException" in call.log(2)

