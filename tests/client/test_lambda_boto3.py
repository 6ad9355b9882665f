"""Lambda's control API by Debian's boto3: shapes, statuses, error types, waiters, paging."""

import base64
import concurrent.futures
import hashlib
import json
import os
import re
import urllib.error
import urllib.request

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from harness import eventually, zip_bytes  # noqa: E402

ROLE = "arn:aws:iam::000000000000:role/any"
ECHO = """
import os
def handler(event, context):
    print("said", event.get("say"))
    if event.get("fail"):
        raise ValueError("no " + event["fail"])
    return {"event": event, "version": context.function_version, "stage": os.environ.get("STAGE"),
            "client": getattr(context.client_context, "custom", None)}
"""


@pytest.fixture
def made(functions, name):
    def make(source=ECHO, name=name, **more):
        options = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE, **more}
        return functions.create_function(FunctionName=name, Code={"ZipFile": zip_bytes({"app.py": source})}, **options)
    yield make
    for version in functions.get_paginator("list_functions").paginate().search("Functions[].FunctionName"):
        if version and version.startswith(name):
            functions.delete_function(FunctionName=version)


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Message"], answer
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def invoked(functions, name, event=None, **more):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    return answer, json.loads(answer["Payload"].read())


def test_model_and_reference_agree():
    """docs/reference/lambda.md has every operation of boto3's model; a unit test holds it against the server's."""
    import botocore.session
    here = os.path.dirname(os.path.abspath(__file__))
    text = open(os.path.join(here, "../../docs/reference/lambda.md")).read()
    def shape(path):
        return re.sub(r"{\w+", "{", path.rstrip("/"))  # the names of labels differ between versions
    rows = {name: (method, shape(path), int(status)) for name, method, path, status in
            re.findall(r"^\| (\w+) \| (\w+) `([^`]+)` \| (\d+) \|", text, re.M)}
    model = botocore.session.get_session().get_service_model("lambda")
    for name in model.operation_names:
        http = model.operation_model(name).http
        wanted = (http["method"], shape(http["requestUri"]), http.get("responseCode", 200))
        if name == "DeleteFunction":
            wanted = wanted[:2] + (204,)
        assert rows[name] == wanted, name


