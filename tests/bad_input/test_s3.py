"""S3 requests that no SDK sends: broken bodies, documents and signatures. Each answer is S3's XML, and the server lives."""

import hashlib
import hmac
import re

import pytest

pytest.importorskip("botocore", reason="python3-boto3 is not installed")
from botocore.auth import S3SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

from account import Account  # noqa: E402
from harness import RawConnection, request  # noqa: E402

BUCKET = "bad-input"
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


class Signer(S3SigV4Auth):
    """Signs what it is told that the body is."""

    def __init__(self, account, payload):
        super().__init__(Credentials(account.id, account.secret), "s3", "us-east-1")
        self.told = payload

    def payload(self, _):
        return self.told


@pytest.fixture(scope="module")
def s3(server):
    account = Account(server)

    def headers_for(method, target, body=b"", headers=None, payload=None):
        payload = payload or hashlib.sha256(body).hexdigest()
        made = AWSRequest(method, account.url + target, headers=dict(headers or {}), data=body)
        made.context["client_config"] = None
        signer = Signer(account, payload)
        signer.add_auth(made)
        return signer, dict(made.headers.items())

    def call(method, target, body=b"", headers=None, payload=None):
        _, signed = headers_for(method, target, body, headers, payload)
        return request(account.url, method, target, body, signed)

    call.url, call.headers_for, call.account = account.url, headers_for, account
    call("PUT", f"/{BUCKET}").expect(200)
    return call


def code_of(answer):
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    assert found and answer.header("Content-Type") == "application/xml" and "<RequestId>" in answer.text, repr(answer)
    return answer.status, found.group(1)


def chunked(*chunks, end="0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"):
    return ("".join(f"{len(c):x}\r\n{c}\r\n" for c in chunks) + end).encode()


def put_chunked(s3, body, size, payload=UNSIGNED, **more):
    headers = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(size), **more}
    if payload == UNSIGNED:
        headers.setdefault("x-amz-trailer", "x-amz-checksum-crc32")
    return s3("PUT", f"/{BUCKET}/chunked", body, headers, payload)


def test_chunks_without_signatures(s3):
    put_chunked(s3, chunked("hello ", "world"), 11).expect(200)
    got = s3("GET", f"/{BUCKET}/chunked")
    assert got.body == b"hello world" and got.header("Content-Encoding") is None
    for body, size, wanted in [
            (chunked("hello ", "worle"), 11, "BadDigest"),
            (chunked("hello ", "world"), 12, "IncompleteBody"),
            (chunked("hello ", "world", end=""), 11, "IncompleteBody"),
            (chunked("hello ", "world", end="0\r\n\r\n"), 11, "IncompleteBody"),
            (chunked("hello ", "world", end="0\r\nother:x\r\n\r\n"), 11, "MalformedTrailerError"),
            (chunked("hello ", "world", end="0\r\nx-amz-checksum-crc32:!\r\n\r\n"), 11, "InvalidRequest"),
            (b"xyz\r\nhello", 11, "InvalidRequest"),
            (b"5\r\nhello world\r\n", 11, "InvalidRequest"),
            (b"f" * 5000, 11, "InvalidRequest"),
            (b"", 0, "IncompleteBody")]:
        assert code_of(put_chunked(s3, body, size)) == (400, wanted), body
    assert s3("GET", f"/{BUCKET}/chunked").body == b"hello world", "what was refused has changed nothing"


def test_signed_chunks(s3):
    data = [b"a" * 9000, b"b" * 100, b""]

    def body_of(signer, headers, spoil=lambda n, c: c):
        scope = re.search(r"Credential=[^/]+/([^,]+)", headers["Authorization"]).group(1)
        key = ("AWS4" + s3.account.secret).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        before, out = headers["Authorization"].rsplit("Signature=", 1)[1], b""
        for number, chunk in enumerate(data):
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", headers["X-Amz-Date"], scope, before,
                              hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest()])
            before = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            out += f"{len(chunk):x};chunk-signature={before}\r\n".encode() + spoil(number, chunk) + b"\r\n"
        return out

    def send(spoil=lambda n, c: c, cut=None):
        fields = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "9100"}
        signer, headers = s3.headers_for("PUT", f"/{BUCKET}/signed", b"", fields, SIGNED)
        return request(s3.url, "PUT", f"/{BUCKET}/signed", body_of(signer, headers, spoil)[:cut], headers)
    send().expect(200)
    assert s3("GET", f"/{BUCKET}/signed").body == b"".join(data)
    assert code_of(send(lambda n, c: c.replace(b"b", b"c"))) == (403, "SignatureDoesNotMatch")
    assert code_of(send(cut=-100)) == (400, "IncompleteBody")
    assert s3("GET", f"/{BUCKET}/signed").body == b"".join(data)


