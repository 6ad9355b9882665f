"""Webhooks through TLS: certificates are checked against the authorities that the server trusts, and against the name."""

import json
import socket

import pytest

from harness import eventually, needs
from webhooks import Authority, Sink

ECHO = """import json
def handler(event, context):
    return {'long': 'x' * json.loads(event['body']).get('long', 0)}
"""
CONFIG = "calls:\n  backoff_ms: 0\n  retries: 0\nwebhooks:\n  allow_loopback: true\n  timeout_ms: 3000\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    needs("openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_sink():
    made = []

    def make(*arguments, **options):
        made.append(Sink(*arguments, **options))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def trusting(make_server, authority):
    """A server that trusts the test's own authority, and no other."""
    server = make_server(config=CONFIG, env={"SSL_CERT_FILE": authority.path, "SSL_CERT_DIR": "/nonexistent"})
    server.deploy_source("echo", "echo.py", ECHO)
    return server


def deliver(server, sink, event=None):
    """Calls with a callback to the sink; the record of its delivery when that is over."""
    known = {c["id"] for c in server.api("GET", "/v1/calls").json["calls"]}
    server.http("POST", "/async-function/echo", json.dumps(event or {}), {"X-Callback-Url": sink.url}).expect(202)

    def delivered():
        calls = server.api("GET", "/v1/calls").json["calls"]
        return next((c for c in calls if c["id"] not in known and c["target"] == sink.url
                     and c["state"] in ("succeeded", "failed")), None)
    return eventually(delivered, lambda: server.api("GET", "/v1/calls").text, 20)


def test_what_is_signed_for_its_name_is_delivered(trusting, authority, make_sink):
    for host in ("localhost", "127.0.0.1"):
        sink = make_sink(authority.sign("DNS:localhost,IP:127.0.0.1"), host)
        assert deliver(trusting, sink)["state"] == "succeeded"
        assert json.loads(sink.seen[0].body) == {"long": ""} and sink.seen[0].path == "/hook?x=1"
        assert sink.seen[0].headers["Host"] == sink.url.split("/")[2]
    assert deliver(trusting, sink, {"long": 100_000})["state"] == "succeeded"
    assert len(json.loads(sink.seen[1].body)["long"]) == 100_000


def test_what_is_not_trusted_gets_nothing(trusting, authority, make_sink, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    cases = {"another name": (authority.sign("DNS:other.example"), "localhost"),
             "another address": (authority.sign("DNS:localhost"), "127.0.0.1"),
             "another authority": (stranger.sign("DNS:localhost,IP:127.0.0.1"), "localhost"),
             "expired": (authority.sign("DNS:localhost,IP:127.0.0.1", days=-1), "localhost")}
    for what, (certificate, host) in cases.items():
        sink = make_sink(certificate, host)
        record = deliver(trusting, sink)
        assert record["state"] == "failed" and sink.seen == [], what
        message = record["error"]["message"]
        assert f"TLS with {host} failed" in message and "certificate verify failed" in message, (what, message)


def test_the_systems_authorities_are_the_default(make_server, authority, make_sink):
    server = make_server(config=CONFIG)
    server.deploy_source("echo", "echo.py", ECHO)
    sink = make_sink(authority.sign("DNS:localhost"), "localhost")
    record = deliver(server, sink)
    assert record["state"] == "failed" and "certificate verify failed" in record["error"]["message"]
    assert sink.seen == []


def test_who_does_not_speak_tls_or_says_nothing_is_given_up_in_time(trusting, make_sink):
    plain = make_sink(host="localhost")
    plain.url = plain.url.replace("http:", "https:")
    record = deliver(trusting, plain)
    assert record["state"] == "failed" and "TLS with localhost failed" in record["error"]["message"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        class Silent:
            url = f"https://localhost:{silent.getsockname()[1]}/"
        record = deliver(trusting, Silent)
        assert record["state"] == "failed" and "webhooks.timeout_ms" in record["error"]["message"], record


def test_a_failed_answer_through_tls_is_tried_again(make_server, authority, make_sink):
    server = make_server(config=CONFIG.replace("retries: 0", "retries: 3"),
                         env={"SSL_CERT_FILE": authority.path, "SSL_CERT_DIR": "/nonexistent"})
    server.deploy_source("echo", "echo.py", ECHO)
    sink = make_sink(authority.sign("DNS:localhost"), "localhost")
    sink.statuses = [503, 500]
    assert deliver(server, sink)["state"] == "succeeded"
    assert len(sink.seen) == 3
