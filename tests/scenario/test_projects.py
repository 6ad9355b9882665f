"""mayfly deploy of projects that were written for AWS SAM and the Serverless Framework."""

import json
import os
import shutil

import pytest

from harness import Server, eventually, needs

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


@pytest.fixture(scope="module")
def host():
    """A server of this file's own: the projects have routes and schedules."""
    server = Server().start()
    yield server
    assert server.stop() == 0, server.log()
    server.close()


def paths(findings):
    return {f["path"]: f for f in findings}


def seen(server, function):
    """What the function printed about its events."""
    found = []
    for line in server.logs(function):
        _, mark, text = line["text"].partition("SEEN ")
        if mark:
            found.append(json.loads(text))
    return found


def send(server, queue, *bodies):
    for body in bodies:
        server.cli("queue", "send", queue, body)


@pytest.fixture(scope="module")
def shop(host):
    return host.deploy(os.path.join(FIXTURES, "sam-shop"))


def test_sam_functions_answer_over_http(host, shop):
    answer = host.http("GET", "/orders/17").expect(200).json
    assert answer["id"] == "17" and answer["memory"] in (192, "192") and 0 < answer["left"] <= 7000
    env = answer["env"]
    assert env["LEVEL"] == "info" and env["MODE"] == "shop-quiet" and env["TABLE"] == "shop-table"
    assert env["QUEUE_NAME"] == "sam-shop-OrderQueue" and env["QUEUE_URL"].endswith("/sam-shop-OrderQueue")
    assert env["TOPIC"].startswith("arn:aws:sns:") and env["TOPIC"].endswith(":sam-shop-News")
    assert env["STREAM"] is None, "what cannot be known is left out, and said"
    assert env["BASE"] == host.gateway + "/orders"
    inline = next(f for f in shop["functions"] if f["function"]["function"] == "sam-shop-InlineFunction")
    url = inline["function_url"]["url"]
    assert host.http("GET", url[len(host.gateway):]).expect(200).json["inline"] is True
    assert host.api("GET", "/v1/functions/sam-shop-LoudFunction").status == 404
    preflight = host.http("OPTIONS", "/orders/1", headers={"Origin": "https://shop.example",
                                                           "Access-Control-Request-Method": "GET"})
    assert preflight.header("Access-Control-Allow-Origin") == "https://shop.example"


def test_sam_says_what_it_did_not_use(host, shop):
    left = paths(shop["not_used"])
    function = "Resources.OrdersFunction.Properties."
    assert "VPC" in left[function + "VpcConfig"]["why"]
    assert function + "Policies[0].SQSSendMessagePolicy" in paths(shop["used"])
    assert "StreamArn" in left[function + "Environment.Variables.STREAM"]["why"]
    assert "authorizer" in left[function + "Events.Secret"]["why"]
    assert "Resources.ReportFunction.Properties.Events.Upload" not in left
    assert "false" in left["Resources.LoudFunction"]["why"]
    assert "DynamoDB" in left["Resources.Table"]["why"] and "Resources.Bucket" not in left
    assert any(b["name"] == "sam-shop-bucket" for b in host.api("GET", "/v1/buckets").json["buckets"])
    assert "ReportFunctionRole" in left["Outputs.Role.Value"]["why"]
    with open(os.path.join(FIXTURES, "sam-shop", "template.yaml")) as f:
        lines = f.read().splitlines()
    for finding in shop["not_used"] + shop["used"]:
        assert finding["file"] == "template.yaml" and finding["line"] > 0, finding
        last = finding["path"].split(".")[-1].split("[")[0]
        assert last in lines[finding["line"] - 1], finding
    direct = host.call("sam-shop-OrdersFunction")
    assert direct.status == 403 and b"'direct' is off" in direct.body, "nobody comes in beside the routes"
    assert host.http("GET", "/secret").status == 404, "a route that asks who calls is not open to all"
    used = paths(shop["used"])
    assert used["Resources.OrdersFunction"]["as"].startswith("function sam-shop-OrdersFunction")
    assert {o["name"]: o["value"] for o in shop["outputs"]} == {
        "Url": host.gateway + "/orders", "Report": used and next(
            o["value"] for o in shop["outputs"] if o["name"] == "Report")}
    assert next(o["value"] for o in shop["outputs"] if o["name"] == "Report").endswith(":function:shop-report")


