"""SNS, EventBridge and EventBridge Scheduler by Debian's boto3 and awscli."""

import datetime
import json
import os

import pytest

botocore = pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from harness import eventually, run  # noqa: E402

AWS = "/usr/bin/aws"


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def sns(account):
    return account.boto("sns")


@pytest.fixture(scope="module")
def events(account):
    return account.boto("events")


@pytest.fixture(scope="module")
def scheduler(account):
    try:
        return account.boto("scheduler")
    except botocore.exceptions.UnknownServiceError:
        pytest.skip("this boto3 is older than EventBridge Scheduler")


@pytest.fixture
def queue(sqs, name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def arn_of(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def bodies(sqs, url, count=1):
    got = []

    def all_there():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                                           MessageAttributeNames=["All"]).get("Messages", []):
            got.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(got) >= count
    eventually(all_there, f"{count} messages", timeout=20)
    assert len(got) == count
    return got


def test_sns_topic_and_subscription(sns, sqs, queue, name):
    topic = sns.create_topic(Name=name, Attributes={"DisplayName": "d"}, Tags=[{"Key": "k", "Value": "v"}])["TopicArn"]
    assert topic.endswith(":" + name)
    assert sns.create_topic(Name=name, Attributes={"DisplayName": "d"})["TopicArn"] == topic
    assert topic in [t["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for t in page["Topics"]]
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["DisplayName"] == "d" and json.loads(attributes["Policy"])["Statement"]
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "k", "Value": "v"}]
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k2", "Value": ""}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["k"])
    assert [t["Key"] for t in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]] == ["k2"]

    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, queue))["SubscriptionArn"]
    assert subscription.startswith(topic + ":")
    sent = sns.publish(TopicArn=topic, Message="hé <&>", Subject="s", MessageAttributes={
        "color": {"DataType": "String", "StringValue": "red"}, "n": {"DataType": "Number", "StringValue": "5"},
        "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}})
    envelope = json.loads(bodies(sqs, queue)[0]["Body"])
    assert envelope["Message"] == "hé <&>" and envelope["MessageId"] == sent["MessageId"]
    assert envelope["Subject"] == "s" and envelope["TopicArn"] == topic and envelope["Type"] == "Notification"
    assert envelope["MessageAttributes"]["b"] == {"Type": "Binary", "Value": "AAE="}

    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery",
                                    AttributeValue="true")
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicy",
                                    AttributeValue=json.dumps({"n": [{"numeric": [">", 5]}]}))
    info = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert info["RawMessageDelivery"] == "true" and info["FilterPolicyScope"] == "MessageAttributes"
    for n in ("5", "6"):
        sns.publish(TopicArn=topic, Message=n, MessageAttributes={"n": {"DataType": "Number", "StringValue": n}})
    got = bodies(sqs, queue)
    assert got[0]["Body"] == "6" and got[0]["MessageAttributes"]["n"]["StringValue"] == "6"

    assert [s["SubscriptionArn"] for s in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]] == [
        subscription]
    assert subscription in [s["SubscriptionArn"] for page in sns.get_paginator("list_subscriptions").paginate()
                            for s in page["Subscriptions"]]
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    assert code_of(sns.publish, TopicArn=topic, Message="x") == "NotFound"


