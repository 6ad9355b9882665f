"""The bytes of the protocol: many frames in one write, frames in pieces, golden frames."""

import importlib.util
import os

import pytest

import driver
from conftest import EVENT, HTTP, each, only

SOME = {name: flavour for name, flavour in EVENT.items() if name not in ("python-async-8", "node-callback")}
GOLDEN = os.path.join(driver.ROOT, "tests", "unit", "wire", "golden")


@each(SOME)
def test_many_frames_in_one_write(runtime):
    calls = [runtime.open() for _ in range(500)]
    body = [driver.to_json({"op": "echo", "value": "v%d" % call.stream}) for call in calls]
    runtime.send(b"".join(driver.invoke_frame(c.stream, b) for c, b in zip(calls, body)))
    for call in calls:
        assert runtime.finish(call).result() == "v%d" % call.stream


@each(SOME)
def test_frames_split_at_every_byte(runtime):
    first, second = runtime.open(), runtime.open()
    event = driver.to_json({"op": "echo", "value": "ü"})
    data = driver.invoke_frame(first.stream, event, end=False)
    data += driver.frame(first.stream, driver.DATA, driver.END, b"")
    data += driver.invoke_frame(second.stream, event)
    for at in range(len(data)):
        runtime.send(data[at : at + 1])
    assert runtime.finish(first).result() == "ü"
    assert runtime.finish(second).result() == "ü"


@each(SOME)
def test_two_frames_cut_at_every_place(runtime):
    event = driver.to_json({"op": "echo", "value": 7})
    size = 2 * len(driver.invoke_frame(1, event, meta={"id": "x", "deadline_ms": 10**12}))
    for cut in range(1, size, 3):
        calls = [runtime.open(), runtime.open()]
        meta = {"id": "x", "deadline_ms": 10**12}
        data = b"".join(driver.invoke_frame(call.stream, event, meta=meta) for call in calls)
        runtime.send(data[:cut])
        runtime.send(data[cut:])
        for call in calls:
            assert runtime.finish(call).result() == 7


@each(SOME)
def test_an_event_in_pieces_of_odd_sizes(runtime):
    call = runtime.open()
    body = driver.to_json({"op": "size", "value": "größe" * 5000})
    runtime.send(driver.invoke_frame(call.stream, b"", end=False))
    at, size = 0, 1
    while at < len(body):
        runtime.send_data(call, body[at : at + size], end=at + size >= len(body))
        at += size
        size = size * 2 + 1
    assert runtime.finish(call).result() == 25000


@each({name: flavour for name, flavour in EVENT.items() if flavour.concurrency == 0})
def test_a_frame_over_the_limit_ends_the_runtime(flavour):
    with flavour.start() as runtime:
        runtime.wait_ready()
        runtime.socket.setblocking(True)
        runtime.socket.sendall(driver.HEADER.pack(driver.MAX_FRAME + 1, 1, driver.INVOKE, 0, 0))
        assert runtime.process.wait(driver.TIMEOUT) == 1


@each(only(HTTP, "wsgi", "listener"))
def test_frames_of_streams_that_are_over_are_ignored(runtime):
    call = runtime.http("GET", "/empty")
    for kind, payload in ((driver.WINDOW, b"\0\0\1\0"), (driver.CANCEL, b""), (driver.DATA, b"late")):
        runtime.send(driver.frame(call.stream, kind, 0, payload))
    assert runtime.http("GET", "/empty").head["status"] == 204


def load_generator():
    spec = importlib.util.spec_from_file_location("generate", os.path.join(GOLDEN, "generate.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_golden_frames_are_those_of_the_generator():
    generator = load_generator()
    names = {name for name in os.listdir(GOLDEN) if name.endswith(".bin")}
    assert names == {name + ".bin" for name in generator.FRAMES}
    for name, data in generator.FRAMES.items():
        with open(os.path.join(GOLDEN, name + ".bin"), encoding="ascii") as file:
            assert bytes.fromhex(file.read()) == data, name


@pytest.mark.parametrize("name", ["invoke_event", "invoke_http", "data", "data_end", "window"])
def test_the_driver_makes_golden_frames(name):
    golden = load_generator().FRAMES[name]
    size, stream, kind, flags, zero = driver.HEADER.unpack_from(golden)
    assert size == len(golden) - 12 and zero == 0
    assert driver.frame(stream, kind, flags, golden[12:]) == golden


def test_the_python_runtime_makes_golden_frames():
    import sys

    golden = load_generator().FRAMES
    sys.path.insert(0, os.path.join(driver.ROOT, "runtimes", "python"))
    try:
        from mayfly_runtime import frames
    finally:
        sys.path.pop(0)
    assert frames.reply_frame(7, frames.END, b"", b'{"ok":true}') == golden["reply_event"]
    head = b'{"status":200,"headers":[["content-type","text/plain"],["set-cookie","a=1"],["set-cookie","b=2"]]}'
    assert frames.reply_frame(9, frames.HTTP, head, b"hello") == golden["reply_http"]
    assert frames.window_frame(9, 65536) == golden["window"]
    decoder = frames.Decoder()
    stream = b"".join(golden[name] for name in sorted(golden))
    found = [one for at in range(0, len(stream), 5) for one in decoder.feed(stream[at : at + 5])]
    assert len(found) == len(golden)
    assert b"".join(frames.frame(*one) for one in found) == stream
