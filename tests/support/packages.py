"""Packages of npm that functions depend on, fetched once and kept beside the build.

| variable | what |
|---|---|
| MAYFLY_TEST_CLONES | how many clones use them; 10000 is the long run |
| MAYFLY_TEST_PACKAGES | a folder with node_modules, instead of one fetched from npm's registry |
"""

import fcntl
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MAYFLY_BUILD_DIR") or os.path.join(ROOT, "build")

PACKAGES = (
    "express@4 fastify@4 axios lodash uuid@9 zod@3 pg ioredis sharp@0.33 @aws-sdk/client-s3@<3.900 "
    "@aws-sdk/client-dynamodb@<3.900 @aws-sdk/client-sqs@<3.900 nanoid@3 dayjs moment jsonwebtoken bcryptjs@2 "
    "ws joi@17 ajv cheerio@1.0.0 winston pino@9 dotenv@16 yaml chalk@4 semver async commander@12 rxjs"
).split()


def clone_count(usual):
    return int(os.environ.get("MAYFLY_TEST_CLONES") or usual)


def name_of(package):
    return package[0] + package[1:].partition("@")[0]


def missing_in(folder):
    return [p for p in PACKAGES if not os.path.isdir(os.path.join(folder, "node_modules", name_of(p)))]


def install(npm, folder):
    """As a whole or not at all: what a time limit cut off must not look like packages."""
    part = folder + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    with open(os.path.join(part, "package.json"), "w") as file:
        file.write('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *PACKAGES]
    try:
        done = subprocess.run(command, cwd=part, capture_output=True, text=True, timeout=420)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry is too slow")
    if done.returncode != 0:
        pytest.skip("npm's registry cannot be reached: " + done.stderr[-300:])
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(part, folder)


def fetched():
    """The folder; skips the test when it cannot be had."""
    given = os.environ.get("MAYFLY_TEST_PACKAGES")
    folder = given or os.path.join(BUILD, "test-packages")
    if given:
        if missing_in(given):
            pytest.skip("not in %s: %s" % (given, ", ".join(missing_in(given))))
        return given
    with open(folder + ".lock", "w") as lock:  # tests of several processes want them at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if missing_in(folder):
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("there is no npm")
            install(npm, folder)
    return folder
