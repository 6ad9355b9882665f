"""kill -9 while async calls are accepted and run: each that was acknowledged runs at least once.

The expected state is here: the ids that were acknowledged, and what each was to answer. The answer of
the function is in the call's record, so a call that says it succeeded has run.
"""

import json
import os
import random
import threading

from harness import eventually
from workers import Workers

ROUNDS = int(os.environ.get("MAYFLY_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
CONFIG = "calls:\n  hold_s: 3\n  backoff_ms: 0\n  inline_bytes_max: 2000\n  retries: 50\n"
CODE = ("import random\ndef handler(event, context):\n    if random.random() < 0.05:\n"
        "        raise ValueError('a bad moment')\n    return [event['n'], len(event['pad'])]\n")


class Callers(Workers):
    def __init__(self, server, acknowledged, counter, lock, rng):
        self.server, self.acknowledged, self.counter, self.lock = server, acknowledged, counter, lock
        super().__init__([self.call] * 3, rng.randrange(1 << 30))

    def call(self, rng):
        while not self.stop.is_set():
            with self.lock:
                self.counter[0] += 1
                number = self.counter[0]
            size = rng.choice([0, 10, 1000, 5000])
            try:
                answer = self.server.api("POST", "/v1/functions/echo/invoke?async=1",
                                         json.dumps({"n": number, "pad": "x" * size}),
                                         {"Idempotency-Key": str(number)} if rng.random() < 0.3 else None,
                                         timeout=10)
                if answer.status == 202:
                    self.acknowledged[answer.json["call_id"]] = [number, size]
            except Exception:  # the server is being killed: an answer may be cut anywhere
                pass
            finally:
                self.done.release()


def test_acknowledged_calls_run(make_server):
    print(f"MAYFLY_CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    own = make_server(config=CONFIG)
    own.deploy_source("echo", "echo.py", CODE)
    acknowledged, counter, lock = {}, [0], threading.Lock()
    for _ in range(ROUNDS):
        callers = Callers(own, acknowledged, counter, lock, rng)
        callers.wait_for(rng.randrange(5, 120))
        own.kill()
        callers.end()
        own.start()
    assert len(acknowledged) > ROUNDS

    def unfinished():
        left = []
        for call_id in list(waiting):
            call = own.api("GET", f"/v1/calls/{call_id}").expect(200).json
            if call["state"] not in ("succeeded", "failed"):
                left.append(call_id)
                continue
            assert call["state"] == "succeeded", call
            assert call["result"] == acknowledged[call_id], call
            waiting.discard(call_id)
        return left

    waiting = set(acknowledged)
    eventually(lambda: not unfinished(), lambda: f"seed {SEED}: {len(waiting)} of {len(acknowledged)} did "
               f"not run, such as {sorted(waiting)[:3]}", 90)
    # Nothing of payloads that are over stays.
    eventually(lambda: os.listdir(os.path.join(own.data, "calls")) == [],
               lambda: os.listdir(os.path.join(own.data, "calls"))[:5])
    assert own.stop() == 0
