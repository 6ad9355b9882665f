"""Routes of mayfly.yaml: methods, parameters, proxies, CORS, static folders."""

import pytest

from harness import RawConnection

MANIFEST = """\
name: pets
functions:
  pets-api:
    path: api.py
routes:
  - {method: GET, path: /pets, function: pets-api}
  - {method: POST, path: /pets, function: pets-api}
  - {method: GET, path: "/pets/{id}", function: pets-api}
  - {method: GET, path: /pets/mine, function: pets-api}
  - {path: "/files/{proxy+}", function: pets-api}
  - {method: GET, path: "/shops/{shop}/pets/{id}", function: pets-api}
static:
  - {path: "/web/{proxy+}", folder: public, index: index.html}
  - {path: "/app/{proxy+}", folder: spa, fallback: index.html}
cors:
  origins: ["https://shop.example"]
  headers: [content-type]
  credentials: true
  max_age: 60
"""
API = """\
def handler(event, context):
    return {"key": event["routeKey"], "params": event.get("pathParameters"), "path": event["rawPath"],
            "method": event["requestContext"]["http"]["method"]}
"""


@pytest.fixture(scope="module")
def pets(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pets")
    (folder / "mayfly.yaml").write_text(MANIFEST)
    (folder / "api.py").write_text(API)
    for top in ("public", "spa"):
        (folder / top / "deep").mkdir(parents=True)
        (folder / top / "index.html").write_text(f"<p>{top}</p>")
        (folder / top / "deep" / "a b.css").write_text("p { color: red }")
    (folder / "public" / "data.bin").write_bytes(bytes(range(256)))
    server.cli("deploy", folder)
    return server


@pytest.mark.parametrize("method, path, key, parameters", [
    ("GET", "/pets", "GET /pets", None),
    ("POST", "/pets", "POST /pets", None),
    ("GET", "/pets/7", "GET /pets/{id}", {"id": "7"}),
    ("GET", "/pets/a%20b%2Fc", "GET /pets/{id}", {"id": "a b/c"}),
    ("GET", "/pets/mine", "GET /pets/mine", None),  # the exact path wins
    ("PUT", "/files/x/y.txt", "ANY /files/{proxy+}", {"proxy": "x/y.txt"}),
    ("GET", "/shops/s1/pets/9", "GET /shops/{shop}/pets/{id}", {"shop": "s1", "id": "9"}),
])
def test_routes(pets, method, path, key, parameters):
    told = pets.http(method, path, b"" if method in ("POST", "PUT") else None).expect(200).json
    assert told["key"] == key and (told["params"] or None) == parameters
    assert told["method"] == method


def test_wrong_method_and_unknown_path(pets):
    answer = pets.http("DELETE", "/pets").expect(405)
    allowed = {m.strip() for m in answer.header("Allow").split(",")}
    assert {"GET", "POST"} <= allowed and "DELETE" not in allowed
    assert "DELETE" in answer.error["message"]
    assert pets.http("GET", "/petsy").expect(404).error["code"] == "not_found"
    assert pets.http("GET", "/pets/7/8").status == 404


def test_static_files(pets):
    page = pets.http("GET", "/web/index.html").expect(200)
    assert page.text == "<p>public</p>" and page.header("Content-Type").startswith("text/html")
    assert pets.http("GET", "/web/").expect(200).text == "<p>public</p>"
    css = pets.http("GET", "/web/deep/a%20b.css").expect(200)
    assert css.header("Content-Type").startswith("text/css")
    assert pets.http("GET", "/web/data.bin").expect(200).body == bytes(range(256))
    head = pets.http("HEAD", "/web/data.bin").expect(200)
    assert head.body == b"" and head.header("Content-Length") == "256"
    assert pets.http("GET", "/web/nothing.html").status == 404
    assert pets.http("POST", "/web/index.html", b"x").status == 405
    tag = page.header("ETag")
    if tag:
        assert pets.http("GET", "/web/index.html", headers={"If-None-Match": tag}).status == 304


def test_single_page_fallback(pets):
    assert pets.http("GET", "/app/some/view").expect(200).text == "<p>spa</p>"


@pytest.mark.parametrize("path", ["/web/../api.py", "/web/%2e%2e/api.py", "/web/..%2fapi.py",
                                  "/web/deep/../../mayfly.yaml", "/web//etc/passwd", "/web/%00"])
def test_static_paths_do_not_leave_the_folder(pets, path):
    with RawConnection(pets.gateway) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = c.read_answer()
        assert answer.status in (400, 404), answer
        assert b"handler" not in answer.body and b"root:" not in answer.body


def test_cors(pets):
    origin = {"Origin": "https://shop.example"}
    preflight = pets.http("OPTIONS", "/pets", headers={**origin, "Access-Control-Request-Method": "POST",
                                                       "Access-Control-Request-Headers": "content-type"})
    assert preflight.status in (200, 204)
    assert preflight.header("Access-Control-Allow-Origin") == "https://shop.example"
    assert "POST" in preflight.header("Access-Control-Allow-Methods")
    assert "content-type" in preflight.header("Access-Control-Allow-Headers").lower()
    assert preflight.header("Access-Control-Allow-Credentials") == "true"
    assert preflight.header("Access-Control-Max-Age") == "60"
    actual = pets.http("GET", "/pets", headers=origin).expect(200)
    assert actual.header("Access-Control-Allow-Origin") == "https://shop.example"
    assert "origin" in (actual.header("Vary") or "").lower()
    assert len(actual.all("Access-Control-Allow-Origin")) == 1
    stranger = pets.http("GET", "/pets", headers={"Origin": "https://evil.example"}).expect(200)
    assert stranger.header("Access-Control-Allow-Origin") is None


def test_apps_are_listed_and_removed(pets):
    listed = pets.api("GET", "/v1/apps").expect(200).json
    assert any(a["name"] == "pets" for a in listed["apps"])
    copy = {"name": "copy", "routes": [{"method": "GET", "path": "/copy/{x}", "function": "pets-api"}]}
    pets.api("PUT", "/v1/apps/copy", copy).expect(200, 201)
    assert pets.http("GET", "/copy/1").expect(200).json["params"] == {"x": "1"}
    pets.api("DELETE", "/v1/apps/copy").expect(200, 204)
    assert pets.http("GET", "/copy/1").status == 404
    missing = {"name": "lost", "routes": [{"method": "GET", "path": "/lost", "function": "nobody"}]}
    assert "nobody" in pets.api("PUT", "/v1/apps/lost", missing).expect(400, 404).error["message"]
