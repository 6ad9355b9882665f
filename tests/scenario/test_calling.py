"""The gateway's port: streaming both ways, HTTP's corners, slow clients."""

import hashlib
import json

import pytest

from harness import RawConnection, eventually, fixture_path, needs, request


@pytest.fixture(scope="module")
def app(server):
    server.deploy(fixture_path("app.py"), "--name", "app", "--max", "1")
    return "/function/app"


@pytest.fixture(scope="module")
def listener(server):
    needs("node")
    server.deploy(fixture_path("listener.js"), "--name", "listener", "--max", "1")
    return "/function/listener"


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["plain", "sse"])
def test_an_answer_trickles(server, app, name):
    """The first chunk is here although the last one is only made after our second request."""
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/trickle/{name} HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers = c.read_head()
        assert status == 200 and ("transfer-encoding", "chunked") in [(k.lower(), v) for k, v in headers]
        assert c.read_chunk() == b"data: first\n\n"
        server.http("GET", f"{app}/open/{name}").expect(200)
        rest = b""
        while True:
            chunk = c.read_chunk()
            if not chunk:
                break
            rest += chunk
        assert rest == b"data: second\n\ndata: last\n\n"


def test_server_sent_events_from_node(server, listener):
    with RawConnection(server.gateway) as c:
        c.send(f"GET {listener}/events?id=7 HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers = c.read_head()
        fields = {k.lower(): v for k, v in headers}
        assert status == 200 and fields["content-type"].startswith("text/event-stream")
        assert c.read_chunk() == b"data: first\n\n"
        assert server.http("GET", f"{listener}/go?id=7").expect(200).json == {"found": True}
        assert c.read_chunk() == b"data: second\n\n"
        assert c.read_chunk() == b""


def test_curl_sees_events_as_they_come(server, app):
    import subprocess
    child = subprocess.Popen(["curl", "-sSN", f"{server.gateway}{app}/trickle/curl"], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"data: first\n"
        server.http("GET", f"{app}/open/curl").expect(200)
        assert child.stdout.read().endswith(b"data: last\n\n")
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_large_upload_is_streamed(server, app):
    data = hashlib.sha256(b"seed").digest() * 160_000  # 5 MB
    told = server.http("POST", f"{app}/upload", data).expect(200).json
    assert told == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_chunked_upload(server, app):
    with RawConnection(server.gateway) as c:
        c.send(f"POST {app}/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"abc", b"d" * 70_000, b"e"):
            c.send(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
        c.send(b"0\r\nX-Sum: 1\r\n\r\n")
        told = json.loads(c.read_answer().body)
        assert told["bytes"] == 70_004


def test_a_large_answer(server, app):
    answer = server.http("GET", f"{app}/large").expect(200)
    assert answer.body == b"L" * (256 * 65536)


def test_a_slow_reader_gets_everything_and_holds_up_nobody(server, app):
    """More than all buffers on the way hold; meanwhile others are served by the same instance."""
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        status, _ = c.read_head()
        size = len(c.read_chunk())
        assert status == 200
        for i in range(20):
            assert server.http("GET", f"{app}/beside/{i}").status == 200
        while True:
            chunk = c.read_chunk()
            if not chunk:
                break
            size += len(chunk)
        assert size == 256 * 65536


def test_a_cut_off_answer_is_seen_as_cut_off(server, app):
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/cut HTTP/1.1\r\nHost: x\r\n\r\n")
        status, _ = c.read_head()
        if status == 200:  # the head was out already: the connection ends before the promised length
            assert len(c.read_all()) < 1000
        else:
            assert status == 502
    assert server.http("GET", f"{app}/running").status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method(server, app, method):
    assert server.http(method, f"{app}/m", b"" if method == "POST" else None).expect(200).json["method"] == method


def test_head_has_no_body(server, app):
    with RawConnection(server.gateway) as c:
        for _ in range(2):  # the connection stays usable: nothing of a body was sent
            c.send(f"HEAD {app}/binary HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.read_answer(head_only=True).status == 200
        c.send(f"GET {app}/binary HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.read_answer().body == bytes(range(256))


def test_keep_alive_and_pipelining(server, app):
    with RawConnection(server.gateway) as c:
        paths = [f"/p{i}" for i in range(20)]
        c.send("".join(f"GET {app}{p} HTTP/1.1\r\nHost: x\r\n\r\n" for p in paths))
        got = [c.read_answer().json["path"] for _ in paths]
        assert [g[-len(p):] for g, p in zip(got, paths)] == paths
        c.send(f"POST {app}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
               f"GET {app}/after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert c.read_answer().json["bytes"] == 3
        assert c.read_answer().json["path"].endswith("/after")
        assert c.read_all() == b""  # closed, as asked


def test_http_1_0(server, app):
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/trickle/old HTTP/1.0\r\nHost: x\r\n\r\n")
        request(server.gateway, "GET", f"{app}/open/old").expect(200)
        status, headers = c.read_head()
        assert status == 200 and "transfer-encoding" not in {k.lower() for k, _ in headers}
        assert c.read_all().endswith(b"data: last\n\n")


def test_expect_100_continue(server, app):
    with RawConnection(server.gateway) as c:
        c.send(f"POST {app}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        status, _ = c.read_head()
        assert status == 100
        c.send(b"12345")
        assert c.read_answer().json["bytes"] == 5
    with RawConnection(server.gateway) as c:
        c.send("POST /function/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert c.read_head()[0] in (100, 404)


def test_binary_repeated_headers_cookies(server, app):
    assert server.http("GET", f"{app}/binary").expect(200).body == bytes(range(256))
    answer = server.http("GET", f"{app}/cookies").expect(200)
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.all("X-Many") in (["1", "2"], ["1, 2"])


@pytest.mark.parametrize("status", [204, 304, 301, 418, 503])
def test_status_codes_pass(server, app, status):
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/status/{status} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.read_answer().status == status
        if status in (204, 304):
            c.send(f"GET {app}/status/418 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.read_answer().status == 418


def test_every_answer_has_a_request_id(server, app):
    ids = {server.http("GET", t).request_id for t in (app, app, "/function/none", "/nothing/here")}
    assert None not in ids and len(ids) == 4


def test_errors_name_party_phase_and_id(server):
    answer = server.call("not-there").expect(404)
    error = answer.error
    assert error["code"] == "not_found" and "not-there" in error["message"]
    assert error["party"] == "client" and error["request_id"] == answer.request_id
    assert "party=client" in answer.header("X-Mayfly-Error")


def test_slow_clients_are_bounded(make_server):
    limits = "".join(f"  {name}_timeout_ms: 1000\n" for name in ("head", "stall", "idle"))
    own = make_server(config="http:\n" + limits)
    own.deploy(fixture_path("app.py"), "--name", "app")
    with RawConnection(own.gateway) as no_head, RawConnection(own.gateway) as no_body, \
            RawConnection(own.gateway) as idle:
        no_head.send("GET /function/app HTTP/1.1\r\nHost: x\r\nX-Slow: ")  # and never the end
        no_body.send("POST /function/app/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert idle.get("/function/app/x").read_answer().status == 200  # and nothing at all after it
        for c in (no_head, no_body):
            answer = c.read_all()
            assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]
        assert idle.read_all() == b""
    assert own.call("app", path="/x").status == 200


def test_a_client_that_goes_away_is_recorded(server, app):
    with RawConnection(server.gateway) as c:
        c.send(f"GET {app}/trickle/gone HTTP/1.1\r\nHost: x\r\n\r\n")
        _, headers = c.read_head()
        request_id = {k.lower(): v for k, v in headers}["x-mayfly-request-id"]
        assert c.read_chunk() == b"data: first\n\n"
    record = eventually(lambda: next(iter(server.invocations(request_id=request_id)), None), "its record")
    assert record["outcome"] == "cancelled" and record["party"] == "client"
    server.http("GET", f"{app}/open/gone")
