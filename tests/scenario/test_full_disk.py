"""The disk of the data directory is full: what asks for something to be kept is refused with an error that says so,
nothing that was acknowledged is lost, the server goes on, and works again by itself when there is room."""

import errno
import json
import os
import subprocess
import threading

import pytest

from events import counts, dead, make_queue, send, state, trigger
from harness import eventually, fixture_path, request

FULL = "disk that holds the data directory"


class SmallDisk:
    """A file system of its own in the memory, and a file that fills it."""

    def __init__(self, path, megabytes):
        self.path, self.filler = str(path), os.path.join(str(path), "filler")
        os.makedirs(self.path, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "mayfly-test", self.path],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"needs the privilege to mount: {done.stderr.strip()}")

    def free(self):
        info = os.statvfs(self.path)
        return info.f_bavail * info.f_frsize

    def fill(self):
        """To the last byte, whoever else writes meanwhile."""
        with open(self.filler, "ab", buffering=0) as f:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def make_room(self):
        os.remove(self.filler)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=False)


@pytest.fixture
def make_disk(tmp_path):
    made = []

    def make(megabytes):
        made.append(SmallDisk(tmp_path / f"disk{len(made)}", megabytes))
        return made[-1]

    yield make
    for disk in made:
        disk.unmount()


@pytest.fixture
def start_on(make_disk, make_server):
    def start(megabytes, config=None):
        disk = make_disk(megabytes)
        return disk, make_server(data=os.path.join(disk.path, "data"), config=config)

    return start


def sqs_client(server):
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config
    keys = server.cli("keys", "create", "--json").json
    return boto3.client("sqs", endpoint_url=server.api_url, region_name="us-east-1",
                        aws_access_key_id=keys["access_key_id"], aws_secret_access_key=keys["secret_access_key"],
                        config=Config(retries={"total_max_attempts": 1}))


def refused(answer):
    """The typed error of a disk that is full."""
    error = answer.expect(500).error
    assert error["code"] == "io_error" and FULL in error["message"] and "full" in error["message"], answer
    assert error["party"] == "platform", answer


def test_what_cannot_be_kept_is_refused_and_room_heals(start_on):
    from botocore.exceptions import ClientError
    disk, server = start_on(96, "calls:\n  inline_bytes_max: 10000\n  backoff_ms: 0\n")
    server.deploy(fixture_path("faulty.py"), "--name", "worker", "--env", "FAULT=")
    make_queue(server, "work-dead")
    make_queue(server, "work", dead_letter_queue="work-dead", receive_count_max=2)
    make_queue(server, "work.fifo")
    sqs = sqs_client(server)
    url = sqs.get_queue_url(QueueName="work")["QueueUrl"]
    server.deploy_source("echo", "echo.py", "def handler(event, context):\n    return event\n")
    server.invoke("echo", 1).expect(200)
    send(server, "work", [{"n": n, "price": 1} for n in range(50)])

    disk.fill()
    message = {"body": json.dumps({"n": 1000, "price": 1})}
    refused(server.api("POST", "/v1/queues/work/messages", {"messages": [message]}))
    many = server.api("POST", "/v1/queues/work/messages", {"messages": [message, message]}).expect(200).json["messages"]
    assert all(m["error"]["code"] == "io_error" and FULL in m["error"]["message"] for m in many), many
    fifo = {"body": "x", "group": "g", "deduplication_id": "once"}
    refused(server.api("POST", "/v1/queues/work.fifo/messages", {"messages": [fifo]}))
    with pytest.raises(ClientError) as failed:
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert failed.value.response["Error"]["Code"] == "InternalFailure", failed.value.response
    assert FULL in failed.value.response["Error"]["Message"]
    batch = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}])
    assert batch["Failed"][0]["SenderFault"] is False and FULL in batch["Failed"][0]["Message"], batch
    said = server.cli("queue", "send", "work", "x", check=None)
    assert said.code not in (0, 2) and FULL in said.err, said
    refused(server.api("POST", "/v1/functions/echo/invoke?async=1", "1"))
    refused(server.api("POST", "/v1/functions/echo/invoke?async=1", json.dumps("x" * 100_000)))  # spills
    public = request(server.gateway, "POST", "/async-function/echo", "1")
    assert public.expect(500).error["code"] == "io_error"
    said = server.cli("invoke", "echo", "--async", "--data", "1", check=None)
    assert said.code not in (0, 2) and FULL in said.err, said
    refused(server.api("PUT", "/v1/state/key", "1"))
    assert server.api("PUT", "/v1/queues/another", {}).status == 500
    assert server.deploy(fixture_path("sleeper.py"), "--name", "another", check=None).code != 0
    # What keeps nothing works as ever, and what is there can be read.
    assert server.invoke("echo", {"a": 1}).expect(200).json == {"a": 1}
    assert counts(server, "work")[0] == 50 and counts(server, "work.fifo") == (0, 0, 0)
    assert len(server.api("GET", "/v1/queues/work/messages?max=100").expect(200).json["messages"]) == 50
    received = server.api("POST", "/v1/queues/work/receive", {"max": 1, "visibility_s": 0}).expect(200).json["messages"]
    assert len(received) == 1

    disk.make_room()
    send(server, "work", [{"n": 50, "price": 1}])
    sqs.send_message(QueueUrl=url, MessageBody='{"n": 51, "price": 1}')
    sent = server.api("POST", "/v1/queues/work.fifo/messages", {"messages": [fifo]}).expect(200).json["messages"]
    assert not sent[0].get("duplicate"), "what was refused is no duplicate of itself"
    call = server.api("POST", "/v1/functions/echo/invoke?async=1", json.dumps("x" * 100_000)).expect(202).json
    eventually(lambda: server.api("GET", f"/v1/calls/{call['call_id']}").json["state"] == "succeeded", "the call")
    eventually(lambda: os.listdir(os.path.join(server.data, "calls")) == [], "payloads go")
    trigger(server, "work", "worker")
    eventually(lambda: counts(server, "work") == (0, 0, 0), lambda: counts(server, "work"), 30)
    assert state(server, "charged/work/") == {str(n): 1 for n in range(52)}
    assert dead(server, "work-dead") == []
    assert server.stop() == 0
    server.start()
    assert counts(server, "work.fifo") == (1, 0, 0)
    assert state(server, "spent/work/") == {"all": 52}


