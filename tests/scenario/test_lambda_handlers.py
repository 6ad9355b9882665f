"""Handlers in the shapes that functions on AWS Lambda have, driven through the server."""

import base64
import gzip
import json
import os

import pytest

from harness import ROOT

SAMPLES = os.path.join(ROOT, "tests", "runtime", "functions", "lambda", "samples")


@pytest.fixture(scope="module")
def deployed(server):
    done = set()

    def deploy(runtime, handler):
        name = ("lambda-%s-%s" % (runtime, handler)).replace(".", "-").replace("/", "-").lower()
        if name not in done:
            server.deploy(SAMPLES, "--name", name, "--runtime", runtime, "--handler", handler, "--env", "STAGE=test")
            done.add(name)
        return name

    return deploy


def record(message_id, amount):
    return {"messageId": message_id, "body": json.dumps({"amount": amount}), "eventSource": "aws:sqs"}


def packed_logs():
    text = json.dumps({"logEvents": [{"message": "one"}, {"message": "two"}]}).encode()
    return {"awslogs": {"data": base64.b64encode(gzip.compress(text)).decode()}}


BATCH = {"Records": [record("m1", 1), record("m2", -1), record("m3", 3)]}
SECOND_FAILED = {"batchItemFailures": [{"itemIdentifier": "m2"}]}
TICK = {"time": "2026-11-21T08:30:00Z", "resources": ["arn:aws:events:us-east-1:0:rule/nightly"]}
KINESIS = {"Records": [{"kinesis": {"data": "b25l"}}, {"kinesis": {"data": "dHdv"}}]}
REST = {
    "pathParameters": {"id": "7"},
    "multiValueQueryStringParameters": {"tag": ["a", "b"]},
    "requestContext": {"stage": "prod"},
}
USER = {"request": {"userAttributes": {"email": "a@example.test"}}, "response": {}}
STREAM = {"Records": [{"dynamodb": {"NewImage": {"id": {"S": "x"}, "price": {"N": "1.10"}}}}]}
NAMES = {"names": ["STAGE", "LAMBDA_TASK_ROOT", "TZ"]}
ENVIRONMENT = {"STAGE": "test", "LAMBDA_TASK_ROOT": "/var/task", "TZ": ":UTC"}


@pytest.mark.parametrize(
    "runtime, handler, event, result",
    [
        ("python", "events.sqs", BATCH, SECOND_FAILED),
        ("python", "events.sns", {"Records": [{"Sns": {"Message": '{"a": 1}'}}]}, [{"a": 1}]),
        ("python", "events.s3", {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}, ["b/k"]),
        ("python", "events.kinesis", KINESIS, ["one", "two"]),
        ("python", "events.logs", packed_logs(), ["one", "two"]),
        ("python", "events.dynamodb", STREAM, [{"id": "x", "price": 1.1}]),
        ("python", "events.schedule", TICK, {"rule": "nightly", "day": "Saturday"}),
        ("python", "events.bus", {"detail-type": "sold", "detail": {"prices": [1, 2.5]}}, {"detail-type": "sold", "total": 3.5}),
        ("python", "events.cognito", USER, {**USER, "response": {"autoConfirmUser": True}}),
        ("python", "events.task", {"order": {"id": 4}, "price": 2, "count": 3}, {"id": 4, "total": 6}),
        ("python", "events.coroutine", {}, {"left": True}),
        ("python", "src/nested.handler", {"text": "abc"}, {"crc": 891568578}),
        ("python", "proxies.decorated", {}, {"statusCode": 400, "headers": {}, "body": '{"missing": ["name"]}'}),
        ("python", "proxies.greeter", {"name": "Ada"}, "Good day Ada"),
        ("python", "proxies.environment", NAMES, ENVIRONMENT),
        ("node", "events.sqs", BATCH, SECOND_FAILED),
        ("node", "events.topLevelAwait", {}, 64),
        ("node", "events.paginated", {"count": 2}, [10, 11, 20, 21]),
        ("node", "events.schedule", TICK, 6),
        ("node", "events.logs", packed_logs(), ["one", "two"]),
        ("node", "events.kinesis", KINESIS, ["one", "two"]),
        ("node", "events.authorizer", {"headers": {"authorization": "Bearer open"}}, {"isAuthorized": True, "context": {"tier": "gold"}}),
        ("node", "events.timedOut", {}, True),
        ("node", "proxies.callback", {"number": 21}, {"doubled": 42}),
        ("node", "proxies.done", {}, "done"),
        ("node", "proxies.impatient", {}, "at once"),
        ("node", "proxies.rest", {}, {"count": 2, "name": "lambda-node-proxies-rest"}),
        ("node", "proxies.service.handler", {"a": 1}, {"name": "service", "request": True, "event": {"a": 1}}),
        ("node", "proxies.environment", NAMES, ENVIRONMENT),
    ],
)
def test_results(server, deployed, runtime, handler, event, result):
    told = server.invoke(deployed(runtime, handler), event).expect(200).json
    assert told == result


@pytest.mark.parametrize(
    "runtime, handler, event, kind, message",
    [
        ("python", "events.failing_task", {"sku": "pen"}, "OutOfStock", "none left of pen"),
        ("node", "events.custom", {}, "QuotaError", "no more"),
        ("node", "proxies.callbackError", {}, "RangeError", "too much"),
        ("node", "proxies.fails", {}, "Error", "on purpose"),
    ],
)
def test_errors(server, deployed, runtime, handler, event, kind, message):
    answer = server.invoke(deployed(runtime, handler), event)
    detail = answer.error["detail"]
    assert (detail["errorType"], detail["errorMessage"]) == (kind, message)
    if runtime == "python":
        assert detail["requestId"] == answer.request_id


