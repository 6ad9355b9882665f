"""SQS and Lambda by the AWS SDK for JavaScript v3. The SDK compares MD5s by itself.

| variable | meaning |
|---|---|
| MAYFLY_CLIENT_MODULES | a folder with node_modules of tests/client/js, instead of one that npm fetches |
"""

import os
import shutil
import subprocess
import tempfile
import zipfile

import pytest

from harness import run

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js")


@pytest.fixture(scope="session")
def modules():
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node:
        pytest.skip("there is no node")
    given = os.environ.get("MAYFLY_CLIENT_MODULES")
    if given:
        yield given
        return
    if not npm:
        pytest.skip("there is no npm")
    folder = tempfile.mkdtemp(prefix="mayfly-client-")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, name), folder)
    try:
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip("npm's registry cannot be reached: " + done.stderr[-300:])
        yield folder
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry is too slow")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_sdk_v3(account, modules, name):
    script = os.path.join(modules, "sqs.mjs")
    shutil.copy(os.path.join(HERE, "sqs.mjs"), script)
    done = run([shutil.which("node"), script, account.url, name], env=account.env, timeout=120)
    assert done.code == 0, done.out.decode() + done.err
    assert done.out.strip().endswith(b"all well")


def test_lambda(account, modules, name, tmp_path):
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("index.js", "exports.handler = async (event) => { console.log('seen'); "
                     "if (event.fail) throw new Error('asked for'); return { event, stage: process.env.STAGE }; };")
    script = os.path.join(modules, "lambda.mjs")
    shutil.copy(os.path.join(HERE, "lambda.mjs"), script)
    done = run([shutil.which("node"), script, account.url, name, str(archive)], env=account.env, timeout=120)
    assert done.code == 0, done.out.decode() + done.err
    assert done.out.strip().endswith(b"all well")
