"""Handlers made with the npm packages that Lambda functions use: Powertools in TypeScript (compiled and bundled by
esbuild), Middy and serverless-express from node_modules, the AWS SDK v3 inside of a function."""

import base64
import json
import os
import shutil
import subprocess

import pytest

from harness import decode_log_tail, run

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lambda")
# What bundles of packages in CommonJS need as an ES module; as people put it into their builds.
REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"


def bundled(folder, modules, source, *, tools):
    """esbuild SOURCE with what it imports into folder, as an ES module."""
    target = os.path.join(modules, "build-" + os.path.basename(source))
    shutil.copy(os.path.join(SOURCES, source), target)
    out = os.path.join(folder, os.path.splitext(source)[0] + ".mjs")
    with open(os.path.join(modules, "tsconfig.json"), "w") as f:
        f.write('{"compilerOptions":{"experimentalDecorators":true,"target":"es2022","strict":true}}')
    done = run([os.path.join(tools, "node_modules/.bin/esbuild"), target, "--bundle", "--platform=node", "--target=node18",
                "--format=esm", "--banner:js=" + REQUIRE, "--outfile=" + out, "--log-level=warning"],
               env={**os.environ, "NODE_PATH": os.path.join(modules, "node_modules")}, timeout=120)
    os.unlink(target)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def esbuild(lambda_modules):
    """esbuild is a program of its own in a package for each platform: nothing has to be run to install it."""
    program = os.path.join(lambda_modules, "node_modules/.bin/esbuild")
    if subprocess.run([program, "--version"], capture_output=True).returncode != 0:
        pytest.skip("esbuild does not run here")
    return lambda_modules


@pytest.fixture(scope="module")
def typescript(server, lambda_modules, esbuild, tmp_path_factory):
    return deployer(server, "ts", bundled(str(tmp_path_factory.mktemp("ts")), lambda_modules, "orders.ts", tools=esbuild))


@pytest.fixture(scope="module")
def plain(server, lambda_modules, tmp_path_factory):
    """middle.mjs and shop.js beside the packages that they import, as npm left them."""
    folder = str(tmp_path_factory.mktemp("plain"))
    for name in ("middle.mjs", "shop.js"):
        shutil.copy(os.path.join(SOURCES, name), folder)
    leave = shutil.ignore_patterns("esbuild", "@esbuild", "@aws-lambda-powertools", "aws-*", ".bin", "node-addon-api", "*.map")
    shutil.copytree(os.path.join(lambda_modules, "node_modules"), os.path.join(folder, "node_modules"), ignore=leave)
    return deployer(server, "npm", folder)


@pytest.fixture(scope="module")
def sdk(server, modules, esbuild, tmp_path_factory):
    return deployer(server, "sdk", bundled(str(tmp_path_factory.mktemp("sdk")), modules, "sdk.mjs", tools=esbuild))


def deployer(server, prefix, folder):
    done = {}

    def deploy(handler, *flags):
        name = f"{prefix}-{handler}".replace(".", "-").lower()
        if name not in done:
            server.deploy(folder, "--name", name, "--handler", handler, "--runtime", "node", "--env", "STAGE=test", *flags)
            done[name] = True
        return name

    return deploy


def told(server, name, event, log=True):
    answer = server.invoke(name, event, **({"log": "1"} if log else {})).expect(200)
    lines = [json.loads(line) for line in decode_log_tail(answer).splitlines() if line.startswith("{")]
    return answer, answer.json, lines


HTTP = {"requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": "10.0.0.1"}, "stage": "$default"},
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
        "isBase64Encoded": False}


def http_event(method, path, body=None, **headers):
    event = json.loads(json.dumps(HTTP))
    event["requestContext"]["http"].update(method=method, path=path)
    event.update(rawPath=path, headers={"content-type": "application/json", **headers})
    if body is not None:
        event["body"] = json.dumps(body)
    return event


# -- Powertools


