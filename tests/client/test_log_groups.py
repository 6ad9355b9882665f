"""Log groups as deployment tools make them, before and after the function that they are of."""

import uuid

import pytest

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from harness import eventually, zip_bytes  # noqa: E402

ROLE = "arn:aws:iam::000000000000:role/any"


@pytest.fixture
def logs(account):
    return account.boto("logs")


def refused(call, code, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response


def test_a_group_is_made_before_its_function(logs, functions):
    name = "g" + uuid.uuid4().hex[:10]
    group = "/aws/lambda/" + name
    refused(logs.put_retention_policy, "ResourceNotFoundException", logGroupName=group, retentionInDays=7)
    logs.create_log_group(logGroupName=group, tags={"team": "a"})
    refused(logs.create_log_group, "ResourceAlreadyExistsException", logGroupName=group)
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    refused(logs.put_retention_policy, "InvalidParameterException", logGroupName=group, retentionInDays=8)
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [(g["logGroupName"], g["retentionInDays"]) for g in found] == [(group, 7)]
    arn = found[0]["arn"].removesuffix(":*")
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"team": "a"}
    if hasattr(logs, "list_tags_for_resource"):
        logs.tag_resource(resourceArn=arn, tags={"b": "2"})
        logs.untag_resource(resourceArn=arn, tagKeys=["team"])
        assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []
    assert logs.filter_log_events(logGroupName=group)["events"] == []

    functions.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={
        "ZipFile": zip_bytes({"app.py": "def handler(event, context):\n    print('a line')\n"})})
    functions.invoke(FunctionName=name)

    def messages():
        return [e["message"] for e in logs.filter_log_events(logGroupName=group, filterPattern="line")["events"]]
    eventually(lambda: [m.strip() for m in messages()] == ["a line"], lambda: str(messages()))
    assert len(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]) == 1
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    functions.delete_function(FunctionName=name)
    logs.delete_log_group(logGroupName=group)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    refused(logs.delete_log_group, "ResourceNotFoundException", logGroupName=group)


def test_groups_of_other_names_are_empty(logs):
    group = "/vendor/" + uuid.uuid4().hex[:10]
    logs.create_log_group(logGroupName=group)
    assert logs.filter_log_events(logGroupName=group)["events"] == []
    refused(logs.create_log_group, "InvalidParameterException", logGroupName="a b")
    logs.delete_log_group(logGroupName=group)
