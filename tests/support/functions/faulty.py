"""Charges what messages say, exactly once, and fails as they ask: {"n", "price", "fault"?, "until"?, "slow"?}.

until: it fails in its first so many receptions only. FAULT in the environment: the version itself is broken.
"""

import os
import signal
import time

import json

if os.environ.get("FAULT") == "init":
    raise RuntimeError("this version cannot start")


def fail(what):
    if what["fault"] == "throw":
        raise ValueError("no luck with %s" % what["n"])
    if what["fault"] == "hang":
        time.sleep(3600)
    if what["fault"] == "exit":
        os._exit(3)
    if what["fault"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what["fault"] == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1)) * (4 << 20))


def handler(event, context):
    if os.environ.get("FAULT") == "throw":
        raise RuntimeError("this version is broken")
    failures = []
    for record in event["Records"]:
        queue = record["eventSourceARN"].split(":")[-1]
        what = json.loads(record["body"])
        time.sleep(what.get("slow", 0))
        if "fault" in what and int(record["attributes"]["ApproximateReceiveCount"]) <= what.get("until", 1000):
            if what["fault"] == "decline":
                failures.append({"itemIdentifier": record["messageId"]})
                continue
            fail(what)
        context.state.add("charged/%s/%s" % (queue, what["n"]), 1)
        context.state.add("spent/%s/all" % queue, what["price"])
        context.state.put("by/%s/%s" % (queue, what["n"]), os.environ.get("REVISION", ""))
    return {"batchItemFailures": failures}
