"""As event.py, with an async handler."""

import asyncio
import os

import event as plain


async def endless():
    try:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)
    finally:
        print("closed the stream")


async def lines(count):
    for number in range(count):
        yield "line %d\n" % number
        await asyncio.sleep(0)


async def handler(event, context):
    op = event.get("op")
    if op == "sleep":
        print("sleeping", event["name"])
        try:
            await asyncio.sleep(event.get("seconds", 0))
            while not os.path.exists(event.get("until", "/")):
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            print("was cancelled")
            raise
        print("slept", event["name"])
        return event["name"]
    if op == "endless":
        return endless()
    if op == "stream":
        result = plain.act(event, context)
        result["body"] = lines(event["count"])
        return result
    await asyncio.sleep(0)
    return plain.act(event, context)