def test_what_the_fields_say_must_be_so(s3):
    put = lambda body, headers=None, payload=None: s3("PUT", f"/{BUCKET}/k", body, headers, payload)  # noqa: E731
    put(b"x").expect(200)
    assert code_of(put(b"x", payload="0" * 64)) == (400, "XAmzContentSHA256Mismatch")
    assert code_of(put(b"x", payload="nonsense")) == (400, "InvalidArgument")
    assert code_of(put(b"x", payload="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) == (501, "NotImplemented")
    assert code_of(put(b"x", {"Content-MD5": "x"})) == (400, "InvalidDigest")
    assert code_of(put(b"x", {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "AA=="})) == (
        400, "InvalidRequest")
    assert code_of(put(b"x", {"x-amz-sdk-checksum-algorithm": "CRC32"})) == (400, "InvalidRequest")
    assert code_of(put(b"x", {"x-amz-sdk-checksum-algorithm": "ROT13"})) == (400, "InvalidRequest")
    assert code_of(put(b"x", {"If-None-Match": '"abc"'})) == (501, "NotImplemented")
    assert code_of(put(b"x", {"x-amz-tagging": "a=1&a=2"})) == (400, "InvalidTag")
    assert code_of(put(b"x", {"x-amz-expected-bucket-owner": "111111111111"})) == (403, "AccessDenied")
    assert code_of(s3("PUT", f"/{BUCKET}/%FF")) == (400, "InvalidURI")
    assert code_of(s3("PUT", f"/{BUCKET}/a%00b")) == (400, "InvalidURI")
    assert code_of(s3("PATCH", f"/{BUCKET}/k")) == (405, "MethodNotAllowed")
    assert code_of(s3("PUT", f"/{BUCKET}/copy", headers={"x-amz-copy-source": "nothing"})) == (400, "InvalidArgument")


def test_the_signature_covers_the_request(s3):
    _, headers = s3.headers_for("GET", f"/{BUCKET}/k")
    for target in (f"/{BUCKET}/K", f"/{BUCKET}/k?versionId=null", f"/{BUCKET}//k", f"/{BUCKET}/./k"):
        assert code_of(request(s3.url, "GET", target, None, headers)) == (403, "SignatureDoesNotMatch")
    assert code_of(request(s3.url, "GET", f"/{BUCKET}/k", None, {**headers, "x-amz-meta-a": "1"})) == (
        403, "AccessDenied")
    without = {k: v for k, v in headers.items() if k.lower() != "x-amz-content-sha256"}
    assert code_of(request(s3.url, "GET", f"/{BUCKET}/k", None, without)) == (400, "InvalidRequest")
    old = {**headers, "Authorization": "AWS AKIA:abc"}
    assert code_of(request(s3.url, "GET", f"/{BUCKET}/k", None, old)) == (400, "InvalidRequest")


@pytest.mark.parametrize("document", [
    b"", b"<", b"<Delete>", b"<Delete/>", b"<Other/>", b"<Delete><Object/></Delete>", b"\xff\xfe\x00",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><Delete><Object><Key>&b;</Key></Object></Delete>",
    b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><Delete><Object><Key>k</Key></Object></Delete>",
    b"<a>" * 50_000, b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>"])
def test_documents(s3, document):
    assert code_of(s3("POST", f"/{BUCKET}?delete", document)) == (400, "MalformedXML")
    assert code_of(s3("PUT", f"/{BUCKET}/k?tagging", document)) == (400, "MalformedXML")


def test_bodies_without_a_length_or_an_end(s3, server):
    _, headers = s3.headers_for("PUT", f"/{BUCKET}/half", payload="UNSIGNED-PAYLOAD")
    fields = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() != "content-length")
    head = f"PUT /{BUCKET}/half HTTP/1.1\r\nHost: {s3.url.split('//')[1]}\r\n{fields}"
    with RawConnection(s3.url) as raw:
        raw.send(head + "\r\n")
        assert raw.read_head()[0] == 411
    with RawConnection(s3.url) as raw:
        raw.send(head + "Content-Length: 1000000\r\n\r\n" + "x" * 1000)
    with RawConnection(s3.url) as raw:
        raw.send(head + "Content-Length: 99999999999999\r\n\r\n")
        assert raw.read_head()[0] == 400
    assert s3("GET", f"/{BUCKET}/half").status == 404


def test_limits_name_their_settings():
    from harness import Server
    server = Server(config="buckets:\n  put_bytes_max: 1000\n  bytes_max: 2500\naws:\n  body_bytes_max: 65536\n")
    try:
        server.start()
        account = Account(server)

        def call(method, target, body=b"", size=None):
            made = AWSRequest(method, account.url + target, data=body)
            signer = Signer(account, hashlib.sha256(body).hexdigest())
            signer.add_auth(made)
            return request(account.url, method, target, body, dict(made.headers.items()))
        call("PUT", "/limits").expect(200)
        large = call("PUT", "/limits/k", b"x" * 1001)
        assert code_of(large) == (400, "EntityTooLarge") and "buckets.put_bytes_max" in large.text
        call("PUT", "/limits/a", b"x" * 1000).expect(200)
        call("PUT", "/limits/b", b"x" * 1000).expect(200)
        full = call("PUT", "/limits/c", b"x" * 1000)
        assert code_of(full) == (507, "InsufficientStorage") and "buckets.bytes_max" in full.text
        call("DELETE", "/limits/a").expect(204)
        call("PUT", "/limits/c", b"x" * 1000).expect(200)
        document = call("POST", "/limits?delete", b"<Delete>" + b" " * 70_000 + b"</Delete>")
        assert code_of(document) == (400, "EntityTooLarge") and "aws.body_bytes_max" in document.text
        assert server.stop() == 0
    finally:
        server.close()
