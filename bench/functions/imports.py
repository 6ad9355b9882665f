"""Has 100 ms of initialisation of its own, most of it imports: for the rows of cold starts."""

import time

BEGAN = time.perf_counter()

import asyncio  # noqa: E402, F401
import concurrent.futures  # noqa: E402, F401
import ctypes  # noqa: E402, F401
import decimal  # noqa: E402, F401
import email.message  # noqa: E402, F401
import http.client  # noqa: E402, F401
import json  # noqa: E402
import logging.config  # noqa: E402, F401
import sqlite3  # noqa: E402, F401
import ssl  # noqa: E402, F401
import unittest.mock  # noqa: E402, F401
import urllib.request  # noqa: E402, F401
import xml.dom.minidom  # noqa: E402, F401

TABLE = {}
while time.perf_counter() - BEGAN < 0.1:  # faster machines fill a table besides
    TABLE[len(TABLE)] = str(len(TABLE))
TOOK_MS = (time.perf_counter() - BEGAN) * 1e3


def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"},
            "body": json.dumps({"initialised_ms": TOOK_MS, "entries": len(TABLE)})}
