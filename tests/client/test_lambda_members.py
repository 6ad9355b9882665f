"""No member that a client of Lambda can send is dropped in silence: each is used, kept, or refused. Requests are made by
hand, for the boto3 of Debian does not know the newer members."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.model import ServiceModel  # noqa: E402

from harness import eventually, zip_bytes  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROLE = "arn:aws:iam::000000000000:role/any"
INVALID = "InvalidParameterValueException"


def models():
    """Lambda's model of this botocore, and of that of the python3 in PATH, which may be newer."""
    folders = {os.path.join(os.path.dirname(botocore.__file__), "data")}
    python = shutil.which("python3")
    if python:
        said = subprocess.run([python, "-c", "import botocore; print(botocore.__file__)"], capture_output=True,
                              text=True)
        if said.returncode == 0:
            folders.add(os.path.join(os.path.dirname(said.stdout.strip()), "data"))
    for folder in folders:
        path = os.path.join(folder, "lambda", "2015-03-31", "service-2.json")
        if os.path.exists(path):
            with open(path) as f:
                yield ServiceModel(json.load(f), "lambda")
        elif os.path.exists(path + ".gz"):
            with gzip.open(path + ".gz") as f:
                yield ServiceModel(json.load(f), "lambda")


def members(shape, at=""):
    while shape.type_name == "list":
        shape = shape.member
    if shape.type_name != "structure":
        return [at]
    return [at] * bool(at) + [path for name, member in shape.members.items()
                              for path in members(member, f"{at}.{name}" if at else name)]


def test_every_member_of_the_model_is_known():
    """A unit test holds lambda_members.txt against the server's contract; "A.*" is any JSON below A."""
    with open(os.path.join(HERE, "..", "support", "lambda_members.txt")) as f:
        served = {words[0]: set(words[1:]) for words in (line.split() for line in f)}
    assert len(served) > 60
    checked = 0
    for model in models():
        for name in set(model.operation_names) & set(served):
            shape = model.operation_model(name).input_shape
            if shape is None:
                continue
            # What is the whole body needs no name.
            known = served[name] | {shape.serialization.get("payload", "")}
            if name == "InvokeAsync":
                known.add("InvokeArgs")
            lost = [path for path in members(shape) if path not in known
                    and not any(path == any_json[:-2] or path.startswith(any_json[:-1]) for any_json in known
                                if any_json.endswith(".*"))]
            assert not lost, (name, lost)
            checked += 1
    assert checked > 50  # the model of Debian 12 alone has 55 of them


