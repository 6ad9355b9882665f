"""Initialisation: what is found in a package, and what is said when it fails."""


import pytest

import driver
from conftest import JS, PY, each


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def failure(language, root, **options):
    """(error JSON, log text) of an initialisation that fails."""
    with language.start(root, **options) as runtime:
        runtime.wait(lambda: runtime.init_error or runtime.ready, "init error frame")
        assert runtime.ready is None, "initialisation must fail"
        assert runtime.process.wait(10) in (1, 4)  # 4: the function's own exit
    text = "".join(text for _, text in runtime.loose) + (runtime.raw[0] + runtime.raw[1]).decode()
    return runtime.init_error, text


PY_EVENT = "def {name}(event, context):\n    return '{name}'\n"
JS_EVENT = "exports.{name} = async () => '{name}';\n"
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
    (JS, {"m.js": ""}, "nodot", "Runtime.MalformedHandlerName", ["nodot"], ""),
    (JS, {"index.js": "exports.value = 1;\n"}, "", "Runtime.HandlerNotFound", ["index.js", "--handler"], ""),
    (JS, {"readme.txt": ""}, "", "Runtime.HandlerNotFound", ["No JavaScript file", "index.js"], ""),
]


@pytest.mark.parametrize(
    "language, files, handler, kind, message, stack",
    FAILURES,
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


@each({"python": PY, "node": JS})
def test_output_of_initialisation_goes_to_the_pipes(flavour, tmp_path):
    files = {
        "app.py": "print('starting')\n" + PY_EVENT.format(name="handler"),
        "index.js": "console.log('starting');\n" + JS_EVENT.format(name="handler"),
    }
    with flavour.start(write(tmp_path, files)) as runtime:
        runtime.wait_ready()
        assert runtime.shutdown() == 0
    assert runtime.raw == [b"starting\n", b""]


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


def test_the_channel_ends_with_the_engine(tmp_path):
    for language, files in ((PY, {"app.py": PY_EVENT.format(name="handler")}), (JS, {"index.js": JS_EVENT.format(name="handler")})):
        with language.start(write(tmp_path / language.name, files)) as runtime:
            runtime.wait_ready()
            runtime.socket.close()
            runtime.process.wait(10)


def test_the_program_says_how_it_is_started():
    import subprocess

    done = subprocess.run(PY.argv, capture_output=True, env=driver.environment("/tmp"), close_fds=True)
    assert done.returncode == 1 and b"started by Mayfly" in done.stderr
