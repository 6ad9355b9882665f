"""Malformed and excessive HTTP, against both ports. Each row: bytes, status, a phrase of the answer."""

import pytest

from harness import RawConnection, fixture_path

CASES = {
    "garbage": (b"hello there\r\n\r\n", 400, b""),
    "no version": (b"GET /x\r\nHost: x\r\n\r\n", 400, b""),
    "future version": (b"GET /x HTTP/3.7\r\nHost: x\r\n\r\n", (400, 505), b""),
    "bare target": (b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404), b""),
    "space in a name": (b"GET /x HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400, b""),
    "space before the colon": (b"GET /x HTTP/1.1\r\nHost: x\r\nBad : 1\r\n\r\n", 400, b""),
    "NUL in a value": (b"GET /x HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400, b""),
    "folded line": (b"GET /x HTTP/1.1\r\nHost: x\r\nA: 1\r\n 2\r\n\r\n", 400, b""),
    "negative length": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, b""),
    "length is a word": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n", 400, b""),
    "two lengths": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, b""),
    "length and chunked": (b"POST /function/app HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, b""),
    "unknown coding": (b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zipped\r\n\r\n", (400, 501), b""),
    "bad chunk size": (b"POST /function/app/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"zz\r\nabc\r\n", 400, b""),
    "huge chunk size": (b"POST /function/app/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"fffffffffffffffff\r\n", (400, 413), b""),
    "long target": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431), b""),
    "long header": (b"GET /x HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000 + b"\r\n\r\n", 431, b"head_bytes_max"),
    "many headers": (b"GET /x HTTP/1.1\r\nHost: x\r\n" + b"A: 1\r\n" * 400 + b"\r\n", 431, b"fields_max"),
    "declared body over the limit": (b"POST /function/app HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
                                     413, b"body_bytes_max"),
}


@pytest.fixture(scope="module", autouse=True)
def app(server):
    server.deploy(fixture_path("app.py"), "--name", "app")


@pytest.mark.parametrize("port", ["gateway", "api"])
@pytest.mark.parametrize("case", CASES)
def test_malformed(server, case, port):
    data, statuses, phrase = CASES[case]
    statuses = statuses if isinstance(statuses, tuple) else (statuses,)
    if port == "api":
        data = data.replace(b"Host: x\r\n", b"Host: x\r\nAuthorization: Bearer " + server.key.encode() + b"\r\n")
        statuses += (404,)  # paths of the gateway are not there
        phrase = b""
    with RawConnection(getattr(server, "gateway" if port == "gateway" else "api_url")) as c:
        try:
            c.send(data)
        except OSError:
            pass  # it may answer before it has read everything
        answer = c.read_answer()
        assert answer.status in statuses, answer
        assert phrase in answer.body, answer
        if answer.status in (400, 413, 431):
            assert answer.error["message"], "an answer says what is wrong"
    assert server.call("app", path="/running").status == 200


def test_a_streamed_body_over_the_limit(make_server):
    own = make_server(config="http:\n  body_bytes_max: 100000\n")
    own.deploy(fixture_path("app.py"), "--name", "app")
    own.deploy(fixture_path("echo.py"), "--name", "echo")
    assert own.call("app", b"x" * 100_000, path="/upload").expect(200).json["bytes"] == 100_000
    for name in ("app", "echo"):
        answer = own.call(name, b"x" * 100_001, path="/upload").expect(413)
        assert "http.body_bytes_max" in answer.error["message"]
        with RawConnection(own.gateway) as c:
            c.send(f"POST /function/{name}/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(40):
                    c.send(b"1000\r\n" + b"y" * 4096 + b"\r\n")
            except OSError:
                pass
            assert c.read_answer().status == 413
    assert own.call("app", path="/running").status == 200


def test_unfinished_requests_do_not_hang_the_server(server):
    for data in (b"", b"GET", b"GET /x HTTP/1.1\r\nHost", b"POST /function/app HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"):
        with RawConnection(server.gateway) as c:
            c.send(data)
    assert server.call("app", path="/running").status == 200
