"""Who may call the routes of a project that was written for AWS: authorizers and API keys."""

import pytest

from harness import Server
from issuer import Issuer, Site

KEY = "partner-key-of-24-letters"

WHO = """
def handler(event, context):
    token = (event.get("headers") or {}).get("x-key") or event.get("authorizationToken")
    if event.get("version") == "2.0":
        return {"isAuthorized": token == "open", "context": {"who": "caller"}}
    effect = "Allow" if token == "open" else "Deny"
    return {"principalId": "caller", "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": effect, "Resource": "*"}]}}
"""

APP = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"].get("authorizer"))}
"""

SAM = f"""
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {{Runtime: python3, CodeUri: .}}
Resources:
  Web:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Asked
        Authorizers:
          Asked:
            AuthorizerPayloadFormatVersion: 2.0
            EnableSimpleResponses: true
            FunctionArn: !GetAtt Who.Arn
            Identity: {{Headers: [X-Key]}}
          Tokens: {{JwtConfiguration: {{issuer: "https://id.example", audience: [app]}}}}
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Auth: {{ApiKeyRequired: true, UsagePlan: {{CreateUsagePlan: PER_API}}}}
  Key: {{Type: AWS::ApiGateway::ApiKey, Properties: {{Enabled: true, Value: {KEY}}}}}
  KeyOfPlan:
    Type: AWS::ApiGateway::UsagePlanKey
    Properties: {{KeyId: !Ref Key, KeyType: API_KEY, UsagePlanId: !Ref RestUsagePlan}}
  Who:
    Type: AWS::Serverless::Function
    Properties: {{Handler: who.handler}}
  App:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Events:
        Asked: {{Type: HttpApi, Properties: {{ApiId: !Ref Web, Path: /asked, Method: get}}}}
        Open: {{Type: HttpApi, Properties: {{ApiId: !Ref Web, Path: "/open/{{proxy+}}", Method: any, Auth: {{Authorizer: NONE}}}}}}
        Shut: {{Type: HttpApi, Properties: {{ApiId: !Ref Web, Path: /open/shut, Method: get, Auth: {{Authorizer: Nope}}}}}}
        Token: {{Type: HttpApi, Properties: {{ApiId: !Ref Web, Path: /token, Method: get, Auth: {{Authorizer: Tokens}}}}}}
        Keyed: {{Type: Api, Properties: {{RestApiId: !Ref Rest, Path: /keyed, Method: get}}}}
"""

SERVERLESS = f"""
service: guarded
provider:
  name: aws
  runtime: python3
  apiGateway: {{apiKeys: [{{name: partner, value: {KEY}}}]}}
