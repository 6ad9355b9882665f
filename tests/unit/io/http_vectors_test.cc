// gunicorn's HTTP/1 requests, through a real server. What we do otherwise on purpose is listed
// here.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "io/http_test_server.h"

namespace mayfly::io::testing {
namespace {

namespace fs = std::filesystem;

const char* const kCodings =
    "RFC 9112 6.1: 501 for codings that are not understood; identity is gone";
const char* const kFold = "RFC 9112 5.2: obs-fold is refused; gunicorn needs a switch to accept it";
const char* const kProxy = "the PROXY protocol is not spoken; gunicorn needs a switch";
const char* const kUnderscore = "names that CGI maps to framing headers are refused";

// Valid for gunicorn, refused here.
const std::map<std::string, const char*> kRefusedHere = {
    {"009", kCodings},
    {"025", kCodings},
    {"025_line", kCodings},
    {"029", kCodings},
    {"030", kCodings},
    {"rfc9112_smuggle_gzip_chunked_01", kCodings},
    {"rfc9112_smuggle_te_identity_chunked_01", kCodings},
    {"028", "RFC 9112 5.1: white space before the colon; gunicorn needs a switch to accept it"},
    {"040", kUnderscore},
    {"040_compat", kUnderscore},
    {"099", "its body ends 9315 bytes before its Content-Length"},
    {"compat_obs_fold", kFold},
    {"compat_obs_fold_huge", kFold},
    {"pp_01", kProxy},
    {"pp_02", kProxy},
    {"pp_04", kProxy},
    {"pp_05", kProxy},
    {"rfc9112_target_authority_connect_01", "CONNECT is for proxies: 501"},
    {"rfc9112_target_authority_ipv6_01", "CONNECT is for proxies: 501"},
};

const char* const kLimit = "gunicorn's test lowers a limit; ours are tested in http_server_test.cc";

// Invalid for gunicorn, accepted here.
const std::map<std::string, const char*> kAcceptedHere = {
    {"003c", "gunicorn wants methods in upper case and of 3 to 20 characters; any token is valid"},
    {"006", kLimit},
    {"007", kLimit},
    {"008", kLimit},
    {"009", kLimit},
    {"010", kLimit},
    {"011", kLimit},
    {"012", kLimit},
    {"017", kLimit},
    {"limit_header_default_01", kLimit},
    {"019", "X-Forwarded-* is not interpreted, so that it cannot contradict itself"},
};

fs::path vectors() {
  const char* root = std::getenv("MAYFLY_VECTORS");
  const fs::path base = root != nullptr
                            ? fs::path(root)
                            : fs::path(MAYFLY_SOURCE_DIR).parent_path() / "shared/vectors";
  return base / "http1";
}

// Line breaks of the file mean nothing; escapes stand for bytes.
std::string load(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream raw;
  raw << in.rdbuf();
  const std::string text = raw.str();
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') continue;
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    if (kind == 'r')
      out += '\r';
    else if (kind == 'n')
      out += '\n';
    else if (kind == 't')
      out += '\t';
    else if (kind == '0')
      out += '\0';
    else if (kind == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else
      out += std::string("\\") + kind;
  }
  return out;
}

// Most of gunicorn's requests lack the Host that RFC 9112 3.2 demands of HTTP/1.1: it is added, so
// that they test what they are about. That it is demanded has its own test.
std::string with_hosts(const std::string& requests) {
  std::string out;
  std::size_t at = 0;
  while (at < requests.size()) {
    const auto mark = requests.find(" HTTP/1.1\r\n", at);
    if (mark == std::string::npos) break;
    const auto line_end = mark + 11;
    const auto head_end = requests.find("\r\n\r\n", mark);
    out += requests.substr(at, line_end - at);
    const auto head = requests.substr(line_end, head_end - line_end);
    if (head.find("Host:") == std::string::npos) out += "Host: test\r\n";
    at = line_end;
  }
  return out + requests.substr(at);
}

struct Outcome {
  std::size_t fine = 0;     // 200 responses
  std::size_t refused = 0;  // others
  std::string text;
};

Outcome run(const std::string& bytes) {
  TestServer server(echo);
  RawClient client(server.port);
  client.send(bytes);
  client.end();
  Outcome outcome;
  outcome.text = client.receive_all();
  outcome.fine = count_of(outcome.text, "HTTP/1.1 200 ");
  outcome.refused = count_of(outcome.text, "HTTP/1.1 4") + count_of(outcome.text, "HTTP/1.1 5");
  return outcome;
}

template <class Check>
int for_each_vector(const char* kind, Check check) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(vectors() / kind)) {
    if (entry.path().extension() != ".http") continue;
    check(entry.path().stem().string(), with_hosts(load(entry.path())));
    ++seen;
  }
  return seen;
}

TEST(HttpVectors, ValidRequestsAreAnswered) {
  if (!fs::exists(vectors())) GTEST_SKIP() << "no test vectors at " << vectors();
  const int seen = for_each_vector("valid", [](const std::string& name, const std::string& bytes) {
    const Outcome outcome = run(bytes);
    if (kRefusedHere.contains(name)) {
      EXPECT_EQ(outcome.refused, 1u) << name << ": no longer differs\n" << outcome.text;
    } else {
      EXPECT_GE(outcome.fine, 1u) << name << "\n" << bytes << "\n" << outcome.text;
      EXPECT_EQ(outcome.refused, 0u) << name << "\n" << bytes << "\n" << outcome.text;
    }
  });
  EXPECT_GE(seen, 55);
}

TEST(HttpVectors, InvalidRequestsAreRefused) {
  if (!fs::exists(vectors())) GTEST_SKIP() << "no test vectors at " << vectors();
  const int seen =
      for_each_vector("invalid", [](const std::string& name, const std::string& bytes) {
        const Outcome outcome = run(bytes);
        if (kAcceptedHere.contains(name)) {
          EXPECT_GE(outcome.fine, 1u) << name << ": no longer differs\n" << outcome.text;
        } else {
          EXPECT_EQ(outcome.refused, 1u) << name << "\n" << bytes << "\n" << outcome.text;
        }
      });
  EXPECT_GE(seen, 70);
}

}  // namespace
}  // namespace mayfly::io::testing
