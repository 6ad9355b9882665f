#include "gateway/static_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>

#include "gateway/router.h"

namespace mayfly::gateway {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

class StaticFiles : public ::testing::Test {
 protected:
  StaticFiles() {
    char name[] = "/tmp/mayfly-static-XXXXXX";
    base_ = ::mkdtemp(name);
    write(base_ / "secret.txt", "secret");
    write(base_ / "site/index.html", "<h1>home</h1>");
    write(base_ / "site/a b.txt", "0123456789");
    write(base_ / "site/sub/index.html", "sub");
    write(base_ / "site/empty.css", "");
    write(base_ / "site/bare/x.js", "x");
    write(base_ / "site/big.bin", std::string(1'000'000, 'b'));
    fs::create_symlink("../secret.txt", base_ / "site/out.txt");
    fs::create_symlink(base_ / "secret.txt", base_ / "site/absolute.txt");
    fs::create_symlink("..", base_ / "site/up");
    ::mkfifo((base_ / "site/pipe").c_str(), 0600);
    folder_ = {base_ / "site", "index.html", ""};
  }
  ~StaticFiles() override { fs::remove_all(base_); }

  struct Got {
    int status = 0;
    wire::Headers headers;
    std::string body;
    std::string header(std::string_view name) const {
      return std::string(headers.find(name).value_or("-"));
    }
  };

  static io::Task<Got> fetch(io::BlockingPool* pool, StaticFolder folder, wire::RequestHead head) {
    Got got;
    Result<PathSegments> path = split_path(head.path());
    if (!path) {
      got.status = 400;
      co_return got;
    }
    io::HttpResponse response = co_await serve_file(*pool, std::move(folder), path->segments,
                                                    path->trailing_slash, std::move(head));
    got.status = response.head.status;
    got.headers = response.head.headers;
    Result<std::string> body =
        co_await io::read_all(std::move(response.body), std::move(response.more), 1u << 30, "test");
    if (body) got.body = *body;
    co_return got;
  }

  Got get(const std::string& target, std::vector<std::pair<std::string, std::string>> fields = {},
          std::string method = "GET") {
    wire::RequestHead head;
    head.method = std::move(method);
    head.target = target;
    for (const auto& [name, value] : fields) head.headers.add(name, value);
    boost::asio::io_context loop;
    auto got = boost::asio::co_spawn(loop, fetch(&pool_, folder_, std::move(head)),
                                     boost::asio::use_future);
    loop.run();
    return got.get();
  }

