"""Functions that use the server's services from inside, over a kill -9 of the server."""

import pytest

from account import Account
from harness import eventually, process_table
from test_inside import PYTHON, ask

pytest.importorskip("boto3", reason="python3-boto3 is not installed")

# Hands each message on by its own clients; with the first it waits, connected, until the server has been killed.
WORKER = '''
import os
import boto3
sqs, s3 = boto3.client("sqs"), boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        body = record["body"]
        if record["attributes"]["ApproximateReceiveCount"] == "1" and body == "slow":
            s3.put_object(Bucket=os.environ["BUCKET"], Key="began", Body=b"")
            sqs.receive_message(QueueUrl=os.environ["OUT_QUEUE"], WaitTimeSeconds=20)
        sqs.send_message(QueueUrl=os.environ["OUT_QUEUE"], MessageBody="did " + body)
'''


def alive(seen):
    """Of {pid: start}, what still runs."""
    table = process_table()
    return [pid for pid, start in seen.items() if pid in table and table[pid][1] == start and table[pid][2] != "Z"]


def url_of(account, queue):
    return account.boto().get_queue_url(QueueName=queue)["QueueUrl"]


def test_credentials_and_services_survive_a_kill(make_server):
    server = make_server()
    account = Account(server)
    bucket, out, work = "kill-bucket", "kill-out", "kill-work"
    account.boto().create_queue(QueueName=out)
    account.boto().create_queue(QueueName=work, Attributes={"VisibilityTimeout": "1"})
    account.boto("s3").create_bucket(Bucket=bucket)
    server.deploy_source("kill-user", "user.py", PYTHON, "--env", "AT_INIT=1")
    server.deploy_source("kill-booted", "user.py", PYTHON, "--snapshot", "off")
    server.deploy_source("kill-worker", "worker.py", WORKER, "--env", f"BUCKET={bucket}", "--env", f"OUT_QUEUE={out}",
                         "--timeout", "9")
    server.cli("trigger", "create", work, "kill-worker", check=0)
    before = ask(server, "kill-user", "env")
    assert ask(server, "kill-booted", "bucket", bucket=bucket, key="k", text="t")["got"] == "t"
    arguments = {"Bucket": bucket, "Key": "kept", "Body": "of before"}
    assert "ETag" in ask(server, "kill-user", "call", service="s3", method="put_object", arguments=arguments)
    account.boto().send_message(QueueUrl=url_of(account, work), MessageBody="slow")
    # The worker is in the middle of a message: what it had done by then is durable.
    objects = account.boto("s3")
    eventually(lambda: "began" in [o["Key"] for o in objects.list_objects_v2(Bucket=bucket).get("Contents", [])],
               "the worker to begin", timeout=30)

    server.census.watch(server.pid)
    instances = dict(server.census.seen)
    assert len(alive(instances)) >= 3
    server.kill()
    eventually(lambda: not alive(instances), lambda: f"still there: {alive(instances)}", timeout=20)

    server.start()
    account = Account(server)
    # The key pair that the function had goes on working for it, and for nobody else.
    own = {"aws_access_key_id": before["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": before["AWS_SECRET_ACCESS_KEY"],
           "aws_session_token": before["AWS_SESSION_TOKEN"]}
    role = "arn:aws:sts::000000000000:assumed-role/kill-user/kill-user"
    assert ask(server, "kill-user", "who")["Arn"] == role
    told = ask(server, "kill-user", "call", service="sts", method="get_caller_identity", credentials=own)
    assert told.get("Arn") == role, told
    told = ask(server, "kill-booted", "call", service="sts", method="get_caller_identity", credentials=own)
    assert told["code"] == "InvalidClientTokenId"
    # Every service that it used is there with what was acknowledged.
    answer = ask(server, "kill-booted", "call", service="s3", method="list_objects_v2", arguments={"Bucket": bucket})
    assert {o["Key"] for o in answer["Contents"]} == {"kept", "began"}
    another = "kill-another"
    account.boto().create_queue(QueueName=another)
    assert ask(server, "kill-user", "queue", queue=another, text="again")["seen"] == ["again", "again!"]
    # The message that was under way comes again when its time is over, and is handed on through a queue.
    got = []

    def handed_on():
        for message in account.boto().receive_message(QueueUrl=url_of(account, out), WaitTimeSeconds=1).get("Messages", []):
            got.append(message["Body"])
        return got == ["did slow"]

    eventually(handed_on, lambda: f"the worker's message, not {got}", timeout=90)
    assert server.stop() == 0