def test_life_of_a_function(functions, made, name):
    code = zip_bytes({"app.py": ECHO})
    created = made(Description="d", Timeout=5, MemorySize=256, Environment={"Variables": {"STAGE": "test"}},
                   Tags={"team": "a"}, TracingConfig={"Mode": "Active"}, Architectures=["arm64"])
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    digest = base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert created["CodeSha256"] == digest and created["CodeSize"] == len(code)
    assert created["FunctionArn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert created["Runtime"] == "python3.12" and created["Version"] == "$LATEST" and created["Role"] == ROLE
    assert created["TracingConfig"] == {"Mode": "Active"} and created["Architectures"] == ["arm64"]
    assert refused(made) == ("ResourceConflictException", 409)

    for waiter in ("function_exists", "function_active", "function_updated", "function_active_v2"):
        functions.get_waiter(waiter).wait(FunctionName=name)
    got = functions.get_function(FunctionName=created["FunctionArn"])
    assert got["Tags"] == {"team": "a"} and "Concurrency" not in got
    link = got["Code"]["Location"]
    assert urllib.request.urlopen(link, timeout=20).read() == code
    with pytest.raises(urllib.error.HTTPError) as bent:
        urllib.request.urlopen(link.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"), timeout=20)
    assert bent.value.code == 403

    answer, value = invoked(functions, name, {"say": "hi"}, LogType="Tail",
                            ClientContext=base64.b64encode(b'{"custom":{"a":"b"}}').decode())
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
    assert value["event"] == {"say": "hi"} and value["stage"] == "test" and value["client"] == {"a": "b"}
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "said hi" in log and log.startswith("START RequestId: ") and "REPORT RequestId: " in log, log

    changed = functions.update_function_configuration(
        FunctionName=name, Timeout=9, Environment={"Variables": {"STAGE": "two"}}, RevisionId=created["RevisionId"])
    assert changed["Timeout"] == 9 and changed["MemorySize"] == 256 and changed["RevisionId"] != created["RevisionId"]
    assert invoked(functions, name)[1]["stage"] == "two"
    assert refused(functions.update_function_configuration, FunctionName=name, Timeout=3,
                   RevisionId=created["RevisionId"]) == ("PreconditionFailedException", 412)

    other = zip_bytes({"app.py": "def handler(event, context): return 'other'"})
    dry = functions.update_function_code(FunctionName=name, ZipFile=other, DryRun=True)
    assert dry["CodeSha256"] != digest
    assert functions.get_function_configuration(FunctionName=name)["CodeSha256"] == digest
    updated = functions.update_function_code(FunctionName=name, ZipFile=other, Publish=True)
    assert updated["Version"] == "1" and updated["FunctionArn"].endswith(":1")
    assert invoked(functions, name)[1] == "other"
    assert functions.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(functions.get_function, FunctionName=name) == ("ResourceNotFoundException", 404)


def test_errors_have_their_types(account, functions, made, name):
    made()
    invalid, validation = ("InvalidParameterValueException", 400), ("ValidationException", 400)
    missing = ("ResourceNotFoundException", 404)
    from botocore.config import Config
    careless = account.boto("lambda", config=Config(parameter_validation=False))  # which checks nothing by itself
    create = careless.create_function
    good = {"FunctionName": name + "-x", "Runtime": "python3.11", "Handler": "a.b", "Role": ROLE}
    assert refused(create, **good, Code={"ZipFile": b"no zip"}) == invalid
    assert refused(create, **good, Code={"S3Bucket": "bucket", "S3Key": "k"}) == invalid
    assert refused(create, **{**good, "Runtime": "cobol"}, Code={"ZipFile": zip_bytes({"app.py": ECHO})}) == invalid
    assert refused(create, **good, Code={"ZipFile": zip_bytes({"app.py": ECHO})}, Timeout=901) == validation
    assert refused(create, **good, Code={"ZipFile": zip_bytes({"app.py": ECHO})}, MemorySize=64) == validation
    assert refused(create, **good, Code={"ZipFile": zip_bytes({"app.py": ECHO})},
                   Environment={"Variables": {"A": "x" * 5000}}) == invalid
    assert refused(create, **good, Code={"ZipFile": zip_bytes({"app.py": ECHO})},
                   Environment={"Variables": {"AWS_REGION": "x"}}) == invalid
    assert refused(create, FunctionName=name + "-x", Role=ROLE, PackageType="Image",
                   Code={"ImageUri": "x"}) == invalid
    assert refused(functions.invoke, FunctionName=name, Payload=b"{no") == ("InvalidRequestContentException", 400)
    assert refused(functions.invoke, FunctionName=name + "-none") == missing
    assert refused(functions.invoke, FunctionName=name, Qualifier="7") == missing
    assert refused(functions.invoke, FunctionName=name, Payload=b'"' + b"x" * (6 << 20) + b'"') == (
        "RequestTooLargeException", 413)
    assert refused(functions.invoke, FunctionName=name, InvocationType="Event",
                   Payload=b'"' + b"x" * (1 << 20) + b'"') == ("RequestTooLargeException", 413)
    assert refused(functions.delete_function, FunctionName=name, Qualifier="$LATEST") == invalid
    assert refused(careless.list_functions, MaxItems=10_001) == validation
    assert refused(functions.list_code_signing_configs) == ("NotImplementedException", 501)
    assert refused(functions.get_event_source_mapping, UUID="none") == missing


def test_function_errors_are_answers(functions, made, name):
    made(Timeout=1)
    answer, value = invoked(functions, name, {"fail": "way"}, LogType="Tail")
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled"
    assert value["errorType"] == "ValueError" and value["errorMessage"] == "no way" and value["stackTrace"]
    assert b"said None" in base64.b64decode(answer["LogResult"])
    made("import threading\ndef handler(event, context): threading.Event().wait(30)", name=name + "-slow", Timeout=1)
    answer, value = invoked(functions, name + "-slow", LogType="Tail")
    assert answer["FunctionError"] == "Unhandled" and value["errorType"] == "Sandbox.Timedout"
    assert value["errorMessage"].endswith(" Error: Task timed out after 1.00 seconds"), value
    assert b" Task timed out after 1.00 seconds\n\nEND RequestId: " in base64.b64decode(answer["LogResult"])
    made("import os\ndef handler(event, context): os._exit(3)", name=name + "-exit")
    answer, value = invoked(functions, name + "-exit")
    assert answer["FunctionError"] == "Unhandled" and value["errorType"] == "Runtime.ExitError"
    assert value["errorMessage"].endswith("Error: Runtime exited with error: exit status 3"), value
    # What does not start is taken, and its call says why.
    made("raise RuntimeError('not today')", name=name + "-broken")
    answer, value = invoked(functions, name + "-broken")
    assert answer["FunctionError"] == "Unhandled" and "not today" in value["errorMessage"], value


def test_event_and_dry_run(functions, made, sqs, name):
    made(Timeout=10)
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    config = functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=120,
        DestinationConfig={"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": arn}})
    assert config["MaximumRetryAttempts"] == 0 and config["DestinationConfig"]["OnSuccess"]["Destination"] == arn
    assert functions.get_function_event_invoke_config(FunctionName=name)["MaximumEventAgeInSeconds"] == 120
    changed = functions.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    assert changed["MaximumRetryAttempts"] == 1 and changed["MaximumEventAgeInSeconds"] == 120
    assert len(functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]) == 1
    answer = functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"say":"later"}')
    assert answer["StatusCode"] == 202
    got = []

    def there():
        got.extend(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []))
        return got
    eventually(there, "the record of the call", timeout=20)
    record = json.loads(got[0]["Body"])
    assert record["requestPayload"] == {"say": "later"} and record["responsePayload"]["event"] == {"say": "later"}
    assert functions.invoke_async(FunctionName=name, InvokeArgs=b"{}")["Status"] == 202
    functions.delete_function_event_invoke_config(FunctionName=name)
    assert refused(functions.get_function_event_invoke_config, FunctionName=name) == (
        "ResourceNotFoundException", 404)
    sqs.delete_queue(QueueUrl=url)


