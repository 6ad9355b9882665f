"""A queue's processor that throws, hangs, dies, declines half a batch, is slow, is deployed anew or taken away in
the middle: no message is lost, each is charged exactly once or is in the dead letters with the reason, and the
API and the CLI say why. What is expected is kept here, outside the server."""

import contextlib
import json
import re
import threading

import pytest

from events import counts, dead, make_queue, send, state, trigger
from harness import eventually, fixture_path

LANGUAGES = {"py": "faulty.py", "js": "faulty.js"}
# What a message does, and what its dead letter then says.
REASONS = {"throw": r"no luck with {n}\b", "hang": "timed? ?out|time limit", "kill": "killed|SIGKILL|signal 9",
           "memory": "memory", "exit": "exit|ended", "decline": "batchItemFailures"}


def deploy(server, name, language="py", revision="1", fault="", check=True, timeout="20"):
    server.deploy(fixture_path(LANGUAGES[language]), "--name", name, "--timeout", timeout, "--memory", "96",
                  "--env", f"REVISION={revision}", "--env", f"FAULT={fault}", *([] if check else ["--no-check"]))


class Books:
    """What was sent to a queue, and what has to become of it."""

    def __init__(self, server, queue, **settings):
        self.server, self.queue, self.prices, self.doomed = server, queue, {}, {}
        make_queue(server, f"{queue}-dead")
        make_queue(server, queue, dead_letter_queue=f"{queue}-dead", **settings)

    def send(self, count, fault=None, until=None, slow=None):
        numbers = range(len(self.prices), len(self.prices) + count)
        extra = {k: v for k, v in (("fault", fault), ("until", until), ("slow", slow)) if v is not None}
        self.prices.update({n: 100 + n for n in numbers})
        if fault and until is None:
            self.doomed.update({n: fault for n in numbers})
        send(self.server, self.queue, [{"n": n, "price": self.prices[n], **extra} for n in numbers])
        return list(numbers)

    @contextlib.contextmanager
    def backlog(self):
        """Inside, there is always a backlog, however fast it is worked off."""
        stop = threading.Event()

        def produce():
            while not stop.wait(0.005):
                if counts(self.server, self.queue)[0] < 200:
                    self.send(50, slow=0.01)

        producer = threading.Thread(target=produce)
        producer.start()
        try:
            yield
        finally:
            stop.set()
            producer.join(60)

    def charged(self):
        return {int(n): times for n, times in state(self.server, f"charged/{self.queue}/").items()}

    def by(self):
        """How many each revision has charged."""
        revisions = list(state(self.server, f"by/{self.queue}/").values())
        return {revision: revisions.count(revision) for revision in set(revisions)}

    def letters(self):
        return {self.number(m): m["dead_letter_reason"] for m in dead(self.server, f"{self.queue}-dead")}

    @staticmethod
    def number(message):
        return json.loads(message["body"])["n"]

    def drained(self):
        return counts(self.server, self.queue) == (0, 0, 0)

    def settle(self, timeout=30):
        """Waits for the end, and judges."""
        eventually(self.drained, lambda: f"{counts(self.server, self.queue)}: {self.why()}", timeout, 0.05)
        letters = dead(self.server, f"{self.queue}-dead")
        assert sorted(map(self.number, letters)) == sorted(self.doomed), self.letters()
        for letter in letters:
            n, reason = self.number(letter), letter["dead_letter_reason"]
            assert re.search(REASONS[self.doomed[n]].format(n=n), reason, re.I), (self.doomed[n], reason)
            assert letter["dead_letter_source"] == self.queue
        left = {n: price for n, price in self.prices.items() if n not in self.doomed}
        assert self.charged() == {n: 1 for n in left}
        assert state(self.server, f"spent/{self.queue}/") == {"all": sum(left.values())}

    def why(self):
        return self.server.api("GET", "/v1/triggers").text

    def status(self, function):
        return self.server.cli("trigger", "describe", f"{self.queue}:{function}", "--json").json


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_processor_that_fails_in_every_way(server, language):
    name = f"faulty-{language}"
    deploy(server, name, language, timeout="1")
    books = Books(server, f"every-{language}", receive_count_max=2)
    for fault in REASONS:
        books.send(6)
        books.send(1, fault)             # for ever
        books.send(1, fault, until=1)    # the second time it goes well
    books.send(6, slow=0.02)
    trigger(server, books.queue, name, batch=6)
    books.settle(60)
    status = books.status(name)
    assert status["given_up"] == len(REASONS) and status["handled"] == len(books.prices) - len(REASONS)
    assert status["failed"] >= 2 * len(REASONS) + len(REASONS) - 1, status
    outcomes = eventually(lambda: (lambda seen: seen >= {"function_error", "timeout", "crash", "out_of_memory"}
                                   and seen)({r["outcome"] for r in server.invocations(function=name, limit=1000)}),
                          lambda: {r["outcome"] for r in server.invocations(function=name, limit=1000)})
    assert "ok" in outcomes
    shown = server.cli("queue", "peek", f"{books.queue}-dead").out.decode()
    assert "no luck with" in shown and books.queue in shown, shown
    assert "no luck with" in server.cli("invocations", name, "--limit", "1000").out.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fault_is_shown_while_it_lasts(server, language):
    """Nothing is given up here: whoever asks learns why the queue does not become shorter."""
    name = f"shown-{language}"
    deploy(server, name, language, fault="throw")
    make_queue(server, name)
    trigger(server, name, name)
    send(server, name, [{"n": 0, "price": 1}])
    pair = f"{name}:{name}"
    status = eventually(lambda: (lambda s: s["failed"] and s)(server.cli("trigger", "describe", pair, "--json").json),
                        "a failure that counts")
    assert re.fullmatch("PROBLEM: (?:(?:Runtime)?Error: )?this version is broken", status["last_result"]), status
    assert status["handled"] == 0
    assert "this version is broken" in server.cli("trigger", "describe", pair).out.decode()
    assert "this version is broken" in server.cli("trigger", "ls").out.decode()
    assert sum(counts(server, name)) == 1
    deploy(server, name, language)
    eventually(lambda: counts(server, name) == (0, 0, 0), lambda: server.api("GET", "/v1/triggers").text, 20)
    assert state(server, f"charged/{name}/") == {"0": 1}
    assert server.cli("trigger", "describe", pair, "--json").json["last_result"] == "OK"