def test_sns_batches_and_structure(sns, sqs, queue, name):
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, queue),
                  Attributes={"RawMessageDelivery": "true"})
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
        {"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "\n"}, {"Id": "c", "Message": "3"}])
    assert [e["Id"] for e in batch["Successful"]] == ["a", "c"]
    assert batch["Failed"][0]["Id"] == "b" and batch["Failed"][0]["SenderFault"]
    sns.publish(TopicArn=topic, MessageStructure="json", Message=json.dumps({"default": "d", "sqs": "for sqs"}))
    assert sorted(m["Body"] for m in bodies(sqs, queue, 3)) == ["1", "3", "for sqs"]
    assert code_of(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=[]) == "EmptyBatchRequest"
    assert code_of(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=[
        {"Id": "a", "Message": "1"}, {"Id": "a", "Message": "2"}]) == "BatchEntryIdsNotDistinct"
    assert code_of(sns.publish, TopicArn=topic, MessageStructure="json", Message="{}") == "InvalidParameter"
    assert code_of(sns.subscribe, TopicArn=topic, Protocol="sms", Endpoint="+1") == "InvalidParameter"
    assert code_of(sns.create_topic, Name="a b") == "InvalidParameter"
    sns.delete_topic(TopicArn=topic)


def test_sns_fifo(sns, sqs, name):
    url = sqs.create_queue(QueueName=name + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    topic = sns.create_topic(Name=name + ".fifo", Attributes={
        "FifoTopic": "true", "ContentBasedDeduplication": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, url))
    first = sns.publish(TopicArn=topic, Message="one", MessageGroupId="g")
    again = sns.publish(TopicArn=topic, Message="one", MessageGroupId="g")
    second = sns.publish(TopicArn=topic, Message="two", MessageGroupId="g")
    assert first["MessageId"] == again["MessageId"] and first["SequenceNumber"] < second["SequenceNumber"]
    assert [json.loads(m["Body"])["Message"] for m in bodies(sqs, url, 2)] == ["one", "two"]
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


def test_events_rules_targets_and_put(events, sqs, queue, name):
    arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name], "detail": {"k": ["v"]}}),
                          Description="d")["RuleArn"]
    assert arn.endswith(":rule/" + name)
    put = events.put_targets(Rule=name, Targets=[
        {"Id": "1", "Arn": arn_of(sqs, queue)},
        {"Id": "2", "Arn": arn_of(sqs, queue), "InputTransformer": {
            "InputPathsMap": {"k": "$.detail.k"}, "InputTemplate": '{"was":"<k>"}'}}])
    assert put["FailedEntryCount"] == 0
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    assert [t["Id"] for t in targets] == ["1", "2"] and targets[1]["InputTransformer"]["InputTemplate"]
    assert events.list_rule_names_by_target(TargetArn=arn_of(sqs, queue))["RuleNames"] == [name]
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    result = events.put_events(Entries=[
        {"Source": name, "DetailType": "t", "Detail": json.dumps({"k": "v"}), "Time": when, "Resources": ["r"]},
        {"Source": name, "DetailType": "t", "Detail": json.dumps({"k": "other"})},
        {"Source": name, "DetailType": "t", "Detail": "no json"},
        {"Source": name, "DetailType": "t", "Detail": "{}", "EventBusName": "none"}])
    assert result["FailedEntryCount"] == 2
    assert "EventId" in result["Entries"][1] and result["Entries"][2]["ErrorCode"] == "MalformedDetail"
    got = [json.loads(m["Body"]) for m in bodies(sqs, queue, 2)]
    assert {"was": "v"} in got
    event = [g for g in got if "id" in g][0]
    assert event["id"] == result["Entries"][0]["EventId"] and event["time"] == "2026-01-02T03:04:05Z"
    assert event["resources"] == ["r"] and event["detail"] == {"k": "v"} and event["detail-type"] == "t"
    events.disable_rule(Name=name)
    assert events.describe_rule(Name=name)["State"] == "DISABLED"
    events.enable_rule(Name=name)
    assert [r["Name"] for r in events.list_rules(NamePrefix=name)["Rules"]] == [name]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert code_of(events.delete_rule, Name=name) == "ValidationException"
    assert events.remove_targets(Rule=name, Ids=["1", "2", "3"])["FailedEntryCount"] == 1
    events.delete_rule(Name=name)
    assert code_of(events.describe_rule, Name=name) == "ResourceNotFoundException"


def test_events_patterns_and_buses(events, name):
    event = {"id": "1", "account": "1", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "r",
             "resources": [], "detail-type": "t", "detail": {"n": 5}}
    assert events.test_event_pattern(EventPattern='{"detail":{"n":[{"numeric":[">",4]}]}}',
                                     Event=json.dumps(event))["Result"]
    assert not events.test_event_pattern(EventPattern='{"source":["x"]}', Event=json.dumps(event))["Result"]
    assert code_of(events.test_event_pattern, EventPattern='{"source":"x"}',
                   Event=json.dumps(event)) == "InvalidEventPatternException"
    assert code_of(events.put_rule, Name=name, EventPattern="{}") == "InvalidEventPatternException"
    assert events.create_event_bus(Name=name)["EventBusArn"].endswith(":event-bus/" + name)
    assert code_of(events.create_event_bus, Name=name) == "ResourceAlreadyExistsException"
    assert {"default", name} <= {b["Name"] for b in events.list_event_buses()["EventBuses"]}
    assert events.describe_event_bus(Name=name)["Name"] == name
    events.put_rule(Name="r", EventBusName=name, EventPattern='{"source":["x"]}')
    assert code_of(events.delete_event_bus, Name=name) == "ValidationException"
    events.delete_rule(Name="r", EventBusName=name)
    events.delete_event_bus(Name=name)


