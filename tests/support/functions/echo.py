"""Answers with what it was given; counts calls of this instance."""

import json
import os

calls = 0


def handler(event, context):
    global calls
    calls += 1
    return {
        "event": event,
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "memory": context.memory_limit_in_mb,
        "instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        "calls": calls,
        "env": dict(os.environ),
        "files": sorted(os.listdir("/var/task")),
    }


def shaped(event, context):
    """What an API Gateway v2 handler may answer."""
    kind = json.loads(event.get("body") or "{}").get("kind") if "rawPath" in event else event.get("kind")
    return {
        "full": {
            "statusCode": 201,
            "headers": {"Content-Type": "text/plain; charset=utf-8", "X-One": "1"},
            "cookies": ["a=1; Path=/", "b=2"],
            "body": "made",
        },
        "binary": {"statusCode": 200, "headers": {"content-type": "image/png"},
                   "isBase64Encoded": True, "body": "iVBORwD/AP4="},
        "plain": {"just": "json"},
        "text": "a string",
        "null": None,
        "bad_status": {"statusCode": "many", "body": "x"},
        "not_json": {1, 2, 3},
    }[kind]