def test_a_deploy_in_the_middle_fails_nothing(server):
    """Concurrency as it is by default. The old version ends what it has begun: nothing comes twice."""
    deploy(server, "renew", revision="old")
    books = Books(server, "renew", receive_count_max=1)  # a reception that fails is a dead letter
    trigger(server, "renew", "renew", batch=5)
    with books.backlog():
        eventually(lambda: len(books.charged()) > 100, lambda: books.why(), 60)
        deploy(server, "renew", revision="new")
        eventually(lambda: books.by().get("new", 0) > 100, lambda: books.why(), 60)
    books.settle()
    assert set(books.by()) == {"old", "new"}, books.by()
    assert books.status("renew")["failed"] == 0


@pytest.mark.parametrize("fault", ["throw", "init"])
def test_a_broken_version_in_the_middle_and_its_mending(server, fault):
    name = f"broken-{fault}"
    deploy(server, name, revision="good")
    books = Books(server, name, receive_count_max=2)
    trigger(server, name, name, batch=10)
    with books.backlog():
        eventually(lambda: len(books.charged()) > 100, lambda: books.why(), 60)
        deploy(server, name, revision="bad", fault=fault, check=False)
        letters = eventually(books.letters, lambda: f"a message is given up: {books.why()}", 60)
        why = "this version is broken" if fault == "throw" else "this version cannot start"
        assert all(why in reason for reason in letters.values()), letters
        assert why in books.status(name)["last_result"]
        deploy(server, name, revision="mended")
        eventually(lambda: books.by().get("mended", 0) > 100, lambda: books.why(), 60)
    eventually(books.drained, lambda: f"{counts(server, name)}: {books.why()}", 90, 0.05)
    server.cli("queue", "redrive", f"{name}-dead")
    books.settle()
    assert set(books.by()) == {"good", "mended"}


def test_a_function_that_goes_and_comes_back(server):
    deploy(server, "gone", revision="first")
    books = Books(server, "gone", receive_count_max=3)
    trigger(server, "gone", "gone", batch=5)
    with books.backlog():
        eventually(lambda: len(books.charged()) > 100, lambda: books.why(), 60)
        server.cli("rm", "gone")
        eventually(lambda: books.status("gone")["state"] == "no_function", lambda: books.why())
        assert "no_function" in server.cli("trigger", "ls").out.decode().replace(" ", "_")
        eventually(lambda: counts(server, "gone")[0] > 100, lambda: counts(server, "gone"))
        deploy(server, "gone", revision="second")
        eventually(lambda: books.by().get("second", 0) > 100, lambda: books.why(), 60)
    books.settle()
    assert set(books.by()) == {"first", "second"}


def test_a_trigger_that_goes_and_comes_back(server):
    deploy(server, "steady")
    books = Books(server, "steady", receive_count_max=3)
    with books.backlog():
        for _ in range(4):
            before = len(books.charged())
            trigger(server, "steady", "steady", batch=5)
            eventually(lambda: len(books.charged()) > before + 50, lambda: books.why(), 60)
            server.cli("trigger", "rm", "steady:steady")
            server.api("GET", "/v1/triggers/steady:steady").expect(404)
    trigger(server, "steady", "steady", batch=100)
    books.settle()
