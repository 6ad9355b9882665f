"""What only Node's runtime has: callbacks, streamed responses, errors that nobody catches."""

import json

import pytest

import driver
from conftest import JS, zygote


@pytest.fixture
def serve(tmp_path):
    """Starts a runtime for the source of an index file."""
    started = []

    def start(source, name="index.js", **options):
        (tmp_path / name).write_text(source)
        runtime = JS.start(tmp_path, **options)
        started.append(runtime)
        runtime.wait_ready()
        return runtime

    yield start
    for runtime in started:
        runtime.__exit__()


@pytest.mark.parametrize(
    "source, result",
    [
        ("exports.handler = (event, context, callback) => callback(null, event.a);", 1),
        ("exports.handler = (event, context, callback) => setTimeout(callback, 5, null, event.a);", 1),
        ("exports.handler = (event, context) => context.succeed(event.a);", 1),
        ("exports.handler = (event, context) => context.done(null, event.a);", 1),
        ("exports.handler = (event) => event.a;", 1),
        ("exports.handler = (event) => ({ then(resolve) { resolve(event.a); } });", 1),
        ("exports.handler = async () => {};", None),
        ("exports.handler = () => {};", None),
        ("exports.handler = (event, context, callback) => {};", None),
        ("exports.handler = async (event, context) => Object.keys(context).includes('awsRequestId');", True),
        ("exports.handler = async (...args) => args[1].awsRequestId;", "request-1"),
        ("exports.handler = async function () { return JSON.parse(JSON.stringify(arguments[1])).functionName; };", "conformance"),
        ("exports.handler = (event, context, callback) => { setTimeout(() => console.log('late'), 20); callback(null, 1); };", 1),
    ],
)
def test_forms_of_handlers(serve, source, result):
    runtime = serve(source)
    assert runtime.event({"a": 1}).result() == result
    assert runtime.event({"a": 1}, {"id": "request-1"}).result() == result


def test_a_callback_waits_for_the_event_loop_unless_told_otherwise(serve):
    head, body = "exports.handler = (event, context, callback) => { ", "callback(null, 1); };"
    runtime = serve(head + "setTimeout(() => console.log('late'), 50); " + body)
    assert runtime.event({}).log() == "late\n"
    runtime = serve(head + "context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 1e9); " + body)
    assert runtime.event({}).result() == 1


@pytest.mark.parametrize(
    "source, kind, message",
    [
        ("(event, context, callback) => callback(new TypeError('bad'));", "TypeError", "bad"),
        ("(event, context) => context.fail(new TypeError('bad'));", "TypeError", "bad"),
        ("(event, context, callback) => callback('text');", "string", "text"),
        ("async () => { throw { code: 5 }; };", "object", "[object Object]"),
        ("async () => { throw undefined; };", "string", "handled"),
        ("async () => { throw null; };", "string", "handled"),
    ],
)
def test_forms_of_failures(serve, source, kind, message):
    call = serve("exports.handler = " + source).event({})
    assert (call.error["errorType"], call.error["errorMessage"]) == (kind, message)


@pytest.mark.parametrize("concurrency", [0, 4])
@pytest.mark.parametrize(
    "source, kind, message",
    [
        ("setTimeout(() => { throw new RangeError('later'); }, 5);", "RangeError", "later"),
        ("Promise.reject(new Error('lost'));", "Runtime.UnhandledPromiseRejection", "Error: lost"),
    ],
)
@zygote
def test_what_nobody_catches_fails_what_runs(serve, source, kind, message, concurrency):
    # All calls are in before it happens: one that came later would find no runtime.
    code = "let n = 0; exports.handler = () => new Promise(() => { if (++n === %d) { %s } });"
    runtime = serve(code % (concurrency or 1, source), concurrency=concurrency)
    calls = [runtime.start_event({}) for _ in range(concurrency or 1)]
    for call in calls:
        runtime.finish(call)
        assert (call.error["errorType"], call.error["errorMessage"]) == (kind, message)
    assert runtime.process.wait(driver.TIMEOUT) == 1


@zygote
def test_streamify_response(serve):
    runtime = serve(
        "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {\n"
        "  const head = { statusCode: 206, headers: { 'Content-Type': 'text/x', 'X-A': 'b' }, cookies: ['c=1', 'd=2'] };\n"
        "  const out = awslambda.HttpResponseStream.from(stream, head);\n"
        "  for (let i = 0; i < event.count; i++) {\n"
        "    if (!out.write('z'.repeat(1000))) await new Promise((done) => out.once('drain', done));\n"
        "  }\n"
        "  console.log(context.awsRequestId);\n"
        "  out.end();\n"
        "});\n"
    )
    call = runtime.event({"count": 5000}, {"id": "the-id"})
    assert call.head["status"] == 206
    assert call.header("content-type") == "text/x"
    assert call.header("x-a") == "b"
    assert call.headers("set-cookie") == ["c=1", "d=2"]
    assert call.body == b"z" * 5000000
    assert call.log() == "the-id\n"


