"""Functions that use the server's own services from inside their sandboxes, with the clients they have."""

import json
import os
import shutil
import uuid

import pytest

import images
from harness import needs

botocore = pytest.importorskip("botocore.exceptions", reason="python3-boto3 is not installed")

PYTHON = '''
import json, os
import boto3, botocore.exceptions
from botocore.config import Config

QUICK = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30)
made = {}


def client(service, **options):
    key = (service, json.dumps(options, sort_keys=True))
    if key not in made:
        made[key] = boto3.client(service, config=QUICK, **options)
    return made[key]


if os.environ.get("AT_INIT"):
    AT_INIT = client("sts").get_caller_identity()["Arn"]


def handler(event, context):
    try:
        return globals()["do_" + event.pop("do")](**event)
    except botocore.exceptions.ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"],
                "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}


def do_who():
    return {**client("sts").get_caller_identity(), "init": globals().get("AT_INIT")}


def do_env():
    return {k: v for k, v in os.environ.items() if k.startswith(("AWS_", "MAYFLY_SERV", "QUEUE"))}


def do_queue(queue, text):
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=text)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": text + "!"}])
    seen = []
    while len(seen) < 2:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)["Messages"]:
            seen.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return {"url": url, "seen": sorted(seen)}


def do_bucket(bucket, key, text):
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    got = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    s3.delete_object(Bucket=bucket, Key=key)
    return {"got": got, "keys": keys}


def do_large(bucket, megabytes):
    import hashlib
    path = "/tmp/large"
    block = os.urandom(1 << 20)
    sent = hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(megabytes):
            f.write(block)
            sent.update(block)
    s3 = client("s3")
    with open(path, "rb") as f:
        s3.put_object(Bucket=bucket, Key="large", Body=f)
    os.unlink(path)
    came = hashlib.sha256()
    for chunk in s3.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(1 << 16):
        came.update(chunk)
    return sent.hexdigest() == came.hexdigest()


def do_call(service, method, arguments={}, credentials={}):
    answer = getattr(client(service, **credentials), method)(**arguments)
    answer.pop("ResponseMetadata", None)
    if "Payload" in answer:
        answer["Payload"] = answer["Payload"].read().decode()
    return json.loads(json.dumps(answer, default=str))


def do_raw(request):
    import socket
    try:
        with socket.create_connection(("127.0.0.2", 80), 5) as s:
            s.sendall(request.encode())
            s.settimeout(5)
            out = b""
            while chunk := s.recv(65536):
                out += chunk
            return out.decode()
    except OSError as error:
        return repr(error)
'''

ECHO = "def handler(event, context):\n    return {'echo': event}\n"


@pytest.fixture(scope="module")
def world(account, server):
    """A queue, a bucket, a topic and two functions."""
    queue, bucket, topic = ("in-" + uuid.uuid4().hex[:10] for _ in range(3))
    account.boto().create_queue(QueueName=queue)
    account.boto("s3").create_bucket(Bucket=bucket)
    arn = account.boto("sns").create_topic(Name=topic)["TopicArn"]
    server.deploy_source("in-user", "user.py", PYTHON, "--env", "AT_INIT=1")
    server.deploy_source("in-echo", "echo.py", ECHO)
    return {"queue": queue, "bucket": bucket, "topic": arn}


def ask(server, function, do, **event):
    return server.invoke(function, {"do": do, **event}).expect(200).json


