"""Sleeps as long as it is told to, and says which instance did."""

import os
import time


def handler(event, context):
    began = time.time()
    time.sleep(event.get("s", 0.5))
    return {"instance": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], "began": began, "ended": time.time()}
