"""kill -9 under producers and consumers: no acknowledged message is lost, nothing settled comes back.

The expected state lives here, outside the victim, and in a file. Bodies say which message they are and
which attempt at sending it, so that a duplicate inside the window gives itself away.
MAYFLY_CRASH_ROUNDS sets the number of kills, MAYFLY_CRASH_SEED repeats a run.
"""

import json
import os
import random
import threading
import time

from harness import Server, eventually
from workers import Workers

ROUNDS = int(os.environ.get("MAYFLY_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
GROUPS = ["g0", "g1", "g2"]
STANDARD, DEAD, FIFO = "work", "work-dead", "orders.fifo"
VISIBILITY_S = 2


class Expected:
    """What was promised (acknowledged), and what was asked for without an answer (open)."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.sent, self.maybe_sent = set(), set()
        self.settled, self.maybe_settled = {}, set()  # the first with the time of the answer
        self.attempt_seen = {}  # message -> attempt that was received
        self.next = {group: 0 for group in GROUPS}
        self.number = self.repeated = 0
        self.faults = []

    def save(self):
        with open(self.path + ".new", "w") as f:
            json.dump({"sent": sorted(self.sent), "settled": sorted(self.settled)}, f)
        os.replace(self.path + ".new", self.path)

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def received(self, name, attempt, asked):
        """asked: when the request was sent. What another settled meanwhile, late, it may still have got."""
        with self.lock:
            if self.settled.get(name, asked) < asked:
                self.faults.append(f"{name} was settled and came back")
            if name not in self.maybe_sent:
                self.faults.append(f"{name} was never sent")
            if self.attempt_seen.setdefault(name, attempt) != attempt:
                self.faults.append(f"{name} is there twice: attempts {self.attempt_seen[name]}, {attempt}")

    def in_order(self, group, number, batch):
        """Whatever came before it in its group is done, or came with it."""
        with self.lock:
            for earlier in range(number):
                name = f"{group}/{earlier}"
                if name in self.sent and name not in self.maybe_settled and name not in batch:
                    self.faults.append(f"{group}/{number} came before {name}")


class Work(Workers):
    """Producers and consumers; they end when the server does not answer any more, or at stop."""

    def __init__(self, server, expected, seed):
        self.server, self.expected = server, expected
        jobs = [self.produce, self.consume, self.consume, self.consume_in_order]
        jobs += [lambda rng, group=group: self.produce_in_order(rng, group) for group in GROUPS]
        super().__init__([lambda rng, job=job: self.repeat(job, rng) for job in jobs], seed)

    def repeat(self, job, rng):
        while not self.stop.is_set():
            try:
                job(rng)
            except (OSError, ValueError, EOFError, AssertionError):
                pass  # the server is being killed: an answer may be cut anywhere
            except Exception as error:  # http.client has its own
                if type(error).__module__ != "http.client":
                    self.expected.fault(repr(error))
            finally:
                self.done.release()

    def ask(self, queue, verb, body):
        return self.server.api("POST", f"/v1/queues/{queue}/{verb}", body, timeout=15).expect(200).json

    def produce(self, rng):
        expected = self.expected
        with expected.lock:
            names = [f"s/{expected.number + i}" for i in range(rng.randrange(1, 6))]
            expected.number += len(names)
            expected.maybe_sent.update(names)
        answer = self.ask(STANDARD, "messages", {"messages": [
            {"body": json.dumps([name, 0]), "delay_s": rng.choice([0, 0, 0, 1])} for name in names]})
        with expected.lock:
            expected.sent.update(n for n, r in zip(names, answer["messages"]) if "id" in r)
            expected.save()

    def produce_in_order(self, rng, group):
        """The next of its group; the same again, as another attempt, until it is acknowledged."""
        expected = self.expected
        with expected.lock:
            number = expected.next[group]
            name = f"{group}/{number}"
            expected.repeated += name in expected.maybe_sent
            expected.maybe_sent.add(name)
        attempt = rng.randrange(1 << 30)
        self.ask(FIFO, "messages", {"messages": [
            {"body": json.dumps([name, attempt]), "group": group, "deduplication_id": name}]})
        with expected.lock:
            expected.sent.add(name)
            expected.next[group] = number + 1
            expected.save()

    def settle(self, queue, messages, asked):
        """Only who still holds a message can say that it will not come back: by an older receipt it is settled, too,
        but another may have got it meanwhile, or moved it to the dead letters."""
        names = [json.loads(m["body"])[0] for m in messages]
        with self.expected.lock:
            self.expected.maybe_settled.update(names)
        answer = self.ask(queue, "settle", {"receipts": [m["receipt"] for m in messages]})
        failed = {f["index"] for f in answer["failed"]}
        now = time.monotonic()
        if now > asked + VISIBILITY_S:
            return
        with self.expected.lock:
            self.expected.settled.update({n: now for i, n in enumerate(names) if i not in failed})
            self.expected.save()

    def consume(self, rng):
        asked = time.monotonic()
        messages = self.ask(STANDARD, "receive", {"max": 10, "visibility_s": VISIBILITY_S, "wait_s": 1})["messages"]
        for message in messages:
            self.expected.received(*json.loads(message["body"]), asked)
        choice = rng.random()
        if not messages or choice < 0.1:
            return  # its visibility runs out
        if choice < 0.2:
            self.ask(STANDARD, "visibility", {"receipts": [m["receipt"] for m in messages], "seconds": 0})
        elif choice < 0.3:
            self.ask(STANDARD, "dead-letter", {"receipts": [m["receipt"] for m in messages],
                                               "to": DEAD, "reason": "no luck"})
        else:
            self.settle(STANDARD, messages, asked)

    def consume_in_order(self, rng):
        asked = time.monotonic()
        messages = self.ask(FIFO, "receive", {"max": 10, "visibility_s": VISIBILITY_S, "wait_s": 1})["messages"]
        batch = set()
        for message in messages:
            name, attempt = json.loads(message["body"])
            group, number = name.split("/")
            self.expected.received(name, attempt, asked)
            self.expected.in_order(group, int(number), batch)
            batch.add(name)
        if messages and rng.random() < 0.9:
            self.settle(FIFO, messages, asked)


def drain(server, expected):
    """All that is left, from the queues and the dead letters."""
    found = set()

    def empty():
        for queue in (STANDARD, FIFO, DEAD):
            while True:
                asked = time.monotonic()
                messages = server.api("POST", f"/v1/queues/{queue}/receive",
                                      {"max": 100, "visibility_s": 60}).expect(200).json["messages"]
                if not messages:
                    break
                batch = set()
                for message in messages:
                    name, attempt = json.loads(message["body"])
                    expected.received(name, attempt, asked)
                    if queue == FIFO:
                        group, number = name.split("/")
                        expected.in_order(group, int(number), batch | found)
                        batch.add(name)
                    found.add(name)
                    if queue == DEAD:
                        assert message["dead_letter_source"] == STANDARD
                        assert message["dead_letter_reason"]
                failed = server.api("POST", f"/v1/queues/{queue}/settle",
                                    {"receipts": [m["receipt"] for m in messages]}).expect(200).json["failed"]
                assert failed == []
        listed = server.api("GET", "/v1/queues").expect(200).json["queues"]
        return all(q["visible"] + q["in_flight"] + q["delayed"] == 0 for q in listed)

    eventually(empty, lambda: f"the queues do not become empty: {server.api('GET', '/v1/queues').text}", 60)
    return found


def test_kill_nine_among_producers_and_consumers(tmp_path):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    server, expected = Server(), Expected(str(tmp_path / "expected.json"))
    try:
        server.start()
        for name, settings in ((DEAD, {}), (FIFO, {}),
                               (STANDARD, {"dead_letter_queue": DEAD, "receive_count_max": 5})):
            server.api("PUT", f"/v1/queues/{name}", settings).expect(201)
        for number in range(ROUNDS):
            work = Work(server, expected, rng.randrange(1 << 30))
            work.wait_for(rng.randrange(0, 200))
            server.kill()
            work.end()
            assert expected.faults == [], f"round {number}, seed {SEED}"
            server.start()
        found = drain(server, expected)
        assert expected.faults == [], f"seed {SEED}"
        lost = expected.sent - found - expected.maybe_settled
        assert not lost, f"acknowledged and lost: {sorted(lost)[:20]}; seed {SEED}"
        print(f"{ROUNDS} kills, {len(expected.sent)} messages acknowledged ({sum(expected.next.values())} of them fifo, "
              f"{expected.repeated} sent again after no answer), {len(expected.settled)} settled, {len(found)} drained, "
              f"0 lost, 0 doubled, 0 out of order")
        assert ROUNDS < 10 or expected.repeated > 0, "the window of duplicates was put to the test"
        assert server.stop() == 0
    except BaseException:
        print(server.log())
        raise
    finally:
        server.close()
    assert len(expected.sent) > ROUNDS and len(expected.settled) > ROUNDS, "there was work"
