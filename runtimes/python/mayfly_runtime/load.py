"""Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules."""

import os
import sys

from .errors import InitError, describe, fault, log_text_of

CANDIDATE_MODULES = (
    "lambda_function",
    "handler",
    "main",
    "app",
    "index",
    "function",
    "wsgi",
    "asgi",
    "__init__",
)
CANDIDATE_NAMES = ("handler", "lambda_handler", "main", "app", "application", "create_app", "make_app")
FACTORIES = ("create_app", "make_app")

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_VARARGS = 0x04

EVENT, WSGI, ASGI = "event", "wsgi", "asgi"


class Settings:
    """What the environment of the instance says."""

    def __init__(self, handler="", task_root="/var/task", entry="", concurrency=0):
        self.handler = handler
        self.task_root = task_root
        self.entry = entry
        self.concurrency = concurrency

    @classmethod
    def from_environ(cls, environ):
        try:
            concurrency = max(0, int(environ.get("MAYFLY_CONCURRENCY") or 0))
        except ValueError:
            concurrency = 0
        return cls(
            handler=environ.get("_HANDLER", "").strip(),
            task_root=environ.get("LAMBDA_TASK_ROOT") or os.getcwd(),
            entry=environ.get("MAYFLY_ENTRY", "").strip(),
            concurrency=concurrency,
        )


class App:
    """Loaded user code: kind (event, wsgi, asgi), target (the callable), handler (its name)."""

    def __init__(self, kind, target, handler, settings, notes):
        self.kind = kind
        self.target = target
        self.handler = handler
        self.settings = settings
        self.notes = notes
        self.announcement = {}  # what ready says beside the usual; None: it was sent already
        self.is_async = kind == ASGI or bool(_flags(target) & (_COROUTINE | _ASYNC_GENERATOR))

    @property
    def model(self):
        return "event" if self.kind == EVENT else "http"

    def ready(self):
        version = "Python %d.%d.%d" % sys.version_info[:3]
        return {
            "model": self.model,
            "handler": self.handler,
            "runtime": version,
            "concurrency": self.settings.concurrency,
            "notes": self.notes,
        }


def load(settings):
    """Imports the user's code and finds its app. Raises InitError."""
    if settings.handler:
        return _load_named(settings)
    return _detect(settings)


# ---- a handler that was named


def _load_named(settings):
    handler = settings.handler
    if ":" in handler:
        module_name, _, attribute = handler.partition(":")
    elif _module_file(settings.task_root, handler):
        module_name, attribute = handler, ""
    else:
        module_name, _, attribute = handler.rpartition(".")
    named = module_name
    module_name = module_name.replace("/", ".")
    if module_name.endswith(".py"):
        module_name = module_name[:-3]
    if not module_name:
        message = "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler
        raise InitError(fault("Runtime.MalformedHandlerName", message))
    builtin = module_name.split(".")[0] in sys.builtin_module_names
    if builtin and not _module_file(settings.task_root, module_name):
        message = "Cannot use built-in module %s as a handler module" % named
        raise InitError(fault("Runtime.BuiltInModuleConflict", message))
    module = _import(settings, module_name, named)
    if not attribute:
        found = _search(module, module_name, settings)
        if found is None:
            raise InitError(_nothing_in([module_name]))
        return found
    target = module
    for part in attribute.split(".") if ":" in handler else (attribute,):
        if not hasattr(target, part):
            message = "Handler '%s' missing on module '%s'" % (attribute, named)
            raise InitError(fault("Runtime.HandlerNotFound", message))
        target = getattr(target, part)
    kind, target = _settle(target, attribute in FACTORIES)
    if kind is None:
        message = "Handler '%s' on module '%s' is a %s, not a function or an app" % (
            attribute,
            module_name,
            type(target).__name__,
        )
        raise InitError(fault("Runtime.HandlerNotFound", message))
    return _app(kind, target, "%s.%s" % (module_name, attribute), settings)


# ---- detection


def _detect(settings):
    names = _candidates(settings)
    if not names:
        message = (
            "No Python module found in the package: expected one of %s, or a single .py file; "
            "or name the handler, as in --handler module.function"
            % ", ".join(name + ".py" for name in CANDIDATE_MODULES[:-1])
        )
        raise InitError(fault("Runtime.HandlerNotFound", message))
    for name in names:
        module = _import(settings, name)
        found = _search(module, name, settings)
        if found is not None:
            return found
    raise InitError(_nothing_in(names))


def _nothing_in(names):
    message = (
        "No handler found in %s: define handler(event, context), or an app named app; or name the "
        "handler, as in --handler module.function" % ", ".join(name + ".py" for name in names)
    )
    return fault("Runtime.HandlerNotFound", message)


def _module_file(root, name):
    path = os.path.join(root, *name.replace("/", ".").split("."))
    for candidate in (path + ".py", os.path.join(path, "__init__.py")):
        if os.path.isfile(candidate):
            return candidate
    return None


def _candidates(settings):
    root, names = settings.task_root, []
    if settings.entry.endswith(".py"):
        names.append(settings.entry[:-3].replace("/", "."))
    for name in CANDIDATE_MODULES:
        if name not in names and _module_file(root, name):
            names.append(name)
    if not names:
        try:
            single = [name for name in os.listdir(root) if name.endswith(".py")]
        except OSError:
            single = []
        if len(single) == 1:
            names.append(single[0][:-3])
    return names


def _search(module, module_name, settings):
    found = _search_names(module)
    note = ""
    if found is None:
        found = _only_function(module)
        note = "the only function of the module"
    if found is None:
        return None
    name, kind, target = found
    app = _app(kind, target, "%s.%s" % (module_name, name), settings)
    if note:
        app.notes.append(note)
    return app


