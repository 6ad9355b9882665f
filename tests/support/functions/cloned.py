"""Says when it was initialised and by which process, which instance it is, and a number that is its own."""

import os
import random
import time

STARTED = time.monotonic_ns()
random.random()
PID_THEN = os.getpid()
own = None


def handler(event, context):
    global own
    own = own or random.random()
    time.sleep(event.get("s", 0))
    stream = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
    return {"started": STARTED, "stream": stream, "own": own, "pids": [PID_THEN, os.getpid()]}
