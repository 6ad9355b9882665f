"""Says when it was initialised, which instance it is, and a number that is the instance's own."""

import os
import random
import time

STARTED = time.monotonic_ns()
random.random()
own = None


def handler(event, context):
    global own
    own = own or random.random()
    time.sleep(event.get("s", 0))
    return {"started": STARTED, "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], "own": own}
