"""Handles messages of queues: says in the state what it has seen, and does what a body asks for."""

import json
import os
import time


def handler(event, context):
    failures = []
    for record in event["Records"]:
        what = json.loads(record["body"])
        if what.get("poison"):
            raise ValueError("poison %s" % what["n"])
        if what.get("hang"):
            time.sleep(60)
        if what.get("slow"):
            time.sleep(what["slow"])
        if what.get("not_me"):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        context.state.add("seen/%s/%s" % (event["Records"][0]["eventSourceARN"].split(":")[-1], what["n"]), 1)
        context.state.put("by/%s" % what["n"], os.environ["REVISION"])
    return {"batchItemFailures": failures}
