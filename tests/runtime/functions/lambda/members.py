"""What a handler under AWS's Python runtime sees and may do; the event names what is asked."""

import logging
import os
from decimal import Decimal

log = logging.getLogger("orders")


def handler(event, context):
    return globals()["on_" + event["op"]](event, context)


def on_context(event, context):
    client = context.client_context
    return {
        "repr": repr(context),
        "tenant": context.tenant_id,
        "identity": context.identity.cognito_identity_id,
        "client": client and [client.custom, client.env, client.client and client.client.app_title],
        "missing": client and client.client and client.client.app_package_name,
    }


def on_trace(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")


async def trace_async(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")


def on_log(event, context):
    log.info("quiet")
    log.warning("order %d", 7, extra={"order": 7})
    context.log("one")
    context.log("two")


def on_digits(event, context):
    return {"price": Decimal("1.10"), "many": [Decimal("12345678901234567890.5")], "text": b"g\xc3\xb6"}


def on_bytes(event, context):
    return b'{"made": "elsewhere"}'


def on_fail(event, context):
    raise KeyError("no order")


def on_log_exception(event, context):
    try:
        return {}["x"]
    except KeyError:
        log.exception("lost")