def test_python_authorizer(server, deployed):
    event = {"authorizationToken": "shut", "methodArn": "arn:x"}
    told = server.invoke(deployed("python", "events.authorizer"), event).expect(200).json
    assert told["policyDocument"]["Statement"][0]["Effect"] == "Deny"


@pytest.mark.parametrize("runtime, handler", [("python", "proxies.api_v2"), ("node", "proxies.api")])
def test_a_small_api(server, deployed, runtime, handler):
    name = deployed(runtime, handler)
    assert server.call(name, path="/items").expect(200).json == ["1"]
    made = server.call(name, b'{"id": "2"}', "POST", "/items", {"Content-Type": "application/json"}).expect(201)
    assert made.json == {"id": "2"} and made.header("Location") == "items/2"
    assert server.call(name, path="/elsewhere").expect(404).json == {"message": "not found"}


def test_python_http_answers(server, deployed):
    def call(handler, *arguments):
        return server.call(deployed("python", handler), *arguments)

    answer = call("proxies.cookies", None, "GET", "", {"Cookie": "visits=2"}).expect(200)
    assert answer.text == "3" and answer.header("Set-Cookie") == "visits=3; HttpOnly"
    answer = call("proxies.image").expect(200)
    assert answer.body == bytes(range(256)) and answer.header("Content-Type") == "image/x-raw"
    answer = call("proxies.form", b"a=1&a=2", "POST", "", {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.expect(200).json == {"fields": {"a": ["1", "2"]}}
    assert call("proxies.redirect").expect(302).header("Location") == "https://example.test/"
    assert "just text" in call("proxies.plain").expect(200).text
    assert call("events.generator").expect(200).text == "0\n1\n2\n"
    answer = call("proxies.asgi", b"hi", "POST", "/x?q=1", {"Content-Type": "text/plain"}).expect(203)
    assert answer.text.startswith("POST ") and answer.text.endswith("/x hi")
    assert answer.header("x-query") == "q=1"


def test_python_rest_proxy(server, deployed):
    told = server.invoke(deployed("python", "proxies.api_v1"), REST).expect(200).json
    assert json.loads(told["body"]) == {"id": "7", "tags": ["a", "b"]}
    assert told["multiValueHeaders"] == {"Set-Cookie": ["a=1", "b=2"]}


def test_node_middleware_and_stream(server, deployed):
    name = deployed("node", "proxies.middleware")
    answer = server.call(name, b'{"name": "Ada"}', "POST", "", {"Content-Type": "application/json"}).expect(200)
    assert answer.json == {"hello": "Ada"} and answer.header("Access-Control-Allow-Origin") == "*"
    answer = server.call(name, b"{}", "POST", "", {"Content-Type": "application/json"}).expect(422)
    assert answer.json == {"message": "name is missing"}
    answer = server.call(deployed("node", "events.stream")).expect(200)
    assert answer.header("Content-Type") == "text/event-stream"
    assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_node_log_lines(server, deployed):
    answer = server.invoke(deployed("node", "proxies.logger"), {}, log="1").expect(200)
    lines = base64.b64decode(answer.header("X-Mayfly-Log-Tail")).decode().splitlines()
    assert lines[0].split("\t")[1:3] == [answer.request_id, "INFO"]
    assert json.loads(lines[0].split("\t")[3])["awsRequestId"] == answer.request_id
    assert lines[1].split("\t")[1:] == [answer.request_id, "ERROR", "plain"]


WRAPPER = """#!/bin/bash
args=("$@")
export WRAPPED=yes
exec "${args[@]:0:$#-1}" %s "${args[@]: -1}"
"""
WRAPPED = {
    "python": ("app.py", "-Xdev", "import os, sys\n"
               "def handler(event, context):\n    return [os.environ['WRAPPED'], sys.flags.dev_mode]\n"),
    "node": ("app.js", "--stack-size=700",
             "exports.handler = async () => [process.env.WRAPPED, process.execArgv.includes('--stack-size=700')];\n"),
}


@pytest.mark.parametrize("runtime", sorted(WRAPPED))
def test_wrapper_scripts(server, tmp_path, runtime):
    file, option, source = WRAPPED[runtime]
    (tmp_path / file).write_text(source)
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(WRAPPER % option)
    wrapper.chmod(0o755)
    name = "wrapped-" + runtime
    words = ["--name", name, "--runtime", runtime, "--handler", "app.handler"]
    server.deploy(str(tmp_path), *words, "--env", "AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrapper")
    for _ in range(2):
        assert server.cli("invoke", name, "--data", "{}").json == ["yes", True]
    refused = server.cli("deploy", str(tmp_path), *words, "--env", "AWS_LAMBDA_EXEC_WRAPPER=wrapper", check=None)
    assert refused.code != 0 and "AWS_LAMBDA_EXEC_WRAPPER must be an absolute path" in refused.err
    missing = server.cli("deploy", str(tmp_path), *words, "--env", "AWS_LAMBDA_EXEC_WRAPPER=/opt/none", check=None)
    assert missing.code != 0 and "/opt/none" in missing.err
