"""mayfly deploy: forms of PATH, detection, packages, refusals, dependencies, apps."""

import io
import json
import os
import shutil
import tarfile

import pytest

from harness import eventually, fixture_path, needs, registry_reachable, run, zip_bytes


def echo(server, name, event=None):
    return server.invoke(name, {} if event is None else event).expect(200).json


@pytest.mark.smoke
def test_single_python_file(server):
    answer = server.deploy(fixture_path("echo.py"))
    assert answer["url"] == f"{server.gateway}/function/echo"
    assert answer["unchanged"] is False
    assert "python" in " ".join(answer["detected"]).lower()
    assert answer["function"]["settings"]["handler"] == "echo.handler"
    told = echo(server, "echo", {"n": 1})
    assert told["event"] == {"n": 1} and told["function"] == "echo"


@pytest.mark.parametrize("file", ["echo.js", "echo.mjs"])
def test_single_node_file(server, file):
    needs("node")
    name = "node-" + file.replace(".", "-")
    answer = server.deploy(fixture_path(file), "--name", name)
    assert "node" in " ".join(answer["detected"]).lower()
    assert echo(server, name, {"n": 2})["event"] == {"n": 2}


def test_cjs_file(server, tmp_path):
    needs("node")
    shutil.copy(fixture_path("echo.js"), tmp_path / "plain.cjs")
    server.deploy(tmp_path / "plain.cjs")
    assert echo(server, "plain", [1])["event"] == [1]


def test_shell_file_and_executable(server, tmp_path):
    server.deploy(fixture_path("words.sh"), "--name", "words")
    assert server.call("words", "some words").expect(200).text == "SOME WORDS"
    needs("gcc")
    (tmp_path / "rev.c").write_text(
        '#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c + 1); }\n')
    run(["gcc", "-O1", "-o", tmp_path / "shift", tmp_path / "rev.c"], check=0)
    server.deploy(tmp_path / "shift")
    assert server.call("shift", "HAL").expect(200).text == "IBM"


@pytest.mark.parametrize("form", ["folder", "zip", "tar.gz"])
def test_folder_and_archives(server, tmp_path, form):
    folder = tmp_path / "pack"
    (folder / "inner").mkdir(parents=True)
    (folder / "main.py").write_text("from inner.part import word\n\ndef handler(event, context):\n    return word\n")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "part.py").write_text(f"word = 'from a {form}'\n")
    path = folder
    if form == "zip":
        path = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    elif form == "tar.gz":
        path = shutil.make_archive(str(tmp_path / "packed"), "gztar", folder)
    name = "pack-" + form.replace(".", "")
    server.deploy(path, "--name", name)
    assert echo(server, name) == f"from a {form}"


def test_settings_arrive(server):
    server.deploy(fixture_path("echo.py"), "--name", "settled", "--memory", "192", "--timeout", "7",
                  "--env", "COLOUR=blue", "--env", "EMPTY=", "--handler", "echo.handler")
    told = echo(server, "settled")
    assert str(told["memory"]) == "192" and 0 < told["remaining_ms"] <= 7000
    assert told["env"]["COLOUR"] == "blue" and told["env"]["EMPTY"] == ""
    described = server.api("GET", "/v1/functions/settled").expect(200).json
    settings = described["settings"]
    assert settings["memory_mb"] == 192 and settings["timeout_ms"] == 7000
    text = server.cli("describe", "settled").out.decode()
    assert "192" in text and "echo.handler" in text


def test_no_environment_of_the_host_and_lambda_names(server):
    server.deploy(fixture_path("echo.py"), "--name", "environment")
    env = echo(server, "environment")["env"]
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "environment"
    assert env["LAMBDA_TASK_ROOT"] == "/var/task" and env["TZ"] == ":UTC" and env["HOME"] == "/tmp"
    assert not {"MAYFLY_KEY", "MAYFLY_API", "LOGNAME", "OLDPWD", "SSH_AUTH_SOCK"} & set(env)


def test_unchanged_is_not_deployed_again(server, tmp_path):
    (tmp_path / "same.py").write_text("def handler(event, context):\n    return 1\n")
    first = server.deploy(tmp_path / "same.py")
    again = server.deploy(tmp_path / "same.py")
    assert (first["created"], first["unchanged"]) == (True, False)
    assert (again["created"], again["unchanged"]) == (False, True)
    assert again["function"]["revision"] == first["function"]["revision"]
    other = server.deploy(tmp_path / "same.py", "--memory", "160")
    assert other["unchanged"] is False and other["function"]["revision"] != first["function"]["revision"]
    (tmp_path / "same.py").write_text("def handler(event, context):\n    return 2\n")
    assert server.deploy(tmp_path / "same.py", "--memory", "160")["unchanged"] is False
    assert echo(server, "same") == 2


