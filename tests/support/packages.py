"""Packages of npm that functions depend on, fetched once and kept beside the build.

| variable | what |
|---|---|
| MAYFLY_TEST_CLONES | how many clones use them; 10000 is the long run |
| MAYFLY_TEST_PACKAGES | a folder with node_modules, instead of one fetched from npm's registry |
"""

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


def fetched():
    """The folder; skips the test when it cannot be had."""
    folder = os.environ.get("MAYFLY_TEST_PACKAGES") or os.path.join(BUILD, "test-packages")
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