functions:
  who: {{handler: who.handler}}
  app:
    handler: app.handler
    events:
      - http: {{path: token, method: get, authorizer: {{name: who, identitySource: method.request.header.X-Token}}}}
      - http: {{path: keyed, method: get, private: true}}
      - http: {{path: pool, method: get, authorizer: {{type: COGNITO_USER_POOLS, authorizerId: x}}}}
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Deploys a project of that file on a server of its own."""
    servers = []

    def deploy(name, text):
        folder = tmp_path_factory.mktemp("guarded") / "guarded"
        folder.mkdir()
        for file, content in ((name, text), ("who.py", WHO), ("app.py", APP)):
            (folder / file).write_text(content)
        servers.append(Server().start())
        return servers[-1], servers[-1].deploy(folder)

    yield deploy
    for server in servers:
        assert server.stop() == 0, server.log()
        server.close()


def test_sam_routes_ask_who_calls(deployed):
    host, told = deployed("template.yaml", SAM)
    assert host.http("GET", "/asked").status == 401
    assert host.http("GET", "/asked", headers={"X-Key": "shut"}).status == 403
    assert host.http("GET", "/asked", headers={"X-Key": "open"}).expect(200).json == {"lambda": {"who": "caller"}}
    assert host.http("GET", "/open/a").status == 200
    assert host.http("GET", "/open/shut").status == 401, "the wider route does not open it"
    assert host.http("GET", "/token").status == 401
    assert host.http("GET", "/keyed").status == 403
    assert host.http("GET", "/keyed", headers={"x-api-key": "x" + KEY}).status == 403
    assert host.http("GET", "/keyed", headers={"x-api-key": KEY}).status == 200
    why = {one["path"]: one["why"] for one in told["not_used"]}
    assert "lets nobody in" in why["Resources.App.Properties.Events.Shut"]
    made = {one["path"]: one["as"] for one in told["used"] if "as" in one}
    assert made["Resources.App.Properties.Events.Asked"].endswith("when the authorizer Asked lets it")
    assert KEY not in str(told["used"] + told["not_used"]), "a secret is no part of the report"


def test_serverless_routes_ask_who_calls(deployed):
    host, told = deployed("serverless.yml", SERVERLESS)
    assert host.http("GET", "/token").status == 401
    assert host.http("GET", "/token", headers={"X-Token": "shut"}).status == 403
    assert host.http("GET", "/token", headers={"X-Token": "open"}).expect(200).json["principalId"] == "caller"
    assert host.http("GET", "/keyed").status == 403
    assert host.http("GET", "/keyed", headers={"X-API-Key": KEY}).status == 200
    assert host.http("GET", "/pool").status == 404
    why = {one["path"]: one["why"] for one in told["not_used"]}
    assert "user pool" in why["functions.app.events[2].http"]


JWT_SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Issuer: {Type: String}}
Resources:
  Web:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Tokens
        Authorizers:
          Tokens:
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: !Ref Issuer, audience: [front]}
  App:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      Runtime: python3
      Events:
        Mine: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /mine, Method: get}}
        Write:
          Type: HttpApi
          Properties: {ApiId: !Ref Web, Path: /write, Method: get, Auth: {AuthorizationScopes: [write]}}
"""
JWT_SERVERLESS = """
service: tokens
provider:
  name: aws
  runtime: python3.11
  httpApi:
    authorizers:
      tokens: {identitySource: $request.header.Authorization, issuerUrl: "${param:Issuer}", audience: [front]}
functions:
  app:
    handler: app.handler
    events:
      - httpApi: {path: /mine, method: get, authorizer: {name: tokens}}
      - httpApi: {path: /write, method: get, authorizer: {name: tokens, scopes: [write]}}
"""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.mark.parametrize("name, text", [("template.yaml", JWT_SAM), ("serverless.yml", JWT_SERVERLESS)])
def test_tokens_of_an_issuer_that_the_project_names(make_server, issuer, tmp_path, name, text):
    """The whole way: the issuer's OpenID configuration, its keys, the token, the claims in the event."""
    pages = {"/.well-known/openid-configuration": lambda: {"issuer": site.url, "jwks_uri": site.url + "/keys"},
             "/keys": lambda: issuer.keys}
    with Site(pages) as site:
        host = make_server(config="webhooks:\n  allow_loopback: true\n")
        (tmp_path / name).write_text(text)
        (tmp_path / "app.py").write_text(APP)
        told = host.deploy(tmp_path, "--parameter", "Issuer=" + site.url)
        assert not [one for one in told["not_used"] if "uthoriz" in one["path"]]

        def get(path, **claims):
            token = issuer.token(**{"iss": site.url, **claims})
            return host.http("GET", path, headers={"Authorization": "Bearer " + token})
        assert host.http("GET", "/mine").status == 401
        assert site.asked == 0, "nobody is asked about a request without a token"
        seen = get("/mine", sub="dora").expect(200).json["jwt"]
        assert seen["claims"]["sub"] == "dora" and seen["claims"]["iss"] == site.url
        get("/mine", key="e").expect(200)
        assert site.asked == 2, "the configuration and the keys, once"
        get("/mine", aud="other").expect(401)
        get("/mine", iss="https://evil.example").expect(401)
        get("/mine", exp=1).expect(401)
        get("/write", scope="read").expect(403)
        assert get("/write", scope="read write").expect(200).json["jwt"]["scopes"] == ["write"]
