"""Clones of Node with many packages of npm, each in a sandbox of its own: it goes when no call is
left for it. The long run: MAYFLY_TEST_CLONES=10000 (tests/support/packages.py)."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import ROOT, eventually
from packages import PACKAGES, clone_count, fetched, name_of

COUNT = clone_count(24)
AT_ONCE = 4
INDEX = """'use strict';
process.env.MAYFLY_TEST_PACKAGES = __dirname;
process.env.MAYFLY_TEST_NAMES = '%s';
exports.handler = require('./packages').handler;
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("packages") / "function"
    shutil.copytree(os.path.join(fetched(), "node_modules"), made / "node_modules", symlinks=True)
    for name in ("packages.js", "packages_child.js"):
        shutil.copy(os.path.join(ROOT, "tests", "runtime", "functions", name), made)
    (made / "index.js").write_text(INDEX % ",".join(map(name_of, PACKAGES)))
    yield str(made)
    shutil.rmtree(made)


def test_clones_use_them_and_share_nothing_random(server, folder):
    server.deploy(folder, "--name", "packages", "--handler", "index.handler", "--memory", "512",
                  "--keep-alive", "0", "--timeout", "60")
    eventually(lambda: server.stats("packages").get("templates") == 1, "a template", 60)
    seen, lock = set(), threading.Lock()

    def call(number):
        op = "all" if number < 5 or number % 500 == 0 else "node" if number % 50 == 0 else "some"
        answer = server.invoke("packages", {"op": op}).expect(200)
        with lock:
            mine = set(answer.json["unique"])
            assert len(mine) == 5 and not mine & seen, f"call {number} got what another one had"
            seen.update(mine)
        assert answer.json["count"] == len(PACKAGES)
        return answer.request_id

    ids = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # A call that waits may have the instance of another one.
        while (made := server.stats("packages")["clones"]) < COUNT:
            assert len(ids) < 2 * COUNT, f"{made} clones for {len(ids)} calls"
            ids += pool.map(call, range(len(ids), len(ids) + max(COUNT - made, AT_ONCE)))
    row = server.stats("packages")
    assert row["templates"] == 1, row
    print(f"{row['clones']} clones for {len(ids)} calls")
    assert "boot" not in {server.record(i)["start"] for i in ids[-100:]}
