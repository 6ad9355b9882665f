#!/usr/bin/python3
import json, os, sys, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as event:
        request, asked = event.headers["Lambda-Runtime-Aws-Request-Id"], json.load(event)
    print("runtime got", asked, flush=True)
    if "sleep" in asked:
        time.sleep(asked["sleep"])
    if "exit" in asked:
        sys.exit(asked["exit"])
    urllib.request.urlopen(base + request + "/response", json.dumps({"echo": asked}).encode()).close()
