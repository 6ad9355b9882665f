"""Roles, as deployment tools make them before a function: by boto3 and the AWS CLI."""

import json
import os
import shutil
import uuid

import pytest

from harness import run

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

AWS = "/usr/bin/aws" if os.access("/usr/bin/aws", os.X_OK) else shutil.which("aws")
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                                                 "Action": "sts:AssumeRole"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def iam(account):
    return account.boto("iam")


@pytest.fixture
def role(iam):
    name = "role-" + uuid.uuid4().hex[:10]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Description="of a test",
                    Tags=[{"Key": "team", "Value": "a & b"}])
    yield name


def refused(call, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error


def test_a_role_is_made_used_and_removed(iam, functions, role):
    got = iam.get_role(RoleName=role)["Role"]
    assert got["Arn"] == f"arn:aws:iam::000000000000:role/{role}" and got["RoleId"].startswith("AROA")
    assert got["AssumeRolePolicyDocument"] == TRUST and got["Description"] == "of a test"
    assert got["Tags"] == [{"Key": "team", "Value": "a & b"}] and got["MaxSessionDuration"] == 3600
    assert role in [one["RoleName"] for page in iam.get_paginator("list_roles").paginate(
        PaginationConfig={"PageSize": 1}) for one in page["Roles"]]
    iam.get_waiter("role_exists").wait(RoleName=role)

    iam.attach_role_policy(RoleName=role, PolicyArn=BASIC)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == [
        {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    document = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=json.dumps(document))
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["inline"]
    assert iam.get_role_policy(RoleName=role, PolicyName="inline")["PolicyDocument"] == document
    iam.tag_role(RoleName=role, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName=role, TagKeys=["team"])
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.update_role(RoleName=role, Description="other", MaxSessionDuration=7200)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps({"Statement": []}))
    got = iam.get_role(RoleName=role)["Role"]
    assert (got["Description"], got["MaxSessionDuration"], got["AssumeRolePolicyDocument"]) == (
        "other", 7200, {"Statement": []})
    assert iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"] == []

    refused(iam.delete_role, "DeleteConflict", 409, RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=BASIC)
    refused(iam.delete_role, "DeleteConflict", 409, RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="inline")
    iam.delete_role(RoleName=role)
    refused(iam.get_role, "NoSuchEntity", 404, RoleName=role)


def test_refusals(iam, role):
    trust = json.dumps(TRUST)
    refused(iam.create_role, "EntityAlreadyExists", 409, RoleName=role, AssumeRolePolicyDocument=trust)
    refused(iam.create_role, "MalformedPolicyDocument", 400, RoleName=role + "x", AssumeRolePolicyDocument="{no")
    refused(iam.create_role, "ValidationError", 400, RoleName="a/b", AssumeRolePolicyDocument=trust)
    refused(iam.create_role, "ValidationError", 400, RoleName=role + "x", AssumeRolePolicyDocument=trust, Path="x")
    refused(iam.attach_role_policy, "ValidationError", 400, RoleName=role, PolicyArn="arn:aws:iam::aws:other/xxxxxxx")
    refused(iam.detach_role_policy, "NoSuchEntity", 404, RoleName=role, PolicyArn=BASIC)
    refused(iam.get_role_policy, "NoSuchEntity", 404, RoleName=role, PolicyName="none")
    refused(iam.tag_role, "LimitExceeded", 409, RoleName=role,
            Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)])
    iam.delete_role(RoleName=role)


def test_by_the_command_line(account, iam, role, server):
    if not AWS:
        pytest.skip("awscli is not installed")
    done = run([AWS, "--endpoint-url", account.url, "iam", "get-role", "--role-name", role], env=account.env, check=0)
    assert json.loads(done.out)["Role"]["AssumeRolePolicyDocument"] == TRUST
    iam.delete_role(RoleName=role)
