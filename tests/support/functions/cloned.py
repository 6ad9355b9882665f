"""Says when it was initialised, and which instance it is."""

import os
import time

STARTED = time.monotonic_ns()


def handler(event, context):
    time.sleep(event.get("s", 0))
    return {"started": STARTED, "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]}
