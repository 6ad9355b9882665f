#!/usr/bin/python3
import http.server, json, os, sys, threading, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]
name = os.path.basename(sys.argv[0])

def ask(method, path, body=None, **headers):
    request = urllib.request.Request(base + path, data=body, method=method,
                                     headers={key.replace("_", "-"): value for key, value in headers.items()})
    return urllib.request.urlopen(request)

def say(*words):
    print("extension", name, *words, flush=True)

if os.environ.get("FAILS_AT") == "start":
    sys.exit(7)
registered = ask("POST", "/2020-01-01/extension/register", b'{"events":["INVOKE","SHUTDOWN"]}',
                 Lambda_Extension_Name=name, Lambda_Extension_Accept_Feature="accountId")
me = registered.headers["Lambda-Extension-Identifier"]
say("registered", registered.read().decode().strip())
if os.environ.get("FAILS_AT") == "init":
    ask("POST", "/2020-01-01/extension/init/error", b"{}", Lambda_Extension_Identifier=me,
        Lambda_Extension_Function_Error_Type="Extension.NoConfiguration")
    sys.exit(1)

class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            if event["type"] != "extension":
                say("telemetry", event["type"], json.dumps(event["record"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("sandbox.localdomain", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
ask("PUT", "/2022-07-01/telemetry", json.dumps({
    "schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d/" % server.server_port}}).encode(),
    Lambda_Extension_Identifier=me)
while True:
    event = json.load(ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=me))
    say(json.dumps(event))
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)
    if os.environ.get("FAILS_AT") == "call":
        sys.exit(9)