@pytest.mark.parametrize("start", ["clone", "boot"])
def test_python_with_debians_boto3(server, world, start):
    name = "in-user"
    if start == "boot":
        name = "in-booted"
        server.deploy_source(name, "user.py", PYTHON, "--env", "AT_INIT=1", "--snapshot", "off")
    answer = server.invoke(name, {"do": "who"}).expect(200)
    assert (server.record(answer.request_id)["start"] == "clone") == (start == "clone")
    role = f"arn:aws:sts::000000000000:assumed-role/{name}/{name}"
    assert answer.json["Arn"] == role and answer.json["init"] == role, "while it initialised as well"
    told = ask(server, name, "queue", queue=world["queue"], text="hello")
    assert told["seen"] == ["hello", "hello!"] and told["url"].startswith("http://127.0.0.2/")
    told = ask(server, name, "bucket", bucket=world["bucket"], key="a/b c", text="bytes")
    assert told["got"] == "bytes" and "a/b c" in told["keys"]
    told = ask(server, name, "call", service="sns", method="publish",
               arguments={"TopicArn": world["topic"], "Message": "m"})
    assert told["MessageId"]
    told = ask(server, name, "call", service="lambda", method="invoke",
               arguments={"FunctionName": "in-echo", "Payload": '{"a": 1}'})
    assert told["StatusCode"] == 200 and json.loads(told["Payload"]) == {"echo": {"a": 1}}
    told = ask(server, name, "call", service="events", method="put_events",
               arguments={"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]})
    assert told["FailedEntryCount"] == 0
    told = ask(server, name, "call", service="logs", method="filter_log_events",
               arguments={"logGroupName": "/aws/lambda/in-echo"})
    assert "events" in told


def test_clones_share_no_connection_of_the_template(server, world):
    """What the initialisation left open is closed, and each clone opens its own."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda i: ask(server, "in-user", "bucket", bucket=world["bucket"], key=f"k{i}",
                                           text=f"text {i}" * 1000), range(24)))
    assert [t["got"] for t in told] == [f"text {i}" * 1000 for i in range(24)]


def test_what_it_may_not_do_by_default(server, account, world):
    denied = ask(server, "in-user", "call", service="sqs", method="create_queue", arguments={"QueueName": "in-new"})
    assert denied["code"] == "AccessDenied" and "sqs:CreateQueue" in denied["message"], denied
    assert "arn:aws:sqs:us-east-1:000000000000:in-new" in denied["message"] and "'policy'" in denied["message"]
    denied = ask(server, "in-user", "call", service="lambda", method="delete_function",
                 arguments={"FunctionName": "in-echo"})
    assert denied["code"] == "AccessDeniedException" and denied["status"] == 403
    denied = ask(server, "in-user", "call", service="s3", method="create_bucket", arguments={"Bucket": "in-made"})
    assert denied["code"] == "AccessDenied" and "s3:CreateBucket" in denied["message"]
    denied = ask(server, "in-user", "call", service="events", method="put_rule",
                 arguments={"Name": "r", "ScheduleExpression": "rate(1 minute)"})
    assert denied["code"] == "AccessDeniedException"
    denied = ask(server, "in-user", "call", service="sns", method="create_topic", arguments={"Name": "in-t"})
    assert denied["code"] == "AccessDenied" and denied["status"] == 403
    queues = account.boto().list_queues().get("QueueUrls", [])
    assert not any(url.endswith("/in-new") for url in queues)


def test_a_policy_of_its_own(server, world, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"],
         "Resource": f"arn:aws:sqs:us-east-1:000000000000:{world['queue']}"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{world['bucket']}/mine/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "sqs:CreateQueue", "Resource": "arn:aws:sqs:*:*:in-allowed-*"}]}))
    server.deploy_source("in-narrow", "user.py", PYTHON, "--policy", str(policy))

    def call(service, method, **arguments):
        return ask(server, "in-narrow", "call", service=service, method=method, arguments=arguments)

    url = call("sqs", "get_queue_url", QueueName=world["queue"])["QueueUrl"]
    assert call("sqs", "send_message", QueueUrl=url, MessageBody="x")["MessageId"]
    assert call("sqs", "receive_message", QueueUrl=url)["code"] == "AccessDenied"
    # The name counts, however the address is written.
    assert call("sqs", "send_message", QueueUrl=url + "x", MessageBody="x")["code"] == "AccessDenied"
    assert "in-allowed-1" in call("sqs", "create_queue", QueueName="in-allowed-1")["QueueUrl"]
    bucket = world["bucket"]
    assert "ETag" in call("s3", "put_object", Bucket=bucket, Key="mine/1", Body="x")
    assert call("s3", "put_object", Bucket=bucket, Key="other", Body="x")["code"] == "AccessDenied"
    assert call("s3", "copy_object", Bucket=bucket, Key="mine/2", CopySource=f"{bucket}/other")["code"] == "AccessDenied"
    assert call("s3", "delete_object", Bucket=bucket, Key="mine/1")["code"] == "AccessDenied"
    removed = call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": "mine/1"}, {"Key": "x"}]})
    assert [e["Code"] for e in removed["Errors"]] == ["AccessDenied", "AccessDenied"]
    assert call("sns", "publish", TopicArn=world["topic"], Message="m")["code"] == "AccessDenied"
    # Who it is, everybody may know.
    assert ask(server, "in-narrow", "who")["Arn"].endswith("assumed-role/in-narrow/in-narrow")


def test_resources_of_every_service(server, world, tmp_path):
    here = "us-east-1:000000000000"
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps([
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": f"arn:aws:lambda:{here}:function:in-echo"},
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": world["topic"]},
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": f"arn:aws:events:{here}:event-bus/default"},
        {"Effect": "Allow", "Action": "scheduler:CreateSchedule",
         "Resource": f"arn:aws:scheduler:{here}:schedule/default/in-*"},
        {"Effect": "Allow", "Action": "logs:*", "Resource": f"arn:aws:logs:{here}:log-group:/aws/lambda/in-echo:*"}]))
    server.deploy_source("in-each", "user.py", PYTHON, "--policy", str(policy))

    def call(service, method, **arguments):
        return ask(server, "in-each", "call", service=service, method=method, arguments=arguments)

    def denied(service, method, resource, **arguments):
        told = call(service, method, **arguments)
        assert "AccessDenied" in told["code"] and f"on resource: {resource}:" in told["message"], told
        return True

    assert call("lambda", "invoke", FunctionName="in-echo")["StatusCode"] == 200
    assert call("lambda", "invoke", FunctionName="arn:aws:lambda:eu-west-1:123456789012:function:in-echo")["StatusCode"] == 200
    assert denied("lambda", "invoke", f"arn:aws:lambda:{here}:function:in-user", FunctionName="in-user")
    assert denied("lambda", "invoke", f"arn:aws:lambda:{here}:function:in-echo:$LATEST", FunctionName="in-echo",
                  Qualifier="$LATEST")
    assert call("sns", "publish", TopicArn=world["topic"], Message="m")["MessageId"]
    assert denied("sns", "publish", f"arn:aws:sns:{here}:other", TopicArn=f"arn:aws:sns:{here}:other", Message="m")
    event = {"Source": "s", "DetailType": "d", "Detail": "{}"}
    assert call("events", "put_events", Entries=[event])["FailedEntryCount"] == 0
    assert denied("events", "put_events", f"arn:aws:events:{here}:event-bus/other",
                  Entries=[event, {**event, "EventBusName": "other"}])
    schedule = {"ScheduleExpression": "at(2099-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": f"arn:aws:lambda:{here}:function:in-echo", "RoleArn": "arn:aws:iam::0:role/x"}}
    assert "ScheduleArn" in call("scheduler", "create_schedule", Name="in-one", **schedule)
    assert denied("scheduler", "create_schedule", f"arn:aws:scheduler:{here}:schedule/default/other", Name="other",
                  **schedule)
    assert denied("scheduler", "delete_schedule", f"arn:aws:scheduler:{here}:schedule/default/in-one", Name="in-one")
    assert "events" in call("logs", "filter_log_events", logGroupName="/aws/lambda/in-echo")
    told = call("logs", "filter_log_events", logGroupName="/aws/lambda/in-user")
    assert told["code"] == "AccessDeniedException", told


def test_bad_policies_are_refused_at_the_deploy(server, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "Condition": {}}')
    result = server.deploy_source("in-bad", "echo.py", ECHO, "--policy", str(policy), check=2)
    assert "Condition is not supported" in result.err
    answer = server.put_function("in-bad", "0" * 64, {"policy": "[{}]"})
    assert answer.status == 400 and "Statement[0].Effect is missing" in answer.text


def test_stolen_credentials_are_good_nowhere_else(server, account, world):
    import boto3
    server.deploy_source("in-thief", "user.py", PYTHON)
    env = ask(server, "in-user", "env")
    stolen = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
              "aws_session_token": env["AWS_SESSION_TOKEN"]}
    assert "code" not in ask(server, "in-user", "call", service="sqs", method="list_queues", credentials=stolen)
    for service, method, code in (("sqs", "list_queues", "InvalidClientTokenId"),
                                  ("sts", "get_caller_identity", "InvalidClientTokenId"),
                                  ("lambda", "list_functions", "UnrecognizedClientException"),
                                  ("events", "list_rules", "UnrecognizedClientException"),
                                  ("s3", "list_buckets", "InvalidAccessKeyId")):
        told = ask(server, "in-thief", "call", service=service, method=method, credentials=stolen)
        assert told["code"] == code and told["status"] in (400, 403), told
        with pytest.raises(botocore.ClientError) as refused:
            getattr(boto3.client(service, endpoint_url=account.url, region_name="us-east-1", **stolen), method)()
        assert refused.value.response["Error"]["Code"] == code
    wrong = {**stolen, "aws_session_token": "x"}
    assert ask(server, "in-user", "call", service="sqs", method="list_queues", credentials=wrong)["code"] == \
        "InvalidClientTokenId"
    # A key of the server's own acts for itself, also from inside.
    own = {"aws_access_key_id": account.id, "aws_secret_access_key": account.secret, "aws_session_token": ""}
    told = ask(server, "in-user", "call", service="sts", method="get_caller_identity", credentials=own)
    assert told["Arn"].endswith("user/" + account.id)


def test_the_way_in_leads_to_the_services_alone(server, world):
    for target in ("/v1/functions", "/metrics", "/", "/console", "/function/in-echo", "/v1/stats", "/healthz"):
        for extra in ("", f"Authorization: Bearer {server.key}\r\n"):
            told = ask(server, "in-user", "raw",
                       request=f"GET {target} HTTP/1.1\r\nHost: 127.0.0.2\r\n{extra}Connection: close\r\n\r\n")
            assert told.startswith("HTTP/1.1 403 ") and "MissingAuthenticationToken" in told, (target, told)
            assert "in-echo" not in told
    told = ask(server, "in-user", "raw", request="nonsense\r\n\r\n")
    assert told.startswith("HTTP/1.1 400 ")


def test_services_off_and_network_none(server, world):
    server.deploy_source("in-off", "user.py", PYTHON, "--services", "off")
    assert "AWS_ENDPOINT_URL" not in ask(server, "in-off", "env")
    assert "AWS_ACCESS_KEY_ID" not in ask(server, "in-off", "env")
    assert "ConnectionRefusedError" in ask(server, "in-off", "raw", request="x")
    server.deploy_source("in-alone", "user.py", PYTHON, "--network", "none")
    assert ask(server, "in-alone", "who")["Arn"].endswith("/in-alone")


def test_what_the_user_set_wins(server, account):
    server.deploy_source("in-own", "user.py", PYTHON, "--env", "AWS_ENDPOINT_URL=http://192.0.2.1")
    assert ask(server, "in-own", "env")["AWS_ENDPOINT_URL"] == "http://192.0.2.1"
    server.deploy_source("in-own", "user.py", PYTHON, "--env", "AWS_ENDPOINT_URL=http://127.0.0.2",
                         "--env", f"AWS_ACCESS_KEY_ID={account.id}",
                         "--env", f"AWS_SECRET_ACCESS_KEY={account.secret}")
    assert "AWS_SESSION_TOKEN" not in ask(server, "in-own", "env")
    assert ask(server, "in-own", "who")["Arn"].endswith("user/" + account.id)
    server.deploy_source("in-own", "user.py", PYTHON, "--env", "AWS_ACCESS_KEY_ID=x",
                         "--env", "AWS_SECRET_ACCESS_KEY=y")
    assert "AWS_ENDPOINT_URL" not in ask(server, "in-own", "env"), "its own services, wherever they are"


def memory(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":")) >> 10


def test_large_objects_stream(server, world):
    server.deploy_source("in-large", "user.py", PYTHON, "--memory", "512", "--timeout", "120")
    assert ask(server, "in-large", "large", bucket=world["bucket"], megabytes=1) is True
    with open(f"/proc/{server.pid}/clear_refs", "w") as f:
        f.write("5")  # the peak begins anew
    before = memory(server.pid, "VmRSS")
    assert ask(server, "in-large", "large", bucket=world["bucket"], megabytes=50) is True
    assert memory(server.pid, "VmHWM") - before < 25, "megabytes"


CURL = '''#!/bin/sh
cat > /dev/null
curl -sS --aws-sigv4 "aws:amz:us-east-1:sqs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
  -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN" -d "Action=ListQueues&Version=2012-11-05" "$AWS_ENDPOINT_URL/"
'''


def test_a_script_with_curl(server, world):
    needs("curl")
    server.deploy_source("in-curl", "list.sh", CURL)
    answer = server.call("in-curl", b"x").expect(200)
    assert "ListQueuesResponse" in answer.text and world["queue"] in answer.text, answer.text


BOOTSTRAP = '''#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
  id=$(curl -sS -o /tmp/event -D - "$api/next" | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  curl -sS --aws-sigv4 "aws:amz:us-east-1:sts" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN" -d "Action=GetCallerIdentity&Version=2011-06-15" \\
    -o /tmp/answer "$AWS_ENDPOINT_URL/"
  printf '"%s"' "$(sed -n 's/.*<Arn>\\(.*\\)<\\/Arn>.*/\\1/p' /tmp/answer)" | curl -sS -d @- "$api/$id/response" > /dev/null
done
'''


def test_a_bootstrap(server, world, tmp_path):
    """The Lambda Runtime API, with curl alone."""
    needs("curl")
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)
    server.deploy(str(bootstrap), "--name", "in-bootstrap", "--runtime", "provided")
    told = server.invoke("in-bootstrap", {}).expect(200)
    assert told.json == "arn:aws:sts::000000000000:assumed-role/in-bootstrap/in-bootstrap"


def test_an_image(server, world, tmp_path):
    needs("curl", "sed", "tr")
    files = {"bootstrap": BOOTSTRAP.encode()}
    for program in ("/bin/sh", "/usr/bin/curl", "/usr/bin/sed", "/usr/bin/tr"):
        found = images.with_libraries(os.path.realpath(program))
        found["bin/" + os.path.basename(program)] = found.pop(os.path.realpath(program).lstrip("/"))
        files.update(found)
    path = tmp_path / "image.tar"
    path.write_bytes(images.docker_archive([files], entrypoint=["/bin/sh", "/bootstrap"]))
    server.cli("image", "import", path, "--name", "in-image:1", timeout=200)
    server.cli("deploy", "--image", "in-image:1", "--name", "in-image")
    told = server.invoke("in-image", {}).expect(200)
    assert told.json == "arn:aws:sts::000000000000:assumed-role/in-image/in-image"


def test_bodies_of_functions_have_a_limit(make_server):
    server = make_server(config="services:\n  body_bytes_max: 1048576\n")
    server.deploy_source("in-filler", "user.py", PYTHON)
    head = ("POST / HTTP/1.1\r\nHost: 127.0.0.2\r\nContent-Length: {}\r\nConnection: close\r\n"
            "X-Amz-Target: AmazonSQS.SendMessage\r\n\r\n")
    told = ask(server, "in-filler", "raw", request=head.format(4_000_000) + "x" * 300_000)
    assert told.startswith("HTTP/1.1 503 ") and "services.body_bytes_max" in told
    told = ask(server, "in-filler", "raw", request=head.format(600_000) + "x" * 600_000)
    assert told.startswith("HTTP/1.1 403 ") and "MissingAuthenticationToken" in told
    told = ask(server, "in-filler", "raw", request=head.format(600_000) + "x" * 600_000)
    assert "MissingAuthenticationToken" in told, "what was held is given back"


def test_endpoints_of_single_services(server, account, world):
    server.deploy_source("in-split", "user.py", PYTHON, "--env", "AWS_ENDPOINT_URL_SQS=http://127.0.0.3")
    with pytest.raises(AssertionError):
        ask(server, "in-split", "call", service="sqs", method="list_queues")
    assert ask(server, "in-split", "who")["Arn"].endswith("/in-split")


TEMPLATE = '''
Transform: AWS::Serverless-2016-10-31
Resources:
  Jobs: {Type: AWS::SQS::Queue}
  Others: {Type: AWS::SQS::Queue}
  Sender:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: user.handler
      CodeUri: src
      Timeout: 30
      Environment: {Variables: {QUEUE_URL: !Ref Jobs, QUEUE_OTHER: !Ref Others}}
      Policies:
        - SQSSendMessagePolicy: {QueueName: !GetAtt Jobs.QueueName}
        - Statement: {Effect: Allow, Action: sqs:ReceiveMessage, Resource: !GetAtt Others.Arn}
'''


def test_a_sam_project_may_do_what_it_states(server, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "user.py").write_text(PYTHON)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    server.deploy(tmp_path, "--name", "in-sam")
    env = ask(server, "in-sam-Sender", "env")

    def call(method, queue, **arguments):
        return ask(server, "in-sam-Sender", "call", service="sqs", method=method,
                   arguments={"QueueUrl": env[queue], **arguments})

    assert call("send_message", "QUEUE_URL", MessageBody="x")["MessageId"]
    assert call("receive_message", "QUEUE_URL")["code"] == "AccessDenied"
    assert call("send_message", "QUEUE_OTHER", MessageBody="x")["code"] == "AccessDenied"
    assert "code" not in call("receive_message", "QUEUE_OTHER")


NODE = '''
import { SQSClient, GetQueueUrlCommand, SendMessageCommand, ReceiveMessageCommand, CreateQueueCommand } from "@aws-sdk/client-sqs";
import { S3Client, PutObjectCommand, GetObjectCommand } from "@aws-sdk/client-s3";
import { LambdaClient, InvokeCommand } from "@aws-sdk/client-lambda";

const sqs = new SQSClient({}), s3 = new S3Client({}), lambda = new LambdaClient({});

export const handler = async ({ queue, bucket }) => {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
  await sqs.send(new SendMessageCommand({ QueueUrl: process.env.QUEUE_URL, MessageBody: "by node" }));
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "node", Body: "x".repeat(300000) }));
  const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: "node" }));
  const invoked = await lambda.send(new InvokeCommand({ FunctionName: "in-echo", Payload: '{"n":1}' }));
  let refused;
  try { await sqs.send(new CreateQueueCommand({ QueueName: "in-node" })); } catch (error) { refused = error.name; }
  return { body: Messages[0].Body, size: (await object.Body.transformToString()).length,
           invoked: JSON.parse(Buffer.from(invoked.Payload).toString()), refused };
};
'''


@pytest.mark.parametrize("snapshot", ["on", "off"])
def test_node_with_the_sdk(server, account, world, modules, tmp_path, snapshot):
    folder = tmp_path / "app"
    shutil.copytree(os.path.join(modules, "node_modules"), folder / "node_modules", symlinks=True)
    (folder / "index.mjs").write_text(NODE)
    queue = "in-" + uuid.uuid4().hex[:10]
    account.boto().create_queue(QueueName=queue)
    name = "in-node-" + snapshot
    server.deploy(str(folder), "--name", name, "--memory", "512", "--snapshot", snapshot, "--timeout", "60",
                  "--env", f"QUEUE_URL=http://127.0.0.2/000000000000/{queue}")
    told = server.invoke(name, {"queue": queue, "bucket": world["bucket"]}).expect(200).json
    assert told == {"body": "by node", "size": 300000, "invoked": {"echo": {"n": 1}},
                    "refused": told["refused"]}, told
    assert "AccessDenied" in told["refused"]
