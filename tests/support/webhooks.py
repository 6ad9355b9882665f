"""A web address that takes webhooks, plainly or through TLS with a certificate of the test's own authority."""

import http.server
import os
import ssl
import subprocess
import threading
from collections import namedtuple

# headers: as they came, looked up whatever their case; body: bytes.
Seen = namedtuple("Seen", "headers body path")


class Sink:
    """Remembers what is POSTed to it; answers the statuses that it was told, then 200. With a Certificate it speaks TLS."""

    def __init__(self, certificate=None, host="127.0.0.1"):
        self.seen, self.statuses = [], []
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.seen.append(Seen(self.headers, body, self.path))
                self.send_response(sink.statuses.pop(0) if sink.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a client that does not like the certificate goes away

        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            # The handshake happens where the first byte is read: in the connection's own thread.
            self.server.socket = certificate.context().wrap_socket(self.server.socket, server_side=True,
                                                                   do_handshake_on_connect=False)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{host}:{self.server.server_address[1]}/hook?x=1"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Certificate:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates with `openssl`; its own is in the file `path`."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = str(folder), name
        self.path, self.key = self.file(f"{name}.pem"), self.file(f"{name}.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", self.key, "-out", self.path, "-days", "2", "-subj", f"/CN={name} of a test",
                     "-addext", "basicConstraints=critical,CA:TRUE")

    def file(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)

    def sign(self, names, days=1):
        """A certificate for names such as "DNS:localhost,IP:127.0.0.1"; days below 0: it has expired."""
        base = self.file(f"{self.name}-{len(os.listdir(self.folder))}")
        with open(f"{base}.ext", "w") as f:
            f.write(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     f"{base}.key", "-out", f"{base}.csr", "-subj", "/CN=sink")
        self.openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.path, "-CAkey", self.key, "-CAcreateserial",
                     "-out", f"{base}.pem", "-days", str(days), "-extfile", f"{base}.ext")
        return Certificate(f"{base}.pem", f"{base}.key")
