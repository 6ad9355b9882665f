"""Initialisation takes a moment; calls are instant."""

import os
import time

time.sleep(0.2)


def handler(event, context):
    return os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
