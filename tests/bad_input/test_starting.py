"""Servers that cannot start, or not with everything: ports, data, disks, privileges, settings."""

import json
import os
import socket
import stat

import pytest

from harness import MAYFLY, ROOT, fixture_path, needs, run, zip_bytes


def refused(words, phrase, env=None):
    result = run([MAYFLY, "serve", *words], timeout=30, env=env)
    assert result.code not in (0, None), result
    assert phrase in result.err, result
    assert "terminate called" not in result.err and "ready" not in result.out.decode()
    return result


@pytest.mark.parametrize("flag", ["--gateway", "--api"])
def test_port_in_use(tmp_path, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        other = "--api" if flag == "--gateway" else "--gateway"
        refused([flag, address, other, "127.0.0.1:0", "--data", tmp_path / "d"], address)


def test_second_server_on_the_same_data(server):
    result = refused(["--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data", server.data], server.data)
    assert "another" in result.err or "already" in result.err or "in use" in result.err
    assert server.api("GET", "/v1/info").status == 200, "the first one is not disturbed"
    assert os.path.exists(os.path.join(server.data, "server.json"))


@pytest.mark.parametrize("words, phrase", [
    (["--gateway", "nonsense"], "nonsense"),
    (["--gateway", "127.0.0.1:99999"], "99999"),
    (["--gateway", "203.0.113.7:0"], "203.0.113.7"),
    (["--nonsense"], "nonsense"),
    (["--config", "/nonexistent/settings.yaml"], "/nonexistent/settings.yaml"),
    (["--data", "/proc/nowhere"], "/proc/nowhere"),
])
def test_flags(tmp_path, words, phrase):
    rest = [] if "--data" in words else ["--data", str(tmp_path / "d")]
    ports = [w for f in ("--gateway", "--api") if f not in words for w in (f, "127.0.0.1:0")]
    refused([*words, *rest, *ports], phrase)


@pytest.mark.parametrize("text, phrase", [
    ("http:\n  head_timeout_ms: soon\n", "head_timeout_ms"),
    ("http:\n  body_byte_max: 5\n", "body_bytes_max"),
    ("htttp:\n  body_bytes_max: 5\n", "http"),
    ("http: [1\n", "settings.yaml"),
    ("engine:\n  instances_max: -1\n", "instances_max"),
])
def test_settings_file(tmp_path, text, phrase):
    (tmp_path / "settings.yaml").write_text(text)
    words = ["--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data", tmp_path / "d", "--config",
             tmp_path / "settings.yaml"]
    refused(words, phrase)


def test_missing_runtime_is_named_with_what_brings_it(make_server):
    own = make_server(config="runtimes:\n  python9: /nonexistent/python9\n")
    package = own.put_package(zip_bytes({"main.py": "def handler(e, c):\n    return 1\n"})).json["sha256"]
    answer = own.put_function("x", package, {"runtime": "python9"})
    assert answer.status in (400, 422, 501), answer
    assert "python9" in answer.error["message"]


def test_corrupt_data_is_said(make_server, tmp_path):
    data = tmp_path / "d"
    own = make_server(data=str(data))
    own.deploy(fixture_path("echo.py"), "--name", "echo")
    assert own.stop() == 0
    for name in os.listdir(data / "store"):
        if name.startswith(("CURRENT", "MANIFEST")):
            (data / "store" / name).write_bytes(b"broken")
    result = refused(["--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data", data], "store")
    assert len(result.err) > 20


def test_full_disk(make_server, tmp_path):
    """The data directory on a tmpfs of 24 MB, in a mount namespace of the server's own."""
    needs("unshare", "mount")
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    data = tmp_path / "small"
    data.mkdir()
    own = make_server(start=False, data=str(data), wrap=[
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        f"mount -t tmpfs -o size=24m tmpfs '{data}' && exec \"$@\"", "sh"])
    own.launch()
    line = own.read_ready_line()
    assert line.startswith("ready "), own.log()
    own.gateway, own.api_url = line.split()[1].split("=")[1], line.split()[2].split("=")[1]
    with open(f"/proc/{own.pid}/root{data}/api.key") as f:
        own.key = f.read().strip()
    small = own.put_package(zip_bytes({"main.py": "def handler(e, c):\n    return 1\n"})).json["sha256"]
    own.put_function("before", small).expect(200)
    import io
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("noise", os.urandom(30 << 20))
    answer = own.put_package(out.getvalue())
    assert answer.status in (500, 503, 507), answer
    assert "space" in answer.error["message"].lower() or "full" in answer.error["message"].lower()
    assert own.invoke("before", {}).expect(200).json == 1
    assert own.api("GET", "/v1/functions").status == 200
    left = [f for f in os.listdir(f"/proc/{own.pid}/root{data}/packages")]
    assert len([f for f in left if not f.startswith(".")]) <= 2, left
    own.put_function("after", small).expect(200)
    assert own.stop() == 0


def test_without_privileges_it_says_what_is_missing(make_server, tmp_path):
    needs("setpriv")
    if os.getuid() != 0:
        pytest.skip("this test takes privileges away, so it needs root")
    # The program must be readable for the user nobody; copy nothing, ask first.
    probe = run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "test", "-x", MAYFLY])
    if probe.code != 0:
        pytest.skip(f"the user nobody may not read {ROOT}")
    home = tmp_path / "home"
    home.mkdir()
    os.chmod(tmp_path, stat.S_IRWXU | 0o055)
    for parent in tmp_path.parents:
        if os.stat(parent).st_uid == os.getuid() and str(parent) not in ("/", "/tmp"):
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
    os.chown(home, 65534, 65534)
    own = make_server(start=False, data=str(home / "data"), env={"HOME": str(home)}, wrap=[
        "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"])
    own.launch()
    line = own.read_ready_line()
    if not line.startswith("ready "):
        assert "privilege" in own.log().lower() or "root" in own.log().lower()
        return
    own.gateway, own.api_url = line.split()[1].split("=")[1], line.split()[2].split("=")[1]
    own.key = (home / "data" / "api.key").read_text().strip()
    sandbox = own.api("GET", "/v1/info").expect(200).json["sandbox"]
    assert sandbox["missing"], "it says what is missing"
    text = json.dumps(sandbox["missing"])
    assert "root" in text or "CAP_" in text or "cgroup" in text
    # What still works without: the API; and functions, or a clear word why not.
    package = own.put_package(zip_bytes({"main.py": "def handler(e, c):\n    return 1\n"})).expect(200, 201)
    answer = own.put_function("plain", package.json["sha256"])
    if answer.status == 200:
        assert own.invoke("plain", {}).expect(200).json == 1
    else:
        assert answer.error["party"] == "platform" and answer.error["message"]
    assert own.stop() == 0


def test_cli_without_a_server(tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for words in (["ls"], ["invoke", "x"], ["bill"]):
        result = run([MAYFLY, *words], env=env)
        assert result.code != 0 and "serve" in result.err + result.out.decode(), result
    env["MAYFLY_API"], env["MAYFLY_KEY"] = "http://127.0.0.1:1", "x"
    result = run([MAYFLY, "ls"], env=env)
    assert result.code != 0 and "127.0.0.1:1" in result.err + result.out.decode()