def test_streamify_response_without_a_head_piped_and_failing(serve):
    runtime = serve(
        "const { pipeline } = require('stream/promises');\n"
        "const { Readable } = require('stream');\n"
        "exports.handler = awslambda.streamifyResponse(async (event, stream) => {\n"
        "  if (event.fail === 'early') throw new Error('early');\n"
        "  stream.setContentType('text/y');\n"
        "  await pipeline(Readable.from(['a', 'b']), stream, { end: event.fail === undefined });\n"
        "  if (event.fail) throw new Error('late');\n"
        "});\n"
    )
    call = runtime.event({})
    assert (call.head["status"], call.header("content-type"), call.body) == (200, "text/y", b"ab")
    call = runtime.event({"fail": "early"})
    assert call.head is None and call.error["errorMessage"] == "early"
    call = runtime.event({"fail": "late"})
    assert call.body == b"ab" and call.error["errorMessage"] == "late"


LISTENERS = {
    "write_head_object": "res.writeHead(201, { 'X-A': '1', 'Set-Cookie': ['a', 'b'] }); res.end('ok');",
    "write_head_array": "res.writeHead(201, ['X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b']); res.end('ok');",
    "set_header": "res.statusCode = 201; res.setHeader('X-A', 1); res.setHeader('Set-Cookie', ['a', 'b']); res.end('ok');",
    "both": "res.setHeader('X-A', '1'); res.writeHead(201, 'Created', { 'Set-Cookie': ['a', 'b'] }); res.end(Buffer.from('ok'));",
    "flush": "res.statusCode = 201; res.setHeader('X-A', '1'); res.setHeader('Set-Cookie', ['a', 'b']); res.flushHeaders(); setTimeout(() => { res.write('o'); res.end('k'); }, 5);",
    "pipe": "res.writeHead(201, { 'X-A': '1', 'Set-Cookie': ['a', 'b'] }); require('stream').Readable.from(['o', 'k']).pipe(res);",
}


@pytest.mark.parametrize("name", list(LISTENERS))
def test_ways_to_answer(serve, name):
    runtime = serve(
        "module.exports = (req, res) => {\n"
        "  res.on('finish', () => console.log('finish'));\n"
        "  res.on('close', () => console.log('close'));\n"
        "  %s\n};\n" % LISTENERS[name]
    )
    for _ in range(2):
        call = runtime.http("GET", "/")
        assert call.head["status"] == 201
        assert call.header("x-a") == "1"
        assert call.headers("set-cookie") == ["a", "b"]
        assert call.body == b"ok"
        runtime.wait(lambda: "close" in call.log(), "the close event")
        assert call.log() == "finish\nclose\n"


def test_what_frameworks_ask_of_requests_and_responses(serve):
    runtime = serve(
        "module.exports = (req, res) => {\n"
        "  req.setTimeout(1000); res.setTimeout(1000); req.socket.setNoDelay(); res.socket.setKeepAlive();\n"
        "  const seen = [req instanceof require('http').IncomingMessage, res.headersSent, req.httpVersion,\n"
        "    req.rawHeaders.length, res.writableEnded, req.connection === req.socket, req.url];\n"
        "  req.resume().on('end', () => { seen.push(req.complete); res.end(JSON.stringify(seen)); });\n"
        "};\n"
    )
    call = runtime.http("POST", "/a/b", b"body", query="c=d", headers=[("Host", "h"), ("X", "y")])
    assert json.loads(call.body) == [True, False, "1.1", 4, False, True, "/a/b?c=d", True]


def test_web_apps_may_catch_everything_themselves(serve):
    runtime = serve(
        "process.on('unhandledRejection', (error) => console.log('caught', error.message));\n"
        "module.exports = (req, res) => { Promise.reject(new Error('lost')); setTimeout(() => res.end('fine'), 20); };\n"
    )
    call = runtime.http("GET", "/")
    assert call.body == b"fine"
    runtime.wait(lambda: "caught lost" in call.log() or runtime.loose, "the app's line")


def test_a_fetch_handler_must_return_a_response(serve):
    runtime = serve("export default { fetch() { return 5; } };", name="index.mjs")
    call = runtime.http("GET", "/")
    assert call.error["errorType"] == "TypeError"
    assert "Response" in call.error["errorMessage"]


def test_cookies_that_headers_have_joined_are_parted(serve):
    """As with Debian's Node 18, whose Headers have no getSetCookie()."""
    joined = "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/, b=2,c=3; Secure"
    runtime = serve(
        "const headers = new Map([['set-cookie', '%s'], ['x-list', '1, d=2']]);"
        "export default { fetch: () => ({ status: 200, headers, body: null }) };" % joined,
        name="index.mjs",
    )
    call = runtime.http("GET", "/")
    assert call.headers("set-cookie") == [
        "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/",
        "b=2",
        "c=3; Secure",
    ]
    assert call.headers("x-list") == ["1, d=2"]
