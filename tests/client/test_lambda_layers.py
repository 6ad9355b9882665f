"""Layers by Debian's boto3: published, listed, given to functions, and what those find at /opt."""

import base64
import concurrent.futures
import hashlib
import json
import urllib.request

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")

from harness import zip_bytes  # noqa: E402
from test_lambda_boto3 import ROLE, invoked, refused  # noqa: E402


def archive(**files):
    """Names have __ for / and _dot_ for a dot."""
    return zip_bytes({name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()})


@pytest.fixture
def layer(functions, name):
    made = []

    def publish(suffix="", **files):
        options = {key: files.pop(key) for key in list(files) if key[0].isupper()}
        answer = functions.publish_layer_version(LayerName=name + suffix, Content={"ZipFile": archive(**files)},
                                                 **options)
        made.append((name + suffix, answer["Version"]))
        return answer
    yield publish
    for layer_name, version in made:
        functions.delete_layer_version(LayerName=layer_name, VersionNumber=version)


@pytest.fixture
def make(functions, name):
    def make(layers, runtime="python3.12", **files):
        return functions.create_function(
            FunctionName=name, Runtime=runtime, Handler="app.handler", Role=ROLE, Layers=layers,
            Timeout=20, Code={"ZipFile": archive(**files)})
    yield make
    try:
        functions.delete_function(FunctionName=name)
    except botocore.exceptions.ClientError:
        pass


def test_versions(functions, layer, name):
    first = layer(python__shared_dot_py="word = 'one'", Description="words", LicenseInfo="MIT",
                  CompatibleRuntimes=["python3.11", "python3.12"], CompatibleArchitectures=["x86_64"])
    zipped = archive(python__shared_dot_py="word = 'one'")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert first["Version"] == 1
    assert first["LayerArn"].endswith(":layer:" + name)
    assert first["LayerVersionArn"] == first["LayerArn"] + ":1"
    assert first["Content"]["CodeSize"] == len(zipped)
    assert first["Content"]["CodeSha256"] == base64.b64encode(hashlib.sha256(zipped).digest()).decode()
    assert urllib.request.urlopen(first["Content"]["Location"]).read() == zipped
    assert first["CompatibleRuntimes"] == ["python3.11", "python3.12"]
    assert first["LicenseInfo"] == "MIT" and first["Description"] == "words"
    second = layer(python__shared_dot_py="word = 'two'", CompatibleRuntimes=["nodejs20.x"])
    assert second["Version"] == 2

    got = functions.get_layer_version(LayerName=name, VersionNumber=1)
    by_arn = functions.get_layer_version_by_arn(Arn=first["LayerVersionArn"])
    for answer in got, by_arn:
        assert {key: answer[key] for key in answer if key not in ("ResponseMetadata", "Content")} == \
            {key: first[key] for key in first if key not in ("ResponseMetadata", "Content")}
    assert functions.get_layer_version(LayerName=first["LayerArn"], VersionNumber=2)["Version"] == 2

    versions = functions.list_layer_versions(LayerName=name)["LayerVersions"]
    assert [each["Version"] for each in versions] == [2, 1]
    some = functions.list_layer_versions(LayerName=name, CompatibleRuntime="python3.12")["LayerVersions"]
    assert [each["Version"] for each in some] == [1]
    page = functions.list_layer_versions(LayerName=name, MaxItems=1)
    assert [each["Version"] for each in page["LayerVersions"]] == [2]
    rest = functions.list_layer_versions(LayerName=name, Marker=page["NextMarker"])
    assert [each["Version"] for each in rest["LayerVersions"]] == [1]
    listed = {each["LayerName"]: each for page in functions.get_paginator("list_layers").paginate()
              for each in page["Layers"]}
    assert listed[name]["LatestMatchingVersion"]["Version"] == 2
    old = {each["LayerName"]: each for each in
           functions.list_layers(CompatibleRuntime="python3.11")["Layers"]}
    assert old[name]["LatestMatchingVersion"]["Version"] == 1

    functions.delete_layer_version(LayerName=name, VersionNumber=2)
    assert functions.delete_layer_version(LayerName=name, VersionNumber=2)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(functions.get_layer_version, LayerName=name, VersionNumber=2) == ("ResourceNotFoundException", 404)
    assert layer(python__shared_dot_py="word = 'three'")["Version"] == 3


