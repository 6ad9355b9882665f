"""SQS by Debian's boto3: the query protocol. boto3 itself compares the MD5s of what it sends and gets."""

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from harness import MAYFLY, eventually, run  # noqa: E402


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def queue(sqs, name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def test_send_receive_delete(sqs, queue, account):
    body = "hé <&> \"quoted\" ✓ \t\r\n end"
    attributes = {"text": {"DataType": "String", "StringValue": "ü & <x>"},
                  "number": {"DataType": "Number.int", "StringValue": "-12"},
                  "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))}}
    sent = sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes,
                            MessageSystemAttributes={"AWSTraceHeader": {
                                "DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}})
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert "MD5OfMessageSystemAttributes" in sent
    got = sqs.receive_message(QueueUrl=queue, AttributeNames=["All"], MessageAttributeNames=["All"],
                              WaitTimeSeconds=5)["Messages"]
    assert len(got) == 1 and got[0]["Body"] == body and got[0]["MessageId"] == sent["MessageId"]
    assert got[0]["MessageAttributes"] == attributes
    assert got[0]["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got[0]["Attributes"]["SenderId"] == account.id
    assert got[0]["Attributes"]["AWSTraceHeader"].startswith("Root=1-")
    assert got[0]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=got[0]["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=got[0]["ReceiptHandle"])
    assert sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"][
        "ApproximateNumberOfMessagesNotVisible"] == "0"


def test_batches(sqs, queue):
    sent = sqs.send_message_batch(QueueUrl=queue, Entries=[
        {"Id": str(i), "MessageBody": f"m{i}", "MessageAttributes": {
            "n": {"DataType": "Number", "StringValue": str(i)}}} for i in range(10)])
    assert len(sent["Successful"]) == 10 and "Failed" not in sent
    held = []
    while len(held) < 10:
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
        held += got
    assert {m["Body"] for m in held} == {f"m{i}" for i in range(10)}
    changed = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=[
        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0}
        for i, m in enumerate(held[:5])])
    assert len(changed["Successful"]) == 5
    removed = sqs.delete_message_batch(QueueUrl=queue, Entries=[
        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(held[5:])]
        + [{"Id": "bad", "ReceiptHandle": "nonsense"}])
    assert len(removed["Successful"]) == 5
    assert removed["Failed"][0]["Id"] == "bad" and removed["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    assert code_of(sqs.send_message_batch, QueueUrl=queue, Entries=[]) == (
        "AWS.SimpleQueueService.EmptyBatchRequest", 400)
    assert code_of(sqs.send_message_batch, QueueUrl=queue, Entries=[
        {"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "y"}])[0] == (
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")


def test_long_polling_wakes(sqs, queue, account):
    got = []
    receiver = threading.Thread(target=lambda: got.append(
        account.boto().receive_message(QueueUrl=queue, WaitTimeSeconds=20)))
    began = time.monotonic()
    receiver.start()
    sqs.send_message(QueueUrl=queue, MessageBody="wake")
    receiver.join(timeout=15)
    assert got and got[0]["Messages"][0]["Body"] == "wake"
    assert time.monotonic() - began < 15


def test_queue_attributes_and_redrive(sqs, name):
    dead = sqs.create_queue(QueueName=name + "-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert arn == f"arn:aws:sqs:us-east-1:000000000000:{name}-dead"
    live = sqs.create_queue(QueueName=name, Attributes={
        "VisibilityTimeout": "0", "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})},
        tags={"team": "red", "empty": ""})["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=live)["Tags"] == {"team": "red", "empty": ""}
    sqs.untag_queue(QueueUrl=live, TagKeys=["empty"])
    assert sqs.list_queue_tags(QueueUrl=live)["Tags"] == {"team": "red"}
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [live]
    sqs.send_message(QueueUrl=live, MessageBody="poison")
    for _ in range(2):
        assert len(sqs.receive_message(QueueUrl=live, WaitTimeSeconds=5)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=live)
    letter = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], WaitTimeSeconds=5)["Messages"][0]
    assert letter["Body"] == "poison"
    assert code_of(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "1"}) == (
        "QueueAlreadyExists", 400)
    for url in (live, dead):
        sqs.delete_queue(QueueUrl=url)
    assert code_of(sqs.get_queue_url, QueueName=name) == ("AWS.SimpleQueueService.NonExistentQueue", 400)


def test_fifo(sqs, name):
    url = sqs.create_queue(QueueName=name + ".fifo", Attributes={
        "FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
    for i in range(5):
        for _ in range(2):
            sqs.send_message(QueueUrl=url, MessageBody=f"m{i}", MessageGroupId="g")
    seen = []
    for _ in range(5):
        message = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], WaitTimeSeconds=5)["Messages"][0]
        seen.append((message["Body"], message["Attributes"]["SequenceNumber"]))
        assert "Messages" not in sqs.receive_message(QueueUrl=url), "the group is not held"
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert [body for body, _ in seen] == [f"m{i}" for i in range(5)]
    assert [n for _, n in seen] == sorted(n for _, n in seen)
    sqs.delete_queue(QueueUrl=url)


def test_purge_and_pages(sqs, name):
    urls = [sqs.create_queue(QueueName=f"{name}-{i}")["QueueUrl"] for i in range(5)]
    paged = [url for page in sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix=name, PaginationConfig={"PageSize": 2}) for url in page["QueueUrls"]]
    assert paged == urls
    sqs.send_message(QueueUrl=urls[0], MessageBody="x")
    sqs.purge_queue(QueueUrl=urls[0])
    assert "Messages" not in sqs.receive_message(QueueUrl=urls[0])
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def test_permissions(sqs, queue):
    sqs.add_permission(QueueUrl=queue, Label="them", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    assert json.loads(policy)["Statement"][0]["Sid"] == "them"
    sqs.remove_permission(QueueUrl=queue, Label="them")


def test_signatures(server, account, queue, name):
    wrong = account.boto(aws_secret_access_key="x" * 40)
    assert code_of(wrong.list_queues) == ("SignatureDoesNotMatch", 403)
    unknown = account.boto(aws_access_key_id="AKIAAAAAAAAAAAAAAAAA")
    assert code_of(unknown.list_queues) == ("InvalidClientTokenId", 403)
    assert account.boto(region_name="eu-nowhere-7").list_queues()["QueueUrls"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(account.url + "/?Action=ListQueues&Version=2012-11-05")
    assert refused.value.code == 403 and b"<Code>MissingAuthenticationToken</Code>" in refused.value.read()
    # The native API's key opens nothing here, and the other way round.
    assert server.api("POST", "/", body="Action=ListQueues",
                      headers={"Content-Type": "application/x-www-form-urlencoded"}).status == 404
    made = run([MAYFLY, "keys", "create", "--name", name, "--json", "--data", server.data], check=0).json
    assert name in run([MAYFLY, "keys", "ls", "--data", server.data], check=0).out.decode()
    client = account.boto(aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"])
    client.list_queues()
    run([MAYFLY, "keys", "rm", made["access_key_id"], "--data", server.data], check=0)
    assert code_of(client.list_queues) == ("InvalidClientTokenId", 403)
    assert run([MAYFLY, "keys", "rm", made["access_key_id"], "--data", server.data]).code == 3


def test_presigned(sqs, queue):
    url = sqs.generate_presigned_url("send_message", Params={"QueueUrl": queue, "MessageBody": "by address"},
                                     ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        assert b"<SendMessageResult>" in answer.read()
    assert sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"][0]["Body"] == "by address"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url.replace("by%20address", "forged"))
    assert refused.value.code == 403


def test_settings_of_names(make_server, name):
    from conftest import Account
    server = make_server(config="engine:\n  account: '123456789012'\n  region: eu-west-3\n"
                                "aws:\n  url_base: http://queues.example.test\n")
    sqs = Account(server).boto()
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"http://queues.example.test/123456789012/{name}"
    arn = sqs.get_queue_attributes(QueueUrl=f"{server.api_url}/123456789012/{name}/",
                                   AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert arn == f"arn:aws:sqs:eu-west-3:123456789012:{name}"


def test_queues_and_keys_outlive_a_kill(make_server, name):
    from conftest import Account
    server = make_server()
    account = Account(server)
    sqs = account.boto()
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    ids = {sqs.send_message(QueueUrl=url, MessageBody=str(i))["MessageId"] for i in range(20)}
    server.kill()
    server.start()
    account.url = server.api_url
    sqs = account.boto()
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    seen = set()

    def all_there():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ()):
            seen.add(message["MessageId"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return seen == ids
    eventually(all_there, "every message that was acknowledged")
