"""Functions made from images: real archives, a real server, real sandboxes, by the CLI and by Debian's boto3."""

import base64
import json
import os
import re
import sys
import uuid

import pytest

import images
from harness import eventually, zip_bytes
from images import Device, Link, docker_archive, oci_layout, write_folder

ROLE = "arn:aws:iam::000000000000:role/any"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com/"


@pytest.fixture(scope="module")
def program():
    if images.program() is None:
        pytest.skip("there is no gcc that links statically")
    return images.program()


@pytest.fixture(scope="module")
def client(server):
    boto3 = pytest.importorskip("boto3", reason="python3-boto3 is not installed")
    from botocore.config import Config
    key = server.cli("keys", "create", "--name", "images", "--json", "--data", server.data).json
    return boto3.client("lambda", endpoint_url=server.api_url, region_name="us-east-1",
                        aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"],
                        config=Config(retries={"max_attempts": 0}, parameter_validation=False))


@pytest.fixture
def name():
    return "image-" + uuid.uuid4().hex[:10]


@pytest.fixture
def imported(server, tmp_path, program):
    """import(layers, tag, **settings): as the CLI prints it."""
    made = []

    def run(layers, tag, check=0, **settings):
        path = tmp_path / f"{len(made)}.archive"
        path.write_bytes(docker_archive(layers, **settings))
        done = server.cli("image", "import", path, "--name", tag, *(["--json"] if check == 0 else []), check=check)
        if check == 0:
            made.append(tag)
        return done.json if check == 0 else done
    yield run
    for tag in set(made):
        server.cli("image", "rm", tag, check=None)


@pytest.fixture
def hello(imported, program, name):
    """An image whose program says what it was given."""
    tag = name + ":1"
    imported([{"srv/app": program, "etc/word": "x"}, {"etc/.wh.word": "", "srv/app2": program}], tag,
             entrypoint=["/srv/app"], command=["one", "two"], env={"WORD": "of the image", "PATH": "/srv"},
             workdir="/srv")
    return tag


