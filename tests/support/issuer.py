"""An issuer of signed tokens (JWT), and the pages by which the world gets its keys."""

import base64
import http.server
import json
import subprocess
import threading
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens by openssl's command line: RS256 and ES256."""

    def __init__(self, folder):
        self.folder = folder
        self.rsa, self.ec = folder / "rsa.pem", folder / "ec.pem"
        self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.rsa)
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.ec)
        modulus = self.openssl("rsa", "-in", self.rsa, "-noout", "-modulus").decode().split("=")[1].strip()
        point = self.openssl("ec", "-in", self.ec, "-pubout", "-outform", "DER")[-64:]
        self.keys = {"keys": [
            {"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}]}

    def openssl(self, *words, data=None):
        return subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True, check=True).stdout

    def token(self, header=None, key="r", **claims):
        header = {"alg": "RS256" if key == "r" else "ES256", "kid": key, **(header or {})}
        now = int(time.time())
        claims = {"iss": "https://issuer.example", "aud": "front", "sub": "u1", "iat": now - 5, "exp": now + 600,
                  **claims}
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        der = self.openssl("dgst", "-sha256", "-sign", self.rsa if key == "r" else self.ec, data=text.encode())
        if key == "e":
            at, parts = 2, []
            for _ in range(2):
                size = der[at + 1]
                parts.append(der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"))
                at += 2 + size
            der = b"".join(parts)
        return text + "." + b64(der)


class Site:
    """JSON at paths of 127.0.0.1: path to what gives it; asked: how often a path was."""

    def __init__(self, pages):
        site, self.asked = self, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked += 1
                page = pages.get(self.path)
                body = json.dumps(page() if page else {}).encode()
                self.send_response(200 if page else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
