"""Runtimes that are not Mayfly's, on its Runtime API: aws-lambda-ric (Node) with its native addon, aws-lambda-cpp (the
C++ library of AWS, which comes inside of aws-lambda-ric), and a Go program that answers as aws-lambda-go does."""

import glob
import json
import os
import shutil
import tarfile
import urllib.request

import pytest

from harness import decode_log_tail, needs, run

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lambda")
# When the error is there before anybody was sent the first bytes, these are not sent.
HALF = (b"half", b"")


def streamed(account, name, event):
    """InvokeWithResponseStream, which Debian's boto3 does not know: (payload, the last event)."""
    auth = pytest.importorskip("botocore.auth", reason="python3-boto3 is not installed")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.eventstream import EventStreamBuffer
    url = f"{account.url}/2021-11-15/functions/{name}/response-streaming-invocations"
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, json.dumps(event))
    auth.SigV4Auth(Credentials(account.id, account.secret), "lambda", "us-east-1").add_auth(request)
    sent = urllib.request.Request(url, request.data.encode(), dict(request.headers))
    buffer = EventStreamBuffer()
    buffer.add_data(urllib.request.urlopen(sent, timeout=60).read())
    events = [(e.headers[":event-type"], e.payload) for e in buffer]
    assert events[-1][0] == "InvokeComplete"
    return b"".join(p for kind, p in events if kind == "PayloadChunk"), json.loads(events[-1][1])


