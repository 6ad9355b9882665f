"""S3 by boto3: contents, conditions, listings, uploads in parts, refusals."""

import base64
import hashlib
import io
import os
import threading
import urllib.request
import zlib

import pytest

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from boto3.s3.transfer import TransferConfig  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

MIB = 1 << 20


@pytest.fixture(scope="module")
def s3(account):
    return account.boto("s3", config=Config(retries={"max_attempts": 0}, signature_version="s3v4"))


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=one["Key"])
    s3.delete_bucket(Bucket=name)


def refused(call, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    return error["Error"]


def test_an_object_and_all_that_comes_with_it(s3, bucket):
    body = os.urandom(300_000)
    made = s3.put_object(Bucket=bucket, Key="a/ü ~+?.bin", Body=body, ContentType="image/png",
                         CacheControl="no-cache", ContentDisposition="attachment", ContentEncoding="gzip",
                         ContentLanguage="de", Metadata={"Owner": "somebody", "x": "1"}, Tagging="k=v&l=w%20x")
    assert made["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="a/ü ~+?.bin")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"owner": "somebody", "x": "1"}
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"], got["ContentEncoding"],
            got["ContentLanguage"], got["TagCount"]) == ("image/png", "no-cache", "attachment", "gzip", "de", 2)
    tags = s3.get_object_tagging(Bucket=bucket, Key="a/ü ~+?.bin")["TagSet"]
    assert tags == [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w x"}]
    got = s3.get_object(Bucket=bucket, Key="a/ü ~+?.bin", ResponseContentType="text/x", Range="bytes=-5")
    assert got["ContentType"] == "text/x" and got["Body"].read() == body[-5:]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    head = s3.head_object(Bucket=bucket, Key="a/ü ~+?.bin")
    assert head["ContentLength"] == len(body) and head["AcceptRanges"] == "bytes"
    s3.put_object_tagging(Bucket=bucket, Key="a/ü ~+?.bin", Tagging={"TagSet": [{"Key": "n", "Value": "ö"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="a/ü ~+?.bin")["TagSet"] == [{"Key": "n", "Value": "ö"}]
    s3.delete_object_tagging(Bucket=bucket, Key="a/ü ~+?.bin")
    assert s3.get_object_tagging(Bucket=bucket, Key="a/ü ~+?.bin")["TagSet"] == []


def test_an_empty_object_and_odd_keys(s3, bucket):
    keys = ["empty", "/leading", "double//slash", "dot/./dot", "up/../down", "trailing/", "a&b<c>\"d'", "%41", "ключ"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"" if key == "empty" else key.encode())
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == (b"" if key == "empty" else key.encode())
    assert sorted(o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]) == sorted(keys)
    assert sorted(o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]) == sorted(keys)


def test_ranges_and_conditions(s3, bucket):
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    get = s3.get_object
    assert get(Bucket=bucket, Key="k", Range="bytes=3-")["Body"].read() == b"3456789"
    assert get(Bucket=bucket, Key="k", Range="bytes=3-3")["ContentRange"] == "bytes 3-3/10"
    assert get(Bucket=bucket, Key="k", Range="lines=1-2")["ResponseMetadata"]["HTTPStatusCode"] == 200
    error = refused(get, "InvalidRange", 416, Bucket=bucket, Key="k", Range="bytes=10-")
    assert error["ActualObjectSize"] == "10"
    assert get(Bucket=bucket, Key="k", IfMatch=made["ETag"])["Body"].read() == b"0123456789"
    refused(get, "PreconditionFailed", 412, Bucket=bucket, Key="k", IfMatch='"no"')
    refused(get, "304", 304, Bucket=bucket, Key="k", IfNoneMatch=made["ETag"])
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    refused(get, "304", 304, Bucket=bucket, Key="k", IfModifiedSince=modified)
    assert get(Bucket=bucket, Key="k", IfUnmodifiedSince=modified)["ContentLength"] == 10


def raw(s3, operation, headers, **arguments):
    """A call with fields that this boto3 does not know yet."""
    def add(request, **_):
        for key, value in headers.items():
            request.headers[key] = value
    event = f"before-sign.s3.{operation.title().replace('_', '')}"
    s3.meta.events.register(event, add)
    try:
        return getattr(s3, operation)(**arguments)
    finally:
        s3.meta.events.unregister(event, add)


def test_conditional_put(s3, bucket):
    raw(s3, "put_object", {"If-None-Match": "*"}, Bucket=bucket, Key="once", Body=b"first")
    refused(lambda **a: raw(s3, "put_object", {"If-None-Match": "*"}, **a), "PreconditionFailed", 412,
            Bucket=bucket, Key="once", Body=b"second")
    assert s3.get_object(Bucket=bucket, Key="once")["Body"].read() == b"first"
    results = []

    def write(number):
        try:
            raw(s3, "put_object", {}, Bucket=bucket, Key="many", Body=b"x" * number)
            results.append(number)
        except ClientError as error:
            results.append(error)
    threads = [threading.Thread(target=write, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == sorted(map(str, range(1, 9))), results
    assert s3.head_object(Bucket=bucket, Key="many")["ContentLength"] in range(1, 9)


def test_checksums_are_checked(s3, bucket):
    body = b"some bytes"
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumCRC32=crc)
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc
    refused(s3.put_object, "BadDigest", 400, Bucket=bucket, Key="bad", Body=body, ChecksumCRC32="AAAAAA==")
    refused(s3.put_object, "InvalidRequest", 400, Bucket=bucket, Key="bad", Body=body, ChecksumCRC32="AA==")
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused(s3.put_object, "BadDigest", 400, Bucket=bucket, Key="bad", Body=body, ContentMD5=other)
    refused(s3.put_object, "InvalidDigest", 400, Bucket=bucket, Key="bad", Body=body, ContentMD5="abc")
    for algorithm in ("SHA256", "SHA1", "CRC32"):
        made = s3.put_object(Bucket=bucket, Key=algorithm, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
        assert made["Checksum" + algorithm], made
    refused(s3.head_object, "404", 404, Bucket=bucket, Key="bad")


def test_listings_in_pages(s3, bucket):
    keys = sorted([f"a/{n:03}" for n in range(25)] + [f"b/{n}/x" for n in range(7)] + ["c", "d e"])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 4})
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys, operation
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/",
                                                          PaginationConfig={"PageSize": 1}))
        assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a/", "b/"]
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == ["c", "d e"]
    page = s3.list_objects_v2(Bucket=bucket, Prefix="b/", Delimiter="/", MaxKeys=3)
    assert page["KeyCount"] == 3 and page["IsTruncated"] and page["MaxKeys"] == 3
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="b/6/x")
    assert [o["Key"] for o in page["Contents"]] == ["c", "d e"]
    refused(s3.list_objects_v2, "InvalidArgument", 400, Bucket=bucket, ContinuationToken="!")
    refused(s3.list_objects_v2, "InvalidArgument", 400, Bucket=bucket, MaxKeys=-1)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys[:20]] + [{"Key": "none"}]})
    assert len(answer["Deleted"]) == 21 and "Errors" not in answer
    assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": keys[20]}], "Quiet": True}).get("Deleted") is None
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == keys[21:]


