"""Buckets by the command line, and projects whose code lies in them."""

import hashlib
import os
import uuid

import pytest

from harness import zip_bytes

HANDLER = "def handler(event, context):\n    return {'from': %r}\n"


@pytest.fixture
def bucket(server):
    name = "b-" + uuid.uuid4().hex[:12]
    server.cli("bucket", "create", name, check=0)
    yield name
    server.cli("bucket", "rm", "--recursive", name, check=None)


def test_files_go_in_and_come_out(server, bucket, tmp_path):
    small, large = tmp_path / "a b.txt", tmp_path / "large.bin"
    small.write_text("hello\n")
    large.write_bytes(os.urandom(9 << 20))
    put = server.cli("bucket", "put", small, f"{bucket}/dir/", "--type", "text/plain", "--json", check=0).json
    assert (put["key"], put["size"], put["type"]) == ("dir/a b.txt", 6, "text/plain")
    assert put["etag"] == hashlib.md5(b"hello\n").hexdigest()
    server.cli("bucket", "put", large, f"s3://{bucket}/ü/large.bin", check=0)
    server.cli("bucket", "put", "-", f"{bucket}/piped", check=0, input=b"from a pipe")

    server.cli("bucket", "get", f"{bucket}/ü/large.bin", tmp_path / "back.bin", check=0)
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    folder = tmp_path / "down"
    folder.mkdir()
    server.cli("bucket", "get", f"{bucket}/dir/a b.txt", folder, check=0)
    assert [f.name for f in folder.iterdir()] == ["a b.txt"]
    assert server.cli("bucket", "get", f"{bucket}/piped", "-", check=0).out == b"from a pipe"

    top = server.cli("bucket", "ls", bucket, "--json", check=0).json
    assert top["prefixes"] == ["dir/", "ü/"] and [o["key"] for o in top["objects"]] == ["piped"]
    all_of = server.cli("bucket", "ls", bucket, "-r", "--json", check=0).json
    assert [o["key"] for o in all_of["objects"]] == ["dir/a b.txt", "piped", "ü/large.bin"]
    first = server.cli("bucket", "ls", bucket, "-r", "--limit", "2", "--json", check=0).json
    rest = server.cli("bucket", "ls", bucket, "-r", "--after", first["next"], "--json", check=0).json
    assert [o["key"] for o in rest["objects"]] == ["ü/large.bin"] and "next" not in rest
    assert bucket in [b["name"] for b in server.cli("bucket", "ls", "--json", check=0).json["buckets"]]
    assert b"a b.txt" in server.cli("bucket", "ls", f"{bucket}/dir/", check=0).out

    server.cli("bucket", "rm", f"{bucket}/piped", check=0)
    assert "still holds objects" in server.cli("bucket", "rm", bucket, check=5).err
    gone = server.cli("bucket", "rm", "-r", f"{bucket}/dir/", "--json", check=0).json
    assert gone["objects"] == 1
    gone = server.cli("bucket", "rm", "-r", bucket, "--json", check=0).json
    assert gone == {"removed": bucket, "objects": 1}


def test_refusals_name_what_is_wrong(server, bucket, tmp_path):
    assert "no object" in server.cli("bucket", "get", f"{bucket}/none", tmp_path / "x", check=3).err
    assert not list(tmp_path.iterdir()), "nothing is left of a download that failed"
    assert "no object" in server.cli("bucket", "rm", f"{bucket}/none", check=3).err
    assert "bucket create" in server.cli("bucket", "put", __file__, "no-such-bucket/k", check=3).err
    assert "No such file" in server.cli("bucket", "put", tmp_path / "missing", bucket, check=None).err
    assert "only a-z" in server.cli("bucket", "create", "Upper", check=None).err
    assert "whole key" in server.cli("bucket", "put", "-", bucket, check=2).err
    assert server.cli("bucket", "create", bucket, check=0).out.endswith(b"was there\n")
    assert server.api("GET", f"/v1/buckets/{bucket}/object").status == 400
    assert server.api("PUT", f"/v1/packages?bucket={bucket}").status == 400


def test_what_aws_clients_put_is_the_same(server, bucket):
    key = server.cli("keys", "create", "--name", "buckets", "--json", "--data", server.data).json
    boto3 = pytest.importorskip("boto3", reason="python3-boto3 is not installed")
    s3 = boto3.client("s3", endpoint_url=server.api_url, region_name="us-east-1",
                      aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"])
    s3.put_object(Bucket=bucket, Key="k", Body=b"by boto3", StorageClass="GLACIER")
    assert "restore" in server.cli("bucket", "get", f"{bucket}/k", "-", check=5).err
    s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 1})
    assert server.cli("bucket", "get", f"{bucket}/k", "-", check=0).out == b"by boto3"
    server.cli("bucket", "put", __file__, f"{bucket}/own", "--type", "text/x-python", check=0)
    got = s3.get_object(Bucket=bucket, Key="own")
    with open(__file__, "rb") as f:
        assert got["Body"].read() == f.read() and got["ContentType"] == "text/x-python"


def test_projects_take_code_and_layers_of_buckets(server, bucket, tmp_path):
    for name, files in (("f.zip", {"app.py": HANDLER % "the bucket"}),
                        ("g.zip", {"app.py": "import shared\ndef handler(event, context):\n    return shared.WORD\n"}),
                        ("l.zip", {"python/shared.py": "WORD = 'of a layer'\n"})):
        (tmp_path / name).write_bytes(zip_bytes(files))
        server.cli("bucket", "put", tmp_path / name, f"{bucket}/code/{name}", check=0)
    project = tmp_path / "project"
    project.mkdir()
    stack = "s" + uuid.uuid4().hex[:8]
    (project / "template.yaml").write_text(f"""
Transform: AWS::Serverless-2016-10-31
Globals: {{Function: {{Runtime: python3.11, Handler: app.handler}}}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: 's3://{bucket}/code/f.zip'}}
  G:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: {{Bucket: {bucket}, Key: code/g.zip}}, Layers: [!Ref L]}}
  L:
    Type: AWS::Serverless::LayerVersion
    Properties: {{ContentUri: {{Bucket: {bucket}, Key: code/l.zip}}, LayerName: {stack}}}
  Store: {{Type: AWS::S3::Bucket}}
""")
    done = server.cli("deploy", project, "--name", stack, "--json", check=0, timeout=120).json
    assert {"name": f"{stack}-store", "result": "created"} in done["buckets"]
    assert server.invoke(f"{stack}-F", {}).json == {"from": "the bucket"}
    assert server.invoke(f"{stack}-G", {}).json == "of a layer"
    again = server.cli("deploy", project, "--name", stack, "--json", check=0, timeout=120).json
    assert all(one["unchanged"] for one in again["functions"])
    server.cli("bucket", "rm", f"{bucket}/code/f.zip", check=0)
    assert "code/f.zip" in server.cli("deploy", project, "--name", stack, check=3, timeout=120).err
    for name in (f"{stack}-F", f"{stack}-G"):
        server.cli("rm", name, check=0)
    server.cli("layer", "rm", stack, check=0)
    server.cli("bucket", "rm", f"{stack}-store", check=0)
