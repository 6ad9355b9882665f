"""SQS by Debian's awscli."""

import json
import os

import pytest

from harness import run

AWS = "/usr/bin/aws"
pytestmark = pytest.mark.skipif(not os.path.exists(AWS), reason="awscli is not installed")


@pytest.fixture
def aws(account):
    def call(*words, check=0):
        done = run([AWS, "--endpoint-url", account.url, "--output", "json", "sqs", *words], env=account.env,
                   check=check)
        return json.loads(done.out) if check == 0 and done.out.strip() else done
    return call


def test_a_day_of_a_queue(aws, name):
    url = aws("create-queue", "--queue-name", name)["QueueUrl"]
    assert url in aws("list-queues", "--queue-name-prefix", name)["QueueUrls"]
    assert aws("get-queue-url", "--queue-name", name)["QueueUrl"] == url
    sent = aws("send-message", "--queue-url", url, "--message-body", "hello & <goodbye>",
               "--message-attributes", '{"n":{"DataType":"Number","StringValue":"7"}}')
    got = aws("receive-message", "--queue-url", url, "--attribute-names", "All", "--message-attribute-names", "All",
              "--wait-time-seconds", "5")["Messages"]
    assert got[0]["Body"] == "hello & <goodbye>" and got[0]["MessageId"] == sent["MessageId"]
    assert got[0]["MessageAttributes"]["n"]["StringValue"] == "7"
    aws("change-message-visibility", "--queue-url", url, "--receipt-handle", got[0]["ReceiptHandle"],
        "--visibility-timeout", "60")
    aws("delete-message", "--queue-url", url, "--receipt-handle", got[0]["ReceiptHandle"])
    aws("set-queue-attributes", "--queue-url", url, "--attributes", "DelaySeconds=1,VisibilityTimeout=9")
    attributes = aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert attributes["DelaySeconds"] == "1" and attributes["VisibilityTimeout"] == "9"
    aws("tag-queue", "--queue-url", url, "--tags", "a=1,b=2")
    assert aws("list-queue-tags", "--queue-url", url)["Tags"] == {"a": "1", "b": "2"}
    aws("purge-queue", "--queue-url", url)
    aws("delete-queue", "--queue-url", url)
    gone = aws("get-queue-url", "--queue-name", name, check=None)
    assert gone.code != 0 and "AWS.SimpleQueueService.NonExistentQueue" in gone.err
