"""Starts a thread while it initialises: it cannot be cloned."""

import threading
import time

threading.Thread(target=time.sleep, args=(10_000,), daemon=True).start()


def handler(event, context):
    return {"threads": threading.active_count()}
