"""The hello function as a WSGI application, for gunicorn."""

import json


def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    name = json.loads(environ["wsgi.input"].read(length))["name"] if length else "World"
    body = json.dumps({"message": "Hello " + name}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
