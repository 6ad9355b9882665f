"""SQS, S3 and Lambda by the AWS SDK for JavaScript v3. The SDK compares MD5s by itself."""

import os
import shutil
import zipfile

from harness import run

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js")


def test_sdk_v3(account, modules, name):
    script = os.path.join(modules, "sqs.mjs")
    shutil.copy(os.path.join(HERE, "sqs.mjs"), script)
    done = run([shutil.which("node"), script, account.url, name], env=account.env, timeout=120)
    assert done.code == 0, done.out.decode() + done.err
    assert done.out.strip().endswith(b"all well")


def test_s3(account, modules, name):
    script = os.path.join(modules, "s3.mjs")
    shutil.copy(os.path.join(HERE, "s3.mjs"), script)
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
