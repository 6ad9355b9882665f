"""Topics and event buses with the real server: fan-out to functions, queues and webhooks; CloudEvents; rules."""

import json
import uuid

import pytest

from harness import Server, eventually

CONFIG = "calls:\n  backoff_ms: 100\nwebhooks:\n  allow_loopback: true\n"
KEEPER = """import json, os
seen = []
def handler(event, context):
    if event.get('ask'):
        return seen
    seen.append(event)
    return {}
"""
WEB = """const http = require('http');
const seen = [];
http.createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', () => {
    if (request.method === 'GET') return response.end(JSON.stringify(seen));
    seen.push({ headers: request.headers, body });
    response.end();
  });
}).listen(process.env.PORT);
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    server = Server(config=CONFIG)
    server.start()
    server.deploy_source("keeper", "keeper.py", KEEPER, "--max", "1")
    yield server
    server.stop()


@pytest.fixture
def name():
    return "t-" + uuid.uuid4().hex[:10]


def queue(server, name):
    server.api("PUT", f"/v1/queues/{name}", {}).expect(200, 201)
    return name


def bodies(server, name):
    answer = server.api("GET", f"/v1/queues/{name}/messages").expect(200).json
    return [message["body"] for message in answer["messages"]]


def kept(server, mark):
    """What the function keeper has seen that holds mark."""
    return [event for event in server.invoke("keeper", {"ask": True}).expect(200).json if mark in json.dumps(event)]


def test_a_message_reaches_function_queue_and_webhook(events, sink, name):
    queue(events, name)
    sink.statuses = [500]
    events.cli("topic", "create", name)
    events.cli("topic", "subscribe", name, "keeper")
    events.cli("topic", "subscribe", name, f"queue:{name}", "--filter", '{"kind":["a"]}', "--form", "raw")
    events.cli("topic", "subscribe", name, sink.url)
    sent = events.cli("topic", "publish", name, "hello", "--subject", "s", "-a", "kind=a", "--json").json
    assert sent["deliveries"] == 3
    assert bodies(events, name) == ["hello"]
    seen = eventually(lambda: kept(events, sent["message_id"]), "the function's event")
    record = seen[0]["Records"][0]
    assert record["EventSource"] == "aws:sns" and record["Sns"]["Message"] == "hello"
    assert record["Sns"]["Subject"] == "s" and record["Sns"]["MessageAttributes"]["kind"]["Value"] == "a"
    eventually(lambda: len(sink.seen) >= 2, "the second attempt at the webhook")
    headers, body, _ = sink.seen[-1]
    assert headers["x-amz-sns-message-type"] == "Notification" and json.loads(body)["Message"] == "hello"
    # The filter holds others back.
    assert events.cli("topic", "publish", name, "other", "-a", "kind=b", "--json").json["deliveries"] == 2
    assert bodies(events, name) == ["hello"]
    listing = events.cli("topic", "describe", name, "--json").json
    assert len(listing["subscriptions"]) == 3
    events.cli("topic", "rm", name)
    assert name not in str(events.cli("topic", "ls").out)


def test_cloud_events_in_and_out(events, sink, name):
    queue(events, name)
    topic = f"/v1/topics/{name}"
    events.api("PUT", topic, {}).expect(201)
    events.api("POST", topic + "/subscriptions", {"target": f"queue:{name}", "form": "cloudevent"}).expect(201)
    events.api("POST", topic + "/subscriptions", {"target": sink.url, "form": "cloudevent"}).expect(201)
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "made", "ce-mark": "x",
              "Content-Type": "application/json"}
    events.api("POST", topic + "/publish", '{"a":1}', binary).expect(200)
    assert json.loads(bodies(events, name)[0])["data"] == {"a": 1}
    eventually(lambda: sink.seen, "the webhook's event")
    headers, body, _ = sink.seen[0]
    assert body == b'{"a":1}' and headers["ce-type"] == "made" and headers["ce-mark"] == "x"
    one = {"specversion": "1.0", "id": "2", "source": "/s", "type": "made", "data": [1]}
    batch = events.api("POST", topic + "/publish", json.dumps([one, {**one, "id": "3"}]),
                       {"Content-Type": "application/cloudevents-batch+json"}).expect(200).json
    assert len(batch["messages"]) == 2
    assert [json.loads(body)["id"] for body in bodies(events, name)] == ["1", "2", "3"]
    bad = events.api("POST", topic + "/publish", '{"id":"1"}', {"Content-Type": "application/cloudevents+json"})
    assert bad.expect(400).error["code"] == "invalid_argument" and "specversion" in bad.error["message"]


def test_functions_that_take_http_get_binary_cloud_events(events, name):
    events.deploy_source(name, "web.js", WEB, "--max", "1")
    assert events.call(name).expect(200).json == []
    events.cli("rule", "put", name, "--pattern", json.dumps({"source": [name]}), "--target", name)
    events.api("POST", "/v1/events", {"source": name, "detail_type": "made", "detail": {"n": 5}}).expect(200)
    seen = eventually(lambda: events.call(name).expect(200).json, "the event")
    assert seen[0]["headers"]["ce-source"] == name and seen[0]["headers"]["ce-type"] == "made"
    assert json.loads(seen[0]["body"]) == {"n": 5}


def test_rules_choose_and_transform(events, name):
    queue(events, name)
    events.cli("rule", "put", name, "--pattern",
               json.dumps({"source": [name], "detail": {"n": [{"numeric": [">", 3]}]}}), "--target", f"queue:{name}",
               "--target", "keeper")
    put = events.cli("event", "put", "--source", name, "--type", "Order", "--detail", '{"n":5}', "--json").json
    assert put["events"][0]["deliveries"] == 2
    assert events.cli("event", "put", "--source", name, "--type", "Order", "--detail", '{"n":3}',
                      "--json").json["events"][0]["deliveries"] == 0
    event = json.loads(bodies(events, name)[0])
    assert event["detail-type"] == "Order" and event["detail"] == {"n": 5} and event["id"] == put["events"][0]["id"]
    assert eventually(lambda: kept(events, event["id"]), "the function's event")[0] == event
    events.api("PUT", f"/v1/rules/{name}", {
        "pattern": {"source": [name]},
        "targets": [{"target": f"queue:{name}",
                     "transform": {"paths": {"n": "$.detail.n"}, "template": '{"said":"<n> of them"}'}}]}).expect(200)
    events.cli("event", "put", "--source", name, "--type", "Order", "--detail", '{"n":4}')
    assert json.loads(bodies(events, name)[1]) == {"said": "4 of them"}
    events.cli("rule", "disable", name)
    assert events.api("POST", "/v1/events", {"source": name, "detail_type": "x"}).expect(200).json["events"][0][
        "deliveries"] == 0
    bad = events.cli("rule", "put", name, "--pattern", '{"a":"b"}', check=5)
    assert "a: must be an object or a list" in bad.err
    events.cli("rule", "rm", name)


def test_rules_with_a_schedule_tick(events, name):
    queue(events, name)
    events.cli("rule", "put", name, "--schedule", "rate(1 second)", "--target", f"queue:{name}")
    # The schedule behind it is the rule's alone.
    assert "events.rules" not in events.api("GET", "/v1/schedules").expect(200).text
    for method, path in (("GET", "?group=events.rules"), ("DELETE", "/x?group=events.rules"),
                         ("POST", "/x/disable?group=events.rules")):
        answer = events.api(method, "/v1/schedules" + path)
        assert answer.status == 403 or (method == "GET" and answer.json == {"schedules": []}), answer
    events.api("PUT", "/v1/schedules/x?group=events.rules", {"expression": "@daily", "target": "queue:q"}).expect(403)
    first = json.loads(eventually(lambda: bodies(events, name), "a tick")[0])
    assert first["source"] == "aws.events" and first["detail-type"] == "Scheduled Event"
    assert first["resources"][0].endswith(":rule/" + name)
    events.cli("rule", "rm", name)


def test_topics_lead_on_from_rules_and_outlast_a_kill(events, name):
    queue(events, name)
    events.cli("topic", "create", name)
    events.cli("topic", "subscribe", name, f"queue:{name}", "--form", "raw")
    events.cli("rule", "put", name, "--pattern", json.dumps({"source": [name]}), "--target", f"topic:{name}")
    events.cli("topic", "publish", name, "before")
    events.kill()
    events.restart()
    assert bodies(events, name) == ["before"]
    events.cli("event", "put", "--source", name, "--type", "x", "--detail", '{"n":1}')
    eventually(lambda: len(bodies(events, name)) == 2, "the event behind the topic")
    assert json.loads(bodies(events, name)[1])["detail"] == {"n": 1}
    events.cli("rule", "rm", name)


def test_fifo_topics_drop_duplicates(events, name):
    fifo = name + ".fifo"
    queue(events, fifo)
    events.cli("topic", "create", fifo, "--content-deduplication")
    events.cli("topic", "subscribe", fifo, f"queue:{fifo}", "--form", "raw")
    first = events.cli("topic", "publish", fifo, "one", "--group", "g", "--json").json
    again = events.cli("topic", "publish", fifo, "one", "--group", "g", "--json").json
    assert again["duplicate"] and again["message_id"] == first["message_id"]
    events.cli("topic", "publish", fifo, "two", "--group", "g")
    assert bodies(events, fifo) == ["one", "two"]
    assert "group" in events.cli("topic", "publish", fifo, "three", check=5).err.lower()