def _search_names(module):
    for name in CANDIDATE_NAMES:
        target = getattr(module, name, None)
        if target is None or isinstance(target, type(os)):
            continue
        if name == "main" and _classify(target) == EVENT and _arity(target) < 1:
            continue  # a script's main()
        if name in FACTORIES and _arity(target) > 0:
            continue
        kind, target = _settle(target, name in FACTORIES)
        if kind is not None and not (name in FACTORIES and kind == EVENT):
            return name, kind, target
    return None


def _only_function(module):
    functions = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__code__", None) is not None
        and getattr(value, "__module__", None) == module.__name__
    ]
    if len(functions) != 1 or _arity(functions[0][1]) < 1:
        return None
    name, target = functions[0]
    kind = _classify(target)
    return (name, kind, target) if kind else None


# ---- importing, with AWS's words for what goes wrong


def _import(settings, name, named=None):
    """named: what messages call the module."""
    named = named or name
    try:
        if name in sys.modules or not _plain_name(name):
            path = _module_file(settings.task_root, name) or os.path.join(
                settings.task_root, settings.entry
            )
            if os.path.isfile(path):
                return _import_file(name, path)
        __import__(name)
        return sys.modules[name]
    except ImportError as error:
        message = "Unable to import module '%s': %s" % (named, error)
        raise _init_error(error, fault("Runtime.ImportModuleError", message)) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        message = "Syntax error in module '%s': %s" % (named, error)
        raise InitError(fault("Runtime.UserCodeSyntaxError", message, trace)) from None
    except Exception as error:
        described = describe(error)
        raise InitError(described, log_text_of(error, described)) from None
    except SystemExit as error:
        message = "Module '%s' called sys.exit(%s) while it was imported" % (name, error.code)
        raise _init_error(error, fault("Runtime.ExitError", message)) from None


def _init_error(exc, error):
    error["stackTrace"] = describe(exc)["stackTrace"]
    return InitError(error)


def _plain_name(name):
    return all(part for part in name.split("."))


def _import_file(name, path):
    """For a file whose name is also that of a module that is loaded already."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == path:
        return loaded
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- what kind of thing it is


def _function_of(target):
    """The function that a call of target runs, and how many bound arguments it has."""
    import functools

    bound = 0
    for _ in range(16):
        if isinstance(target, functools.partial):
            if target.keywords:
                return None, 0
            bound += len(target.args)
            target = target.func
        elif hasattr(target, "__wrapped__") and callable(target.__wrapped__):
            target = target.__wrapped__
        elif hasattr(target, "__func__"):
            bound += 1
            target = target.__func__
        elif hasattr(target, "__code__"):
            return target, bound
        elif isinstance(target, type):
            return None, 0
        else:
            call = getattr(type(target), "__call__", None)
            if call is None or not hasattr(call, "__code__"):
                return None, 0
            bound += 1
            target = call
    return None, 0


def _flags(target):
    """Code flags; a wrapper that is itself a coroutine function counts as what it is."""
    code = getattr(target, "__code__", None)
    if code is None:
        function, _ = _function_of(target)
        code = getattr(function, "__code__", None)
    return code.co_flags if code is not None else 0


def _parameters(target):
    """Names of the positional parameters, or None when unknown."""
    function, bound = _function_of(target)
    if function is None:
        return None
    code = function.__code__
    return code.co_varnames[bound : code.co_argcount]


def _arity(target):
    """Positional parameters that target takes; 99 when it takes any number or is unknown."""
    function, _ = _function_of(target)
    if function is None or function.__code__.co_flags & _VARARGS:
        return 99
    return len(_parameters(target))


def _framework(target):
    return (type(target).__module__ or "").partition(".")[0]


def _classify(target):
    """EVENT, WSGI, ASGI or None."""
    if not callable(target):
        return None
    names = tuple(name.lower().lstrip("_") for name in (_parameters(target) or ()))
    if hasattr(target, "asgi_app") or names[-3:] == ("scope", "receive", "send"):
        return ASGI
    if len(names) == 3 and names[0] == "scope":
        return ASGI
    if _framework(target) in ("starlette", "fastapi", "quart", "litestar", "sanic"):
        return ASGI
    if hasattr(target, "wsgi_app") or _framework(target) in ("flask", "werkzeug", "bottle"):
        return WSGI
    if len(names) >= 2 and (names[1] == "start_response" or names[0] == "environ"):
        return WSGI
    if isinstance(target, type):
        return None
    return EVENT


def _settle(target, factory):
    """Classifies; a factory that takes nothing is called for its app."""
    if factory and callable(target) and _arity(target) == 0:
        try:
            target = target()
        except Exception as error:
            described = describe(error)
            raise InitError(described, log_text_of(error, described)) from None
    return _classify(target), target


def _app(kind, target, handler, settings):
    notes = []
    if kind == EVENT:
        target = _with_two_arguments(target, notes)
    else:
        notes.append("%s application" % kind.upper())
    return App(kind, target, handler, settings, notes)


def _with_two_arguments(target, notes):
    """Handlers may leave out the context, or both arguments."""
    arity = _arity(target)
    if arity >= 2:
        return target
    notes.append("called with the event only" if arity == 1 else "called without arguments")
    if _flags(target) & _ASYNC_GENERATOR:

        async def call(event, context):
            async for item in target(event) if arity else target():
                yield item

    elif _flags(target) & _COROUTINE:

        async def call(event, context):
            return await (target(event) if arity else target())

    elif arity:

        def call(event, context):
            return target(event)

    else:

        def call(event, context):
            return target()

    return call
