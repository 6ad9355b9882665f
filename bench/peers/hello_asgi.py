"""The hello function as an ASGI application, for uvicorn."""

import json


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    text = b""
    while True:
        message = await receive()
        text += message.get("body", b"")
        if not message.get("more_body"):
            break
    body = json.dumps({"message": "Hello " + (json.loads(text)["name"] if text else "World")}).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json"),
                            (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
