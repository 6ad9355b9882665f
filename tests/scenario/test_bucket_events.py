"""Functions, queues and topics are told of what happens in buckets."""

import json
import uuid

import pytest

from harness import Server, eventually

HANDLER = """
import json
def handler(event, context):
    for record in event['Records']:
        print('seen ' + json.dumps([record['eventName'], record['s3']['bucket']['name'],
                                    record['s3']['object']['key'], record['s3']['object'].get('size')]))
"""
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def clients(server):
    boto3 = pytest.importorskip("boto3", reason="python3-boto3 is not installed")
    from botocore.config import Config
    key = server.cli("keys", "create", "--name", "events", "--json", "--data", server.data).json

    def make(service):
        return boto3.client(service, endpoint_url=server.api_url, region_name="us-east-1",
                            aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"],
                            config=Config(retries={"max_attempts": 0}))
    return make


@pytest.fixture
def name():
    return "e" + uuid.uuid4().hex[:10]


@pytest.fixture
def s3(clients):
    return clients("s3")


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    return name


def seen(host, function):
    lines = host.api("GET", f"/v1/functions/{function}/logs").text.splitlines()
    texts = [json.loads(line).get("text", "") for line in lines if line]
    return sorted(json.loads(text.strip()[5:]) for text in texts if text.startswith("seen "))


def deploy_project(host, folder, file, text, *words):
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(HANDLER)
    (folder / file).write_text(text)
    return host.cli("deploy", folder, *words, "--json", check=0, timeout=120).json


def received(sqs, url, count):
    found = []

    def take():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(found) >= count
    eventually(take, lambda: f"{len(found)} of {count} messages came", timeout=20)
    return [json.loads(message["Body"]) for message in found]