def call(client, function, event=None):
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event or {}))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def refusal(do, **arguments):
    import botocore
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        do(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def create(client, name):
    made = []

    def run(uri, suffix="", **more):
        answer = client.create_function(FunctionName=name + suffix, Role=ROLE, PackageType="Image", Timeout=20,
                                        Code={"ImageUri": uri}, **more)
        made.append(name + suffix)
        return answer
    yield run
    for function in made:
        client.delete_function(FunctionName=function)


# -- the command line

def test_import_list_and_remove(server, program, tmp_path, name):
    files, digest = oci_layout([{"app": program}], entrypoint=["/app"])
    folder = write_folder(tmp_path / "layout", files)
    done = server.cli("image", "import", folder, "--name", name + ":oci")
    assert name + ":oci  " + digest in done.out.decode()
    saved = tmp_path / "saved"
    saved.write_bytes(docker_archive([{"app": program}], tag=f"localhost/team/{name}:7", entrypoint=["/app"]))
    answer = server.cli("image", "import", saved, "--json").json
    assert (answer["name"], answer["tag"]) == ("team/" + name, "7")
    assert answer["existed"] is True, "the same layers are kept once"
    listed = {image["name"] + ":" + image["tag"]: image for image in server.cli("image", "ls", "--json").json["images"]}
    assert listed[name + ":oci"]["digest"] == digest
    assert listed[name + ":oci"]["tree"] == listed[f"team/{name}:7"]["tree"]
    table = server.cli("image", "ls").out.decode()
    assert re.search(rf"^{name}:oci +{digest[:19]} ", table, re.M), table
    server.cli("image", "rm", name + ":oci", f"team/{name}:7")
    gone = server.cli("image", "rm", name + ":oci", check=None)
    assert gone.code == 3 and "mayfly image import" in gone.err


def test_what_is_not_imported(server, imported, program, name, tmp_path):
    tag = name + ":1"
    for files, reason in [({"../up": "x"}, "has .. in its path"), ({"disk": Device()}, "is a device"),
                          ({"l": Link("/"), "l/../../x": "x"}, "has .. in its path")]:
        done = imported([{"app": program}, files], tag, entrypoint=["/app"], check=5)
        assert reason in done.err
    done = imported([{"app": program}], tag, entrypoint=["/app"], architecture="mips", check=5)
    assert "it is for linux/mips" in done.err
    done = imported([{"app": program}], "Bad Name", entrypoint=["/app"], check=5)
    assert "does not name an image" in done.err
    nameless = tmp_path / "nameless"
    nameless.write_bytes(docker_archive([{"app": program}], entrypoint=["/app"]))
    assert "--name" in server.cli("image", "import", nameless, check=None).err
    files, _ = oci_layout([{"app": program}], entrypoint=["/app"])
    blob, = [file for file in files if file.startswith("blobs") and len(files[file]) > 10_000]
    files[blob] = files[blob][:-1] + bytes([files[blob][-1] ^ 1])
    done = server.cli("image", "import", write_folder(tmp_path / "bad", files), "--name", tag, check=None)
    assert done.code == 5 and "not what they were" in done.err
    assert os.listdir(os.path.join(server.data, "images", ".incoming")) == []
    assert tag not in server.cli("image", "ls").out.decode()


def test_deploy_finds_out_what_it_is(server, imported, program, name):
    tag = f"{name}:1"
    imported([{"app": program}], tag, entrypoint=["/app"])
    done = server.cli("deploy", "--image", tag, "--json").json
    assert done["function"]["function"] == name and done["function"]["model"] == "runtime_api"
    assert server.invoke(name, {"n": 1}).expect(200).json["event"] == {"n": 1}
    server.cli("rm", name)
    web = name + "-web"
    imported([{"app": program}], web + ":1", entrypoint=["/app"], command=["http"])
    done = server.cli("deploy", "--image", REGISTRY + web + ":1", "--name", web, "--json").json
    assert done["function"]["model"] == "http_port"
    assert server.call(web, path="/some/path").expect(200).text == "GET /some/path HTTP/1.1"
    server.cli("rm", web)


def test_a_manifest_names_images(server, hello, name, tmp_path):
    (tmp_path / "mayfly.yaml").write_text(
        f"name: {name}\nfunctions:\n  {name}:\n    image: {hello}\n    command: [three]\n    env: {{WORD: mine}}\n"
        f"routes:\n  - path: /{name}\n    function: {name}\n")
    server.cli("deploy", tmp_path)
    answer = server.invoke(name, {}).expect(200).json
    assert answer["args"] == ["three"] and answer["word"] == "mine"
    server.cli("rm", "--app", name)
    server.cli("rm", name)


def test_deploys_that_cannot_be(server, hello, name, tmp_path):
    done = server.cli("deploy", "--image", "never-seen:1", check=None)
    assert done.code == 3 and "mayfly image import FILE" in done.err
    assert server.cli("deploy", str(tmp_path), "--image", hello, check=None).code == 2
    done = server.cli("deploy", "--image", hello, "--name", name, "--runtime", "python3", check=None)
    assert done.code == 5 and "its own" in done.err


# -- Lambda's API

def test_create_invoke_and_describe(client, create, hello, name, server):
    made = create(REGISTRY + hello)
    digest = server.cli("image", "ls", "--json").json["images"]
    digest, = [image["digest"] for image in digest if image["name"] == name]
    assert made["PackageType"] == "Image" and made["CodeSha256"] == digest[len("sha256:"):] and made["CodeSize"] == 0
    for absent in ("Runtime", "Handler", "Layers", "ImageConfigResponse"):
        assert absent not in made
    failed, answer = call(client, name, {"a": 1})
    assert failed is None
    assert answer == {"event": {"a": 1}, "args": ["one", "two"], "word": "of the image", "cwd": "/srv", "uid": 1000,
                      "read": ""}
    code = client.get_function(FunctionName=name)["Code"]
    assert code == {"RepositoryType": "ECR", "ImageUri": REGISTRY + hello,
                    "ResolvedImageUri": f"{REGISTRY}{name}@{digest}"}
    logged = client.invoke(FunctionName=name, Payload=b"{}", LogType="Tail")
    assert b"image got {}" in base64.b64decode(logged["LogResult"])


def test_its_root_is_the_images(client, create, hello, name):
    create(hello)
    for path, seen in [("/srv/app2", "opened"), ("/etc/word", "ENOENT"), ("/usr/bin/env", "ENOENT"),
                       ("/etc/passwd", "ENOENT"), ("/proc/self/status", "opened"), ("/dev/null", "opened"),
                       ("/etc/resolv.conf", "opened"), ("/tmp", "opened"), ("/proc/1/root/etc", "EACCES")]:
        assert call(client, name, {"read": path})[1]["read"] == seen, path


def test_image_config_and_environment(client, create, hello, name):
    config = {"EntryPoint": ["app2"], "Command": ["three"], "WorkingDirectory": "/"}
    made = create(hello, ImageConfig=config, Environment={"Variables": {"WORD": "of the function"}})
    assert made["ImageConfigResponse"] == {"ImageConfig": config}
    answer = call(client, name)[1]
    assert (answer["args"], answer["word"], answer["cwd"]) == (["three"], "of the function", "/")
    client.update_function_configuration(FunctionName=name, ImageConfig={})
    answer = call(client, name)[1]
    assert (answer["args"], answer["cwd"]) == (["one", "two"], "/srv")
    assert "ImageConfigResponse" not in client.get_function_configuration(FunctionName=name)


def test_update_and_versions(client, create, imported, hello, program, name, server):
    create(hello, Publish=True)
    imported([{"new": program}], name + ":2", entrypoint=["/new", "second"])
    updated = client.update_function_code(FunctionName=name, ImageUri=name + ":2")
    assert updated["PackageType"] == "Image"
    assert call(client, name)[1]["args"] == ["second"]
    assert call(client, name + ":1")[1]["args"] == ["one", "two"]
    server.cli("image", "rm", hello)
    assert call(client, name + ":1")[1]["args"] == ["one", "two"], "a function keeps what it was made from"
    imported([{"new": program}], name + ":2", entrypoint=["/new", "third"])
    assert call(client, name)[1]["args"] == ["second"], "a tag that moves changes no function"
    client.update_function_code(FunctionName=name, ImageUri=name + ":2")
    assert call(client, name)[1]["args"] == ["third"]


def test_refusals(client, create, hello, name):
    invalid = "InvalidParameterValueException"
    make = {"FunctionName": name, "Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": hello}}
    for change, word in [({"Runtime": "python3.12"}, "Runtime"), ({"Handler": "a.b"}, "Handler"),
                         ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:x:1"]}, "Layer"),
                         ({"Code": {"ZipFile": b"x"}}, "ImageUri"), ({"Code": {"ImageUri": "unknown:1"}}, "mayfly image import"),
                         ({"PackageType": "Zip", "Runtime": "python3.12", "Handler": "a.b"}, "ImageUri"),
                         ({"ImageConfig": {"EntryPoint": ["/nothing"]}}, "no program '/nothing'")]:
        code, message = refusal(client.create_function, **{**make, **change})
        assert code == invalid and word in message, (change, message)
    create(hello)
    code, message = refusal(client.update_function_code, FunctionName=name, ZipFile=b"PK")
    assert code == invalid and "Please provide ImageUri" in message
    for change in ({"Runtime": "python3.12"}, {"Handler": "a.b"}):
        assert refusal(client.update_function_configuration, FunctionName=name, **change)[0] == invalid
    client.create_function(FunctionName=name + "-zip", Role=ROLE, Runtime="python3.12", Handler="app.handler",
                           Code={"ZipFile": zip_bytes({"app.py": "def handler(e, c): return 1"})})
    code, message = refusal(client.update_function_code, FunctionName=name + "-zip", ImageUri=hello)
    assert code == invalid and "packageType Zip" in message
    assert refusal(client.update_function_configuration, FunctionName=name + "-zip",
                   ImageConfig={"Command": ["x"]})[0] == invalid
    client.delete_function(FunctionName=name + "-zip")