class Raw:
    """Signed requests of any body."""

    def __init__(self, account):
        self.url, self.credentials = account.url, Credentials(account.id, account.secret)

    def __call__(self, method, path, body=None, headers=None):
        request = AWSRequest(method, self.url + path, data=json.dumps(body).encode() if body is not None else None,
                             headers={"Content-Type": "application/json", **(headers or {})})
        SigV4Auth(self.credentials, "lambda", "us-east-1").add_auth(request)
        made = request.prepare()
        try:
            with urllib.request.urlopen(urllib.request.Request(made.url, made.body, dict(made.headers), method=method),
                                        timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.headers["x-amzn-errortype"], json.loads(error.read())["Message"]


@pytest.fixture
def raw(account):
    return Raw(account)


@pytest.fixture
def function(functions, name):
    functions.create_function(FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE,
                              Code={"ZipFile": zip_bytes({"app.py": "def handler(e, c): return e"})})
    yield name
    functions.delete_function(FunctionName=name)


@pytest.fixture
def queue(sqs, name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    yield sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.delete_queue(QueueUrl=url)


MAPPINGS = "/2015-03-31/event-source-mappings/"


@pytest.fixture
def mapping(raw, function, queue):
    status, made = raw("POST", MAPPINGS, {"EventSourceArn": queue, "FunctionName": function})
    assert status == 202, made
    yield made["UUID"]
    raw("DELETE", MAPPINGS + made["UUID"])


def test_members_of_mappings_are_kept(raw, function, queue, server, account):
    more = {"ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 40},
            "MetricsConfig": {"Metrics": ["EventCount"]}, "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/a"}
    status, made = raw("POST", MAPPINGS, {"EventSourceArn": queue, "FunctionName": function, **more})
    assert status == 202 and {key: made[key] for key in more} == more
    uuid = made["UUID"]
    assert {k: v for k, v in raw("GET", MAPPINGS + uuid)[1].items() if k in more} == more
    assert more.items() <= raw("GET", MAPPINGS + "?FunctionName=" + function)[1]["EventSourceMappings"][0].items()
    seen = server.cli("trigger", "describe", uuid).out
    assert b"3 to 40" in seen, seen
    # What is not named stays; an empty object takes away.
    _, told = raw("PUT", MAPPINGS + uuid, {"Enabled": False})
    assert more.items() <= told.items()
    _, told = raw("PUT", MAPPINGS + uuid, {"ProvisionedPollerConfig": {"MaximumPollers": 9}})
    assert told["ProvisionedPollerConfig"] == {"MinimumPollers": 2, "MaximumPollers": 9}
    error, why = raw("PUT", MAPPINGS + uuid, {"ScalingConfig": {"MaximumConcurrency": 5}})
    assert error == INVALID and "cannot be used together" in why
    status, told = raw("PUT", MAPPINGS + uuid, {"ScalingConfig": {"MaximumConcurrency": 5},
                                                "ProvisionedPollerConfig": {}, "MetricsConfig": {}, "KMSKeyArn": ""})
    assert status == 202 and told["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert not set(more) & set(raw("GET", MAPPINGS + uuid)[1])
    assert raw("DELETE", MAPPINGS + uuid)[0] == 202


@pytest.mark.parametrize("body, error, why", [
    ({"ProvisionedPollerConfig": {"MinimumPollers": 1}}, "ValidationException", "MinimumPollers"),
    ({"ProvisionedPollerConfig": {"MaximumPollers": 10_001}}, "ValidationException", "from 2 to 10000"),
    ({"ProvisionedPollerConfig": {"MinimumPollers": 9, "MaximumPollers": 8}}, INVALID, "must not be greater"),
    ({"ProvisionedPollerConfig": {"PollerGroupName": "g"}}, INVALID, "PollerGroupName"),
    ({"MetricsConfig": {"Metrics": ["Other"]}}, "ValidationException", "[EventCount, ErrorCount, KafkaMetrics]"),
    ({"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}, INVALID, "KafkaMetrics"),
    ({"MetricsConfig": {"Metrics": ["EventCount", "EventCount"]}}, "ValidationException", "twice"),
    ({"KMSKeyArn": "alias/mine"}, "ValidationException", "kMSKeyArn"),
    ({"LoggingConfig": {"SystemLogLevel": "DEBUG"}}, INVALID, "LoggingConfig is not for mappings of SQS"),
    ({"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}}, INVALID, "AmazonManagedKafka"),
    ({"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}}, INVALID, "SelfManagedKafka"),
    ({"DocumentDBEventSourceConfig": {"DatabaseName": "d"}}, INVALID, "DocumentDB"),
    ({"SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": "arn:aws:x"}]}, INVALID, "SourceAccess"),
    ({"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:0:q"}}}, INVALID, "OnSuccess"),
    ({"BatchSize": 100}, INVALID, "Maximum batch window"),
])
def test_members_of_mappings_are_checked(raw, mapping, function, queue, body, error, why):
    said = raw("PUT", MAPPINGS + mapping, body)
    assert said[0] == error and why in said[1], said
    said = raw("POST", MAPPINGS, {"EventSourceArn": queue, "FunctionName": function, **body})
    assert said[0] == error and why in said[1], said
    assert not set(body) & set(raw("GET", MAPPINGS + mapping)[1]) - {"BatchSize"}, "a refused update changes nothing"


def test_empty_members_ask_for_nothing(raw, mapping):
    status, told = raw("PUT", MAPPINGS + mapping, {
        "LoggingConfig": {}, "DocumentDBEventSourceConfig": {}, "SourceAccessConfigurations": [],
        "BisectBatchOnFunctionError": False, "Enabled": True})
    assert status == 202, told


def test_a_mapping_counts_its_messages(server, raw, functions, sqs, function, queue):
    functions.update_function_code(FunctionName=function, ZipFile=zip_bytes({"app.py": '''
def handler(event, context):
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"]
                                  if r["body"] == "bad" and r["attributes"]["ApproximateReceiveCount"] == "1"]}
'''}))
    status, made = raw("POST", MAPPINGS, {
        "EventSourceArn": queue, "FunctionName": function, "MetricsConfig": {"Metrics": ["EventCount"]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"body":["good","bad"]}'}]}})
    assert status == 202
    name = queue.rsplit(":", 1)[1]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": body}
                                                  for i, body in enumerate(["good", "good", "bad", "other"])])

    def counted(what):
        return server.metrics().get('mayfly_trigger_%s_messages_total{function="%s",queue="%s"}' % (
            what, function, name))

    eventually(lambda: counted("deleted") == 3, lambda: {k: v for k, v in server.metrics().items() if name in k},
               timeout=40)
    assert [counted(w) for w in ("polled", "filtered", "invoked", "failed", "on_failure", "dead_lettered")] == [
        5, 1, 4, 1, 0, 0]
    raw("DELETE", MAPPINGS + made["UUID"])


def test_what_is_not_served_is_refused(raw, function, functions):
    configuration = f"/2015-03-31/functions/{function}/configuration"
    for member, value in (("CapacityProviderConfig", {"LambdaManagedInstancesCapacityProviderConfig": {}}),
                          ("DurableConfig", {"ExecutionTimeout": 5})):
        error, why = raw("PUT", configuration, {member: value})
        assert error == INVALID and why.startswith(member + " is not served"), why
    new = {"FunctionName": "members-" + uuid.uuid4().hex[:8], "Role": ROLE, "Runtime": "python3.12", "Handler": "a.b",
           "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}
    for member, value in (("TenancyConfig", {"TenantIsolationMode": "PER_TENANT"}), ("PublishTo", "LATEST_PUBLISHED"),
                          ("CodeSigningConfigArn", "arn:aws:lambda:us-east-1:0:code-signing-config:csc-0")):
        error, why = raw("POST", "/2015-03-31/functions", {**new, member: value})
        assert error == INVALID and why.startswith(member + " is not served"), why
    for path, method in ((f"/2015-03-31/functions/{function}/code", "PUT"),
                         (f"/2015-03-31/functions/{function}/versions", "POST")):
        error, why = raw(method, path, {"PublishTo": "LATEST_PUBLISHED"})
        assert error == INVALID and "PublishTo" in why
    for operation in ("2015-03-31/functions/%s/invocations", "2021-11-15/functions/%s/response-streaming-invocations"):
        error, why = raw("POST", "/" + operation % function, {}, {"X-Amz-Tenant-Id": "t"})
        assert error == INVALID and "not enabled with tenancy configuration" in why
        error, why = raw("POST", "/" + operation % function, {}, {"X-Amz-Durable-Execution-Name": "n"})
        assert error == INVALID and "DurableExecutionName" in why


def test_keys_of_code_and_permissions_are_kept(raw, function, functions):
    code = f"/2015-03-31/functions/{function}/code"
    archive = base64.b64encode(zip_bytes({"app.py": "def handler(e, c): return 1"})).decode()
    key = "arn:aws:kms:us-east-1:000000000000:key/a"
    assert raw("PUT", code, {"ZipFile": archive, "SourceKMSKeyArn": "mine"})[0] == "ValidationException"
    assert raw("PUT", code, {"ZipFile": archive, "SourceKMSKeyArn": key})[0] == 200
    get = f"/2015-03-31/functions/{function}"
    assert raw("GET", get)[1]["Code"]["SourceKMSKeyArn"] == key
    functions.update_function_configuration(FunctionName=function, KMSKeyArn=key)
    assert raw("GET", get)[1]["Configuration"]["KMSKeyArn"] == key
    functions.update_function_configuration(FunctionName=function, KMSKeyArn="")
    told = raw("GET", get)[1]
    assert "KMSKeyArn" not in told["Configuration"] and told["Code"]["SourceKMSKeyArn"] == key
    assert raw("PUT", code, {"ZipFile": archive})[0] == 200
    assert "SourceKMSKeyArn" not in raw("GET", get)[1]["Code"]
    status, told = raw("POST", f"/2015-03-31/functions/{function}/policy", {
        "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": True})
    assert status == 201
    assert json.loads(told["Statement"])["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