def test_copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from ö", Body=b"bytes", ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from ö"})
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"], got["TagCount"]) == (b"bytes", "text/x", {"a": "1"}, 1)
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "to"}, Metadata={"b": "2"},
                   MetadataDirective="REPLACE", ContentType="text/y")
    head = s3.head_object(Bucket=bucket, Key="to")
    assert (head["Metadata"], head["ContentType"]) == ({"b": "2"}, "text/y")
    refused(s3.copy_object, "InvalidRequest", 400, Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "to"})
    refused(s3.copy_object, "NoSuchKey", 404, Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "none"})
    refused(s3.copy_object, "PreconditionFailed", 412, Bucket=bucket, Key="to2", CopySourceIfMatch="no",
            CopySource={"Bucket": bucket, "Key": "to"})


def test_uploads_in_parts(s3, bucket):
    body = os.urandom(5 * MIB) + os.urandom(1000)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ContentType="x/y", Metadata={"m": "1"})
    where = {"Bucket": bucket, "Key": "big", "UploadId": upload["UploadId"]}
    parts = []
    for number, piece in ((1, body[:5 * MIB]), (2, body[5 * MIB:])):
        made = s3.upload_part(**where, PartNumber=number, Body=piece)
        assert made["ETag"] == f'"{hashlib.md5(piece).hexdigest()}"'
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    listed = s3.list_parts(**where, MaxParts=1)
    assert [p["PartNumber"] for p in listed["Parts"]] == [1] and listed["IsTruncated"]
    rest = s3.list_parts(**where, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [(p["PartNumber"], p["Size"]) for p in rest["Parts"]] == [(2, 1000)]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["big"]
    complete = s3.complete_multipart_upload
    refused(complete, "InvalidPartOrder", 400, **where, MultipartUpload={"Parts": parts[::-1]})
    refused(complete, "InvalidPart", 400, **where, MultipartUpload={"Parts": [{"PartNumber": 3, "ETag": "x"}]})
    refused(complete, "MalformedXML", 400, **where, MultipartUpload={"Parts": []})
    done = complete(**where, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(p).digest() for p in (body[:5 * MIB], body[5 * MIB:]))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == body and got["ContentType"] == "x/y" and got["Metadata"] == {"m": "1"}
    edge = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")
    assert edge["Body"].read() == body[5 * MIB - 3:5 * MIB + 3]
    second = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert second["Body"].read() == body[5 * MIB:] and second["PartsCount"] == 2
    refused(complete, "NoSuchUpload", 404, **where, MultipartUpload={"Parts": parts})

    other = s3.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
    where = {"Bucket": bucket, "Key": "copied", "UploadId": other}
    made = s3.upload_part_copy(**where, PartNumber=1, CopySource=f"{bucket}/big", CopySourceRange="bytes=10-19")
    complete(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": made["CopyPartResult"]["ETag"]}]})
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == body[10:20]

    small = s3.create_multipart_upload(Bucket=bucket, Key="small")["UploadId"]
    where = {"Bucket": bucket, "Key": "small", "UploadId": small}
    tags = [s3.upload_part(**where, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]
    parts = [{"PartNumber": n, "ETag": tag} for n, tag in zip((1, 2), tags)]
    assert "buckets.part_bytes_min" in refused(complete, "EntityTooSmall", 400, **where,
                                               MultipartUpload={"Parts": parts})["Message"]
    refused(s3.upload_part, "InvalidArgument", 400, **where, PartNumber=10_001, Body=b"x")
    s3.abort_multipart_upload(**where)
    refused(s3.upload_part, "NoSuchUpload", 404, **where, PartNumber=1, Body=b"x")


def test_transfer_manager_with_many_threads(s3, bucket, tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(os.urandom(23 * MIB))
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=8)
    s3.upload_file(str(source), bucket, "file", Config=config, ExtraArgs={"ChecksumAlgorithm": "SHA256"})
    s3.download_file(bucket, "file", str(target), Config=config)
    assert target.read_bytes() == source.read_bytes()
    head = s3.head_object(Bucket=bucket, Key="file", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-5"), head


def test_presigned_addresses(s3, bucket, account):
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "by link", "ContentType": "a/b"})
    request = urllib.request.Request(put, data=b"sent", method="PUT", headers={"Content-Type": "a/b"})
    assert urllib.request.urlopen(request).status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "by link"}, ExpiresIn=60)
    assert urllib.request.urlopen(get).read() == b"sent"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(get.replace("by%20link", "another"))
    assert caught.value.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()
    old = account.boto("s3", config=Config(signature_version="s3")).generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "by link"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(old)
    assert caught.value.code == 400 and b"AWS4-HMAC-SHA256" in caught.value.read()