def test_a_program_that_ends_is_told_of(client, create, imported, program, name):
    imported([{"app": program}], name + ":1", entrypoint=["/app"], env={"AWS_LAMBDA_RUNTIME_API": "nowhere:1"})
    create(name + ":1")
    assert call(client, name)[0] is None, "the image cannot say where the API is"
    imported([{"app": program, "dir/x": "x", "bad": "#!/no/interpreter\n"}], name + ":2", entrypoint=["/bad"])
    create(name + ":2", "-bad")
    failed, answer = call(client, name + "-bad")
    assert failed == "Unhandled" and answer["errorType"] == "Runtime.InvalidEntrypoint"
    assert "exec /bad: No such file or directory" in answer["errorMessage"]
    create(name + ":1", "-folder", ImageConfig={"WorkingDirectory": "/nothing"})
    failed, answer = call(client, name + "-folder")
    assert failed == "Unhandled" and answer["errorType"] == "Runtime.InvalidWorkingDir"


def test_extensions_of_the_image(client, create, imported, program, name, server):
    imported([{"app": program, "opt/extensions/watcher": program}], name + ":1", entrypoint=["/app"])
    create(name + ":1")
    assert call(client, name, {"n": 1})[1]["event"] == {"n": 1}
    eventually(lambda: "extension got INVOKE" in server.cli("logs", name).out.decode(), "the extension was told")


