"""What tests of queues and their functions say to a server again and again."""

import json


def make_queue(server, name, **settings):
    server.api("PUT", f"/v1/queues/{name}", settings).expect(200, 201)


def send(server, queue, messages):
    """Bodies as they are ({"body": ...}), or what is to be one as JSON. All are accepted."""
    for start in range(0, len(messages), 1000):
        part = [m if isinstance(m, dict) and "body" in m else {"body": json.dumps(m)}
                for m in messages[start:start + 1000]]
        answer = server.api("POST", f"/v1/queues/{queue}/messages", {"messages": part}).expect(200)
        assert all("id" in m for m in answer.json["messages"]), answer


def counts(server, queue):
    info = server.api("GET", f"/v1/queues/{queue}").expect(200).json
    return info["visible"], info["in_flight"], info["delayed"]


def state(server, prefix):
    items, after = {}, ""
    while True:
        page = server.api("GET", f"/v1/state?limit=1000&prefix={prefix}&after={after}").expect(200).json
        items.update({i["key"][len(prefix):]: i["value"] for i in page["items"]})
        after = page["next"]
        if not after:
            return items


def trigger(server, queue, function, **settings):
    return server.api("POST", "/v1/triggers", {"queue": queue, "function": function, **settings}).expect(201).json


def dead(server, queue):
    return server.api("GET", f"/v1/queues/{queue}/messages?max=1000").expect(200).json["messages"]