def test_logger(server, typescript):
    name = typescript("orders.logged")
    answer, value, lines = told(server, name, {"id": "7", "amount": 2})
    assert value == {"ok": True, "value": 2}
    assert [line["message"] for line in lines] == ["taken"], "below the level"
    line = lines[0]
    assert line["level"] == "INFO" and line["service"] == "orders" and line["order"] == "7" and line["amount"] == 2
    assert line["function_request_id"] == answer.request_id and line["function_name"] == name
    assert line["function_memory_size"] == "128" and line["cold_start"] is True
    answer, value, lines = told(server, name, {"id": "8"})
    assert value == {"ok": False, "reason": "order 8 is empty"}
    assert lines[1]["level"] == "ERROR" and lines[1]["error"]["name"] == "RangeError"
    assert lines[1]["error"]["message"] == "order 8 is empty"


def test_metrics(server, typescript):
    answer, value, lines = told(server, typescript("orders.counted"), {"amount": 3})
    metrics = [line for line in lines if "_aws" in line]
    assert value is False and [m.get("sold") for m in metrics if "sold" in m] == [3], lines
    sold = next(m for m in metrics if "sold" in m)
    definition = sold["_aws"]["CloudWatchMetrics"][0]
    assert definition["Namespace"] == "shop" and definition["Metrics"] == [{"Name": "sold", "Unit": "Count"}]
    assert sold["stage"] == "test" and any(m.get("ColdStart") == 1 for m in metrics)


def test_tracer(server, typescript):
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = server.api("POST", f"/v1/functions/{typescript('orders.traced')}/invoke", "{}", {"X-Amzn-Trace-Id": trace})
    value = answer.expect(200).json
    assert value["enabled"] is True and value["name"] == "price"
    assert value["root"] == "1-5759e988-bd862e3fe1be46a994272793"


def test_batch(server, typescript):
    records = [{"messageId": f"m{n}", "body": json.dumps({"id": str(n), "amount": amount}), "eventSource": "aws:sqs"}
               for n, amount in enumerate([1, 0, 2, -1])]
    _, value, _ = told(server, typescript("orders.batched"), {"Records": records})
    assert value == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]}
    # All of them failed: the processor throws, and the whole batch comes again.
    answer = server.invoke(typescript("orders.batched"), {"Records": [records[1]]})
    assert answer.status != 200 and answer.error["detail"]["errorType"] == "FullBatchFailureError"


def test_event_handler(server, typescript):
    name = typescript("orders.routed")
    answer = server.call(name, path="/orders/1").expect(200)
    assert answer.json == {"id": "1", "amount": 2} and answer.header("x-served-by") == "router"
    made = server.call(name, b'{"id":"9","amount":1}', "POST", "/orders", {"Content-Type": "application/json"}).expect(201)
    assert made.json == {"made": "9"}
    assert server.call(name, path="/orders/9").expect(200).json["amount"] == 1
    assert server.call(name, path="/orders/none").expect(404).json["message"] == "no order none"
    assert server.call(name, path="/elsewhere").status == 404


def test_parameters(server, typescript):
    _, value, _ = told(server, typescript("orders.configured"), {})
    assert value == {"first": {"name": "/shop/limits", "stage": "test"}, "asked": 1}


def test_decorators(server, typescript):
    answer, value, lines = told(server, typescript("orders.decorated"), {"name": "Ada"})
    assert value == "hello Ada"
    assert [line.get("message") for line in lines if "message" in line] == ["Lambda invocation event", "greets"]
    assert lines[0]["event"] == {"name": "Ada"} and lines[0]["function_request_id"] == answer.request_id
    assert any(line.get("greeted") == 1 for line in lines)


def test_streams(server, typescript):
    answer = server.call(typescript("orders.streamed"), path="/?count=4")
    assert answer.status == 203 and answer.text == "0\n2\n4\n6\n"
    assert answer.header("Content-Type") == "text/plain" and answer.header("X-Request")
    assert [value for key, value in answer.headers if key.lower() == "set-cookie"] == ["a=1", "b=2"]


def test_clones_have_ids_of_their_own(server, typescript):
    name = typescript("orders.unique")
    values = [server.invoke(name, {}).expect(200).json for _ in range(3)]
    assert len({value["id"] for value in values}) == 3 and values[0]["kind"] == "function"


# -- Middy


def test_middy_http(server, plain):
    name = plain("middle.order")
    answer = server.call(name, b'{"amount":3}', "POST", "", {"Content-Type": "application/json"}).expect(201)
    assert answer.json == {"taken": 3}
    assert answer.header("Access-Control-Allow-Origin") == "https://shop.example.test"
    refused = server.call(name, b'{"amount":30}', "POST", "", {"Content-Type": "application/json"}).expect(409)
    assert refused.text == "at most 10"
    assert server.call(name, b"{no", "POST", "", {"Content-Type": "application/json"}).status == 415
    assert server.call(name, b"a=1", "POST", "", {"Content-Type": "text/plain"}).status == 415


