"""The peers of the table: programs that answer the hello function, each started on a free port."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from measure import HERE, wait_until

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mayfly-bench")
WORKERD = "workerd@1.20250823.0"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

NGINX = """\
worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  {upstream}
  server {{
    listen 127.0.0.1:{port};
    location / {{ {action} }}
  }}
}}
"""
RETURN = """default_type application/json; return 200 '{"message":"Hello World"}';"""
PROXY = "proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection '';"
CAPNP = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "hello", worker = (modules = [(name = "worker.js", esModule = embed "worker.js")],
                                         compatibilityDate = "2025-08-01"))],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "hello")]
);
"""


class Skip(Exception):
    """A peer that this machine cannot run, with the reason."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def program(name, *places):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Skip(f"{name} is not installed")
    return found


class Peer:
    """Processes that this program started, and the URL to load."""

    def __init__(self, name):
        self.name, self.processes, self.url = name, [], None
        self.home = tempfile.mkdtemp(prefix="mayfly-bench-")

    def spawn(self, words, port, env=None, cwd=None):
        environment = {k: v for k, v in os.environ.items() if k != "NODE_EXTRA_CA_CERTS"}
        log = open(os.path.join(self.home, "log"), "ab")
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd,
                                 env={**environment, **(env or {})}, start_new_session=True)
        log.close()
        self.processes.append(child)

        def up():
            if child.poll() is not None:
                with open(os.path.join(self.home, "log"), errors="replace") as f:
                    raise Skip(f"{words[0]} ended by itself: {f.read()[-300:].strip()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        wait_until(up, f"{words[0]} listens")

    def roots(self):
        return [p.pid for p in self.processes]

    def stop(self):
        for child in reversed(self.processes):
            try:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            except ProcessLookupError:
                child.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def nginx(peer, action, upstream=""):
    port = free_port()
    path = os.path.join(peer.home, f"nginx-{port}.conf")
    with open(path, "w") as f:
        f.write(NGINX.format(home=peer.home, port=port, action=action, upstream=upstream))
    peer.spawn([program("nginx"), "-p", peer.home, "-c", path, "-e", "stderr"], port)
    peer.url = f"http://127.0.0.1:{port}/"


def nginx_return(peer):
    nginx(peer, RETURN)


def node_http(peer):
    port = free_port()
    peer.spawn([program("node"), f"{HERE}/peers/node_http.js"], port,
               {"PORT": str(port), "NODE_ENV": "production"})
    peer.url = f"http://127.0.0.1:{port}/"
    return port


def nginx_node(peer):
    port = node_http(peer)
    nginx(peer, PROXY, f"upstream behind {{ server 127.0.0.1:{port}; keepalive 64; }}")


def python_module(name):
    if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True).returncode != 0:
        raise Skip(f"the python module {name} is not installed")


def uvicorn(peer):
    for module in ("uvicorn", "uvloop", "httptools"):
        python_module(module)
    port = free_port()
    peer.spawn([PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop",
                "--http", "httptools", "--no-access-log", "--log-level", "critical", "--app-dir",
                f"{HERE}/peers", "hello_asgi:app"], port, {"PYTHONDONTWRITEBYTECODE": "1"})
    peer.url = f"http://127.0.0.1:{port}/"


def gunicorn(peer):
    port = free_port()
    peer.spawn([program("gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "1", "--chdir",
                f"{HERE}/peers", "--log-level", "critical", "hello_wsgi:app"], port,
               {"PYTHONDONTWRITEBYTECODE": "1"})
    peer.url = f"http://127.0.0.1:{port}/"


def workerd(peer):
    binary = f"{CACHE}/node_modules/workerd/bin/workerd"
    if not os.path.exists(binary):
        npm = program("npm")
        os.makedirs(CACHE, exist_ok=True)
        done = subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", CACHE, WORKERD],
                              capture_output=True, text=True, cwd=CACHE)
        if done.returncode != 0 or not os.path.exists(binary):
            raise Skip(f"npm could not install {WORKERD}: {done.stderr.strip()[-200:]}")
    port = free_port()
    shutil.copy(f"{HERE}/peers/worker.js", peer.home)
    with open(f"{peer.home}/config.capnp", "w") as f:
        f.write(CAPNP % port)
    peer.spawn([binary, "serve", f"{peer.home}/config.capnp"], port)
    peer.url = f"http://127.0.0.1:{port}/"


PEERS = [("nginx return 200", nginx_return), ("node http", node_http), ("nginx to node", nginx_node),
         ("uvicorn", uvicorn), ("gunicorn", gunicorn), ("workerd", workerd)]
