"""Function URLs: boto3 makes them, plain HTTP calls them, SigV4 opens those that want it."""

import json
import re
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from harness import run, zip_bytes  # noqa: E402

ECHO = """
import json
def handler(event, context):
    if event["rawPath"] == "/big":
        return {"statusCode": 200, "body": "x" * 100}
    return {"statusCode": 201, "headers": {"x-who": "me"}, "cookies": ["a=1"],
            "body": json.dumps({"event": event, "version": context.function_version})}
"""
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, {statusCode: 203, headers: {"x-mode": "stream"}});
  stream.write("one,");
  await new Promise((resolve) => setTimeout(resolve, 100));  // or the whole of it is there at once
  stream.write("two");
  stream.end();
});
"""


@pytest.fixture
def echo(functions, name):
    functions.create_function(FunctionName=name, Runtime="python3.12", Handler="app.handler",
                              Role="arn:aws:iam::000000000000:role/any",
                              Code={"ZipFile": zip_bytes({"app.py": ECHO})})
    yield name
    functions.delete_function(FunctionName=name)


def called(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_life_of_a_url(functions, echo):
    assert code_of(functions.get_function_url_config, FunctionName=echo) == ("ResourceNotFoundException", 404)
    made = functions.create_function_url_config(FunctionName=echo, AuthType="NONE")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["AuthType"] == "NONE" and made["FunctionArn"].endswith(":function:" + echo)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", made["CreationTime"])
    assert code_of(functions.create_function_url_config, FunctionName=echo,
                   AuthType="NONE") == ("ResourceConflictException", 409)

    status, headers, body = called(made["FunctionUrl"] + "a%20b/c?x=1&x=2", "POST", b'{"k": 1}',
                                   {"Content-Type": "application/json", "Cookie": "s=1"})
    assert status == 201 and headers["x-who"] == "me" and headers["Set-Cookie"] == "a=1"
    event = json.loads(body)["event"]
    assert event["version"] == "2.0" and event["routeKey"] == "$default"
    assert event["rawPath"] == "/a b/c" and event["queryStringParameters"] == {"x": "1,2"}
    assert event["body"] == '{"k": 1}' and event["cookies"] == ["s=1"]
    context = event["requestContext"]
    assert context["accountId"] == "anonymous" and context["stage"] == "$default"
    assert context["domainPrefix"] == context["apiId"] and context["apiId"] in made["FunctionUrl"]
    assert context["domainName"].startswith(context["apiId"] + ".lambda-url.")

    # The same by the name of the host; curl finds names under .localhost by itself.
    port = urlsplit(made["FunctionUrl"]).port
    host = f"http://{context['apiId']}.lambda-url.us-east-1.localhost:{port}/deep/er?q=1"
    told = run(["curl", "-s", "--resolve", f"{urlsplit(host).hostname}:{port}:127.0.0.1", host], check=0).json
    assert told["event"]["rawPath"] == "/deep/er"

    listed = functions.list_function_url_configs(FunctionName=echo)["FunctionUrlConfigs"]
    assert [one["FunctionUrl"] for one in listed] == [made["FunctionUrl"]]
    changed = functions.update_function_url_config(FunctionName=echo, Cors={"AllowOrigins": ["*"], "MaxAge": 7})
    assert changed["Cors"] == {"AllowOrigins": ["*"], "MaxAge": 7} and changed["FunctionUrl"] == made["FunctionUrl"]
    got = functions.get_function_url_config(FunctionName=echo)
    assert got["Cors"] == changed["Cors"] and got["AuthType"] == "NONE"

    functions.delete_function_url_config(FunctionName=echo)
    assert called(made["FunctionUrl"])[0] == 404
    assert code_of(functions.delete_function_url_config, FunctionName=echo) == ("ResourceNotFoundException", 404)


def test_aliases_have_urls_of_their_own(functions, echo):
    functions.publish_version(FunctionName=echo)
    functions.create_alias(FunctionName=echo, Name="live", FunctionVersion="1")
    own = functions.create_function_url_config(FunctionName=echo, AuthType="NONE")
    live = functions.create_function_url_config(FunctionName=echo, AuthType="NONE", Qualifier="live")
    assert live["FunctionArn"].endswith(":live") and live["FunctionUrl"] != own["FunctionUrl"]
    assert json.loads(called(live["FunctionUrl"])[2])["version"] == "1"
    assert json.loads(called(own["FunctionUrl"])[2])["version"] == "$LATEST"
    page = functions.list_function_url_configs(FunctionName=echo, MaxItems=1)
    rest = functions.list_function_url_configs(FunctionName=echo, MaxItems=1, Marker=page["NextMarker"])
    assert len(page["FunctionUrlConfigs"]) == len(rest["FunctionUrlConfigs"]) == 1 and "NextMarker" not in rest
    assert code_of(functions.create_function_url_config, FunctionName=echo, AuthType="NONE",
                   Qualifier="1") == ("ValidationException", 400)


def test_cors_is_the_gateways(functions, echo):
    url = functions.create_function_url_config(
        FunctionName=echo, AuthType="AWS_IAM",
        Cors={"AllowOrigins": ["https://shop.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a"],
              "ExposeHeaders": ["x-b"], "AllowCredentials": True, "MaxAge": 60})["FunctionUrl"]
    status, headers, body = called(url, "OPTIONS", headers={
        "Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"})
    assert status in (200, 204) and body == b""
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert headers["Access-Control-Allow-Methods"] == "GET, PUT" and headers["Access-Control-Max-Age"] == "60"
    refused = called(url, headers={"Origin": "https://shop.example"})
    assert refused[0] == 403 and refused[1]["Access-Control-Allow-Origin"] == "https://shop.example"
    assert refused[1]["Access-Control-Expose-Headers"] == "x-b"


def signed(account, url, method="GET", data=None, service="lambda", secret=None):
    request = AWSRequest(method=method, url=url, data=data, headers={"Content-Type": "application/json"})
    SigV4Auth(Credentials(account.id, secret or account.secret), service, "us-east-1").add_auth(request)
    return called(url, method, data, dict(request.headers))


def test_iam(functions, echo, account):
    url = functions.create_function_url_config(FunctionName=echo, AuthType="AWS_IAM")["FunctionUrl"]
    status, headers, body = called(url)
    assert status == 403 and json.loads(body) == {"Message": "Forbidden"}
    assert headers["x-amzn-ErrorType"] == "AccessDeniedException"
    status, _, body = signed(account, url + "p?x=1", "POST", b"hello")
    assert status == 201, body
    event = json.loads(body)["event"]
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == account.id
    assert event["requestContext"]["accountId"] != "anonymous" and event["body"]
    for wrong in ({"secret": "x" * 40}, {"service": "execute-api"}):
        status, headers, body = signed(account, url, **wrong)
        assert status == 403 and headers["x-amzn-ErrorType"] == "InvalidSignatureException"
        assert "signature" in json.loads(body)["Message"].lower() or "scoped" in json.loads(body)["Message"]


def configured(account, method, function, **members):
    """What boto3 of Debian cannot say yet: InvokeMode."""
    status, _, body = signed(account, f"{account.url}/2021-10-31/functions/{function}/url", method,
                             json.dumps(members).encode())
    return status, json.loads(body)


def test_streams_and_whole_answers(functions, account, name):
    functions.create_function(FunctionName=name, Runtime="nodejs18.x", Handler="index.handler",
                              Role="arn:aws:iam::000000000000:role/any",
                              Code={"ZipFile": zip_bytes({"index.js": STREAM})})
    try:
        status, made = configured(account, "POST", name, AuthType="NONE", InvokeMode="RESPONSE_STREAM")
        assert status == 201 and made["InvokeMode"] == "RESPONSE_STREAM"
        url = made["FunctionUrl"]
        status, headers, body = called(url)
        assert (status, headers["x-mode"], body) == (203, "stream", b"one,two")
        assert headers["Transfer-Encoding"] == "chunked"
        status, changed = configured(account, "PUT", name, InvokeMode="BUFFERED")
        assert status == 200 and changed["InvokeMode"] == "BUFFERED"
        status, headers, body = called(url)
        assert (status, headers["x-mode"], body) == (203, "stream", b"one,two")
        assert headers["Content-Length"] == "7"
    finally:
        functions.delete_function(FunctionName=name)


def test_refusals(functions, account, echo):
    assert code_of(functions.create_function_url_config, FunctionName=echo,
                   AuthType="SOME")[0] in ("ValidationException",)
    assert code_of(functions.create_function_url_config, FunctionName=echo + "-none",
                   AuthType="NONE") == ("ResourceNotFoundException", 404)
    assert code_of(functions.create_function_url_config, FunctionName=echo, AuthType="NONE",
                   Cors={"AllowOrigins": ["a b"]}) == ("ValidationException", 400)
    assert configured(account, "PUT", echo, InvokeMode="BUFFERED")[0] == 404
    status, refused = configured(account, "POST", echo, AuthType="NONE", InvokeMode="SOMEHOW")
    assert status == 400 and "invokeMode" in refused["Message"], refused


def test_urls_last(make_server, account):
    """A URL is there again after a restart: what was answered is on disk."""
    from conftest import Account
    server = make_server()
    client = Account(server).boto("lambda")
    client.create_function(FunctionName="kept", Runtime="python3.12", Handler="app.handler",
                           Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": zip_bytes({"app.py": ECHO})})
    url = client.create_function_url_config(FunctionName="kept", AuthType="NONE")["FunctionUrl"]
    path = urlsplit(url).path
    server.kill()
    server.start()
    assert server.http("GET", path + "x").expect(201).json["event"]["rawPath"] == "/x"
