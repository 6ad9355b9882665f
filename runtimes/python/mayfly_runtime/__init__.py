"""Mayfly's Python runtime: loads a function and serves it over frames.

frames    bytes of the protocol and the blocking channel
load      finds the user's code and what kind of app it is
serve     picks the server for the app
sync      event handlers, one at a time, on the main thread (the fast path)
threads   sync handlers and WSGI apps, several at once
aio       async handlers and ASGI apps on one asyncio loop
"""
