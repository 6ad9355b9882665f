"""Layers and function URLs of mayfly.yaml and of projects that were written for AWS."""

import json
import os

import pytest

from harness import Server, needs, zip_bytes

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    Handler: app.handler
    Timeout: 20
    Layers: [!Ref Shared]
Resources:
  Shared:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.12}
    Properties:
      LayerName: %(prefix)s-shared
      ContentUri: layers/shared
      Description: words
      LicenseInfo: MIT
      CompatibleRuntimes: [python3.11, python3.12]
  Zipped:
    Type: AWS::Lambda::LayerVersion
    Properties: {LayerName: %(prefix)s-zipped, ContentUri: layers/zipped.zip}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Layers:
        - !Ref Zipped
        - !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:layer:%(prefix)s-before:1"
        - arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:14
      Environment: {Variables: {OWN: !GetAtt HelloUrl.FunctionUrl}}
      FunctionUrlConfig:
        AuthType: AWS_IAM
        InvokeMode: BUFFERED
        Cors: {AllowOrigins: ["https://a.example"], AllowMethods: [GET], MaxAge: 30}
  Open:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src, AutoPublishAlias: live, FunctionUrlConfig: {AuthType: NONE}}
Outputs:
  Hello: {Value: !GetAtt HelloUrl.FunctionUrl}
  Open: {Value: !GetAtt OpenUrl.FunctionUrl}
"""
APP = """
import os
import shared
def handler(event, context):
    found = {"word": shared.word, "version": context.function_version, "own": os.environ.get("OWN")}
    for name in ("zipped", "before"):
        path = "/opt/" + name + ".txt"
        found[name] = open(path).read() if os.path.exists(path) else None
    return found
