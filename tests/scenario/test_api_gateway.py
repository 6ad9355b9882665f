"""What stands before routes: event formats, stages, authorizers, API keys, limits of pace."""

import base64
import hashlib
import hmac
import json
import re
import time

import pytest

from issuer import Issuer, Site, b64

MANIFEST = """\
name: front
functions:
  front-echo: {path: echo.py}
  front-asker: {path: asker.py}
api:
  binary: ["image/*"]
  stages:
    $default: {}
    front-prod: {variables: {table: live, alias: $LATEST}}
  authorizers:
    tokens: {type: jwt, issuer: "https://issuer.example", audience: [front], jwks: keys.json}
    fetched: {type: jwt, issuer: "https://issuer.example", audience: [front], jwks: "JWKS_URL"}
    simple: {type: request, function: front-asker, simple: true, identity: [$request.header.X-Who], ttl: 300}
    policy: {type: request, function: front-asker, payload: v1, identity: [$request.querystring.who], ttl: 0}
    token: {type: token, function: front-asker, identity: [$request.header.Authorization], pattern: "allow.*|deny"}
  plans:
    basic: {keys: {alice: alice-key-0123456789abc}, quota: 3, per: month}
    fast: {keys: {bob: bob-key-0123456789abcdef}, throttle: {rate: 0.001, burst: 2}}
routes:
  - {method: ANY, path: "/front/v1/{id}", function: front-echo, event: v1}
  - {method: GET, path: "/front/v2/{id}", function: "front-echo:${stageVariables.alias}"}
  - {path: /front/jwt, function: front-echo, authorizer: tokens}
  - {path: /front/jwt1, function: front-echo, authorizer: tokens, event: v1}
  - {path: /front/scoped, function: front-echo, authorizer: tokens, scopes: [write, admin]}
  - {path: /front/fetched, function: front-echo, authorizer: fetched}
  - {path: /front/simple, function: front-echo, authorizer: simple}
  - {path: /front/policy, function: front-echo, authorizer: policy, event: v1}
  - {path: /front/token, function: front-echo, authorizer: token, event: v1}
  - {path: /front/signed, function: front-echo, authorizer: aws_iam}
  - {path: /front/keyed, function: front-echo, api_key: true, event: v1}
  - {path: /front/slow, function: front-echo, throttle: {rate: 0.001, burst: 2}}
"""
ECHO = """\
import base64, json
def handler(event, context):
    if event.get("path", "").endswith("/picture"):
        return {"statusCode": 200, "headers": {"content-type": "image/png"}, "isBase64Encoded": True,
                "body": base64.b64encode(b"\\x89PNG").decode()}
    if event.get("path", "").endswith("/many"):
        return {"statusCode": 202, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": None}
    if event.get("path", "").endswith("/bad"):
        return "no object"
    return {"statusCode": 200, "body": json.dumps(event)}
"""
ASKER = """\
calls = 0
def policy(who, effect, arn):
    return {"principalId": who, "context": {"n": 1, "who": who},
            "policyDocument": {"Version": "2012-10-17", "Statement": [
                {"Action": "execute-api:Invoke", "Effect": effect, "Resource": arn}]}}
def handler(event, context):
    global calls
    calls += 1
    if event["type"] == "TOKEN":
        token = event["authorizationToken"]
        if token == "allow-not":
            raise Exception("Unauthorized")
        return policy("t", "Deny" if token == "deny" else "Allow", event["methodArn"])
    if "routeArn" in event:
        return {"isAuthorized": event["identitySource"] == ["me"], "context": {"calls": calls, "key": event["routeKey"]}}
    who = event["queryStringParameters"]["who"]
    if who == "broken":
        return {"principalId": who}
    return policy(who, "Allow" if who == "me" else "Deny", event["methodArn"])
"""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def keys_url(issuer):
    with Site({"/keys.json": lambda: issuer.keys}) as site:
        yield site.url + "/keys.json", site


@pytest.fixture(scope="module")
def front(issuer, keys_url, tmp_path_factory):
    from harness import Server
    s = Server(config="webhooks:\n  allow_loopback: true\n").start()
    folder = tmp_path_factory.mktemp("front")
    (folder / "mayfly.yaml").write_text(MANIFEST.replace("JWKS_URL", keys_url[0]))
    (folder / "echo.py").write_text(ECHO)
    (folder / "asker.py").write_text(ASKER)
    (folder / "keys.json").write_text(json.dumps(issuer.keys))
    s.cli("deploy", folder)
    yield s
    try:
        assert s.stop() == 0, s.log()
    finally:
        s.close()


def told(answer):
    return answer.status, answer.json


def bearer(token):
    return {"Authorization": "Bearer " + token}


