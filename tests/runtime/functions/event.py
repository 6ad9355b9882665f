"""The event handler of the conformance suite: event["op"] says what to do."""

import logging
import os
import sys
import threading
import time
from decimal import Decimal

logger = logging.getLogger("conformance")
print("loaded")


def fail(text):
    raise ValueError(text)


def lines(count):
    for number in range(count):
        yield "line %d\n" % number


def blocks(count, size):
    yield {"statusCode": 200, "headers": {"content-type": "application/x-blocks"}}
    for _ in range(count):
        yield b"b" * size


def context_members(context):
    return {
        "request_id": context.aws_request_id,
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "log_group": context.log_group_name,
        "log_stream": context.log_stream_name,
        "remaining": context.get_remaining_time_in_millis(),
        "client_custom": context.client_context.custom if context.client_context else None,
        "client_title": context.client_context.client.app_title if context.client_context else None,
    }


def write_logs(event):
    name = event["name"]
    print("out", name)
    sys.stdout.write("half ")
    sys.stdout.write("and half %s\n" % name)
    sys.stderr.write("err %s\n" % name)
    if event.get("unicode"):
        print("größe €")
    if event.get("library"):
        logger.warning("warned %s", name)
    if event.get("thread"):
        thread = threading.Thread(target=print, args=("thread", name))
        thread.start()
        thread.join()
    sys.stdout.write("unfinished %s" % name)
    return name


def endless():
    number = 0
    while True:
        yield b"x" * 65536
        number += 1


def act(event, context):
    op = event.get("op")
    if op == "echo":
        return event.get("value")
    if op == "context":
        return context_members(context)
    if op == "raise":
        fail(event.get("text", "boom"))
    if op == "unmarshalable":
        return {"set": {1, 2, 3}} if event.get("kind") != "circle" else circle()
    if op == "log":
        return write_logs(event)
    if op == "env":
        return {name: os.environ.get(name) for name in event["names"]}
    if op == "large":
        return "x" * event["size"]
    if op == "size":
        return len(event["value"])
    if op == "stream":
        return {
            "statusCode": 201,
            "headers": {"content-type": "text/x-lines", "x-one": "1"},
            "cookies": ["a=1", "b=2"],
            "body": lines(event["count"]),
        }
    if op == "blocks":
        return blocks(event["count"], event["size"])
    if op == "endless":
        return endless()
    if op == "stream_fails":
        return failing_stream()
    if op == "binary":
        return iter([bytes(range(256))] * 3)
    if op == "remaining":
        first = context.get_remaining_time_in_millis()
        time.sleep(0.05)
        return [first, context.get_remaining_time_in_millis()]
    if op == "wait_for_cancel":
        return wait_for_cancel(context)
    if op == "special":
        return {"decimal": Decimal("1.5"), "text": "a\u2028b\x00\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")}
    if op == "exit":
        print("leaving")
        sys.exit(3)
    return {"unknown": op}


def wait_for_cancel(context):
    print("waiting")
    while not context.cancelled:
        time.sleep(0.005)
    print("noticed")


def circle():
    found = {}
    found["self"] = found
    return found


def failing_stream():
    yield "before\n"
    raise RuntimeError("in the middle")


def handler(event, context):
    if event.get("op") == "sleep":
        print("sleeping", event["name"])
        time.sleep(event.get("seconds", 0))
        while not os.path.exists(event.get("until", "/")):
            time.sleep(0.005)
        print("slept", event["name"])
        return event["name"]
    return act(event, context)