@pytest.fixture(scope="module")
def library(lambda_modules, tmp_path_factory):
    """The sources of aws-lambda-cpp: what is compiled, and where its headers are."""
    needs("g++")
    if not os.path.exists("/usr/include/x86_64-linux-gnu/curl/curl.h") and not glob.glob("/usr/include/*/curl/curl.h"):
        pytest.skip("libcurl4-openssl-dev is not installed")
    folder = str(tmp_path_factory.mktemp("cpp"))
    archive, = glob.glob(os.path.join(lambda_modules, "node_modules/aws-lambda-ric/deps/aws-lambda-cpp-*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    home, = glob.glob(folder + "/aws-lambda-cpp-*")
    # What its cmake makes of version.cpp.in.
    with open(home + "/src/version.cpp", "w") as f:
        f.write('namespace aws { namespace lambda_runtime { char const* get_version() { return "tests"; } } }')
    return home, [home + "/src/" + name for name in ("runtime.cpp", "logging.cpp", "version.cpp")]


def compiled(words, timeout=400):
    done = run(["g++", "-std=c++17", "-O0", *words], timeout=timeout)
    assert done.code == 0, done.err[-3000:]


@pytest.fixture(scope="module")
def ric(server, library, lambda_modules, tmp_path_factory):
    home, sources = library
    headers = next((f for f in ("/usr/include/node", "/usr/include/nodejs/src") if os.path.exists(f + "/node_api.h")), None)
    if not headers:
        pytest.skip("there are no headers of node")
    folder = str(tmp_path_factory.mktemp("ric"))
    package = folder + "/node_modules/aws-lambda-ric"
    shutil.copytree(os.path.join(lambda_modules, "node_modules/aws-lambda-ric"), package, ignore=shutil.ignore_patterns("deps"))
    compiled(["-shared", "-fPIC", "-DNAPI_CPP_EXCEPTIONS", "-I" + headers, "-I" + home + "/include",
              "-I" + lambda_modules + "/node_modules/node-addon-api", package + "/src/rapid-client.cc", *sources, "-lcurl",
              "-o", package + "/dist/rapid-client.node"])
    shutil.copy(os.path.join(SOURCES, "ric.mjs"), folder)
    with open(folder + "/bootstrap", "w") as f:
        f.write('#!/bin/sh\nexec node node_modules/aws-lambda-ric/bin/index.mjs "$_HANDLER"\n')
    os.chmod(folder + "/bootstrap", 0o755)
    return folder


def deployed(server, folder, name, handler, *flags, check=0):
    server.deploy(folder, "--name", name, "--runtime", "provided.al2023", "--handler", handler, *flags, check=check)
    return name


def test_ric(server, ric):
    name = deployed(server, ric, "ric", "ric.handler")
    for number in range(3):
        answer = server.invoke(name, {"say": number}, log="1").expect(200)
        value = answer.json
        assert value["event"] == {"say": number} and value["id"] == answer.request_id and value["left"] is True
        assert value["arn"].endswith(":function:ric") and "seen " + str(number) in decode_log_tail(answer)
    text = "".join(chr(n) for n in range(32, 1200)) * 500
    assert server.invoke(name, {"say": 1, "text": text}).expect(200).json["event"]["text"] == text
    failed = server.invoke(name, {"fail": "on purpose"})
    detail = failed.error["detail"]
    assert (detail["errorType"], detail["errorMessage"]) == ("RangeError", "on purpose") and detail["trace"]
    gone = server.invoke(name, {"exit": 7})
    assert gone.status == 502 and "7" in gone.error["message"], gone.error
    assert server.invoke(name, {"say": "again"}).expect(200).json["event"] == {"say": "again"}


def test_ric_streams(server, ric):
    answer = server.call(deployed(server, ric, "ric-streamed", "ric.streamed"))
    assert answer.status == 202 and answer.text == "one two three" and answer.header("Content-Type") == "text/plain"


def test_ric_breaks_off(server, ric, account):
    name = deployed(server, ric, "ric-breaks", "ric.breaks")
    payload, end = streamed(account, name, {})
    assert payload in HALF and "in the middle" in end["ErrorDetails"], (payload, end)


def test_ric_does_not_find_its_handler(server, ric):
    answer = server.deploy(ric, "--name", "ric-none", "--runtime", "provided.al2023", "--handler", "ric.none", check=None)
    assert answer.code != 0 and "ric.none is undefined or not exported" in answer.err, answer.err


def test_cpp(server, library, tmp_path):
    home, sources = library
    compiled([os.path.join(SOURCES, "bootstrap.cc"), *sources, "-I" + home + "/include", "-lcurl", "-pthread",
              "-o", str(tmp_path / "bootstrap")])
    name = deployed(server, tmp_path, "cpp", "any")
    for number in range(3):
        answer = server.invoke(name, {"n": number}).expect(200)
        assert answer.json == {"id": answer.request_id, "left": True, "event": {"n": number},
                               "arn": "arn:aws:lambda:us-east-1:000000000000:function:cpp"}
    detail = server.invoke(name, {"please": "fail"}).error["detail"]
    assert (detail["errorType"], detail["errorMessage"]) == ("Asked", "asked to fail")
    large = {"text": "x" * 3_000_000}
    assert server.invoke(name, large).expect(200).json["event"] == large


def test_go(server, account, tmp_path_factory):
    needs("go")
    folder = tmp_path_factory.mktemp("go")
    shutil.copy(os.path.join(SOURCES, "main.go"), folder)
    (folder / "go.mod").write_text("module mayfly.test/function\n\ngo 1.19\n")
    package = tmp_path_factory.mktemp("go-package")
    done = run(["go", "build", "-o", str(package / "bootstrap"), "."], cwd=str(folder), timeout=400,
               env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOPROXY": "off"})
    assert done.code == 0, done.err[-2000:]
    name = deployed(server, package, "go", "the.handler")
    for word in ("one", "two"):
        answer = server.invoke(name, {"say": word}).expect(200)
        assert answer.json == {"id": answer.request_id, "say": word, "left": True, "handler": "the.handler",
                               "arn": "arn:aws:lambda:us-east-1:000000000000:function:go"}
    detail = server.invoke(name, {"fail": "no way"}).error["detail"]
    assert (detail["errorType"], detail["errorMessage"]) == ("Asked", "no way")
    payload, end = streamed(account, name, {"late": "1"})
    assert payload in HALF and end["ErrorCode"] and "too late" in end["ErrorDetails"], (payload, end)
    broken = server.deploy(package, "--name", "go-broken", "--env", "BROKEN=1", "--runtime", "provided", check=None)
    assert broken.code != 0 and "not today" in broken.err, broken.err
