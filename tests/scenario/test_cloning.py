"""Templates for real: the second instance is a clone, a dead template is built again, and what cannot
be cloned is noted and served."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import descendants, eventually, fixture_path

SOURCES = {
    "python": fixture_path("cloned.py"),
    "node": fixture_path("cloned.js"),
    "ruby": fixture_path("cloned.rb"),
    "php": fixture_path("cloned.php"),
    "perl": fixture_path("cloned.pl"),
}


@pytest.fixture
def installed(language):
    if language in ("ruby", "php", "perl") and shutil.which(language) is None:
        pytest.skip(f"{language} is not installed")


def stands(server, name):
    return eventually(lambda: server.stats(name).get("templates") == 1, f"a template of {name}", 20)


def template_pid(server, before):
    """The process that came with a deploy and may enter namespaces: a runtime with a control socket."""
    for pid in set(descendants(server.pid)) - before:
        try:
            with open(f"/proc/{pid}/status") as f:
                if "CapEff:\t0000000000240000\n" in f.read():
                    return pid
        except OSError:
            continue
    return None


def templates_built(server):
    return sum(v for k, v in server.metrics().items() if k.startswith("mayfly_template_builds_total"))


def at_once(server, name, count, event):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: server.invoke(name, event).expect(200), range(count)))


def starts(server, answers):
    return [server.record(a.request_id)["start"] for a in answers]


@pytest.mark.parametrize("language", sorted(SOURCES))
@pytest.mark.usefixtures("installed")
def test_instances_are_clones_of_one_initialisation(server, language):
    name = f"clones-{language}"
    server.deploy(SOURCES[language], "--name", name, "--keep-alive", "30")
    row = server.stats(name)
    assert row["templates"] == 1 and row["instances"] == 0 and row["template_bytes"] > 0, "once deployed"
    answers = at_once(server, name, 4, {"s": 1.0})
    # On a busy machine one of them may come late, and meet an instance that is done already.
    clones = starts(server, answers).count("clone")
    assert clones >= 2 and "boot" not in starts(server, answers)
    told = [a.json for a in answers]
    assert len({t["started"] for t in told}) == 1, "initialised once"
    assert len({t["stream"] for t in told}) == clones, "each knows its own name"
    assert len({t["own"] for t in told}) == clones, "no two draw the same random number"
    assert all(then != now for then, now in (t["pids"] for t in told)), "by this libraries notice a fork"
    records = [server.record(a.request_id) for a in answers]
    assert all(r["init_us"] == 0 for r in records)
    assert {t["stream"].rpartition("]")[2] for t in told} == {r["instance"] for r in records}
    assert server.stats(name)["clones"] == clones
    assert "clone" in server.cli("invocations", name).out.decode()


@pytest.mark.parametrize("language", sorted(SOURCES))
@pytest.mark.usefixtures("installed")
def test_a_killed_template_is_built_again(server, language):
    name = f"killed-{language}"
    before = set(descendants(server.pid))
    server.deploy(SOURCES[language], "--name", name, "--keep-alive", "30")
    stands(server, name)
    template, built = template_pid(server, before), templates_built(server)
    first = server.invoke(name, {}).expect(200).json
    os.kill(template, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{template}"), "its end", 10)
    # Its clone lives on, and others start one way or the other.
    again = server.invoke(name, {}).expect(200).json
    assert again == first
    at_once(server, name, 3, {"s": 0.3})
    eventually(lambda: templates_built(server) > built, "another template", 20)
    stands(server, name)
    answers = at_once(server, name, 6, {"s": 1.0})
    assert "clone" in starts(server, answers)
    assert len({a.json["started"] for a in answers} - {first["started"]}) >= 1


def test_snapshot_off_starts_each_by_itself(server):
    server.deploy(SOURCES["python"], "--name", "booting", "--snapshot", "off", "--keep-alive", "30")
    assert server.stats("booting")["templates"] == 0
    answers = at_once(server, "booting", 3, {"s": 0.5})
    assert "clone" not in starts(server, answers)
    assert "snapshot     off" in server.cli("describe", "booting").out.decode()


def test_a_manifest_may_say_so(server, tmp_path):
    shutil.copy(SOURCES["python"], tmp_path / "function.py")
    (tmp_path / "mayfly.yaml").write_text(
        "functions:\n  by-manifest: {path: function.py, snapshot: off}\n")
    server.deploy(str(tmp_path))
    assert server.api("GET", "/v1/functions/by-manifest").json["settings"]["snapshot"] is False
    assert server.stats("by-manifest")["templates"] == 0


@pytest.mark.parametrize("language", ["python", "ruby"])
@pytest.mark.usefixtures("installed")
def test_threads_are_noted_and_served(server, language):
    name = f"threads-{language}"
    server.deploy(fixture_path({"python": "threads.py", "ruby": "threads.rb"}[language]), "--name", name)
    function = server.api("GET", f"/v1/functions/{name}").expect(200).json
    assert any("not cloned" in n and "thread" in n for n in function["notes"]), function["notes"]
    answer = server.invoke(name, {}).expect(200)
    assert answer.json["threads"] >= 2
    assert server.stats(name)["templates"] == 0


def test_a_failing_initialisation_refuses_the_deploy(server):
    result = server.deploy_source("never", "function.py", "raise ValueError('not today')", check=1)
    assert "not today" in result.err + result.out.decode()


def test_metrics(server):
    server.deploy(SOURCES["python"], "--name", "measured")
    server.invoke("measured", {}).expect(200)
    text = server.api("GET", "/metrics").expect(200).text
    assert 'mayfly_template_clones_total{function="measured"} 1' in text
    for name in ("mayfly_template_ready", "mayfly_template_memory_bytes", "mayfly_template_shells",
                 "mayfly_template_clone_duration_seconds_count"):
        assert name in text, name


def test_after_a_restart_the_first_call_boots_and_the_next_are_clones(make_server):
    server = make_server()
    server.deploy(SOURCES["python"], "--name", "again", "--keep-alive", "30")
    server.restart()
    assert server.stats("again")["templates"] == 0
    assert starts(server, [server.invoke("again", {}).expect(200)]) == ["boot"]
    stands(server, "again")
    answers = at_once(server, "again", 3, {"s": 1.0})
    assert "clone" in starts(server, answers)


TCP_TABLE = """
def handler(event, context):
    with open("/proc/sys/net/ipv4/tcp_ehash_entries") as text:
        return int(text.read())
"""


@pytest.mark.skipif(not os.path.exists("/proc/sys/net/ipv4/tcp_child_ehash_entries"), reason="before Linux 6.1")
@pytest.mark.parametrize("snapshot", ["on", "off"])
def test_an_instance_has_a_table_of_connections_of_its_own(server, snapshot):
    """What is shared with the host is a negative number."""
    name = f"tcp-table-{snapshot}"
    server.deploy_source(name, "main.py", TCP_TABLE, "--snapshot", snapshot)
    if snapshot == "on":
        stands(server, name)
    assert server.invoke(name, {}).expect(200).json == 4096
