"""What packages keep from before the clone, in sandboxes, several at once: tests/support/ids.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import ids
from harness import eventually, needs

CLONES = 8
AT_ONCE = 4
PROGRAMS = {"python": "python3", "ruby": "ruby", "php": "php", "perl": "perl"}


@pytest.mark.parametrize("language", list(ids.SOURCES))
def test_instances_share_nothing_that_packages_draw(server, language, tmp_path):
    needs(PROGRAMS[language])
    ids.write_function(language, str(tmp_path / "function"))
    share_nothing(server, "ids-" + language, tmp_path)


def test_instances_share_nothing_that_sqlite_in_a_package_for_node_draws(server, tmp_path):
    needs("node")
    (tmp_path / "function").mkdir()
    (tmp_path / "function" / "index.js").write_text(ids.NODE_ADDON)
    ids.build_addon(tmp_path / "function", "hidden")
    share_nothing(server, "ids-node", tmp_path)


def share_nothing(server, name, tmp_path):
    # Without a keep-alive an instance ends when no call is left for it.
    server.deploy(str(tmp_path / "function"), "--name", name, "--keep-alive", "0", "--concurrency", "1", "--memory", "512")
    eventually(lambda: server.stats(name).get("templates") == 1, "a template", 60)
    answers = []

    def call(number):
        answer = server.invoke(name, {"number": number}).expect(200)
        answers.append((answer.request_id, answer.json))

    def enough():
        list(pool.map(call, range(AT_ONCE)))
        return server.stats(name)["clones"] >= CLONES

    with ThreadPoolExecutor(AT_ONCE) as pool:
        eventually(enough, "%d clones that have answered" % CLONES, 60)
    ids.assert_nothing_shared_ever([result for _, result in answers])
    assert "boot" not in {server.record(request)["start"] for request, _ in answers}
