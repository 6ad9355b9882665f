"""An image as people make them for Lambda: Node with aws-lambda-ric and its native addon, by boto3."""

import json
import os
import shutil

import pytest

pytest.importorskip("botocore", reason="python3-boto3 is not installed")

import images  # noqa: E402
from test_lambda_boto3 import ROLE  # noqa: E402
from test_lambda_runtimes import library, ric  # noqa: E402,F401  fixtures


# Parts of Node that Debian's package keeps in files of their own: it aborts without them.
DEBIAN_MODULES = ["/usr/share/nodejs/" + path for path in (
    "acorn/dist/acorn.js", "acorn-walk/dist/walk.js", "cjs-module-lexer/lexer.js", "cjs-module-lexer/dist/lexer.js",
    "undici/undici-fetch.js")]


@pytest.fixture
def image(server, ric, tmp_path, name):  # noqa: F811
    node = os.path.realpath(shutil.which("node"))
    addon = os.path.join(ric, "node_modules/aws-lambda-ric/dist/rapid-client.node")
    libraries = {**images.with_libraries(node), **images.with_libraries(addon)}
    libraries.pop(addon.lstrip("/"))
    libraries["usr/local/bin/node"] = libraries.pop(node.lstrip("/"))
    for path in DEBIAN_MODULES:
        if os.path.exists(path):
            libraries[path.lstrip("/")] = images.read(path)
    inside = {"var/task" + path[len(ric) - 1:]: data for path, data in images.folder_files(ric).items()
              if not path.endswith("/bootstrap")}
    path = tmp_path / "image.tar"
    path.write_bytes(images.docker_archive(
        [libraries, inside], entrypoint=["node", "node_modules/aws-lambda-ric/bin/index.mjs"], command=["ric.handler"],
        workdir="/var/task"))
    server.cli("image", "import", path, "--name", name + ":1", timeout=200)
    path.unlink()
    yield "000000000000.dkr.ecr.us-east-1.amazonaws.com/" + name + ":1"
    server.cli("image", "rm", name + ":1")


def test_node_with_aws_lambda_ric(server, functions, image, name):
    functions.create_function(FunctionName=name, Role=ROLE, PackageType="Image", Code={"ImageUri": image}, Timeout=60,
                              MemorySize=512)
    try:
        for number in range(3):
            answer = functions.invoke(FunctionName=name, Payload=json.dumps({"say": number}))
            value = json.loads(answer["Payload"].read())
            assert "FunctionError" not in answer and value["event"] == {"say": number}, value
            assert value["arn"].endswith(":function:" + name) and value["left"] is True
        answer = functions.invoke(FunctionName=name, Payload=json.dumps({"fail": "on purpose"}))
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"].read())["errorType"] == "RangeError"
    finally:
        functions.delete_function(FunctionName=name)
