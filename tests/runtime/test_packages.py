"""Clones of Node with packages that functions depend on, and with all that Node itself has.

| variable | what |
|---|---|
| MAYFLY_TEST_CLONES | how many clones; 10000 is the long run |
| MAYFLY_TEST_PACKAGES | a folder with node_modules, instead of one fetched from npm's registry |
| MAYFLY_TEST_NODE | another Node (conftest.py) |
"""

import os
import shutil
import subprocess

import pytest

import clones
import driver
from conftest import FUNCTIONS, JS, NODE

PACKAGES = (
    "express@4 fastify@4 axios lodash uuid@9 zod@3 pg ioredis sharp@0.33 @aws-sdk/client-s3@<3.900 "
    "@aws-sdk/client-dynamodb@<3.900 @aws-sdk/client-sqs@<3.900 nanoid@3 dayjs moment jsonwebtoken bcryptjs@2 "
    "ws joi@17 ajv cheerio@1.0.0 winston pino@9 dotenv@16 yaml chalk@4 semver async commander@12 rxjs"
).split()
COUNT = int(os.environ.get("MAYFLY_TEST_CLONES") or 20)


@pytest.fixture
def form():
    """These tests make their own templates."""


def name_of(package):
    return package[0] + package[1:].partition("@")[0]


@pytest.fixture(scope="session")
def packages():
    folder = os.environ.get("MAYFLY_TEST_PACKAGES") or os.path.join(clones.BUILD, "test-packages")
    missing = [p for p in PACKAGES if not os.path.isdir(os.path.join(folder, "node_modules", name_of(p)))]
    if not missing:
        return folder
    if os.environ.get("MAYFLY_TEST_PACKAGES"):
        pytest.skip("not in %s: %s" % (folder, ", ".join(missing)))
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "package.json"), "w") as file:
        file.write('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *PACKAGES]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=420)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry is too slow")
    if done.returncode != 0:
        pytest.skip("npm's registry cannot be reached: " + done.stderr[-300:])
    return folder


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