def test_events_schedule(events, sqs, queue, name):
    events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
    assert events.describe_rule(Name=name)["ScheduleExpression"] == "rate(1 minute)"
    assert code_of(events.put_rule, Name=name, ScheduleExpression="rate(soon)") == "ValidationException"
    events.delete_rule(Name=name)


def test_scheduler(scheduler, sqs, queue, name):
    at = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    made = scheduler.create_schedule(
        Name=name, ScheduleExpression=f"at({at})", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn_of(sqs, queue), "RoleArn": "arn:aws:iam::000000000000:role/x", "Input": '{"n":1}'})
    assert made["ScheduleArn"].endswith(f":schedule/default/{name}")
    info = scheduler.get_schedule(Name=name)
    assert info["State"] == "ENABLED" and info["Target"]["Input"] == '{"n":1}'
    assert info["ScheduleExpression"] == f"at({at})" and info["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert bodies(sqs, queue)[0]["Body"] == '{"n":1}'
    assert code_of(scheduler.create_schedule, Name=name, ScheduleExpression="rate(1 hour)",
                   FlexibleTimeWindow={"Mode": "OFF"},
                   Target={"Arn": arn_of(sqs, queue), "RoleArn": "r"}) in ("ConflictException", "ValidationException")
    scheduler.update_schedule(Name=name, ScheduleExpression="rate(1 hour)", State="DISABLED",
                              FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
                              Target={"Arn": arn_of(sqs, queue), "RoleArn": "arn:aws:iam::000000000000:role/x"})
    info = scheduler.get_schedule(Name=name)
    assert info["State"] == "DISABLED" and info["FlexibleTimeWindow"]["MaximumWindowInMinutes"] == 5
    assert name in [s["Name"] for s in scheduler.list_schedules(NamePrefix=name)["Schedules"]]
    scheduler.delete_schedule(Name=name)
    assert code_of(scheduler.get_schedule, Name=name) == "ResourceNotFoundException"
    group = scheduler.create_schedule_group(Name=name)["ScheduleGroupArn"]
    assert scheduler.get_schedule_group(Name=name)["Arn"] == group
    assert {"default", name} <= {g["Name"] for g in scheduler.list_schedule_groups()["ScheduleGroups"]}
    scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "a", "Value": "b"}])
    assert scheduler.list_tags_for_resource(ResourceArn=group)["Tags"] == [{"Key": "a", "Value": "b"}]
    scheduler.create_schedule(GroupName=name, Name="s", ScheduleExpression="rate(1 hour)",
                              FlexibleTimeWindow={"Mode": "OFF"},
                              Target={"Arn": arn_of(sqs, queue), "RoleArn": "arn:aws:iam::000000000000:role/x"})
    scheduler.delete_schedule_group(Name=name)
    assert code_of(scheduler.get_schedule, Name="s", GroupName=name) == "ResourceNotFoundException"


@pytest.mark.skipif(not os.path.exists(AWS), reason="awscli is not installed")
def test_awscli(account, sqs, queue, name):
    def aws(*words):
        done = run([AWS, "--endpoint-url", account.url, "--output", "json", *words], env=account.env, check=0)
        return json.loads(done.out) if done.out.strip() else None

    topic = aws("sns", "create-topic", "--name", name)["TopicArn"]
    aws("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint",
        arn_of(sqs, queue), "--attributes", "RawMessageDelivery=true")
    aws("sns", "publish", "--topic-arn", topic, "--message", "from the command line", "--message-attributes",
        '{"a":{"DataType":"String","StringValue":"b"}}')
    assert bodies(sqs, queue)[0]["Body"] == "from the command line"
    aws("events", "put-rule", "--name", name, "--event-pattern", json.dumps({"source": [name]}))
    aws("events", "put-targets", "--rule", name, "--targets", f"Id=1,Arn={topic}")
    put = aws("events", "put-events", "--entries", json.dumps([
        {"Source": name, "DetailType": "t", "Detail": json.dumps({"a": 1})}]))
    assert put["FailedEntryCount"] == 0
    assert json.loads(bodies(sqs, queue)[0]["Body"])["detail"] == {"a": 1}
    aws("events", "remove-targets", "--rule", name, "--ids", "1")
    aws("events", "delete-rule", "--name", name)
    aws("sns", "delete-topic", "--topic-arn", topic)