def test_the_same_bytes_are_kept_once(server):
    data = zip_bytes({"main.py": "def handler(event, context):\n    return 'kept once'\n"})
    first = server.put_package(data).expect(200, 201).json
    second = server.put_package(data).expect(200, 201).json
    assert first["sha256"] == second["sha256"] and (first["existed"], second["existed"]) == (False, True)
    assert server.api("HEAD", f"/v1/packages/{first['sha256']}").status == 200
    assert server.api("HEAD", f"/v1/packages/{'0' * 64}").status == 404
    for name in ("once-a", "once-b"):
        server.put_function(name, first["sha256"]).expect(200)
        assert echo(server, name) == "kept once"
    kept = [f for f in os.listdir(os.path.join(server.data, "packages")) if f.startswith(first["sha256"])]
    assert len(kept) == 1


def test_failing_initialisation_is_refused_with_the_users_trace(server, tmp_path):
    (tmp_path / "broken.py").write_text("import json\n\ndef helper():\n    return 1 / 0\n\nhelper()\n\n"
                                        "def handler(event, context):\n    return 1\n")
    refused = server.cli("deploy", tmp_path / "broken.py", check=None)
    text = refused.err + refused.out.decode()
    assert refused.code != 0, refused
    assert "ZeroDivisionError" in text and "broken.py" in text and "line 4" in text and "helper" in text
    assert "--no-check" in text
    assert server.api("GET", "/v1/functions/broken").status == 404

    server.deploy(tmp_path / "broken.py", "--no-check")
    answer = server.call("broken", "not even JSON").expect(502)
    assert answer.error["party"] == "function" and answer.error["phase"] == "init"
    # The public learns who can tell, and nothing of the code.
    assert "ZeroDivision" not in answer.text and "helper" not in answer.text and "detail" not in answer.error
    assert f"mayfly invocations --request {answer.request_id}" in answer.error["message"]
    assert "mayfly logs broken" in answer.error["message"]
    record = server.record(answer.request_id)
    assert record["outcome"] == "init_failed" and record["phase"] == "init" and record["http_status"] == 502
    assert record["source"] == "http" and "ZeroDivisionError: division by zero" in record["error"]
    shown = server.cli("invocations", "--request", answer.request_id).out.decode()
    assert "init_failed" in shown and "function: ZeroDivisionError: division by zero" in shown
    logged = eventually(lambda: [x["text"] for x in server.logs("broken") if "in helper" in x["text"]], "the trace")
    assert "line 4" in logged[0]
    invoked = server.cli("invoke", "broken", check=1)
    assert "ZeroDivisionError: division by zero" in invoked.err and "line 4, in helper" in invoked.err
    told = server.invoke("broken", {}).expect(502)
    assert told.error["phase"] == "init" and told.error["detail"]["errorType"] == "ZeroDivisionError"
    assert any("line 4" in entry for entry in told.error["detail"]["stackTrace"])


def test_a_refused_redeploy_leaves_the_old_one(server, tmp_path):
    path = tmp_path / "steady.py"
    path.write_text("def handler(event, context):\n    return 'old'\n")
    server.deploy(path)
    path.write_text("raise SystemError('new one is broken')\n")
    refused = server.cli("deploy", path, check=None)
    assert refused.code != 0 and "new one is broken" in refused.err + refused.out.decode()
    assert echo(server, "steady") == "old"


def test_node_initialisation_error(server, tmp_path):
    needs("node")
    (tmp_path / "thrower.js").write_text("function deep () { throw new Error('at start') }\ndeep()\n"
                                         "exports.handler = async () => 1\n")
    refused = server.cli("deploy", tmp_path / "thrower.js", check=None)
    text = refused.err + refused.out.decode()
    assert refused.code != 0 and "at start" in text and "thrower.js:1" in text and "deep" in text


def test_npm_installs_at_deploy(server, tmp_path):
    needs("node", "npm")
    if not registry_reachable():
        pytest.skip("no npm registry can be reached from this machine")
    folder = tmp_path / "express-app"
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps(
        {"name": "express-app", "main": "index.js", "dependencies": {"express": "4.21.2"}}))
    (folder / "index.js").write_text(
        "const express = require('express')\nconst app = express()\n"
        "app.get('/hello/:who', (req, res) => res.json({ hello: req.params.who }))\nmodule.exports = app\n")
    server.deploy(folder, timeout=300)
    assert server.call("express-app", path="/hello/you").expect(200).json == {"hello": "you"}
    assert not (folder / "node_modules").exists(), "the user's own folder is not touched"