def test_permissions(functions, layer, name):
    layer(file="x")
    where = {"LayerName": name, "VersionNumber": 1}
    assert refused(functions.get_layer_version_policy, **where) == ("ResourceNotFoundException", 404)
    grant = {**where, "StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    added = functions.add_layer_version_permission(**grant, OrganizationId="o-1234567890")
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = json.loads(added["Statement"])
    assert statement["Resource"].endswith(f":layer:{name}:1") and statement["Principal"] == "*"
    assert refused(functions.add_layer_version_permission, **grant) == ("ResourceConflictException", 409)
    policy = functions.get_layer_version_policy(**where)
    assert json.loads(policy["Policy"])["Statement"] == [statement]
    assert policy["RevisionId"] == added["RevisionId"]
    gone = {**where, "StatementId": "all"}
    assert refused(functions.remove_layer_version_permission, **gone, RevisionId="other") == \
        ("PreconditionFailedException", 412)
    functions.remove_layer_version_permission(**gone, RevisionId=policy["RevisionId"])
    assert refused(functions.remove_layer_version_permission, **gone) == ("ResourceNotFoundException", 404)


PYTHON = """
import os, sys
import shared, extra
def handler(event, context):
    try:
        open("/opt/new", "w")
        wrote = True
    except OSError:
        wrote = False
    return {"word": shared.word, "extra": extra.word, "wrote": wrote, "path": os.environ["PATH"],
            "library": os.environ["LD_LIBRARY_PATH"], "said": os.popen("tool").read()}
"""


def test_function_with_layers(functions, layer, make, name):
    """Order, both folders of Python, programs in /opt/bin, read-only, many instances at once."""
    first = layer(python__shared_dot_py="word = 'one'", bin__tool="#!/bin/sh\necho tool of one",
                  **{"python__lib__python3_dot_11__site-packages__extra_dot_py": "word = 'extra'"})
    second = layer("-b", python__shared_dot_py="word = 'two'")
    arns = [first["LayerVersionArn"], second["LayerVersionArn"]]
    made = make(arns, app_dot_py=PYTHON)
    assert made["Layers"] == [{"Arn": arns[0], "CodeSize": first["Content"]["CodeSize"]},
                              {"Arn": arns[1], "CodeSize": second["Content"]["CodeSize"]}]
    answer, payload = invoked(functions, name)
    assert "FunctionError" not in answer, payload
    assert payload["word"] == "two" and payload["extra"] == "extra" and payload["wrote"] is False
    assert "/opt/bin" in payload["path"].split(":") and "/opt/lib" in payload["library"].split(":")
    assert payload["said"] == "tool of one\n"
    with concurrent.futures.ThreadPoolExecutor(6) as many:
        words = list(many.map(lambda _: invoked(functions, name)[1]["word"], range(12)))
    assert words == ["two"] * 12

    functions.update_function_configuration(FunctionName=name, Layers=arns[::-1])
    assert invoked(functions, name)[1]["word"] == "one"
    published = functions.publish_version(FunctionName=name)
    assert [each["Arn"] for each in published["Layers"]] == arns[::-1]
    # The deleted version stays with who uses it.
    functions.delete_layer_version(LayerName=name, VersionNumber=1)
    functions.update_function_configuration(FunctionName=name, Description="started anew")
    assert invoked(functions, name)[1]["word"] == "one"
    configuration = functions.update_function_configuration(FunctionName=name, Layers=[])
    assert "Layers" not in configuration
    assert "FunctionError" in invoked(functions, name)[0], "without layers there is no module shared"
    assert invoked(functions, name, Qualifier="1")[1]["word"] == "one"


NODE = """
const shared = require('shared');
exports.handler = async () => shared.word;
"""


def test_node_layer(functions, layer, make, name):
    made = layer(nodejs__node_modules__shared__index_dot_js="exports.word = 'node'")
    make([made["LayerVersionArn"]], runtime="nodejs20.x", app_dot_js=NODE)
    assert invoked(functions, name)[1] == "node"


BOOTSTRAP = """#!/usr/bin/python3
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    event = urllib.request.urlopen(base + "next")
    code = open(os.environ["LAMBDA_TASK_ROOT"] + "/" + os.environ["_HANDLER"]).read()
    answer = json.dumps({"ran": code, "event": json.load(event)}).encode()
    urllib.request.urlopen(base + event.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", answer)
"""


def test_runtime_in_a_layer(functions, layer, make, name):
    made = layer(bootstrap=BOOTSTRAP)
    make([made["LayerVersionArn"]], runtime="provided.al2023", **{"app_dot_handler": "the code"})
    assert invoked(functions, name, {"a": 1})[1] == {"ran": "the code", "event": {"a": 1}}


def test_refusals(functions, layer, make, name):
    arn = layer(file="x")["LayerVersionArn"]
    again = layer(file="y")["LayerVersionArn"]
    wrong = ("InvalidParameterValueException", 400)
    assert refused(make, layers=[arn + "9"], app_dot_py="") == wrong
    assert refused(make, layers=[arn, again], app_dot_py="") == wrong, "two versions of one layer"
    assert refused(make, layers=[arn] * 6, app_dot_py="") == wrong
    assert refused(make, layers=["nonsense here"], app_dot_py="") == ("ValidationException", 400)
    publish = functions.publish_layer_version
    assert refused(publish, LayerName=name, Content={"ZipFile": b"no zip"}) == wrong
    assert refused(publish, LayerName=name, Content={"S3Bucket": "abc", "S3Key": "k"}) == wrong
    assert refused(publish, LayerName="a b", Content={"ZipFile": archive(a="b")}) == ("ValidationException", 400)
    assert refused(publish, LayerName=name, Content={"ZipFile": archive(a="b")}, Description="d" * 257) == \
        ("ValidationException", 400)
    assert functions.list_layer_versions(LayerName="nobody")["LayerVersions"] == []