def test_virtual_host_style(account, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k/1", Body=b"hosted")
    port = account.url.rsplit(":", 1)[1]

    def to_localhost(request, **_):
        request.headers["Host"] = f"{bucket}.localhost:{port}"
        request.url = request.url.replace(f"/{bucket}/", "/")
    client = account.boto("s3", config=Config(signature_version="s3v4"))
    client.meta.events.register("before-sign.s3.GetObject", to_localhost)
    assert client.get_object(Bucket=bucket, Key="k/1")["Body"].read() == b"hosted"


def test_refusals(s3, bucket, account, name):
    refused(s3.get_object, "NoSuchKey", 404, Bucket=bucket, Key="none")
    refused(s3.list_objects_v2, "NoSuchBucket", 404, Bucket=name + "-none")
    refused(s3.put_object, "NoSuchBucket", 404, Bucket=name + "-none", Key="k", Body=b"x")
    refused(s3.create_bucket, "InvalidBucketName", 400, Bucket="Upper.Case")
    assert s3.create_bucket(Bucket=bucket)["Location"] == "/" + bucket, "once more in the first region"
    refused(s3.create_bucket, "BucketAlreadyOwnedByYou", 409, Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    refused(s3.get_object, "NoSuchVersion", 404, Bucket=bucket, Key="k", VersionId="abc")
    refused(s3.put_object, "NotImplemented", 501, Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
    refused(s3.put_object, "AccessControlListNotSupported", 400, Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    refused(s3.put_object, "MetadataTooLarge", 400, Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "x" * 3000})
    refused(s3.put_object, "KeyTooLongError", 400, Bucket=bucket, Key="k" * 1025, Body=b"x")
    refused(s3.put_bucket_cors, "NotImplemented", 501, Bucket=bucket, CORSConfiguration={"CORSRules": [
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    stranger = account.boto("s3", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", config=Config(signature_version="s3v4"))
    refused(stranger.list_buckets, "InvalidAccessKeyId", 403)
    wrong = account.boto("s3", aws_secret_access_key="x" * 40, config=Config(signature_version="s3v4"))
    refused(wrong.list_buckets, "SignatureDoesNotMatch", 403)


def test_buckets_are_listed(s3, bucket):
    listed = {b["Name"]: b for b in s3.list_buckets()["Buckets"]}
    assert bucket in listed and listed[bucket]["CreationDate"].year >= 2024
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.head_bucket(Bucket=bucket)
    s3.get_bucket_versioning(Bucket=bucket)


def test_layers_and_updates_take_code_from_a_bucket(s3, bucket, functions, name):
    from harness import zip_bytes
    code = "import os\ndef handler(event, context): return [%d, open('/opt/data').read()]"
    for number in (1, 2):
        s3.put_object(Bucket=bucket, Key=f"code{number}.zip", Body=zip_bytes({"app.py": code % number}))
    s3.put_object(Bucket=bucket, Key="layer.zip", Body=zip_bytes({"data": "from a layer"}))
    s3.put_object(Bucket=bucket, Key="no.zip", Body=b"not a zip")
    layer = functions.publish_layer_version(LayerName=name, Content={"S3Bucket": bucket, "S3Key": "layer.zip"})
    functions.create_function(FunctionName=name, Runtime="python3.12", Handler="app.handler",
                              Role="arn:aws:iam::000000000000:role/any", Layers=[layer["LayerVersionArn"]],
                              Code={"S3Bucket": bucket, "S3Key": "code1.zip"})
    assert functions.invoke(FunctionName=name)["Payload"].read() == b'[1, "from a layer"]'
    functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="code2.zip")
    assert functions.invoke(FunctionName=name)["Payload"].read() == b'[2, "from a layer"]'
    update = functions.update_function_code
    code = "InvalidParameterValueException"
    assert "NoSuchKey" in refused(update, code, 400, FunctionName=name, S3Bucket=bucket, S3Key="none")["Message"]
    assert "NoSuchBucket" in refused(update, code, 400, FunctionName=name, S3Bucket="none", S3Key="none")["Message"]
    assert "unzip" in refused(update, code, 400, FunctionName=name, S3Bucket=bucket, S3Key="no.zip")["Message"]
    assert "versions" in refused(update, code, 400, FunctionName=name, S3Bucket=bucket, S3Key="code1.zip",
                                 S3ObjectVersion="3")["Message"]
    functions.delete_function(FunctionName=name)
    functions.delete_layer_version(LayerName=name, VersionNumber=layer["Version"])


def test_storage_classes_are_kept(s3, bucket):
    for name in ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x", StorageClass=name)
        assert s3.head_object(Bucket=bucket, Key=name)["StorageClass"] == name
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"x"
    s3.put_object(Bucket=bucket, Key="STANDARD", Body=b"x", StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="STANDARD")
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert len(listed) == 6 and all(one["StorageClass"] == one["Key"] for one in listed)
    # A copy names its own; the same object may be moved to another class.
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "STANDARD_IA"})
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="copy")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "copy"}, StorageClass="ONEZONE_IA")
    assert s3.head_object(Bucket=bucket, Key="copy")["StorageClass"] == "ONEZONE_IA"
    refused(s3.put_object, "InvalidStorageClass", 400, Bucket=bucket, Key="k", Body=b"x", StorageClass="SHELF")
    refused(s3.put_object, "InvalidStorageClass", 400, Bucket=bucket, Key="k", Body=b"x", StorageClass="OUTPOSTS")

    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", StorageClass="STANDARD_IA")
    where = {"Bucket": bucket, "Key": "parts", "UploadId": upload["UploadId"]}
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["StorageClass"] == "STANDARD_IA"
    assert s3.list_parts(**where)["StorageClass"] == "STANDARD_IA"
    tag = s3.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert s3.head_object(Bucket=bucket, Key="parts")["StorageClass"] == "STANDARD_IA"


def test_archived_objects_are_restored_before_they_are_read(s3, bucket):
    s3.put_object(Bucket=bucket, Key="old", Body=b"bytes", StorageClass="DEEP_ARCHIVE")
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="old")
    error = refused(s3.get_object, "InvalidObjectState", 403, Bucket=bucket, Key="old")
    assert error["StorageClass"] == "DEEP_ARCHIVE"
    refused(s3.copy_object, "InvalidObjectState", 403, Bucket=bucket, Key="new", CopySource=f"{bucket}/old")
    refused(s3.restore_object, "MalformedXML", 400, Bucket=bucket, Key="old", RestoreRequest={"Days": 0})
    days = {"Days": 2}
    assert s3.restore_object(Bucket=bucket, Key="old", RestoreRequest=days)["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.restore_object(Bucket=bucket, Key="old", RestoreRequest=days)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert 'ongoing-request="false", expiry-date="' in s3.head_object(Bucket=bucket, Key="old")["Restore"]
    assert s3.get_object(Bucket=bucket, Key="old")["Body"].read() == b"bytes"
    s3.copy_object(Bucket=bucket, Key="new", CopySource=f"{bucket}/old", StorageClass="GLACIER")
    refused(s3.get_object, "InvalidObjectState", 403, Bucket=bucket, Key="new")  # a copy is archived anew
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    refused(s3.restore_object, "InvalidObjectState", 403, Bucket=bucket, Key="plain", RestoreRequest=days)
    refused(s3.restore_object, "NoSuchKey", 404, Bucket=bucket, Key="none", RestoreRequest=days)


def test_tags_of_buckets(s3, bucket):
    refused(s3.get_bucket_tagging, "NoSuchTagSet", 404, Bucket=bucket)
    tags = [{"Key": "team", "Value": "a & b"}, {"Key": "ö", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
    refused(s3.put_bucket_tagging, "BadRequest", 400, Bucket=bucket, Tagging={"TagSet": many})
    refused(s3.put_bucket_tagging, "InvalidTag", 400, Bucket=bucket, Tagging={"TagSet": tags + tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    refused(s3.get_bucket_tagging, "NoSuchTagSet", 404, Bucket=bucket)
    refused(s3.put_bucket_tagging, "NoSuchBucket", 404, Bucket=bucket + "-not", Tagging={"TagSet": tags})


def test_a_bucket_without_configurations_says_so_as_s3_does(s3, bucket):
    for call, code in ((s3.get_bucket_cors, "NoSuchCORSConfiguration"), (s3.get_bucket_policy, "NoSuchBucketPolicy"),
                       (s3.get_bucket_policy_status, "NoSuchBucketPolicy"),
                       (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
                       (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
                       (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
                       (s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
                       (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError")):
        refused(call, code, 404, Bucket=bucket)
        refused(call, "NoSuchBucket", 404, Bucket=bucket + "-not")
    for call, members in ((s3.get_bucket_versioning, {}), (s3.get_bucket_logging, {}),
                          (s3.get_bucket_accelerate_configuration, {}),
                          (s3.get_bucket_notification_configuration, {}),
                          (s3.get_bucket_request_payment, {"Payer": "BucketOwner"}),
                          (s3.list_bucket_metrics_configurations, {"IsTruncated": False}),
                          (s3.get_bucket_ownership_controls,
                           {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}),
                          (s3.get_public_access_block, {"PublicAccessBlockConfiguration": {
                              "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True,
                              "RestrictPublicBuckets": True}})):
        answer = call(Bucket=bucket)
        answer.pop("ResponseMetadata")
        assert answer == members, call
    for call in (s3.delete_bucket_cors, s3.delete_bucket_policy, s3.delete_bucket_lifecycle):
        call(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for answer in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert [(g["Grantee"]["Type"], g["Permission"]) for g in answer["Grants"]] == [("CanonicalUser", "FULL_CONTROL")]
        assert answer["Grants"][0]["Grantee"]["ID"] == answer["Owner"]["ID"]
    refused(s3.get_object_acl, "NoSuchKey", 404, Bucket=bucket, Key="none")
    refused(s3.create_bucket, "InvalidLocationConstraint", 400, Bucket=bucket + "-first",
            CreateBucketConfiguration={"LocationConstraint": "us-east-1"})


def test_versions_are_one_for_each_object(s3, bucket):
    for key in ("a/1", "a/2", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    found = [(v["Key"], v["VersionId"], v["IsLatest"]) for page in pages for v in page["Versions"]]
    assert found == [("a/1", "null", True), ("a/2", "null", True), ("b", "null", True)] and len(pages) == 2
    page = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/"] and len(page["Versions"]) == 1
    s3.delete_object(Bucket=bucket, Key="b", VersionId="null")
    refused(s3.head_object, "404", 404, Bucket=bucket, Key="b")


def test_attributes_of_objects(s3, bucket):
    crc = base64.b64encode(zlib.crc32(b"bytes").to_bytes(4, "big")).decode()
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"bytes", StorageClass="STANDARD_IA", ChecksumCRC32=crc)
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
    assert (f'"{got["ETag"]}"', got["Checksum"]["ChecksumCRC32"], got["StorageClass"], got["ObjectSize"]) == \
        (made["ETag"], crc, "STANDARD_IA", 5)
    assert "ObjectParts" not in got
    assert "ObjectSize" not in s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"])
    refused(s3.get_object_attributes, "InvalidArgument", 400, Bucket=bucket, Key="k", ObjectAttributes=["Colour"])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ChecksumAlgorithm="SHA256")
    where = {"Bucket": bucket, "Key": "big", "UploadId": upload["UploadId"]}
    parts = []
    for number, piece in ((1, b"1" * 5 * MIB), (2, b"22")):
        part = s3.upload_part(**where, PartNumber=number, Body=piece, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    page = s3.get_object_attributes(Bucket=bucket, Key="big", ObjectAttributes=wanted, MaxParts=1)["ObjectParts"]
    assert (page["TotalPartsCount"], page["IsTruncated"], page["NextPartNumberMarker"]) == (2, True, 1)
    assert [(p["PartNumber"], p["Size"]) for p in page["Parts"]] == [(1, 5 * MIB)]
    rest = s3.get_object_attributes(Bucket=bucket, Key="big", ObjectAttributes=wanted, PartNumberMarker=1)["ObjectParts"]
    assert [(p["PartNumber"], p["ChecksumSHA256"]) for p in rest["Parts"]] == [(2, parts[1]["ChecksumSHA256"])]
    assert not rest["IsTruncated"]
