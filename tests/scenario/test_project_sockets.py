"""WebSocket APIs of projects that were written for AWS."""

import json

import pytest

from harness import Server, needs
from websocket_client import Client

# As the sample of a chat has it: the parts in any order, each by references.
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters: {Authorized: {Type: String, Default: CUSTOM}}
Resources:
  Deployment:
    Type: AWS::ApiGatewayV2::Deployment
    DependsOn: [ConnectRoute, SendRoute]
    Properties: {ApiId: !Ref Chat}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {StageName: Prod, DeploymentId: !Ref Deployment, ApiId: !Ref Chat}
  ConnectRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Chat
      RouteKey: $connect
      AuthorizationType: !Ref Authorized
      AuthorizerId: !Ref Door
      OperationName: ConnectRoute
      Target: !Join ["/", [integrations, !Ref ConnectIntegration]]
  ConnectIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Chat
      IntegrationType: AWS_PROXY
      IntegrationUri:
        Fn::Sub: arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Talk.Arn}/invocations
  SendRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Chat
      RouteKey: send
      RouteResponseSelectionExpression: $default
      Target: !Sub integrations/${SendIntegration}
  SendResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Chat, RouteId: !Ref SendRoute, RouteResponseKey: $default}
  QuietRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Chat, RouteKey: quiet, Target: !Sub "integrations/${SendIntegration}"}
  LostRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Chat, RouteKey: lost, Target: integrations/elsewhere}
  SendIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Chat
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Talk.Arn}/invocations
  Door:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      Name: door
      ApiId: !Ref Chat
      AuthorizerType: REQUEST
      IdentitySource: [route.request.querystring.who]
      AuthorizerUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Doorman.Arn}/invocations
  Chat:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: Chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.message}
  Other:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: Other, ProtocolType: HTTP}
  Talk:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      Runtime: python3.12
      Timeout: 20
      Environment: {Variables: {MANAGE: !Sub "https://${Chat}.execute-api.${AWS::Region}.amazonaws.com/${Stage}"}}
  Doorman:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ., Handler: door.handler, Runtime: python3.12, Timeout: 20}
Outputs:
  Uri: {Value: !Join ["", ["wss://", !Ref Chat, ".execute-api.", !Ref "AWS::Region", ".amazonaws.com/", !Ref Stage]]}
"""
SERVERLESS = """\
service: sockets
provider:
  name: aws
  runtime: python3.12
  timeout: 20
  websocketsApiRouteSelectionExpression: $request.body.message
functions:
  talk:
    handler: app.handler
    events:
      - websocket: $disconnect
      - websocket:
          route: $connect
          authorizer: {name: doorman, identitySource: [route.request.querystring.who]}
      - websocket: {route: send, routeResponseSelectionExpression: $default}
      - websocket: quiet
  doorman:
    handler: door.handler
resources:
  Outputs:
    Uri: {Value: !Sub "wss://${WebsocketsApi}.execute-api.${AWS::Region}.amazonaws.com/dev"}
"""
APP = """
import json, os
def handler(event, context):
    about = event["requestContext"]
    return {"statusCode": 200, "body": json.dumps({"key": about["routeKey"], "stage": about["stage"],
        "who": (about.get("authorizer") or {}).get("who"), "id": about["connectionId"],
        "manage": os.environ.get("MANAGE"), "body": event.get("body")})}
"""
DOOR = """
def handler(event, context):
    who = event["queryStringParameters"]["who"]
    return {"principalId": who, "context": {"who": who}, "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": "Allow" if who != "evil" else "Deny", "Resource": event["methodArn"]}]}}
"""


@pytest.fixture
def host(make_server):
    return make_server()


def deployed(host, folder, name, text, *flags):
    folder.mkdir()
    for file, content in {name: text, "app.py": APP, "door.py": DOOR}.items():
        (folder / file).write_text(content)
    return host.deploy(folder, *flags)


def talks(host, stage):
    with Client(host.gateway, f"/{stage}?who=evil") as client:
        assert client.status == 403
    with Client(host.gateway, f"/{stage}") as client:
        assert client.status == 401
    with Client(host.gateway, f"/{stage}?who=me") as client:
        assert client.status == 101
        client.send(json.dumps({"message": "quiet"}))  # what it answers stays
        client.send(json.dumps({"message": "send", "data": 1}))
        first, payload = client.frame()
        told = json.loads(payload)
        assert first == 0x81 and told["key"] == "send" and told["stage"] == stage and told["who"] == "me"
        client.send(json.dumps({"message": "nobody"}))
        assert json.loads(client.frame()[1])["message"] == "Forbidden"
        return told


def test_sam(host, tmp_path):
    told = deployed(host, tmp_path / "chat", "template.yaml", TEMPLATE, "--name", "chat")
    assert told["outputs"][0]["value"] == "ws" + host.gateway[4:] + "/Prod"
    seen = talks(host, "Prod")
    assert seen["manage"] == "http://127.0.0.2/Prod", "the way in of its sandbox"
    left = {one["path"]: one["why"] for one in told["not_used"]}
    assert "no function of the project" in left["Resources.LostRoute"]
    assert "routes come from the events" in left["Resources.Other"]
    assert not [path for path in left if "Chat" in path or "Send" in path or "Stage" in path], left
    used = {one["path"]: one.get("as", "") for one in told["used"]}
    assert used["Resources.SendRoute"] == "WebSocket route send to chat-Talk"
    assert "when the authorizer door lets it" in used["Resources.Chat"]


def test_sam_is_not_open_when_it_asks_for_what_is_not_here(host, tmp_path):
    told = deployed(host, tmp_path / "chat", "template.yaml", TEMPLATE, "--parameter", "Authorized=AWS_IAM")
    left = {one["path"]: one["why"] for one in told["not_used"]}
    assert "would be open to all: it is not made" in left["Resources.Chat"]
    with Client(host.gateway, "/Prod?who=me") as client:
        assert client.status == 404


def test_serverless(host, tmp_path):
    needs("python3")
    told = deployed(host, tmp_path / "service", "serverless.yml", SERVERLESS)
    assert told["outputs"][0]["value"] == "ws" + host.gateway[4:] + "/dev"
    talks(host, "dev")
    assert not [one for one in told["not_used"] if "websocket" in one["path"]]


def test_mayfly_yaml_names_routes_that_respond(host, tmp_path):
    manifest = """\
name: plain
functions:
  plain: {path: app.py, handler: app.handler}
api:
  websocket:
    path: /live
    selection: $request.body.message
    routes: {send: plain, quiet: plain}
    respond: [%s]
"""
    folder = tmp_path / "plain"
    deployed(host, folder, "mayfly.yaml", manifest % "send")
    with Client(host.gateway, "/live") as client:
        client.send(json.dumps({"message": "quiet"}))
        client.send(json.dumps({"message": "send"}))
        assert json.loads(client.frame()[1])["key"] == "send"
    (folder / "mayfly.yaml").write_text(manifest % "nothing")
    assert "no route 'nothing' that could respond" in host.deploy(folder, check=2).err
