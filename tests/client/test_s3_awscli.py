"""S3 by the AWS CLI, as people type it: Debian's, else the one in PATH."""

import json
import os
import shutil
import zipfile

import pytest

from harness import run

AWS = "/usr/bin/aws" if os.access("/usr/bin/aws", os.X_OK) else shutil.which("aws")


@pytest.fixture
def aws(account):
    if not AWS:
        pytest.skip("awscli is not installed")

    def call(*words, code=0):
        done = run([AWS, "--endpoint-url", account.url, *words], env=account.env, timeout=120)
        assert done.code == code, done.out.decode() + done.err
        return done.out.decode() if code == 0 else done.err
    return call


@pytest.fixture
def bucket(aws, name):
    aws("s3", "mb", f"s3://{name}")
    yield name
    aws("s3", "rb", f"s3://{name}", "--force")


def test_files_up_and_down(aws, bucket, tmp_path):
    small, large = tmp_path / "small.txt", tmp_path / "large.bin"
    small.write_text("hello\n")
    large.write_bytes(os.urandom(18 << 20))  # uploaded in parts
    aws("s3", "cp", str(small), f"s3://{bucket}/a b/ö+c.txt")
    aws("s3", "cp", str(large), f"s3://{bucket}/large.bin")
    listing = aws("s3", "ls", f"s3://{bucket}/", "--recursive")
    assert "a b/ö+c.txt" in listing and str(18 << 20) in listing, listing
    assert "PRE a b/" in aws("s3", "ls", f"s3://{bucket}/")
    assert bucket in aws("s3", "ls")
    aws("s3", "cp", f"s3://{bucket}/large.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    assert aws("s3", "cp", f"s3://{bucket}/a b/ö+c.txt", "-") == "hello\n"
    aws("s3", "cp", f"s3://{bucket}/large.bin", f"s3://{bucket}/copy.bin")  # a copy in parts
    aws("s3", "mv", f"s3://{bucket}/a b/ö+c.txt", f"s3://{bucket}/moved.txt")
    aws("s3", "cp", f"s3://{bucket}/copy.bin", str(tmp_path / "copy.bin"))
    assert (tmp_path / "copy.bin").read_bytes() == large.read_bytes()
    names = [line.split()[3] for line in aws("s3", "ls", f"s3://{bucket}/").splitlines()]
    assert names == ["copy.bin", "large.bin", "moved.txt"]
    assert "BucketNotEmpty" in aws("s3", "rb", f"s3://{bucket}", code=1)
    aws("s3", "rm", f"s3://{bucket}/", "--recursive")
    assert aws("s3", "ls", f"s3://{bucket}/") == ""


def test_sync(aws, bucket, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(12):
        (source / "deep" / "er" / f"{number}.txt").write_text(f"file {number}")
    (source / "top").write_text("")
    aws("s3", "sync", str(source), f"s3://{bucket}/at")
    assert aws("s3", "sync", str(source), f"s3://{bucket}/at") == "", "all is there"
    (source / "top").unlink()
    aws("s3", "sync", str(source), f"s3://{bucket}/at", "--delete")
    aws("s3", "sync", f"s3://{bucket}/at", str(target))
    seen = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert seen == sorted(f"deep/er/{n}.txt" for n in range(12))
    assert (target / "deep/er/7.txt").read_text() == "file 7"


def test_s3api(aws, bucket, tmp_path):
    body = tmp_path / "body"
    body.write_text("0123456789")
    made = json.loads(aws("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", str(body),
                          "--metadata", "colour=blue", "--content-type", "text/plain"))
    assert made["ETag"] == '"781e5e245d69b566979b86e28d23f2c7"'
    head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "k"))
    assert head["ContentLength"] == 10 and head["Metadata"] == {"colour": "blue"}
    assert head["ContentType"] == "text/plain"
    got = json.loads(aws("s3api", "get-object", "--bucket", bucket, "--key", "k", "--range", "bytes=2-4",
                         str(tmp_path / "part")))
    assert got["ContentRange"] == "bytes 2-4/10" and (tmp_path / "part").read_text() == "234"
    aws("s3api", "get-bucket-location", "--bucket", bucket)
    page = json.loads(aws("s3api", "list-objects-v2", "--bucket", bucket))
    assert [o["Key"] for o in page["Contents"]] == ["k"]
    assert "NoSuchBucketPolicy" in aws("s3api", "get-bucket-policy", "--bucket", bucket, code=254)
    assert "404" in aws("s3api", "head-bucket", "--bucket", bucket + "-none", code=254)


def test_lambda_takes_its_code_from_a_bucket(aws, bucket, name, tmp_path):
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("app.py", "def handler(event, context): return 'from a bucket'")
    aws("s3", "cp", str(archive), f"s3://{bucket}/code/app.zip")
    aws("lambda", "create-function", "--function-name", name, "--runtime", "python3.12", "--handler", "app.handler",
        "--role", "arn:aws:iam::000000000000:role/any", "--code", f"S3Bucket={bucket},S3Key=code/app.zip")
    answer = tmp_path / "answer"
    aws("lambda", "invoke", "--function-name", name, str(answer))
    assert json.loads(answer.read_text()) == "from a bucket"
    aws("lambda", "delete-function", "--function-name", name)