def test_versions_and_aliases(functions, made, name):
    made()
    one = functions.publish_version(FunctionName=name, Description="first")
    assert one["Version"] == "1" and one["Description"] == "first"
    assert functions.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"STAGE": "b"}})
    assert functions.publish_version(FunctionName=name)["Version"] == "2"
    versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2"]
    pages = functions.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 1})
    assert [v["Version"] for page in pages for v in page["Versions"]] == ["$LATEST", "1", "2"]
    assert refused(functions.publish_version, FunctionName=name, CodeSha256="x") == (
        "InvalidParameterValueException", 400)

    live = functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="d")
    assert live["AliasArn"].endswith(f":{name}:live") and live["FunctionVersion"] == "1"
    assert refused(functions.create_alias, FunctionName=name, Name="live", FunctionVersion="1") == (
        "ResourceConflictException", 409)
    assert refused(functions.create_alias, FunctionName=name, Name="9", FunctionVersion="1") == (
        "ValidationException", 400)
    assert refused(functions.create_alias, FunctionName=name, Name="x", FunctionVersion="9") == (
        "ResourceNotFoundException", 404)
    answer, value = invoked(functions, name, Qualifier="live")
    assert answer["ExecutedVersion"] == "1" and value["version"] == "1" and value["stage"] is None
    assert invoked(functions, name + ":live")[0]["ExecutedVersion"] == "1"
    moved = functions.update_alias(FunctionName=name, Name="live", RevisionId=live["RevisionId"],
                                   RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert moved["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    seen = {invoked(functions, name, Qualifier="live")[0]["ExecutedVersion"] for _ in range(40)}
    assert seen == {"1", "2"}
    assert refused(functions.update_alias, FunctionName=name, Name="live", Description="x",
                   RevisionId=live["RevisionId"]) == ("PreconditionFailedException", 412)
    assert refused(functions.delete_function, FunctionName=name, Qualifier="1") == (
        "ResourceConflictException", 409)
    assert [a["Name"] for a in functions.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    assert functions.list_aliases(FunctionName=name, FunctionVersion="2")["Aliases"] == []
    functions.delete_alias(FunctionName=name, Name="live")
    assert refused(functions.get_alias, FunctionName=name, Name="live") == ("ResourceNotFoundException", 404)
    functions.delete_function(FunctionName=name, Qualifier="1")
    assert [v["Version"] for v in functions.list_versions_by_function(FunctionName=name)["Versions"]] == [
        "$LATEST", "2"]


def test_paging_and_seen_from_both_sides(functions, made, server, name, tmp_path):
    for suffix in ("-c", "-a", "-b"):
        made(name=name + suffix)
    pages = list(functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}))
    mine = [f["FunctionName"] for page in pages for f in page["Functions"] if f["FunctionName"].startswith(name)]
    assert mine == [name + s for s in ("-a", "-b", "-c")]
    assert name + "-a" in server.cli("ls", "--json").out.decode()
    assert b'"say"' in server.cli("invoke", name + "-a", "--data", '{"say":1}').out
    folder = tmp_path / "native"
    folder.mkdir()
    (folder / "app.py").write_text(ECHO)
    server.deploy(str(folder), "--name", name + "-native")
    got = functions.get_function_configuration(FunctionName=name + "-native")
    assert got["Runtime"].startswith("python3.") and got["CodeSize"] > 0 and got["MemorySize"] == 128
    assert invoked(functions, name + "-native", {"x": 1})[1]["event"] == {"x": 1}


def test_limits_tags_and_policy(functions, made, name):
    arn = made()["FunctionArn"]
    assert functions.put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0)["ReservedConcurrentExecutions"] == 0
    assert functions.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName=name)
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]
    functions.delete_function_concurrency(FunctionName=name)
    assert invoked(functions, name)[0]["StatusCode"] == 200

    made("import threading\ndef handler(event, context): threading.Event().wait(3)", name=name + "-slow", Timeout=20)
    functions.put_function_concurrency(FunctionName=name + "-slow", ReservedConcurrentExecutions=2)

    def status(_):
        try:
            return functions.invoke(FunctionName=name + "-slow")["StatusCode"]
        except ClientError as refusal:
            return refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(status, range(5))) == [200, 200, 429, 429, 429]
    assert status(0) == 200, "its place was given back"

    functions.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    functions.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"b": "2"}

    assert refused(functions.get_policy, FunctionName=name) == ("ResourceNotFoundException", 404)
    statement = json.loads(functions.add_permission(
        FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::bucket")["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"} and statement["Resource"] == arn
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}
    policy = functions.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"])["Statement"] == [statement]
    assert refused(functions.add_permission, FunctionName=name, StatementId="s3", Action="lambda:*",
                   Principal="*") == ("ResourceConflictException", 409)
    functions.remove_permission(FunctionName=name, StatementId="s3", RevisionId=policy["RevisionId"])
    assert refused(functions.get_policy, FunctionName=name) == ("ResourceNotFoundException", 404)
    limits = functions.get_account_settings()
    assert limits["AccountLimit"]["ConcurrentExecutions"] >= 1 and limits["AccountUsage"]["FunctionCount"] >= 1
    assert functions.get_function_code_signing_config(FunctionName=name)["FunctionName"] == name


def test_event_source_mapping(functions, made, sqs, name):
    made("import json\ndef handler(event, context):\n    print('got', [r['body'] for r in event['Records']])\n")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    known = functions.meta.service_model.operation_model("CreateEventSourceMapping").input_shape.members
    scaling = {"ScalingConfig": {"MaximumConcurrency": 2}} if "ScalingConfig" in known else {}  # newer boto3 has it
    made_mapping = functions.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, BatchSize=5, FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": '{"body":{"k":["v"]}}'}]}, **scaling)
    assert made_mapping["ResponseMetadata"]["HTTPStatusCode"] == 202 and made_mapping["State"] == "Creating"
    uuid = made_mapping["UUID"]
    got = functions.get_event_source_mapping(UUID=uuid)
    assert got["State"] == "Enabled" and got["BatchSize"] == 5 and got["EventSourceArn"] == arn
    assert got["FilterCriteria"]["Filters"][0]["Pattern"] == '{"body":{"k":["v"]}}'
    assert got.get("ScalingConfig", {}) == scaling.get("ScalingConfig", {}) and got["LastModified"].year > 2000
    assert refused(functions.create_event_source_mapping, EventSourceArn=arn, FunctionName=name) == (
        "ResourceConflictException", 409)
    assert refused(functions.create_event_source_mapping, EventSourceArn=arn + "-none", FunctionName=name) == (
        "InvalidParameterValueException", 400)
    sqs.send_message(QueueUrl=url, MessageBody='{"k":"v"}')
    eventually(lambda: functions.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] != "No records processed",
               "a batch", timeout=20)
    off = functions.update_event_source_mapping(UUID=uuid, Enabled=False, BatchSize=1)
    assert off["State"] == "Updating"
    assert functions.get_event_source_mapping(UUID=uuid)["State"] == "Disabled"
    listed = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    assert [m["UUID"] for m in listed] == [uuid]
    mapping_arn = "%s:event-source-mapping:%s" % (arn.rsplit(":", 1)[0].replace(":sqs:", ":lambda:"), uuid)
    functions.tag_resource(Resource=mapping_arn, Tags={"team": "shop", "tier": "1"})
    functions.untag_resource(Resource=mapping_arn, TagKeys=["tier", "missing"])
    assert functions.list_tags(Resource=mapping_arn)["Tags"] == {"team": "shop"}
    assert functions.get_event_source_mapping(UUID=uuid)["State"] == "Disabled" and functions.list_tags(
        Resource=made_mapping["FunctionArn"]).get("Tags", {}) == {}
    assert refused(functions.tag_resource, Resource=mapping_arn + "0", Tags={"a": "b"}) == (
        "ResourceNotFoundException", 404)
    assert refused(functions.tag_resource, Resource=mapping_arn, Tags={"": "b"}) == (
        "InvalidParameterValueException", 400)
    assert functions.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert refused(functions.get_event_source_mapping, UUID=uuid) == ("ResourceNotFoundException", 404)
    sqs.delete_queue(QueueUrl=url)


