import time


def handler(event, context):
    """Counts down. What is yielded is sent at once; a first item with statusCode is the head."""
    query = event.get("queryStringParameters") or {}
    count = min(int(query.get("count", 5)), 60)
    yield {"statusCode": 200, "headers": {"content-type": "text/plain; charset=utf-8"}}
    for number in range(count, 0, -1):
        yield f"{number}\n"
        time.sleep(0.2)
    yield "lift-off\n"
