"""kill -9 of a gateway: what it had in memory, counts of API keys and WebSocket connections."""

import random
import threading

import pytest

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from botocore.exceptions import ClientError  # noqa: E402

from account import Account  # noqa: E402
from harness import Server, eventually, request  # noqa: E402
from test_lambda_control import SEED, killed, start_again  # noqa: E402
from websocket_client import Client  # noqa: E402

FRONT = """\
name: front
functions:
  front-main: {path: main.py}
api:
  plans:
    coarse: {keys: {a: coarse-key-0123456789ab}, quota: 400, per: month}
    fine: {keys: {b: fine-key-0123456789abcd}, quota: 40, per: month}
  websocket:
    path: /talk
    respond: true
    routes: {$connect: front-main, $disconnect: front-main, $default: front-main}
routes:
  - {path: /keyed, function: front-main, api_key: true}
"""
MAIN = """\
def handler(event, context):
    about = event["requestContext"]
    if about.get("eventType") == "DISCONNECT":
        print("goodbye", about["connectionId"])
    return {"statusCode": 200, "body": about.get("connectionId", "in")}
"""


@pytest.fixture
def front(tmp_path):
    server = Server().start()
    (tmp_path / "mayfly.yaml").write_text(FRONT)
    (tmp_path / "main.py").write_text(MAIN)
    server.cli("deploy", tmp_path)
    yield server
    server.close()


@pytest.mark.parametrize("key, quota, share", [("coarse-key-0123456789ab", 400, 4), ("fine-key-0123456789abcd", 40, 1)])
def test_a_quota_counts_no_request_too_little(front, key, quota, share):
    """A kill counts one share of a hundredth too much at most, whatever came at once."""
    rng, lock = random.Random(SEED), threading.Lock()
    kills, counts, refused = 3, {200: 0, "cut": 0}, []
    some = threading.Semaphore(0)
    left = 0  # of what comes before the next kill

    def come(base):
        nonlocal left
        while True:
            with lock:
                if left == 0:
                    return
                left -= 1
            try:
                answer = request(base, "GET", "/keyed", headers={"x-api-key": key}, timeout=20)
            except Exception:  # the server was killed: nobody knows whether that one was counted
                with lock:
                    counts["cut"] += 1
                return
            finally:
                some.release()
            with lock:
                if answer.header("X-Mayfly-Error"):  # the spawner was killed first: let in, and then it failed
                    counts["cut"] += 1
                    return
                if answer.status != 200:
                    refused.append(answer)
                    return
                counts[200] += 1

    for number in range(kills + 1):
        left = quota // (kills + 1) if number < kills else 2 * quota
        callers = [threading.Thread(target=come, args=(front.gateway,)) for _ in range(8)]
        for caller in callers:
            caller.start()
        if number < kills:
            for _ in range(rng.randint(1, quota // (kills + 2))):
                assert some.acquire(timeout=60)
            seen = killed(front, rng)
        for caller in callers:
            caller.join(120)
        if number < kills:
            assert refused == [], "the quota is not reached yet"
            start_again(front, seen)
    assert [(a.status, a.json) for a in refused] == [(429, {"message": "Limit Exceeded"})] * 8
    least = quota - kills * (share - 1) - counts["cut"]
    assert least <= counts[200] <= quota, (counts, least)


def test_connections_of_a_killed_server_are_gone(front):
    account = Account(front)
    with Client(front.gateway, "/talk") as one, Client(front.gateway, "/talk") as two:
        ids = []
        for client in (one, two):
            client.send("x")
            ids.append(client.text())
        account.boto("apigatewaymanagementapi").post_to_connection(ConnectionId=ids[0], Data=b"before")
        assert one.text() == "before"
        seen = killed(front, random.Random(SEED))
        for client in (one, two):
            try:
                assert client.frame() is None
            except ConnectionResetError:
                pass
    start_again(front, seen)
    account.url = front.api_url
    manage = account.boto("apigatewaymanagementapi")
    for own in ids:
        for call, more in ((manage.post_to_connection, {"Data": b"x"}), (manage.get_connection, {}),
                           (manage.delete_connection, {})):
            with pytest.raises(ClientError) as caught:
                call(ConnectionId=own, **more)
            answer = caught.value.response
            assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("GoneException", 410)
    with Client(front.gateway, "/talk") as again:
        assert again.status == 101
        again.send("x")
        fresh = again.text()
        assert fresh not in ids
        manage.post_to_connection(ConnectionId=fresh, Data=b"after")
        assert again.text() == "after"

    def goodbyes():
        return [line["text"].split()[1] for line in front.logs("front-main") if line["text"].startswith("goodbye")]
    # The killed server said no goodbye for its connections, and the next one does not know them.
    assert eventually(goodbyes, "a $disconnect of the new connection") == [fresh]
    assert front.stop() == 0
