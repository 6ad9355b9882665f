"""Sleeps for a second: for the row of a hundred parallel calls."""

import time


def handler(event, context):
    time.sleep(1)
    return "slept"
