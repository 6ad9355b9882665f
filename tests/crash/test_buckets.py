"""kill -9 while objects are put, replaced, removed and uploaded in parts.

What was acknowledged is kept here, outside the victim. After the next start every key holds what was acknowledged
last, or what was under way when the kill came, as a whole; and no file is there that nothing refers to.
MAYFLY_CRASH_ROUNDS sets the number of kills, MAYFLY_CRASH_SEED repeats the choices.
"""

import hashlib
import os
import random
import threading

import pytest

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from account import Account  # noqa: E402
from harness import Server, eventually  # noqa: E402

ROUNDS = int(os.environ.get("MAYFLY_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
BUCKET = "crash"
ABSENT = None


def client_of(server, account):
    account.url = server.api_url
    return account.boto("s3", config=Config(retries={"max_attempts": 0}, signature_version="s3v4", connect_timeout=10,
                                            read_timeout=60))


class Writer(threading.Thread):
    """Changes keys of its own until the server is gone. known: key -> digests that it may have now."""

    def __init__(self, s3, number, seed, known):
        super().__init__()
        self.s3, self.number, self.rng, self.known = s3, number, random.Random(seed), known
        self.acknowledged, self.fault = threading.Semaphore(0), None
        self.start()

    def run(self):
        try:
            while True:
                self.change(f"{self.number}/{self.rng.randrange(6)}")
                self.acknowledged.release()
        except ClientError as refused:
            self.fault = refused
        except Exception as cut:  # the server is dead
            self.last = cut
        finally:
            self.acknowledged.release()

    def change(self, key):
        kind = self.rng.choice(["put", "put", "put", "large", "parts", "delete", "copy", "abort"])
        where = {"Bucket": BUCKET, "Key": key}
        body = self.rng.randbytes(self.rng.randrange(700_000) if kind == "large" else self.rng.randrange(3000))
        after = hashlib.md5(body).hexdigest()
        if kind in ("parts", "abort"):
            upload = {**where, "UploadId": self.s3.create_multipart_upload(**where)["UploadId"]}
            pieces = [body[:len(body) // 2], body[len(body) // 2:]]
            parts = [{"PartNumber": n, "ETag": self.s3.upload_part(**upload, PartNumber=n, Body=piece)["ETag"]}
                     for n, piece in enumerate(pieces, 1)]
            if kind == "abort":
                self.s3.abort_multipart_upload(**upload)
                return
        if kind == "delete":
            after = ABSENT
        before = self.known[key]
        self.known[key] = before | {after}
        if kind == "parts":
            self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        elif kind == "delete":
            self.s3.delete_object(**where)
        elif kind == "copy":
            self.known[key] = before
            self.s3.put_object(Bucket=BUCKET, Key=f"{self.number}/source", Body=body)
            self.known[key] = before | {after}
            self.s3.copy_object(**where, CopySource=f"{BUCKET}/{self.number}/source")
        else:
            self.s3.put_object(**where, Body=body)
        self.known[key] = {after}


def look(s3, key):
    try:
        return hashlib.md5(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchKey", error
        return ABSENT


def files_of(server, folder):
    return {name for _, _, names in os.walk(os.path.join(server.data, "buckets", folder)) for name in names}


def settle(server, s3, known):
    """Nothing but what is listed has bytes: uploads cut off are aborted, then one file stands for each of its pieces."""
    for key, allowed in known.items():
        seen = look(s3, key)
        assert seen in allowed, f"{key}: {seen} is there, {allowed} are possible"
        known[key] = {seen}
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    wanted = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for one in page.get("Contents", []):
            head = s3.get_object(Bucket=BUCKET, Key=one["Key"], **({"PartNumber": 1} if "-" in one["ETag"] else {}))
            pieces = [head["ContentLength"]]
            if "-" in one["ETag"]:
                pieces.append(one["Size"] - head["ContentLength"])
            wanted += sum(1 for piece in pieces if piece > 0)
            head["Body"].close()
    eventually(lambda: len(files_of(server, "content")) == wanted and not files_of(server, "incoming"),
               lambda: f"{wanted} files are wanted, {len(files_of(server, 'content'))} are there, and on their way in "
                       f"{files_of(server, 'incoming')}")


def test_puts_are_killed():
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    server = Server(config="buckets:\n  part_bytes_min: 0\n")
    try:
        server.start()
        account = Account(server)
        s3 = client_of(server, account)
        s3.create_bucket(Bucket=BUCKET)
        known = {f"{w}/{k}": {ABSENT} for w in range(3) for k in range(6)}
        for _ in range(ROUNDS):
            writers = [Writer(client_of(server, account), n, rng.random(), known) for n in range(3)]
            for _ in range(rng.randint(1, 25)):
                assert writers[0].acknowledged.acquire(timeout=60)
            server.kill()
            for writer in writers:
                writer.join(90)
                assert not writer.is_alive() and writer.fault is None, writer.fault
            server.start()
            settle(server, client_of(server, account), known)
        assert server.stop() == 0
    except BaseException:
        print(server.log())
        raise
    finally:
        server.close()
