"""The checks can fail: each rule is shown an example that it must find, and one that it must not."""

import os
import subprocess
import sys

import pytest

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOOLS)

import check_rooms  # noqa: E402
import check_style  # noqa: E402
from sources import strip_cpp  # noqa: E402


def tree(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


def rules(faults):
    return {f.rsplit("[", 1)[1].rstrip("]") for f in faults if f.endswith("]")}


@pytest.mark.parametrize("name, text, part", [
    ("src/wire/a.h", '#include "io/http.h"\n', "does not stand above wire"),
    ("src/io/a.cc", '#include "engine/dispatcher.h"\n', "does not stand above io"),
    ("src/engine/sub/a.cc", '# include "gateway/gateway.h"\n', "does not stand above engine"),
    ("src/io/a.cc", '#include "spawner/launch.h"\n', "is a program of its own"),
    ("src/base/a.h", "#include <boost/asio.hpp>\n", "must not use"),
    ("src/spawner/a.cc", "#include <thread>\n", "must not use"),
    ("src/queues/a.cc", '#include "tables/table.h"\n', "does not stand above queues"),
    ("src/attic/a.cc", "int x;\n", "is not a room"),
    ("src/a.cc", "int x;\n", "is not a room"),
])
def test_rooms_finds(tmp_path, name, text, part):
    faults = check_rooms.check(tree(tmp_path, {name: text}))
    assert len(faults) == 1 and part in faults[0] and faults[0].startswith(name)


def test_rooms_simulation_sees_only_pure_policies(tmp_path):
    files = {"src/simulation/a.h": '#include "engine/policy/p.h"\n#include "engine/scaler.h"\n#include "base/x.h"\n'}
    assert check_rooms.check(tree(tmp_path, files)) == []
    files = {"src/simulation/b.h": '#include "engine/pool.h"\n'}
    assert "may use only" in check_rooms.check(tree(tmp_path, files))[0]


def test_rooms_accepts_the_order(tmp_path):
    files = {
        "src/engine/a.cc": '#include "engine/a.h"\n#include "base/result.h"\n#include <thread>\n',
        "src/io/a.h": "#include <boost/asio/io_context.hpp>\n",
        "src/base/b.h": '// #include "io/http.h"\n',
    }
    assert check_rooms.check(tree(tmp_path, files)) == []


def test_rooms_allowance_needs_a_reason(tmp_path):
    files = {"src/wire/a.h": '#include "io/http.h"\n', "tools/allow.txt": "rooms src/wire/a.h because\n"}
    assert check_rooms.check(tree(tmp_path, files)) == []
    (tmp_path / "tools/allow.txt").write_text("rooms src/wire/a.h\n")
    assert len(check_rooms.check(str(tmp_path))) == 2


LONG_FUNCTION = "int f() {\n" + "  x();\n" * 95 + "}\n"
BAD = [
    ("fork", "src/engine/a.cc", "int f() { return fork(); }\n"),
    ("fork", "src/io/a.cc", "void f() { ::vfork (); }\n"),
    ("detached", "src/io/a.cc", "void f() { co_spawn(x, g(), asio::detached); }\n"),
    ("co_spawn", "src/gateway/a.cc", "void f() { co_spawn(x, g(), [](std::exception_ptr) {}); }\n"),
    ("co_spawn", "src/io/a.cc", "void f() { boost::asio::co_spawn(x, g(), [](auto&&...) {}); }\n"),
    ("thread", "src/engine/a.h", "std::thread worker_;\n"),
    ("exit", "src/spawner/a.cc", "void f() { exit(1); }\n"),
    ("cloexec", "src/os/a.cc", "int f() { return ::open(p, O_RDONLY); }\n"),
    ("cloexec", "src/os/a.cc", "int f() { return socket(AF_UNIX,\n SOCK_STREAM, 0); }\n"),
    ("cloexec", "src/os/a.cc", "int f() { return eventfd(0, 0); }\n"),
    ("cloexec", "src/os/a.cc", "void f(int* p) { ::pipe(p); }\n"),
    ("cloexec", "src/os/a.cc", "void f() { recvmsg(fd, &m, 0); }\n"),
    ("lambda", "src/io/a.cc", "auto f = [this](int x) -> Task<void> { co_await g(x); };\n"),
    ("lambda", "src/io/a.cc", "auto f = [&] { if (x) { co_return; } };\n"),
    ("function-length", "src/base/a.cc", "namespace a {\n" + LONG_FUNCTION + "}\n"),
    ("function-length", "src/base/a.cc", "struct A {\n A() : x(1) {\n" + "  x();\n" * 95 + "}\n};\n"),
    ("file-length", "src/base/a.cc", "int x;\n" * 701),
    ("file-length", "runtimes/a.py", "x = 1\n" * 701),
    ("unfinished", "src/base/a.cc", "// TODO later\n"),
    ("unfinished", "docs/a.md", "FIXME\n"),
    ("machine-path", "docs/a.md", "see /work/x\n"),
    ("machine-path", "a.py", "p = '/home/anna/x'\n"),
    ("machine-path", "a.sh", "curl https://registry.npmjs.org/x\n"),
    ("sleep", "tests/unit/io/a_test.cc", "std::this_thread::sleep_for(1s);\n"),
    ("sleep", "tests/scenario/a.py", "time.sleep(1)\n"),
    ("sleep", "tests/scenario/a.sh", "sleep 1\n"),
    ("link", "docs/a.md", "see [b](b.md)\n"),
    ("link", "docs/a.md", "# One\nsee [b](#two)\n"),
]


@pytest.mark.parametrize("rule, name, text", BAD)
def test_style_finds(tmp_path, rule, name, text):
    assert rules(check_style.check(tree(tmp_path, {name: text}))) == {rule}


GOOD = [
    ("src/engine/a.cc", "void f() { co_spawn(x, g(1, 2), [](std::exception_ptr e) { if (e) log(); }); }\n"),
    ("src/engine/b.cc", "void f() { boost::asio::co_spawn(x, g(), Logged{}); }\n"),
    ("src/os/b.cc", "constexpr int kFlags = O_PATH | O_CLOEXEC;\nint f() { return ::open(p, kFlags); }\n"),
    ("src/spawner/a.cc", "int f() { return fork(); }\nvoid g() { _exit(1); }\n"),
    ("src/engine/a.cc", "// fork() and asio::detached are banned\nauto s = \"fork() TO DO\";\n"),
    ("src/engine/a.cc", "auto n = std::thread::hardware_concurrency();\nvoid f() { store.open(O_X); }\n"),
    ("src/os/a.cc", "int f() { return ::open(p, O_RDONLY | O_CLOEXEC); }\n"),
    ("src/functions/a.cc", "Status Packages::open() { return archive.open(path_); }\n"),
    ("src/io/a.cc", "auto f = [this] { g(); };\nauto h = [] { co_return; };\nint y = a[i] ? 1 : 2;\n"),
    ("src/io/a.cc", "auto f = [this] { spawn([]() -> Task<void> { co_return; }); };\n"),
    ("src/base/a.cc", "namespace a {\n" + "int f() {\n" + "  x();\n" * 50 + "}\n" + "}\n"),
    ("tests/scenario/functions/slow.py", "time.sleep(1)\n"),
    ("docs/a.md", "# A b\n[x](#a-b) [y](../docs/a.md#a-b) [z](https://example.org/q)\n`[no](no.md)`\n"),
]


@pytest.mark.parametrize("name, text", GOOD)
def test_style_accepts(tmp_path, name, text):
    assert check_style.check(tree(tmp_path, {name: text})) == []


def test_strip_keeps_lines():
    text = '/* a\n b */ "x // y" R"(\n{)" \'"\' // {\nint z = 1\'000;'
    assert strip_cpp(text).count("\n") == text.count("\n")
    assert "{" not in strip_cpp(text) and "int z = 1'000;" in strip_cpp(text)


def test_the_scripts_exit_code_tells(tmp_path):
    root = tree(tmp_path, {"src/engine/a.cc": "int f() { return fork(); }\n"})
    bad = subprocess.run([sys.executable, f"{TOOLS}/check_style.py", root], capture_output=True, text=True)
    assert bad.returncode == 1 and "src/engine/a.cc:1:" in bad.stdout
    assert subprocess.run([sys.executable, f"{TOOLS}/check_rooms.py", root]).returncode == 0
