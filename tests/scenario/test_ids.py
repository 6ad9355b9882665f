"""What packages of Python, Ruby, PHP and Perl keep from before the clone, in sandboxes, several at once: tests/support/ids.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import ids
from harness import eventually, needs

COUNT = 8
AT_ONCE = 4
PROGRAMS = {"python": "python3", "ruby": "ruby", "php": "php", "perl": "perl"}


@pytest.mark.parametrize("language", list(ids.SOURCES))
def test_instances_share_nothing_that_packages_draw(server, language, tmp_path):
    needs(PROGRAMS[language])
    name = "ids-" + language
    ids.write_function(language, str(tmp_path / "function"))
    # Without a keep-alive each call has an instance of its own.
    server.deploy(str(tmp_path / "function"), "--name", name, "--keep-alive", "0", "--concurrency", "1", "--memory", "512")
    eventually(lambda: server.stats(name).get("templates") == 1, "a template", 60)

    def call(number):
        answer = server.invoke(name, {"number": number}).expect(200)
        return answer.request_id, answer.json

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(call, range(COUNT)))
    ids.assert_nothing_shared_ever([result for _, result in answers])
    assert server.stats(name)["clones"] >= COUNT // 2, server.stats(name)
    assert "boot" not in {server.record(request)["start"] for request, _ in answers}
