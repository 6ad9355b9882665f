"""WebSocket APIs: raw handshakes and frames, the events of functions, and boto3's management API."""

import base64
import hashlib
import json
import struct
from urllib.parse import urlsplit

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from conftest import Account  # noqa: E402
from harness import Server, eventually  # noqa: E402
from websocket_client import Client  # noqa: E402

MANIFEST = """\
name: talk
functions:
  talk-main: {path: main.py}
  talk-door: {path: door.py}
api:
  authorizers:
    door: {type: request, function: talk-door, payload: v1, identity: [$request.querystring.who], ttl: 0}
  websocket:
    path: /talk
    stage: live
    authorizer: door
    respond: true
    routes: {$connect: talk-main, $disconnect: talk-main, $default: talk-main, add: talk-main}
"""
MAIN = """\
import json
seen = []
def handler(event, context):
    context_ = event["requestContext"]
    key = context_["routeKey"]
    if key in ("$connect", "$disconnect"):
        seen.append(event)
        full = event.get("queryStringParameters") or {}
        return {"statusCode": 403 if full.get("refuse") else 200, "body": "no"}
    body = event["body"]
    if body == "fail":
        raise ValueError("oh")
    if body == "post":
        import boto3
        url = "https://" + context_["domainName"] + "/" + context_["stage"]
        api = boto3.client("apigatewaymanagementapi", endpoint_url=url)
        api.post_to_connection(ConnectionId=context_["connectionId"], Data=b"by boto3")
        return {"statusCode": 200, "body": url}
    if body == "seen":
        return {"statusCode": 200, "body": json.dumps(seen)}
    return {"statusCode": 200, "body": json.dumps(event)}
"""
DOOR = """\
def handler(event, context):
    who = event["queryStringParameters"]["who"]
    return {"principalId": who, "context": {"who": who}, "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": "Allow" if who != "evil" else "Deny",
         "Resource": event["methodArn"]}]}}
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    s = Server(config="websockets:\n  idle_s: 3600\n").start()
    folder = tmp_path_factory.mktemp("talk")
    (folder / "mayfly.yaml").write_text(MANIFEST)
    (folder / "main.py").write_text(MAIN)
    (folder / "door.py").write_text(DOOR)
    s.cli("deploy", folder)
    yield s
    try:
        assert s.stop() == 0, s.log()
    finally:
        s.close()


@pytest.fixture(scope="module")
def manage(talk):
    return Account(talk).boto("apigatewaymanagementapi")


def gone(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_handshake_and_events(talk):
    with Client(talk.gateway) as c:
        wanted = hashlib.sha1((c.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert c.status == 101 and c.headers["sec-websocket-accept"] == base64.b64encode(wanted).decode()
        e = c.ask("hello")
        context = e["requestContext"]
        assert e["body"] == "hello" and e["isBase64Encoded"] is False and "headers" not in e
        assert context["routeKey"] == "$default" and context["eventType"] == "MESSAGE"
        assert context["stage"] == "live" and context["messageDirection"] == "IN" and context["messageId"]
        assert context["identity"]["userAgent"] == "raw" and context["identity"]["sourceIp"] == "127.0.0.1"
        assert context["authorizer"]["principalId"] == "me" and context["authorizer"]["who"] == "me"
        assert context["apiId"] == "talk" and context["connectedAt"] <= context["requestTimeEpoch"]
        own = context["connectionId"]
        assert c.ask('{"action": "add", "n": 1}')["requestContext"]["routeKey"] == "add"
        assert c.ask('{"action": "$connect"}')["requestContext"]["routeKey"] == "$default"
        assert c.ask('{"action": {"a": 1}}')["requestContext"]["routeKey"] == "$default"
        binary = c.ask(b"\x00\xff", 0x82)
        assert binary["isBase64Encoded"] and base64.b64decode(binary["body"]) == b"\x00\xff"
        c.send("x" * 300, 0x01)
        c.send("", 0x89)
        c.send("y" * 7_000, 0x80)
        assert c.frame() == (0x8a, b"")
        assert json.loads(c.text())["body"] == "x" * 300 + "y" * 7000
        failed = c.ask("fail")
        assert failed["message"] == "Internal server error" and failed["connectionId"] == own
        connect = [e for e in c.ask("seen") if e["requestContext"]["connectionId"] == own][0]
        assert connect["requestContext"]["eventType"] == "CONNECT"
        assert connect["headers"]["User-Agent"] == "raw" and connect["queryStringParameters"] == {"who": "me"}


def test_who_is_not_let_in(talk):
    url = urlsplit(talk.gateway)
    assert talk.http("GET", "/talk?who=me").status == 426
    for target, status in (("/talk", 401), ("/talk?who=evil", 403), ("/talk?who=me&refuse=1", 403)):
        with Client(talk.gateway, target) as c:
            assert c.status == status, target
    with Client(talk.gateway, key="short") as c:
        assert c.status == 400
    assert url.port


def test_a_function_sends_to_its_connections(talk):
    with Client(talk.gateway) as c:
        c.send("post")
        assert c.text() == "by boto3"
        assert c.text() == "https://127.0.0.1/live", "the address of an event, as on AWS"


def test_goodbye(talk):
    def goodbye(how):
        with Client(talk.gateway) as c:
            own = c.ask("x")["requestContext"]["connectionId"]
            how(c)
        with Client(talk.gateway) as other:
            def found():
                return [e["requestContext"] for e in other.ask("seen")
                        if e["requestContext"]["connectionId"] == own
                        and e["requestContext"]["eventType"] == "DISCONNECT"]
            return eventually(found, "no $disconnect")[0]

    def close_properly(c):
        c.send(struct.pack(">H", 4001) + b"bye", 0x88)
        assert c.closed_with() == 4001 and c.frame() is None
    context = goodbye(close_properly)
    assert context["routeKey"] == "$disconnect"
    assert context["disconnectStatusCode"] == 4001 and context["disconnectReason"] == "bye"
    assert goodbye(lambda c: None)["disconnectStatusCode"] == 1006


@pytest.mark.parametrize("first, payload, code", [
    (0x83, b"x", 1002), (0x81, b"\xff", 1007), (0x80, b"x", 1002), (0x82, b"x" * 40_000, 1009)])
def test_what_breaks_a_connection(talk, first, payload, code):
    with Client(talk.gateway) as c:
        c.send(payload, first)
        assert c.closed_with() == code


def test_a_frame_without_a_mask(talk):
    with Client(talk.gateway) as c:
        c.socket.sendall(b"\x81\x02hi")
        assert c.closed_with() == 1002


def test_management(talk, manage):
    with Client(talk.gateway) as c:
        own = c.ask("x")["requestContext"]["connectionId"]
        manage.post_to_connection(ConnectionId=own, Data=b"from outside")
        assert c.text() == "from outside"
        manage.post_to_connection(ConnectionId=own, Data=b"\xff\x00")
        assert c.frame() == (0x82, b"\xff\x00")
        info = manage.get_connection(ConnectionId=own)
        assert info["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "raw"}
        assert info["ConnectedAt"] <= info["LastActiveAt"]
        assert gone(manage.post_to_connection, ConnectionId=own, Data=b"x" * 200_000) == (
            "PayloadTooLargeException", 413)
        manage.delete_connection(ConnectionId=own)
        assert c.closed_with() == 1000
    for call, more in ((manage.post_to_connection, {"Data": b"x"}), (manage.get_connection, {}),
                       (manage.delete_connection, {})):
        assert eventually(lambda: gone(call, ConnectionId=own, **more) == ("GoneException", 410), "not gone")
    assert talk.api("POST", f"/@connections/{own}", b"x").status in (401, 403, 404)


def test_idle_connections_end(make_server, tmp_path):
    server = make_server(config="websockets:\n  idle_s: 1\n")
    (tmp_path / "mayfly.yaml").write_text(
        "name: idle\nfunctions:\n  idle-main: {path: main.py}\n"
        "api:\n  websocket: {path: /idle, routes: {$default: idle-main}}\n")
    (tmp_path / "main.py").write_text(MAIN)
    server.cli("deploy", tmp_path)
    with Client(server.gateway, "/idle") as c:
        assert c.status == 101 and c.closed_with() == 1001
        c.send(struct.pack(">H", 1001), 0x88)
        assert c.frame() is None
