"""Initialisation takes a moment; calls are instant."""

import time
import uuid

time.sleep(0.2)
INSTANCE = str(uuid.uuid4())


def handler(event, context):
    return INSTANCE