def test_requirements_say_clearly_when_no_index_is_reached(server, tmp_path):
    folder = tmp_path / "needs-more"
    folder.mkdir()
    (folder / "requirements.txt").write_text("a-package-that-nobody-has-made-yet-4711==1.0\n")
    (folder / "main.py").write_text("def handler(event, context):\n    return 1\n")
    refused = server.cli("deploy", folder, check=None, timeout=180)
    text = refused.err + refused.out.decode()
    assert refused.code != 0 and ("pip" in text or "requirements.txt" in text), refused
    assert server.api("GET", "/v1/functions/needs-more").status == 404


def test_rm_and_ls(server):
    server.deploy(fixture_path("echo.py"), "--name", "short-lived")
    assert "short-lived" in server.cli("ls").out.decode()
    server.cli("rm", "short-lived")
    assert "short-lived" not in server.cli("ls").out.decode()
    assert server.call("short-lived").expect(404).error["code"] == "not_found"
    assert server.cli("rm", "short-lived", check=None).code != 0


def test_versions(server, tmp_path):
    path = tmp_path / "counted.py"
    path.write_text("def handler(event, context):\n    return [context.function_version, 'one']\n")
    server.deploy(path)
    server.cli("publish", "counted")
    path.write_text("def handler(event, context):\n    return [context.function_version, 'two']\n")
    server.deploy(path)
    assert echo(server, "counted") == ["$LATEST", "two"]
    assert echo(server, "counted:1") == ["1", "one"]
    assert server.invoke("counted:7", {}).status == 404
    listed = server.api("GET", "/v1/functions/counted/versions").expect(200).json
    assert len(listed["versions"]) == 2
    assert "1" in server.cli("versions", "counted").out.decode()
    assert server.cli("invoke", "counted:1", "--data", "{}", "--raw").out.decode().find("one") >= 0


def app_folder(tmp_path, word):
    folder = tmp_path / "site"
    (folder / "public").mkdir(parents=True, exist_ok=True)
    (folder / "public" / "index.html").write_text("<h1>front</h1>")
    (folder / "one.py").write_text("def handler(event, context):\n    return {'one': 1}\n")
    (folder / "two.py").write_text(f"def handler(event, context):\n    return {{'two': '{word}'}}\n")
    (folder / "mayfly.yaml").write_text("""\
name: site
functions:
  site-one:
    path: one.py
    memory: 96
  site-two:
    path: two.py
routes:
  - {method: GET, path: /site/one, function: site-one}
  - {method: GET, path: /site/two, function: site-two}
static:
  - {path: "/site/{proxy+}", folder: public}
""")
    return folder


def test_an_app_deploys_only_what_changed(server, tmp_path):
    folder = app_folder(tmp_path, "first")
    server.cli("deploy", folder)
    assert server.http("GET", "/site/one").expect(200).json == {"one": 1}
    assert server.http("GET", "/site/index.html").expect(200).text == "<h1>front</h1>"
    before = {n: server.api("GET", f"/v1/functions/{n}").expect(200).text for n in ("site-one", "site-two")}
    again = server.cli("deploy", folder).out.decode()
    assert "unchanged" in again
    app_folder(tmp_path, "second")
    server.cli("deploy", folder)
    after = {n: server.api("GET", f"/v1/functions/{n}").expect(200).text for n in ("site-one", "site-two")}
    assert before["site-one"] == after["site-one"] and before["site-two"] != after["site-two"]
    assert server.http("GET", "/site/two").expect(200).json == {"two": "second"}


def test_people_get_a_table_and_machines_get_json(server):
    server.deploy(fixture_path("echo.py"), "--name", "shown")
    listed = server.cli("ls", "--json").json
    rows = listed["functions"] if isinstance(listed, dict) else listed
    assert any(r.get("name", r.get("function")) == "shown" for r in rows)
    assert server.cli("describe", "shown", "--json").json
    with pytest.raises(AssertionError):
        server.cli("ls").json


def test_links_inside_a_package_stay(server):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        data = b"def handler(event, context):\n    return open('/var/task/alias.txt').read()\n"
        info = tarfile.TarInfo("main.py")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("real.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"same"))
        link = tarfile.TarInfo("alias.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "real.txt"
        archive.addfile(link)
    package = server.put_package(out.getvalue()).expect(200, 201).json["sha256"]
    server.put_function("linked", package).expect(200)
    assert echo(server, "linked") == "same"
