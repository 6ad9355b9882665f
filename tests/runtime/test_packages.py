"""Clones of Node with packages that functions depend on, and with all that Node itself has. How many,
and with which packages: tests/support/packages.py. MAYFLY_TEST_NODE is another Node (conftest.py).
"""

import pytest

import clones
import driver
from conftest import FUNCTIONS, JS, NODE
from packages import PACKAGES, clone_count, fetched, name_of

COUNT = clone_count(20)


@pytest.fixture
def form():
    """These tests make their own templates."""


@pytest.fixture(scope="session")
def packages():
    return fetched()


def start(packages, without=()):
    names = [name_of(p) for p in PACKAGES if name_of(p) not in without]
    extra = {"MAYFLY_TEST_PACKAGES": packages, "MAYFLY_TEST_NAMES": ",".join(names)}
    env = driver.environment(FUNCTIONS, handler="packages.handler", extra=extra)
    template = clones.Template("node", JS.argv, env, FUNCTIONS)
    template.wait_ready()
    return template


def test_clones_use_packages_and_all_of_node(packages):
    seen = set()
    with start(packages) as template:
        assert template.ready["cloneable"], template.ready
        assert template.ready["notes"] == []
        for number in range(COUNT):
            op = "all" if number < 5 or number % 500 == 0 else "node" if number % 50 == 0 else "some"
            with template.clone() as clone:
                call = clone.event({"op": op})
                assert call.error is None, call.error
                result = call.result()
                assert result["count"] == len(PACKAGES)
                assert not seen & set(result["unique"])
                seen.update(result["unique"])
                assert clone.shutdown() == 0
            assert clone.raw == [b"", b""], clone.raw
        times = sorted(template.entered)
    middle, late = times[len(times) // 2] / 1e6, times[len(times) * 99 // 100] / 1e6
    print("%s: %d clones, fork and enter: median %.2f ms, p99 %.2f ms" % (result["version"], COUNT, middle, late))


def test_a_clone_that_lives_long(packages):
    """Many calls, with full collections and worker threads between them."""
    with start(packages) as template, template.clone() as clone:
        for number in range(5):
            call = clone.event({"op": "all"})
            assert call.error is None, call.error
        assert clone.shutdown() == 0


def test_a_template_that_has_used_sharp_is_not_cloned(packages, tmp_path):
    (tmp_path / "index.js").write_text(
        "const sharp = require('%s/node_modules/sharp');"
        "const done = sharp({ create: { width: 512, height: 512, channels: 3, background: 'red' } }).blur(3).png().toBuffer();"
        "mayfly.beforeSnapshot(() => done);"
        "exports.handler = async () => (await done).length > 0;" % packages
    )
    env = driver.environment(tmp_path)
    with clones.Template("node", JS.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        if template.ready["cloneable"]:  # its threads had nothing left to do and have ended
            with template.clone() as clone:
                assert clone.event({}).result() is True
        else:
            assert "sharp" in template.ready["why"] or "vips" in template.ready["why"], template.ready["why"]
            assert template.event({}).result() is True


def test_a_template_maps_nothing_that_a_fork_would_lose(tmp_path):
    (tmp_path / "index.js").write_text("exports.handler = () => 1;")
    env = driver.environment(tmp_path)
    with clones.Template("node", JS.argv, env, str(tmp_path)) as template:
        template.wait_ready()
        with open("/proc/%d/smaps" % template.process.pid) as file:
            flags = [line.split()[1:] for line in file if line.startswith("VmFlags:")]
        if flags:  # not with a wrapper around Node
            assert not [entry for entry in flags if "dc" in entry], NODE


def test_clones_in_the_same_millisecond_get_uuids_of_their_own(packages, tmp_path):
    (tmp_path / "index.js").write_text(
        "const { v1 } = require('%s/node_modules/uuid');"
        "const early = [v1(), v1()];"
        "exports.handler = () => { Date.now = () => 2e12; return [...early, v1(), v1()]; };" % packages
    )
    with clones.Template("node", JS.argv, driver.environment(tmp_path), str(tmp_path)) as template:
        template.wait_ready()
        told = []
        for _ in range(3):
            with template.clone() as clone:
                told.append(clone.event({}).result())
    assert len({uuid for each in told for uuid in each}) == 2 + 3 * 2, told
