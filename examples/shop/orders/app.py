import json
import uuid


def app(environ, start_response):
    try:
        order = json.load(environ["wsgi.input"])
        items = {str(key): int(count) for key, count in order["items"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer(start_response, "400 Bad Request", {"error": 'expected {"items":{"kettle":1}}'})
    number = str(uuid.uuid4())
    print("order", number, items)
    return answer(start_response, "201 Created", {"order": number, "items": items}, number)


def answer(start_response, status, value, number=None):
    headers = [("Content-Type", "application/json")]
    if number:
        headers.append(("X-Order-Id", number))
    start_response(status, headers)
    return [json.dumps(value).encode()]