def test_sam_limits_tags_and_alias(host, shop):
    told = host.api("PUT", "/v1/functions/sam-shop-OrdersFunction/belongings", {}).expect(200).json
    assert told == {"tags": {"team": "shop"}, "reserved_concurrency": 20, "aliases": {"live": 1}}
    event = {"version": "2.0", "routeKey": "$default", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    assert host.invoke("sam-shop-OrdersFunction:live", event).status == 200


def test_sam_queue_schedule_topic_and_rule(host, shop):
    send(host, "sam-shop-OrderQueue", "good", "bad")
    records = lambda: [r for e in seen(host, "shop-report") for r in e.get("Records", [])]
    eventually(lambda: {"good", "bad"} <= {r.get("body") for r in records()}, "the messages of the queue")
    eventually(lambda: {"tick": True} in seen(host, "shop-report"), "the schedule's event")
    host.cli("topic", "publish", "sam-shop-News", "extra")
    eventually(lambda: any(r.get("Sns", {}).get("Message") == "extra" for r in records()), "the topic's event")
    host.cli("event", "put", "--source", "sam.shop", "--type", "Shipped", "--detail", '{"n":1}')
    eventually(lambda: any(e.get("detail-type") == "Shipped" for e in seen(host, "shop-report")), "the rule's event")
    queue = host.api("GET", "/v1/queues/sam-shop-OrderQueue").expect(200).json
    assert queue["settings"]["visibility_timeout_s"] == 45
    assert queue["settings"]["dead_letter_queue"] == "shop-dead" and queue["settings"]["receive_count_max"] == 3


def test_sam_again_with_parameters(host, shop, make_server):
    folder = os.path.join(FIXTURES, "sam-shop")
    again = host.deploy(folder)
    assert all(one["unchanged"] for one in again["functions"])
    # The gateway's paths belong to one application; a server of its own takes the other.
    flags = ("--name", "other", "--parameter", "Level=debug", "--parameter", "Prefix=odd")
    clash = host.deploy(folder, *flags, check=5)
    assert "GET /orders/{id} belongs to the application 'sam-shop'" in clash.err
    host.cli("rm", "other-OrdersFunction", "odd-report", "other-LoudFunction")
    other = make_server().deploy(folder, *flags)
    names = {one["function"]["function"] for one in other["functions"]}
    assert names == {"other-OrdersFunction", "odd-report", "other-LoudFunction"}
    refused = host.cli("deploy", folder, "--parameter", "Level=silly", check=2)
    assert "template.yaml, line 6" in refused.err and "AllowedValues" in refused.err
    unknown = host.cli("deploy", folder, "--parameter", "Nope=1", check=2)
    assert "no parameter of that name" in unknown.err


def test_the_table_for_people(host, shop):
    text = host.cli("deploy", os.path.join(FIXTURES, "sam-shop")).out.decode()
    assert "not used: Mayfly has no VPCs" in text and "Resources.OrdersFunction.Properties.VpcConfig" in text
    assert "OUTPUT" in text and host.gateway + "/orders" in text


@pytest.fixture(scope="module")
def notes(host):
    needs("node")
    return host.deploy(os.path.join(FIXTURES, "serverless-notes"))


def test_serverless_functions_answer_over_http(host, notes):
    answer = host.http("GET", "/notes/5").expect(200).json
    assert answer["id"] == "5" and answer["route"] == "GET /notes/{id}" and answer["name"] == "notes-dev-api"
    assert answer["memory"] in (256, "256")
    assert answer["env"] == {"STAGE": "dev", "GREETING": "hello", "SECRET": "none", "OWNER": "Dora",
                             "PARAM": "blue", "FROM_SSM": None}
    assert answer["files"] == ["src/api.js", "src/keep.md", "src/worker.js"]
    assert host.http("POST", "/notes", "text").expect(200).json["body"] == "text"
    assert host.http("GET", "/closed").status == 404
    assert host.http("GET", "/signed").status == 403
    first = host.http("GET", "/first/7").expect(200).json
    assert first["id"] == "7" and first["route"] is None and first["resource"] == "/first/{id}"
    assert host.http("GET", "/notes/5", headers={"Origin": "https://a.example"}).header(
        "Access-Control-Allow-Origin") == "*"


def test_serverless_says_what_it_did_not_use(notes):
    left = paths(notes["not_used"])
    assert "VPC" in left["functions.worker.vpc"]["why"]
    assert "Parameter Store" in left["provider.environment.FROM_SSM"]["why"]
    assert "authorizer" in left["functions.api.events[3].http"]["why"]
    assert "build before" in left["plugins[0]"]["why"]
    assert "DynamoDB" in left["resources.Resources.Table"]["why"]
    assert "functions.worker.events[4].s3" not in left
    assert notes["outputs"][0]["value"].endswith("/notes-dev-jobs")


def test_serverless_queue_schedule_topic_and_rule(host, notes):
    send(host, "notes-dev-jobs", "one", "bad")
    events = lambda: [e["event"] for e in seen(host, "notes-dev-worker")]
    records = lambda: [r for e in events() for r in e.get("Records", [])]
    eventually(lambda: {"one", "bad"} <= {r.get("body") for r in records()}, "the messages of the queue")
    eventually(lambda: {"from": "schedule"} in events(), "the schedule's event")
    host.cli("topic", "publish", "notes-dev-news", "hi")
    eventually(lambda: any(r.get("Sns", {}).get("Message") == "hi" for r in records()), "the topic's event")
    host.cli("event", "put", "--source", "notes.test", "--type", "x", "--detail", "{}")
    eventually(lambda: any(e.get("source") == "notes.test" for e in events()), "the rule's event")
    assert seen(host, "notes-dev-worker")[0]["queue"].endswith("/notes-dev-jobs")


def test_serverless_stages_and_parameters(make_server):
    needs("node")
    folder = os.path.join(FIXTURES, "serverless-notes")
    host = make_server()
    other = host.cli("deploy", folder, "--json", "--stage", "prod", "--parameter", "colour=red",
                     env={"NOTES_SECRET": "s3"}, timeout=120)
    assert {one["function"]["function"] for one in other.json["functions"]} == {"notes-prod-api", "notes-prod-worker"}
    event = {"version": "2.0", "routeKey": "x"}
    env = json.loads(host.invoke("notes-prod-api", event).expect(200).json["body"])["env"]
    assert env == {"STAGE": "prod", "GREETING": "good day", "SECRET": "s3", "OWNER": "notes-team", "PARAM": "red",
                   "FROM_SSM": None}


def test_errors_name_file_line_and_key(host, tmp_path):
    def refused(text, name="serverless.yml"):
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        folder.mkdir()
        (folder / name).write_text(text)
        (folder / "app.py").write_text("def handler(event, context): return 1\n")
        return host.cli("deploy", folder, check=2).err

    head = "service: s\nprovider: {name: aws, runtime: python3.11}\n"
    told = refused(head + "functions:\n  a:\n    handler: app.handler\n    timeout: soon\n")
    assert "serverless.yml, line 6: functions.a.timeout: must be a whole number" in told
    told = refused(head + "custom:\n  a: ${self:custom.b}\n  b: ${self:custom.a}\nfunctions: {}\n")
    assert "lead back to itself" in told and "line 4" in told or "line 5" in told
    told = refused(head + "custom:\n  a: ${self:custom.nothing}\n")
    assert "serverless.yml, line 4: custom.a: there is no value for" in told
    told = refused(head + "custom:\n  a: ${file(../../etc/passwd):x}\n")
    assert "not in the project's folder" in told
    told = refused("Resources:\n  F:\n    Type: AWS::Serverless::Function\n", "template.yaml")
    assert "template.yaml, line 2: Resources.F: AWS::Serverless::Function needs 'Transform" in told
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{c}: &{c} [{', '.join('*' + p for _ in range(10))}]\n" for p, c in zip("abcdef", "bcdefg"))
    assert "an alias counts as all that it stands for" in refused(head + bomb)


def test_which_file_describes_a_folder(host, tmp_path):
    needs("node")
    shutil.copytree(os.path.join(FIXTURES, "serverless-notes"), tmp_path / "both")
    (tmp_path / "both" / "template.yaml").write_text("Resources: {}\n")
    both = host.cli("deploy", tmp_path / "both", check=2)
    assert "-f" in both.err and "template.yaml" in both.err
    # A template of something else is a file as any other.
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "template.yaml").write_text("title: {{ page }}\n")
    (folder / "main.py").write_text("def handler(event, context): return 'plain'\n")
    host.deploy(folder)
    assert host.invoke("plain", {}).expect(200).json == "plain"