"""


@pytest.fixture(scope="module")
def host():
    server = Server().start()
    yield server
    assert server.stop() == 0, server.log()
    server.close()


def project(folder, template):
    for name, text in {"src/app.py": APP, "layers/shared/python/shared.py": "word = 'one'\n"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "layers" / "zipped.zip").write_bytes(zip_bytes({"zipped.txt": "from a zip"}))
    (folder / "template.yaml").write_text(template)
    return folder


def layers(host, prefix):
    listed = host.api("GET", "/v1/layers").expect(200).json["layers"]
    return {f"{one['name']}:{one['version']}": one for one in listed if one["name"].startswith(prefix)}


def before(host, name):
    package = host.put_package(zip_bytes({"before.txt": "was here"})).expect(200).json["sha256"]
    return host.api("PUT", f"/v1/layers/{name}", {"package": package}).expect(200).json


def path_of(host, url):
    assert url.startswith(host.gateway + "/url/"), url
    return url[len(host.gateway):]


def test_sam_layers(host, tmp_path):
    before(host, "sam-before")
    folder = project(tmp_path / "first", TEMPLATE % {"prefix": "sam"})
    told = host.deploy(folder, "--name", "first")
    assert [one["unchanged"] for one in told["layers"]] == [False, False]
    found = host.invoke("first-Hello", {}).expect(200).json
    assert found["word"] == "one" and found["zipped"] == "from a zip" and found["before"] == "was here"
    assert host.invoke("first-Open", {}).expect(200).json["zipped"] is None
    here = layers(host, "sam-")
    assert set(here) == {"sam-shared:1", "sam-zipped:1", "sam-before:1"}
    shared = here["sam-shared:1"]
    assert (shared["description"], shared["license"]) == ("words", "MIT")
    assert shared["runtimes"] == ["python3.11", "python3.12"] and shared["arn"].endswith(":layer:sam-shared:1")
    left = {one["path"]: one["why"] for one in told["not_used"]}
    assert "the server has no layer arn:aws:lambda:us-east-1:580247275435" in \
        left["Resources.Hello.Properties.Layers[2]"]
    assert "sam build" in left["Resources.Shared.Metadata.BuildMethod"]

    again = host.deploy(folder, "--name", "first")
    assert all(one["unchanged"] for one in again["layers"] + again["functions"])
    assert set(layers(host, "sam-")) == set(here)
    (folder / "layers/shared/python/shared.py").write_text("word = 'two'\n")
    changed = host.deploy(folder, "--name", "first")
    assert [(one["layer"]["version"], one["unchanged"]) for one in changed["layers"]] == [(2, False), (1, True)]
    assert host.invoke("first-Hello", {}).expect(200).json["word"] == "two"
    host.restart()
    assert set(layers(host, "sam-")) == set(here) | {"sam-shared:2"}
    assert host.invoke("first-Hello", {}).expect(200).json["word"] == "two"
    assert "sam-shared:2" in host.cli("layer", "ls").out.decode()
    assert "removed" in host.cli("layer", "rm", "sam-shared:1").out.decode()
    assert "sam-shared:1" not in layers(host, "sam-")
    assert host.invoke("first-Hello", {}).expect(200).json["word"] == "two"


def test_sam_function_urls(host, tmp_path):
    before(host, "urls-before")
    folder = project(tmp_path / "urls", TEMPLATE % {"prefix": "urls"})
    told = host.deploy(folder, "--name", "urls")
    outputs = {one["name"]: one["value"] for one in told["outputs"]}
    signed, opened = path_of(host, outputs["Hello"]), path_of(host, outputs["Open"])
    assert host.http("GET", signed).expect(403).json == {"Message": "Forbidden"}
    key = host.api("POST", "/v1/keys", {"name": "urls"}).expect(201).json
    called = host.curl("-sS", "--aws-sigv4", "aws:amz:us-east-1:lambda", "--user",
                       f"{key['access_key_id']}:{key['secret_access_key']}", outputs["Hello"])
    answer = json.loads(called.out)
    assert answer["own"] == outputs["Hello"], "the address is known before the function is there"
    preflight = host.http("OPTIONS", signed, headers={"Origin": "https://a.example",
                                                      "Access-Control-Request-Method": "GET"})
    assert preflight.header("Access-Control-Allow-Origin") == "https://a.example"
    assert preflight.header("Access-Control-Max-Age") == "30"
    assert host.http("GET", opened).expect(200).json["version"] == "1", "the URL is the alias's"
    assert host.call("urls-Open").status == 403, "a URL opens nothing else"

    same = host.deploy(folder, "--name", "urls")
    assert all(one["function_url"]["unchanged"] for one in same["functions"])
    text = (folder / "template.yaml").read_text().replace("AuthType: AWS_IAM", "AuthType: NONE")
    (folder / "template.yaml").write_text(text)
    host.deploy(folder, "--name", "urls")
    assert host.http("GET", signed).status == 200, "the same address, and open now"
    host.restart()
    assert host.http("GET", signed).status == 200
    host.api("DELETE", "/v1/functions/urls-Hello/url").expect(200)
    assert host.http("GET", signed).status == 404
    host.api("DELETE", "/v1/functions/urls-Hello/url").expect(404)


def test_mayfly_yaml(host, tmp_path):
    before(host, "yaml-before")
    folder = project(tmp_path / "plain", "")
    (folder / "template.yaml").unlink()
    (folder / "mayfly.yaml").write_text("""\
name: plain
layers:
  yaml-shared: layers/shared
  yaml-zipped: {path: layers/zipped.zip, description: from a zip, runtimes: [python3.12], license: MIT}
functions:
  plain:
    path: src
    handler: app.handler
    layers: [yaml-shared, yaml-zipped, "yaml-before:1"]
    url: {auth: iam, stream: true, cors: {origins: "*", max_age: 60}}
  open:
    path: src
    handler: app.handler
    layers: yaml-shared
    url: none
