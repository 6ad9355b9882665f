"""Threads that keep a server busy until it is killed, and after."""

import random
import threading


class Workers:
    """Runs each job(rng) in a thread of its own: it goes on until `stop` is set, releases `done` for every piece of
    its work, and says in `faults` what no kill excuses."""

    def __init__(self, jobs, seed):
        self.stop, self.done = threading.Event(), threading.Semaphore(0)
        self.faults = []
        self.threads = [threading.Thread(target=job, args=(random.Random(seed + n),)) for n, job in enumerate(jobs)]
        for t in self.threads:
            t.start()

    def wait_for(self, count, timeout=10):
        for _ in range(count):
            if not self.done.acquire(timeout=timeout):
                return

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
        assert not any(t.is_alive() for t in self.threads), "a request to the killed server does not end"
        assert self.faults == []