def test_a_queue_gets_events_as_s3_sends_them(clients, s3, bucket, name):
    sqs = clients("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [
        {"Id": "all", "QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
         "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".txt"}]}}}]})
    told = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert told[0]["QueueArn"] == arn and told[0]["Id"] == "all"
    assert {r["Name"].lower(): r["Value"] for r in told[0]["Filter"]["Key"]["FilterRules"]} == {
        "prefix": "in/", "suffix": ".txt"}
    put = s3.put_object(Bucket=bucket, Key="in/a b.txt", Body=b"hello")
    s3.put_object(Bucket=bucket, Key="in/a.png", Body=b"x")
    s3.put_object(Bucket=bucket, Key="out/a.txt", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="in/copy.txt", CopySource=f"{bucket}/in/a b.txt")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "in/copy.txt"}, {"Key": "in/none.txt"}]})
    records = [event["Records"][0] for event in received(sqs, url, 3)]
    by_name = {record["eventName"]: record for record in records}
    assert set(by_name) == {"ObjectCreated:Put", "ObjectCreated:Copy", "ObjectRemoved:Delete"}
    first = by_name["ObjectCreated:Put"]
    assert first["s3"]["object"]["key"] == "in/a+b.txt" and first["s3"]["object"]["size"] == 5
    assert f'"{first["s3"]["object"]["eTag"]}"' == put["ETag"]
    assert first["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}" and first["s3"]["configurationId"] == "all"
    assert first["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    assert by_name["ObjectCreated:Copy"]["s3"]["object"]["sequencer"] > first["s3"]["object"]["sequencer"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="in/b.txt", Body=b"x")
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_a_topic_passes_them_on(clients, s3, bucket, name):
    sqs, sns = clients("sqs"), clients("sns")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [
        {"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    message = received(sqs, url, 1)[0]
    assert json.loads(message["Message"])["Records"][0]["s3"]["object"]["key"] == "k"


def test_refusals(s3, bucket, clients):
    from botocore.exceptions import ClientError

    def refused(*configurations):
        with pytest.raises(ClientError) as caught:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
                "QueueConfigurations": list(configurations)})
        assert caught.value.response["Error"]["Code"] == "InvalidArgument"
        return caught.value.response["Error"]["Message"]
    clients("sqs").create_queue(QueueName=bucket)
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{bucket}"
    created = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    assert "validate the following destination" in refused({**created, "QueueArn": arn + "-none"})
    assert "overlap" in refused(created, {**created, "Events": ["s3:ObjectCreated:Put"]})
    assert "not supported" in refused({**created, "Events": ["s3:ObjectPainted"]})
    assert "ARN" in refused({**created, "QueueArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:x"})
    assert s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations") is None


def test_functions_of_a_sam_template(server, s3, tmp_path, name):
    text = f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Photos: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}
  Resize:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Runtime: python3.11
      Handler: app.handler
      Events:
        Upload:
          Type: S3
          Properties:
            Bucket: !Ref Photos
            Events: s3:ObjectCreated:*
            Filter: {{S3Key: {{Rules: [{{Name: suffix, Value: .png}}]}}}}
        Gone:
          Type: S3
          Properties: {{Bucket: !Ref Photos, Events: ['s3:ObjectRemoved:*']}}
"""
    done = deploy_project(server, tmp_path / "p", "template.yaml", text, "--name", name)
    assert {"name": name, "result": "updated"} in done["bucket_events"]
    function = f"{name}-Resize"
    s3.put_object(Bucket=name, Key="a.png", Body=b"12345")
    s3.put_object(Bucket=name, Key="a.jpg", Body=b"1")
    server.cli("bucket", "rm", f"{name}/a.jpg", check=0)
    wanted = [["ObjectCreated:Put", name, "a.png", 5], ["ObjectRemoved:Delete", name, "a.jpg", None]]
    eventually(lambda: seen(server, function) == wanted, lambda: str(seen(server, function)), timeout=20)
    again = deploy_project(server, tmp_path / "p", "template.yaml", text, "--name", name)
    assert {"name": name, "result": "unchanged"} in again["bucket_events"]
    told = s3.get_bucket_notification_configuration(Bucket=name)["LambdaFunctionConfigurations"]
    assert {one["LambdaFunctionArn"].rsplit(":", 1)[1] for one in told} == {function} and len(told) == 2


def test_functions_of_a_serverless_yml(server, s3, tmp_path, name):
    done = deploy_project(server, tmp_path / "p", "serverless.yml", f"""
service: {name}
provider: {{name: aws, runtime: python3.11}}
functions:
  eat:
    handler: app.handler
    events:
      - s3: {{bucket: {name}, event: 's3:ObjectCreated:*', rules: [{{prefix: in/}}, {{suffix: .csv}}]}}
""")
    assert {"name": name, "result": "created"} in done["buckets"]
    s3.put_object(Bucket=name, Key="in/x.csv", Body=b"1,2")
    s3.put_object(Bucket=name, Key="x.csv", Body=b"1,2")
    function = f"{name}-dev-eat"
    wanted = [["ObjectCreated:Put", name, "in/x.csv", 3]]
    eventually(lambda: seen(server, function) == wanted, lambda: str(seen(server, function)), timeout=20)


def test_an_event_outlives_a_kill():
    server = Server().start()
    try:
        name = "killed"
        server.cli("queue", "create", name, check=0)
        server.cli("bucket", "create", name, check=0)
        server.api("PUT", f"/v1/buckets/{name}/notifications", {"notifications": [
            {"id": "n", "target": f"queue:{name}", "events": ["s3:ObjectCreated:*"]}]}).expect(200)
        keys = {f"k{n}" for n in range(20)}
        for key in keys:
            server.api("PUT", f"/v1/buckets/{name}/object?key={key}", b"x").expect(200)
        server.kill()
        server.start()
        found = []

        def take():
            got = server.api("POST", f"/v1/queues/{name}/receive", {"max": 10}).expect(200).json["messages"]
            found.extend(json.loads(message["body"])["Records"][0]["s3"]["object"]["key"] for message in got)
            return len(found) >= len(keys)
        eventually(take, lambda: f"{len(found)} events of 20", timeout=20)
        assert sorted(found) == sorted(keys)
    finally:
        server.stop()