def test_v1_event(front):
    e = front.http("POST", "/front/v1/a%20b?x=1&x=2", b"hi", {"X-Mixed-Case": "v", "Content-Type": "text/plain"}
                   ).expect(200).json
    assert e["resource"] == "/front/v1/{id}" and e["path"] == "/front/v1/a%20b" and e["httpMethod"] == "POST"
    assert e["headers"]["X-Mixed-Case"] == "v" and e["multiValueHeaders"]["X-Mixed-Case"] == ["v"]
    assert e["queryStringParameters"] == {"x": "2"} and e["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert e["pathParameters"] == {"id": "a b"} and e["stageVariables"] is None
    assert e["body"] == "hi" and e["isBase64Encoded"] is False
    assert e["requestContext"]["stage"] == "$default" and e["requestContext"]["resourcePath"] == e["resource"]
    assert "version" not in e


def test_stages(front):
    e = front.http("GET", "/front-prod/front/v1/7").expect(200).json
    assert e["path"] == "/front/v1/7" and e["requestContext"]["path"] == "/front-prod/front/v1/7"
    assert e["requestContext"]["stage"] == "front-prod"
    assert e["stageVariables"] == {"table": "live", "alias": "$LATEST"}
    e = front.http("GET", "/front-prod/front/v2/7").expect(200).json
    assert e["rawPath"] == "/front-prod/front/v2/7" and e["stageVariables"]["table"] == "live"
    assert e["requestContext"]["stage"] == "front-prod" and e["pathParameters"] == {"id": "7"}


def test_binary_media_types(front):
    picture = front.http("GET", "/front/v1/picture", headers={"Accept": "image/png"}).expect(200)
    assert picture.body == b"\x89PNG" and picture.header("Content-Type") == "image/png"
    assert front.http("GET", "/front/v1/picture").expect(200).body == base64.b64encode(b"\x89PNG")
    e = front.http("POST", "/front/v1/x", b"\x00\x01", {"Content-Type": "image/gif"}).expect(200).json
    assert e["isBase64Encoded"] and base64.b64decode(e["body"]) == b"\x00\x01"
    many = front.http("GET", "/front/v1/many").expect(202)
    assert many.all("Set-Cookie") == ["a=1", "b=2"] and many.body == b""
    assert front.http("GET", "/front/v1/bad").expect(502).error["code"] == "function_error"


@pytest.mark.parametrize("key", ["r", "e"])
def test_jwt(front, issuer, key):
    e = front.http("GET", "/front/jwt", headers=bearer(issuer.token(key=key, groups=["a", "b"]))).expect(200).json
    jwt = e["requestContext"]["authorizer"]["jwt"]
    assert jwt["claims"]["sub"] == "u1" and jwt["claims"]["groups"] == "[a b]" and jwt["scopes"] is None
    assert jwt["claims"]["exp"].isdigit()
    e = front.http("GET", "/front/jwt1", headers=bearer(issuer.token(key=key))).expect(200).json
    assert e["requestContext"]["authorizer"]["claims"]["sub"] == "u1"


def test_tokens_that_are_refused(front, issuer):
    nobody = front.http("GET", "/front/jwt")
    assert told(nobody) == (401, {"message": "Unauthorized"}) and nobody.header("WWW-Authenticate") == "Bearer"
    good = issuer.token()
    head, body, signature = good.split(".")
    none = b64(b'{"alg":"none"}')
    confused = b64(b'{"alg":"HS256","kid":"r"}') + "." + body
    mac = hmac.new(issuer.openssl("rsa", "-in", issuer.rsa, "-pubout"), confused.encode(), hashlib.sha256).digest()
    now = int(time.time())
    for token, why in [
            (issuer.token(exp=now - 1), "expired"), (issuer.token(nbf=now + 600), "not valid yet"),
            (issuer.token(iss="https://evil.example"), "issuer"), (issuer.token(aud="other"), "audience"),
            (issuer.token(iat=now + 600), "future"), (issuer.token(header={"kid": "unknown"}), "not known"),
            (head + "." + b64(b'{"sub":"evil"}') + "." + signature, "signature"),
            (none + "." + body + ".", "malformed"), (none + "." + body + "." + signature, "algorithm"),
            (confused + "." + b64(mac), "no key fits"), (head + "." + body, "malformed"),
            (good + ".x", "malformed"), ("x", "malformed"), ("a" * 17000, "too long"),
            (issuer.token(header={"crit": ["x"]}), "critical")]:
        answer = front.http("GET", "/front/jwt", headers=bearer(token))
        assert told(answer) == (401, {"message": "Unauthorized"}), token
        assert why in answer.header("WWW-Authenticate"), (why, answer)
    assert front.http("GET", "/front/jwt", headers=bearer(issuer.token(aud=["x", "front"]))).status == 200


def test_scopes(front, issuer):
    answer = front.http("GET", "/front/scoped", headers=bearer(issuer.token(scope="read")))
    assert told(answer) == (403, {"message": "Forbidden"})
    assert 'error="insufficient_scope"' in answer.header("WWW-Authenticate")
    e = front.http("GET", "/front/scoped", headers=bearer(issuer.token(scope="read write"))).expect(200).json
    assert e["requestContext"]["authorizer"]["jwt"]["scopes"] == ["write"]


def test_fetched_keys_are_kept(front, issuer, keys_url):
    for _ in range(3):
        front.http("GET", "/front/fetched", headers=bearer(issuer.token())).expect(200)
    assert keys_url[1].asked == 1


def test_simple_authorizer(front):
    assert told(front.http("GET", "/front/simple")) == (401, {"message": "Unauthorized"})
    assert told(front.http("GET", "/front/simple", headers={"X-Who": "you"})) == (403, {"message": "Forbidden"})
    seen = [front.http("GET", "/front/simple", headers={"X-Who": "me"}).expect(200).json
            ["requestContext"]["authorizer"]["lambda"] for _ in range(3)]
    assert seen[0] == seen[1] == seen[2] and seen[0]["key"] == "ANY /front/simple"


def test_policy_authorizer(front):
    assert told(front.http("GET", "/front/policy")) == (401, {"message": "Unauthorized"})
    authorizer = front.http("GET", "/front/policy?who=me").expect(200).json["requestContext"]["authorizer"]
    assert authorizer["principalId"] == "me" and authorizer["n"] == "1" and authorizer["who"] == "me"
    assert told(front.http("GET", "/front/policy?who=you")) == (
        403, {"Message": "User is not authorized to access this resource with an explicit deny"})
    assert told(front.http("GET", "/front/policy?who=broken")) == (500, {"message": None})


def test_token_authorizer(front):
    def come(token):
        return front.http("GET", "/front/token", headers={"Authorization": token})
    assert come("allow-1").expect(200).json["requestContext"]["authorizer"]["principalId"] == "t"
    assert come("deny").status == 403
    assert told(come("allow-not")) == (401, {"message": "Unauthorized"})
    assert told(come("something")) == (401, {"message": "Unauthorized"})  # the pattern


def test_routes_for_signers(front):
    answer = front.http("GET", "/front/signed")
    assert told(answer) == (403, {"Message": "Forbidden"})


def test_keys_and_quota(front):
    def come(key):
        return front.http("GET", "/front/keyed", headers={"x-api-key": key} if key else {})
    for wrong in ("", "alice-key-0123456789abX"):
        assert told(come(wrong)) == (403, {"message": "Forbidden"})
    identity = come("alice-key-0123456789abc").expect(200).json["requestContext"]["identity"]
    assert identity["apiKey"] == "alice-key-0123456789abc" and identity["apiKeyId"] == "alice"
    come("alice-key-0123456789abc").expect(200)
    come("alice-key-0123456789abc").expect(200)
    answer = come("alice-key-0123456789abc")
    assert told(answer) == (429, {"message": "Limit Exceeded"})
    assert answer.header("x-amzn-ErrorType") == "LimitExceededException"
    assert [come("bob-key-0123456789abcdef").status for _ in range(3)] == [200, 200, 429]


def test_throttle(front):
    answers = [front.http("GET", "/front/slow") for _ in range(3)]
    assert [a.status for a in answers] == [200, 200, 429]
    assert answers[2].json == {"message": "Too Many Requests"}


@pytest.mark.parametrize("text, why", [
    ("api: {events: v1}", "not a known key"),
    ("api: {event: v3}", "v1 or v2"),
    ("api: {throttle: {rate: -1}}", "rate must be"),
    ("api: {authorizers: {a: {type: jwt, audience: [x]}}}", "no issuer"),
    ("api: {authorizers: {a: {type: request, function: f}}}", "ttl must be 0"),
    ("api: {authorizers: {a: {type: token, function: f, identity: [header]}}}", "identity source"),
    ("api: {plans: {p: {keys: {k: short}}}}", "20 to 128"),
    ("routes: [{path: /x, function: f, authorizer: none}]", "no authorizer 'none'"),
    ("routes: [{path: /x, function: f, scopes: [a]}]", "scopes want"),
])
def test_manifests_that_are_refused(front, tmp_path, text, why):
    (tmp_path / "mayfly.yaml").write_text("name: wrong\n" + text + "\n")
    result = front.cli("deploy", tmp_path, check=None)
    assert result.code != 0 and re.search(why, result.err), result
