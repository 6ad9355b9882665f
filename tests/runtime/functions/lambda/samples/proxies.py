"""Python handlers in the shapes that Lambda functions behind an API have."""

import asyncio
import base64
import functools
import json
import os
import urllib.parse

ITEMS = {"1": {"id": "1", "name": "pen"}}  # lives as long as the instance


def respond(status, body=None, **headers):
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


def api_v2(event, context):
    """A small router over payload format 2.0."""
    http = event["requestContext"]["http"]
    route = http["method"], event["rawPath"].rstrip("/").rsplit("/", 1)[-1]
    if route == ("GET", "items"):
        return respond(200, sorted(ITEMS))
    if route == ("POST", "items"):
        body = event["body"]
        body = base64.b64decode(body) if event["isBase64Encoded"] else body
        item = json.loads(body)
        ITEMS[item["id"]] = item
        return respond(201, item, Location="items/" + item["id"])
    return respond(404, {"message": "not found"})


def api_v1(event, context):
    """REST proxy: payload format 1.0, multi-value members."""
    query = event.get("multiValueQueryStringParameters") or {}
    return {
        "statusCode": 200,
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "headers": {"X-Stage": event["requestContext"]["stage"]},
        "body": json.dumps({"id": event["pathParameters"]["id"], "tags": query.get("tag", [])}),
    }


def cookies(event, context):
    seen = dict(pair.split("=", 1) for pair in event.get("cookies", []))
    count = int(seen.get("visits", "0")) + 1
    return {"statusCode": 200, "cookies": ["visits=%d; HttpOnly" % count], "body": str(count)}


def image(event, context):
    data = bytes(range(256))
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "image/x-raw"},
        "isBase64Encoded": True,
        "body": base64.b64encode(data).decode(),
    }


def form(event, context):
    fields = urllib.parse.parse_qs(event["body"])
    return {"fields": fields}


def redirect(event, context):
    return {"statusCode": 302, "headers": {"Location": "https://example.test/"}}


def plain(event, context):
    return "just text"


def validated(required):
    """Middleware as a decorator with arguments."""

    def wrap(handler):
        @functools.wraps(handler)
        def inner(event, context):
            missing = [name for name in required if name not in event]
            if missing:
                return respond(400, {"missing": missing})
            return respond(200, handler(event, context))

        return inner

    return wrap


@validated(["name"])
def decorated(event, context):
    return {"hello": event["name"], "function": context.function_name}


class Greeter:
    """A callable object as the handler."""

    def __init__(self, greeting):
        self.greeting = greeting

    def __call__(self, event, context):
        return "%s %s" % (self.greeting, event["name"])


greeter = Greeter("Good day")


async def app(scope, receive, send):
    """An ASGI app that knows nothing of Lambda."""
    message = await receive()
    body = b"%s %s %s" % (scope["method"].encode(), scope["path"].encode(), message["body"])
    headers = [(b"content-type", b"text/plain"), (b"x-query", scope["query_string"])]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Adapter:
    """Runs an ASGI app for each event, as adapters of that kind do."""

    def __init__(self, target):
        self.target = target

    def __call__(self, event, context):
        http = event["requestContext"]["http"]
        body = event.get("body") or ""
        body = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        scope = {
            "type": "http",
            "method": http["method"],
            "path": event["rawPath"],
            "query_string": event["rawQueryString"].encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in event["headers"].items()],
            "aws.event": event,
            "aws.context": context,
        }
        sent = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        asyncio.run(self.target(scope, receive, send))
        return {
            "statusCode": sent[0]["status"],
            "headers": {k.decode(): v.decode() for k, v in sent[0]["headers"]},
            "body": sent[1]["body"].decode(),
        }


asgi = Adapter(app)


def environment(event, context):
    return {name: os.environ.get(name) for name in event["names"]}