def test_who_am_i(account):
    who = account.boto("sts").get_caller_identity()
    assert who["Account"] == "000000000000" and who["UserId"] == account.id
    assert who["Arn"] == f"arn:aws:iam::000000000000:user/{account.id}"


def test_logs(functions, made, account, name):
    made()
    logs = account.boto("logs")
    for word in ("alpha", "beta"):
        invoked(functions, name, {"say": word})
    group = "/aws/lambda/" + name
    assert [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]] == [group]

    def said(**more):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **more)
        return [e["message"] for page in pages for e in page["events"] if e["message"].startswith("said")]
    eventually(lambda: len(said()) == 2, "both lines", timeout=20)
    assert said() == ["said alpha", "said beta"]
    assert said(filterPattern='"said alpha"') == ["said alpha"] and said(filterPattern="said -alpha") == ["said beta"]
    assert said(PaginationConfig={"PageSize": 1}) == ["said alpha", "said beta"]
    streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)["logStreams"]
    assert streams and "[$LATEST]" in streams[0]["logStreamName"]
    got = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
    assert any(e["message"].startswith("said") for e in got["events"])
    more = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"],
                               nextToken=got["nextForwardToken"])
    assert more["events"] == [] and more["nextForwardToken"] == got["nextForwardToken"]
    assert refused(logs.filter_log_events, logGroupName=group + "-none") == ("ResourceNotFoundException", 400)
    assert refused(logs.filter_log_events, logGroupName=group, filterPattern="{ $.a = 1 }") == (
        "InvalidParameterException", 400)