""")
    told = host.deploy(folder)
    by_name = {one["function"]["function"]: one for one in told["functions"]}
    assert host.invoke("plain", {}).expect(200).json == {
        "word": "one", "version": "$LATEST", "own": None, "zipped": "from a zip", "before": "was here"}
    url = by_name["plain"]["function_url"]
    assert (url["auth"], url["stream"], url["cors"]["max_age_s"]) == ("iam", True, 60)
    assert host.http("GET", path_of(host, url["url"])).status == 403
    assert host.http("GET", path_of(host, by_name["open"]["function_url"]["url"])).json["word"] == "one"
    text = host.cli("deploy", folder).out.decode()
    assert "layer yaml-shared:1  unchanged" in text and "for signed requests" in text

    refused = (folder / "mayfly.yaml").read_text().replace("yaml-before:1", "yaml-before:7")
    (folder / "mayfly.yaml").write_text(refused)
    assert "Layer version yaml-before:7 does not exist" in host.deploy(folder, check=5).err
    (folder / "mayfly.yaml").write_text(refused.replace("auth: iam", "auth: key"))
    assert "auth must be none or iam, not 'key'" in host.deploy(folder, check=2).err
    (folder / "mayfly.yaml").write_text(refused.replace("yaml-before:7", "a b"))
    assert "A layer is named as NAME, NAME:VERSION or by its ARN" in host.deploy(folder, check=2).err
    wrong = host.api("PUT", "/v1/layers/a%20b", {"package": "0" * 64})
    assert wrong.status == 400 and b"The name of a layer" in wrong.body
    wrong = host.api("PUT", "/v1/layers/x", {"package": "0" * 64})
    assert wrong.status == 400 and b"PUT /v1/packages first" in wrong.body
    host.api("DELETE", "/v1/layers/nothing").expect(404)


def test_serverless(host, tmp_path):
    needs("node")
    folder = project(tmp_path / "service", "")
    (folder / "template.yaml").unlink()
    (folder / "layers" / "left" / "nodejs").mkdir(parents=True)
    (folder / "layers" / "left" / "out.txt").write_text("no")
    (folder / "layers" / "left" / "word.txt").write_text("from a folder")
    (folder / "app.js").write_text("""
const fs = require("fs");
exports.handler = async () => ({files: fs.readdirSync("/opt").sort()});
""")
    (folder / "serverless.yml").write_text("""\
service: service
provider:
  name: aws
  runtime: nodejs20.x
  layers: [{Ref: LeftLambdaLayer}]
layers:
  left:
    path: layers/left
    name: ${sls:stage}-left
    description: some files
    compatibleRuntimes: [nodejs20.x]
    package: {patterns: ["!out.txt"]}
  zip-ped:
    package: {artifact: layers/zipped.zip}
functions:
  both:
    handler: app.handler
    layers: [{Ref: LeftLambdaLayer}, !Ref ZipDashpedLambdaLayer]
    url: {authorizer: aws_iam, cors: {allowedOrigins: ["https://b.example"], maxAge: 5}, invokeMode: RESPONSE_STREAM}
  one:
    handler: app.handler
    url: true
resources:
  Outputs:
    Url: {Value: !GetAtt BothLambdaFunctionUrl.FunctionUrl}
""")
    told = host.deploy(folder)
    assert host.invoke("service-dev-both", {}).expect(200).json == {"files": ["word.txt", "zipped.txt"]}
    assert host.invoke("service-dev-one", {}).expect(200).json == {"files": ["word.txt"]}
    assert {"dev-left:1", "zip-ped:1"} <= set(layers(host, ""))
    urls = {one["function"]["function"]: one["function_url"] for one in told["functions"]}
    both = urls["service-dev-both"]
    assert both["auth"] == "iam" and both["stream"] and both["cors"]["allow_origins"] == ["https://b.example"]
    assert told["outputs"][0]["value"] == both["url"]
    assert host.http("GET", path_of(host, both["url"])).status == 403
    assert host.http("GET", path_of(host, urls["service-dev-one"]["url"])).json == {"files": ["word.txt"]}
    assert not [one for one in told["not_used"] if "layer" in one["path"] or "url" in one["path"]]