# -- hostile ones

HOSTILE = {
    "proc-link": {"proc": Link("/")}, "tmp-link": {"tmp": Link("../../../../tmp")}, "dev-file": {"dev": "x"},
    "etc-link": {"etc": Link("/proc/1/root/etc")}, "resolv-link": {"etc/resolv.conf": Link("/etc/shadow")},
    "hosts-folder": {"etc/hosts/x": "x"}, "var-link": {"var": Link("/proc/self")}, "dev-node": {"dev/mem": Device()},
    "srv-link": {"here": Link("..")}, "proc-inside": {"proc/self": Link("/")}, "opt-link": {"opt": Link("/../..")},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_images_stay_inside(client, create, imported, program, name, kind, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    os.chmod(tmp_path, 0o755)
    imported([{"app": program, "leak": Link(str(secret)), "up": Link("../../../../../../.." + str(secret))},
              HOSTILE[kind]], name + ":1", entrypoint=["/app"])
    create(name + ":1")
    for path in (str(secret), "/leak", "/up", "/here/../../" + str(secret), "/etc/shadow"):
        failed, answer = call(client, name, {"read": path})
        assert failed is None and answer["read"] == "ENOENT", (path, answer)
    assert call(client, name, {"read": "/proc/self/status"})[1]["read"] == "opened"
    assert call(client, name, {"read": "/etc/resolv.conf"})[1]["read"] == "opened"


# -- what people put into images

BOOTSTRAP = """import json, os, platform, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as event:
        request, asked = event.headers["Lambda-Runtime-Aws-Request-Id"], json.load(event)
    told = {"asked": asked, "root": sorted(os.listdir("/")), "python": platform.python_version(), "cwd": os.getcwd()}
    urllib.request.urlopen(base + request + "/response", json.dumps(told).encode()).close()
"""


def test_an_image_with_python(client, create, imported, name):
    python = os.path.realpath("/usr/bin/python3")
    if not os.path.exists(python):
        pytest.skip("there is no /usr/bin/python3")
    library = "/usr/lib/" + os.path.basename(python)
    base = {**images.with_libraries(python),
            **images.folder_files(library, ("test", "__pycache__", "idlelib", "ensurepip", "config-3.11-x86_64-linux-gnu"))}
    imported([base, {"usr/bin/python": Link(os.path.basename(python)), "task/main.py": BOOTSTRAP}], name + ":1",
             entrypoint=["python", "-u"], command=["main.py"], workdir="/task")
    create(name + ":1", MemorySize=256)
    answer = call(client, name, {"n": 1})[1]
    assert answer["asked"] == {"n": 1} and answer["cwd"] == "/task"
    assert "task" in answer["root"] and "srv" not in answer["root"] and sys.version_info > (3,)


def test_over_a_restart(make_server, program, tmp_path):
    server = make_server()
    path = tmp_path / "archive.tar"
    path.write_bytes(docker_archive([{"app": program}], tag="kept:1", entrypoint=["/app"], command=["x"]))
    server.cli("image", "import", path)
    server.cli("deploy", "--image", "kept:1")
    assert server.invoke("kept", {}).expect(200).json["args"] == ["x"]
    half = os.path.join(server.data, "images", ".incoming", "half")
    server.kill()
    os.makedirs(half)
    server.start()
    assert not os.path.exists(half)
    assert server.invoke("kept", {}).expect(200).json["args"] == ["x"]
    assert "kept:1" in server.cli("image", "ls").out.decode()


def test_limits_are_settings(make_server, program, tmp_path):
    server = make_server(config="images:\n  layers_max: 2\n  unpacked_bytes_max: 100000\n  files_max: 3\n")
    path = tmp_path / "archive.tar"
    for layers, setting in [([{"app": "#!"}] * 3, "images.layers_max"), ([{"app": program}], "images.unpacked_bytes_max"),
                            ([{str(i): "#!" for i in range(9)}], "images.files_max")]:
        path.write_bytes(docker_archive(layers, tag="x:1", entrypoint=["/app"]))
        done = server.cli("image", "import", path, check=None)
        assert done.code == 5 and setting in done.err, done
