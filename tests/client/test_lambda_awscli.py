"""Lambda by Debian's awscli, as people type it."""

import json
import os
import zipfile

import pytest

from harness import run

AWS = "/usr/bin/aws"


@pytest.fixture
def aws(account):
    if not os.access(AWS, os.X_OK):
        pytest.skip("awscli is not installed")

    def call(*words, code=0):
        done = run([AWS, "--endpoint-url", account.url, "lambda", *words], env=account.env, timeout=60)
        assert done.code == code, done.out.decode() + done.err
        return json.loads(done.out) if code == 0 and done.out.strip() else done.err
    return call


def test_from_create_to_delete(aws, account, name, tmp_path):
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("index.js", "exports.handler = async (event) => ({ hello: event.name });")
    made = aws("create-function", "--function-name", name, "--runtime", "nodejs20.x", "--handler", "index.handler",
               "--role", "arn:aws:iam::000000000000:role/any", "--zip-file", f"fileb://{archive}")
    assert made["Runtime"] == "nodejs20.x" and made["State"] == "Active"
    aws("wait", "function-active-v2", "--function-name", name)
    target = tmp_path / "answer.json"
    answer = aws("invoke", "--function-name", name, "--cli-binary-format", "raw-in-base64-out",
                 "--payload", '{"name":"cli"}', str(target))
    assert answer == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert json.loads(target.read_text()) == {"hello": "cli"}
    tail = run([AWS, "--endpoint-url", account.url, "logs", "tail", "/aws/lambda/" + name, "--since", "1h"],
               env=account.env, timeout=60)
    assert tail.code == 0, tail.err
    aws("update-function-configuration", "--function-name", name, "--timeout", "8")
    aws("publish-version", "--function-name", name)
    assert aws("list-versions-by-function", "--function-name", name, "--query", "Versions[].Version") == [
        "$LATEST", "1"]
    aws("delete-function", "--function-name", name)
    assert "ResourceNotFoundException" in aws("get-function", "--function-name", name, code=254)
