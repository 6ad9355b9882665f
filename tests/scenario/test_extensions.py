"""Extensions in layers: real programs in real sandboxes, beside a runtime of their own and beside managed ones."""

import json
import os

import pytest

from harness import ROOT, eventually, zip_bytes


def source(name):
    with open(os.path.join(ROOT, "tests", "support", "functions", name)) as file:
        return file.read()


EXTENSION = source("extension.py")
BOOTSTRAP = source("extension_runtime.py")
HANDLER = source("extension_handler.py")


@pytest.fixture(scope="module")
def client(server):
    boto3 = pytest.importorskip("boto3", reason="python3-boto3 is not installed")
    from botocore.config import Config
    key = server.cli("keys", "create", "--name", "extensions", "--json", "--data", server.data).json
    return boto3.client("lambda", endpoint_url=server.api_url, region_name="us-east-1",
                        aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"],
                        config=Config(retries={"max_attempts": 0}))


@pytest.fixture(scope="module")
def layer(client):
    answer = client.publish_layer_version(
        LayerName="watchers", Content={"ZipFile": zip_bytes({"extensions/watcher": EXTENSION})})
    return answer["LayerVersionArn"]


@pytest.fixture(params=["provided.al2023", "python3.12"])
def function(request, client, layer, server):
    made = []

    def make(timeout=20, **env):
        name = "ext-%s-%d-%s" % (request.param.split(".")[0], len(made), os.urandom(3).hex())
        code = {"bootstrap": BOOTSTRAP} if request.param.startswith("provided") else {"app.py": HANDLER}
        client.create_function(FunctionName=name, Runtime=request.param, Handler="app.handler", Layers=[layer],
                               Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": zip_bytes(code)},
                               Timeout=timeout, Environment={"Variables": env})
        made.append(name)
        return name
    yield make
    for name in made:
        client.delete_function(FunctionName=name)


def call(client, name, event=None):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event or {}))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def log_of(server, name):
    return [line["text"] for line in server.logs(name, limit=1000)]


def waits_for(server, name, *wanted):
    def seen():
        text = "\n".join(log_of(server, name))
        return all(word in text for word in wanted)
    eventually(seen, lambda: "%s in %s" % (wanted, "\n".join(log_of(server, name))))


def test_life(server, client, function):
    name = function()
    assert call(client, name, {"a": 1}) == (None, {"echo": {"a": 1}})
    assert call(client, name, {"a": 2}) == (None, {"echo": {"a": 2}})
    waits_for(server, name, '"eventType": "INVOKE"', '"functionName": "%s"' % name, "telemetry platform.initStart", "telemetry platform.initReport",
              "telemetry platform.start", "telemetry platform.runtimeDone", "telemetry platform.report",
              'telemetry function "runtime got')


def test_timeout_is_told(server, client, function):
    name = function(timeout=1)
    assert call(client, name)[0] is None
    error, payload = call(client, name, {"sleep": 30})
    assert error and payload["errorType"] == "Sandbox.Timedout"
    waits_for(server, name, '"shutdownReason": "TIMEOUT"')
    assert call(client, name, {"a": 3}) == (None, {"echo": {"a": 3}})


def test_a_runtime_that_ends(server, client, function):
    name = function()
    assert call(client, name)[0] is None
    error, payload = call(client, name, {"exit": 3})
    assert error and payload["errorType"] == "Runtime.ExitError", payload
    assert payload["errorMessage"].endswith("exit status 3")
    waits_for(server, name, '"shutdownReason": "FAILURE"')


@pytest.mark.parametrize("where, kind", [("start", "Extension.Crash"), ("init", "Extension.InitError"),
                                         ("call", "Extension.Crash")])
def test_an_extension_that_fails(server, client, function, where, kind):
    name = function(FAILS_AT=where)
    error, payload = call(client, name, {"sleep": 5} if where == "call" else {})
    assert error and payload["errorType"] == kind, payload


def test_what_an_extension_said_before_it_failed_is_in_the_log(server, client, function):
    """The instance ends because of what the extension tells the engine, while its words are still in a pipe."""
    names = [function(FAILS_AT="init") for _ in range(8)]
    for name in names:
        assert call(client, name)[1]["errorType"] == "Extension.InitError"
    for name in names:
        waits_for(server, name, "extension watcher registered")