def test_work_under_way_waits_for_room(start_on):
    """What a function did cannot be committed: that is not the message's failure, nor the call's."""
    disk, server = start_on(96, "calls:\n  backoff_ms: 0\n  hold_s: 3\n")
    server.deploy(fixture_path("faulty.py"), "--name", "worker", "--env", "FAULT=", "--max", "4")
    server.deploy(fixture_path("sleeper.py"), "--name", "slow")
    make_queue(server, "busy-dead")
    make_queue(server, "busy", dead_letter_queue="busy-dead", receive_count_max=1)
    trigger(server, "busy", "worker", batch=5)
    calls = [server.api("POST", "/v1/functions/slow/invoke?async=1", '{"s": 1}').expect(202).json["call_id"]
             for _ in range(3)]
    send(server, "busy", [{"n": n, "price": 1, "slow": 0.05} for n in range(200)])
    eventually(lambda: len(state(server, "charged/busy/")) > 10, "the work is under way")
    disk.fill()
    status = eventually(lambda: (lambda s: FULL in s["last_result"] and s)(
        server.cli("trigger", "describe", "busy:worker", "--json").json), lambda: server.api("GET", "/v1/triggers").text)
    assert status["given_up"] == 0
    done = len(state(server, "charged/busy/"))
    assert done < 200 and sum(counts(server, "busy")) == 200 - done
    disk.make_room()
    eventually(lambda: counts(server, "busy") == (0, 0, 0), lambda: server.api("GET", "/v1/triggers").text, 30)
    assert state(server, "charged/busy/") == {str(n): 1 for n in range(200)}
    assert dead(server, "busy-dead") == []
    for call in calls:
        record = eventually(lambda: (lambda c: c["state"] not in ("waiting", "running") and c)(
            server.api("GET", f"/v1/calls/{call}").json), lambda: server.api("GET", f"/v1/calls/{call}").text, 20)
        assert record["state"] == "succeeded" and record["result"]["ended"], record


def work_off(server, disk, acknowledged):
    found = set()
    while not acknowledged <= found:
        messages = server.api("POST", "/v1/queues/flood/receive", {"max": 20}).expect(200).json["messages"]
        assert messages, f"{len(acknowledged) - len(found)} acknowledged messages are lost"
        found |= {int(m["body"].split(":")[0]) for m in messages}
        receipts = [m["receipt"] for m in messages]

        def settled():
            """While tables are merged there may be less room than that for a moment."""
            failed = server.api("POST", "/v1/queues/flood/settle", {"receipts": receipts}).expect(200).json["failed"]
            assert all(f["code"] == "io_error" and FULL in f["message"] for f in failed), failed
            receipts[:] = [receipts[f["index"]] for f in failed]
            return not receipts

        eventually(settled, lambda: f"{disk.free()} bytes are free", 20, 0.1)


@pytest.mark.parametrize("way", ["settle", "purge"])
def test_a_backlog_that_fills_the_disk_can_be_worked_off(start_on, way):
    """Senders fill it until they are refused; kill -9 then; consumers, or a purge, still make room."""
    disk, server = start_on(80)
    make_queue(server, "flood")
    acknowledged, lock = set(), threading.Lock()
    numbers = iter(range(1_000_000))

    def flood():
        while True:
            with lock:
                n = next(numbers)
            body = f"{n}:" + os.urandom(50_000).hex()
            answer = server.api("POST", "/v1/queues/flood/messages", {"messages": [body]})
            if answer.status != 200:
                refused(answer)
                return
            with lock:
                acknowledged.add(n)

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(acknowledged) > 100
    server.kill()
    server.start()
    assert sum(counts(server, "flood")) >= len(acknowledged)
    if way == "purge":
        server.cli("queue", "purge", "flood")
    else:
        work_off(server, disk, acknowledged)
    eventually(lambda: server.api("POST", "/v1/queues/flood/messages", {"messages": ["more:"]}).status == 200,
               lambda: f"{disk.free()} bytes are free, and that is not enough", 20, 0.2)
    assert server.stop() == 0


def test_a_full_disk_at_the_start(start_on):
    """The server says what is wrong and ends; it starts when there is room, and nothing is lost."""
    disk, server = start_on(64)
    make_queue(server, "kept")
    send(server, "kept", [{"n": n} for n in range(100)])
    server.kill()
    disk.fill()
    server.launch()
    code = server.process.wait(60)
    server.process.stdout.close()
    server.process = None
    assert code > 0 and "is full" in server.log(), f"{code}: {server.log()}"
    disk.make_room()
    server.start()
    assert counts(server, "kept") == (100, 0, 0)
    assert server.stop() == 0