def test_middy_order_and_errors(server, plain):
    assert server.invoke(plain("middle.ordered"), {}).expect(200).json == ["before", "handler", "after"]
    assert server.invoke(plain("middle.rescued"), {}).expect(200).json == "well"
    assert server.invoke(plain("middle.rescued"), {"fail": True}).expect(200).json == "rescued from TypeError"


def test_middy_ends_before_the_deadline(server, plain):
    """It looks at getRemainingTimeInMillis()."""
    assert server.invoke(plain("middle.hurried", "--timeout", "2"), {}).expect(200).json == "too late"


def test_middy_streams(server, plain):
    answer = server.call(plain("middle.streamed")).expect(200)
    assert answer.header("Content-Type") == "text/csv" and answer.text == "a,b\n1,2\n"


# -- Express behind serverless-express


def test_express_through_the_gateway(server, plain):
    name = plain("shop.handler")
    answer = server.call(name, path="/orders/7?sort=up", headers={"X-Agent": "tests"}).expect(200)
    assert answer.json == {"id": "7", "sort": "up", "agent": "tests"} and answer.header("ETag") == '"1"'
    made = server.call(name, b'{"a":[1,2]}', "POST", "/orders", {"Content-Type": "application/json"}).expect(201)
    assert made.json == {"a": [1, 2]} and made.header("Location") == "/orders/7"
    form = server.call(name, b"a=1&b=x+y", "POST", "/orders", {"Content-Type": "application/x-www-form-urlencoded"})
    assert form.expect(201).json == {"a": "1", "b": "x y"}
    assert server.call(name, path="/picture").expect(200).body == bytes([0x89, 0x50, 0, 255])
    visit = server.call(name, path="/visit")
    assert visit.status == 303 and visit.header("Location") == "/orders/1"
    assert [value for key, value in visit.headers if key.lower() == "set-cookie"] == ["seen=1; Path=/; HttpOnly", "lang=en; Path=/"]
    assert server.call(name, path="/broken").expect(500).json == {"message": "on purpose"}
    event = server.call(name, path="/event").expect(200)
    assert event.json == {"version": "2.0", "id": event.request_id}
    assert server.call(name, path="/none").status == 404


def test_express_from_events(server, plain):
    rest = {"resource": "/{proxy+}", "path": "/orders/7", "httpMethod": "GET", "headers": {"x-agent": "rest"},
            "multiValueHeaders": {"x-agent": ["rest"]}, "multiValueQueryStringParameters": {"sort": ["down"]},
            "queryStringParameters": {"sort": "down"}, "requestContext": {"stage": "prod"}, "body": None, "isBase64Encoded": False}
    _, value, _ = told(server, plain("shop.handler"), rest)
    assert value["statusCode"] == 200 and json.loads(value["body"]) == {"id": "7", "sort": "down", "agent": "rest"}
    assert value["multiValueHeaders"]["etag"] == ['"1"']
    _, value, _ = told(server, plain("shop.handler"), http_event("GET", "/picture"))
    assert value["isBase64Encoded"] is True and base64.b64decode(value["body"]) == bytes([0x89, 0x50, 0, 255])


# -- The SDK


def test_the_sdk_signs_and_calls(server, sdk):
    _, value, _ = told(server, sdk("sdk.calls"), {})
    assert value["id"] == "m-1" and value["told"] == {"answer": 42}
    sent, told_ = value["seen"]
    assert sent["target"] == "AmazonSQS.SendMessage" and sent["body"]["MessageBody"] == "hello"
    assert told_["target"] == "/2015-03-31/functions/other/invocations" and told_["body"] == {"a": 1}
    assert {sent["signed"], told_["signed"]} == {"AWS4-HMAC-SHA256"}


def test_the_sdk_does_not_reach_the_api_port(server, sdk):
    """By design: the loopback of the machine is not the function's."""
    _, value, _ = told(server, sdk("sdk.reaches"), {"endpoint": server.api_url})
    assert value in ("ECONNREFUSED", "TimeoutError", "EHOSTUNREACH", "ENETUNREACH"), value