  io::BlockingPool pool_{1};
  fs::path base_;
  StaticFolder folder_;
};

TEST_F(StaticFiles, ServesFilesWithTypeLengthAndValidators) {
  const auto got = get("/a%20b.txt?x");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "0123456789");
  EXPECT_EQ(got.header("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(got.header("content-length"), "10");
  EXPECT_EQ(got.header("etag").front(), '"');
  EXPECT_NE(parse_http_date(got.header("last-modified")), -1);
  EXPECT_EQ(get("/empty.css").header("content-length"), "0");
  EXPECT_EQ(get("/big.bin").body, std::string(1'000'000, 'b'));
  const auto head = get("/a%20b.txt", {}, "HEAD");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("content-length"), "10");
}

TEST_F(StaticFiles, ServesTheIndexAndRedirectsToFolders) {
  EXPECT_EQ(get("/").body, "<h1>home</h1>");
  EXPECT_EQ(get("/sub/").body, "sub");
  const auto redirect = get("/sub?q=1");
  EXPECT_EQ(redirect.status, 308);
  EXPECT_EQ(redirect.header("location"), "/sub/?q=1");
  EXPECT_EQ(get("/bare/").status, 404);  // no listing
  EXPECT_EQ(get("/a%20b.txt/").status, 404);
}

TEST_F(StaticFiles, NeverLeavesItsFolder) {
  for (const char* target :
       {"/../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt", "/..%2fsecret.txt",
        "/sub/../../secret.txt", "/sub/%2e%2e/%2e%2e/secret.txt", "/./index.html", "//index.html",
        "/sub//index.html", "/out.txt", "/absolute.txt", "/up/secret.txt", "/up/site/index.html",
        "/%2fetc/passwd", "/..", "/../", "/pipe", "/no", "/sub/no"})
    EXPECT_EQ(get(target).status, 404) << target;
  EXPECT_EQ(get("/%00").status, 400);
  EXPECT_EQ(get("/%zz").status, 400);
}

TEST_F(StaticFiles, FallsBackForSinglePageApps) {
  folder_.fallback = "index.html";
  EXPECT_EQ(get("/deep/link").body, "<h1>home</h1>");
  EXPECT_EQ(get("/bare/").body, "<h1>home</h1>");
  EXPECT_EQ(get("/out.txt").body, "<h1>home</h1>");
  folder_.fallback = "missing.html";
  EXPECT_EQ(get("/deep/link").status, 404);
}

TEST_F(StaticFiles, AnswersConditionalRequests) {
  const auto first = get("/a%20b.txt");
  const std::string etag = first.header("etag");
  EXPECT_EQ(get("/a%20b.txt", {{"If-None-Match", etag}}).status, 304);
  EXPECT_EQ(get("/a%20b.txt", {{"If-None-Match", "\"x\", W/" + etag}}).status, 304);
  EXPECT_EQ(get("/a%20b.txt", {{"If-None-Match", "*"}}).status, 304);
  EXPECT_EQ(get("/a%20b.txt", {{"If-None-Match", "\"x\""}}).status, 200);
  const std::string date = first.header("last-modified");
  EXPECT_EQ(get("/a%20b.txt", {{"If-Modified-Since", date}}).status, 304);
  EXPECT_EQ(get("/a%20b.txt", {{"If-Modified-Since", http_date(0)}}).status, 200);
  EXPECT_EQ(get("/a%20b.txt", {{"If-Modified-Since", "nonsense"}}).status, 200);
  EXPECT_EQ(get("/a%20b.txt", {{"If-None-Match", "\"x\""}, {"If-Modified-Since", date}}).status,
            200);
}

TEST_F(StaticFiles, ServesOneRange) {
  const auto part = get("/a%20b.txt", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.header("content-range"), "bytes 2-4/10");
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=7-"}}).body, "789");
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=-3"}}).body, "789");
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=-99"}}).body, "0123456789");
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=8-99"}}).body, "89");
  const auto beyond = get("/a%20b.txt", {{"Range", "bytes=10-"}});
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.header("content-range"), "bytes */10");
  EXPECT_EQ(get("/empty.css", {{"Range", "bytes=0-"}}).status, 416);
  for (const char* ignored : {"bytes=1-2,4-5", "bytes=4-2", "items=0-1", "bytes=", "bytes=a-b"})
    EXPECT_EQ(get("/a%20b.txt", {{"Range", ignored}}).status, 200) << ignored;
  EXPECT_EQ(get("/big.bin", {{"Range", "bytes=999990-"}}).body, "bbbbbbbbbb");
  const std::string etag = get("/a%20b.txt").header("etag");
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=0-0"}, {"If-Range", etag}}).status, 206);
  EXPECT_EQ(get("/a%20b.txt", {{"Range", "bytes=0-0"}, {"If-Range", "\"old\""}}).status, 200);
}

TEST(MimeType, GoesByExtension) {
  EXPECT_EQ(mime_type("a/B.HTML"), "text/html; charset=utf-8");
  EXPECT_EQ(mime_type("x.tar.gz"), "application/gzip");
  EXPECT_EQ(mime_type("x.wasm"), "application/wasm");
  EXPECT_EQ(mime_type("Makefile"), "application/octet-stream");
  EXPECT_EQ(mime_type("x."), "application/octet-stream");
}

TEST(HttpDate, RoundTrips) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994"), -1);
}

}  // namespace
}  // namespace mayfly::gateway