def ready(functions, name, qualifier):
    def look():
        config = functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        assert config["Status"] in ("READY", "IN_PROGRESS"), config
        return config["Status"] == "READY" and config
    return eventually(look, "instances that stand ready", timeout=40)


def test_provisioned_concurrency_lasts(make_server, name):
    from conftest import Account
    server = make_server()
    functions = Account(server).boto("lambda")
    source = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"
    functions.create_function(FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE,
                              Code={"ZipFile": zip_bytes({"app.py": source})}, Publish=True)
    assert invoked(functions, name)[1] == "on-demand"
    put = functions.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202 and put["RequestedProvisionedConcurrentExecutions"] == 2
    assert ready(functions, name, "1")["AvailableProvisionedConcurrentExecutions"] == 2
    assert refused(functions.put_provisioned_concurrency_config, FunctionName=name, Qualifier="$LATEST",
                   ProvisionedConcurrentExecutions=1) == ("InvalidParameterValueException", 400)
    assert refused(functions.get_provisioned_concurrency_config, FunctionName=name, Qualifier="$LATEST") == (
        "ProvisionedConcurrencyConfigNotFoundException", 404)
    answer, value = invoked(functions, name, Qualifier="1")
    assert value == "provisioned-concurrency" and answer["ExecutedVersion"] == "1"
    server.restart()
    functions = Account(server).boto("lambda")
    # They are there before anybody calls.
    ready(functions, name, "1")
    pages = functions.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name)
    rows = [row for page in pages for row in page["ProvisionedConcurrencyConfigs"]]
    assert [row["FunctionArn"].rsplit(":", 1)[1] for row in rows] == ["1"]
    functions.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert refused(functions.get_provisioned_concurrency_config, FunctionName=name, Qualifier="1") == (
        "ProvisionedConcurrencyConfigNotFoundException", 404)


def test_event_invoke_config_of_an_alias(functions, made, sqs, name):
    made(Publish=True, Timeout=10)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    put = functions.put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=0,
                                                     DestinationConfig={"OnFailure": {"Destination": arn}})
    assert put["FunctionArn"].endswith(f":{name}:live") and put["MaximumRetryAttempts"] == 0
    assert refused(functions.get_function_event_invoke_config, FunctionName=name) == ("ResourceNotFoundException", 404)
    functions.invoke(FunctionName=name, Qualifier="live", InvocationType="Event", Payload=b'{"fail":"by alias"}')
    got = []

    def there():
        got.extend(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []))
        return got
    eventually(there, "the record of the failure", timeout=20)
    record = json.loads(got[0]["Body"])
    assert record["requestPayload"] == {"fail": "by alias"}
    assert record["responsePayload"]["errorMessage"] == "no by alias"
    sqs.delete_queue(QueueUrl=url)
