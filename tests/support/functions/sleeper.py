"""Sleeps as long as it is told to, and says which instance did."""

import time
import uuid

INSTANCE = str(uuid.uuid4())


def handler(event, context):
    began = time.time()
    time.sleep(event.get("s", 0.5))
    return {"instance": INSTANCE, "began": began, "ended": time.time()}
