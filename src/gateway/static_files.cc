#include "gateway/static_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <memory>

#include "io/file_body.h"
#include "os/fd.h"

namespace mayfly::gateway {
namespace {

constexpr std::size_t kPiece = 256 * 1024;  // read and sent at once; smaller files in one go

struct Opened {
  os::Fd fd;
  struct stat info {};
};

// Opens path below root; -1 with errno. Symbolic links may not leave root.
int open_below(int root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);

  // Older kernels and some containers: step by step, and no symbolic links at all.
  os::Fd at(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  std::string_view rest = path;
  while (at) {
    const auto slash = rest.find('/');
    const std::string piece(rest.substr(0, slash));
    if (piece == "..") {
      errno = EXDEV;
      return -1;
    }
    os::Fd next(::openat(at.get(), piece.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (slash == std::string_view::npos) return next.release();
    at = std::move(next);
    rest.remove_prefix(slash + 1);
  }
  return -1;
}

enum class Lookup { file, folder, missing };

Lookup look_up(int root, const std::string& path, Opened& opened) {
  opened.fd.reset(open_below(root, path.empty() ? "." : path));
  if (!opened.fd || ::fstat(opened.fd.get(), &opened.info) != 0) return Lookup::missing;
  if (S_ISDIR(opened.info.st_mode)) return Lookup::folder;
  return S_ISREG(opened.info.st_mode) ? Lookup::file : Lookup::missing;
}

// What the pool brings back to the loop.
struct Found {
  enum class Kind { file, missing, redirect } kind = Kind::missing;
  os::Fd fd;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
  std::string etag;
  std::string name;
  std::string first;  // the whole file when it is small
};

void fill(Found& found, Opened opened, std::string name) {
  found.kind = Found::Kind::file;
  found.size = static_cast<std::uint64_t>(opened.info.st_size);
  found.modified = opened.info.st_mtim.tv_sec;
  char tag[64];
  std::snprintf(tag, sizeof(tag), "\"%llx-%llx-%lx\"", static_cast<unsigned long long>(found.size),
                static_cast<unsigned long long>(found.modified), opened.info.st_mtim.tv_nsec);
  found.etag = tag;
  found.name = std::move(name);
  found.fd = std::move(opened.fd);
  if (found.size > kPiece) return;
  found.first.resize(found.size);
  std::size_t at = 0;
  while (at < found.first.size()) {
    const auto got = ::pread(found.fd.get(), found.first.data() + at, found.first.size() - at,
                             static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    at += static_cast<std::size_t>(got);
  }
  // Cut while it was read: what is there is the file.
  found.first.resize(at);
  found.size = at;
}

// Runs on the pool.
Found find_file(const StaticFolder& folder, const std::string& path, bool trailing_slash) {
  Found found;
  const os::Fd root(::open(folder.dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return found;
  Opened opened;
  Lookup what = look_up(root.get(), path, opened);
  std::string name = path;
  if (what == Lookup::folder) {
    if (!trailing_slash) {
      found.kind = Found::Kind::redirect;
      return found;
    }
    name = path.empty() ? folder.index : path + "/" + folder.index;
    what = folder.index.empty() ? Lookup::missing : look_up(root.get(), name, opened);
  } else if (what == Lookup::file && trailing_slash) {
    what = Lookup::missing;
  }
  if (what != Lookup::file && !folder.fallback.empty()) {
    name = folder.fallback;
    what = look_up(root.get(), name, opened);
  }
  if (what == Lookup::file) fill(found, std::move(opened), std::move(name));
  return found;
}

struct FindJob {
  FindJob(StaticFolder f, std::string p, bool slash)
      : folder(std::move(f)), path(std::move(p)), trailing_slash(slash) {}
  StaticFolder folder;
  std::string path;
  bool trailing_slash;
  Found operator()() { return find_file(folder, path, trailing_slash); }
};

// Joins segments; false when one of them could mean another place.
bool safe_path(const std::vector<std::string>& segments, std::string& path) {
  for (const auto& segment : segments) {
    if (segment.empty() || segment == "." || segment == ".." ||
        segment.find('/') != std::string::npos || segment.find('\0') != std::string::npos)
      return false;
    if (!path.empty()) path += '/';
    path += segment;
  }
  return true;
}

bool etag_matches(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    auto item = list.substr(0, comma);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (item == "*") return true;
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (item == etag) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

// RFC 9110 13.2.2: If-None-Match first; If-Modified-Since only without it.
bool not_modified(const wire::Headers& headers, const Found& found) {
  if (const auto tags = headers.find("If-None-Match")) return etag_matches(*tags, found.etag);
  const auto since = headers.find("If-Modified-Since");
  return since && parse_http_date(*since) >= found.modified;
}

bool range_applies(const wire::Headers& headers, const Found& found) {
  const auto condition = headers.find("If-Range");
  if (!condition) return true;
  return *condition == found.etag || parse_http_date(*condition) == found.modified;
}

io::HttpResponse redirect_to_folder(const wire::RequestHead& head) {
  io::HttpResponse response;
  response.head.status = 308;
  std::string location(head.path());
  location += '/';
  if (!head.query().empty()) location.append("?").append(head.query());
  response.head.headers.add("Location", location);
  return response;
}

}  // namespace

io::Task<io::HttpResponse> serve_file(io::BlockingPool& pool, StaticFolder folder,
                                      std::vector<std::string> segments, bool trailing_slash,
                                      wire::RequestHead head) {
  io::HttpResponse response;
  response.head.status = 404;
  std::string path;
  if (!safe_path(segments, path)) co_return response;
  FindJob job(std::move(folder), std::move(path), trailing_slash);
  Found found = co_await pool.run(std::move(job));
  if (found.kind == Found::Kind::missing) co_return response;
  if (found.kind == Found::Kind::redirect) co_return redirect_to_folder(head);

  auto& headers = response.head.headers;
  headers.reserve(8, 256);
  headers.add("ETag", found.etag);
  headers.add("Last-Modified", http_date(found.modified));
  headers.add("Accept-Ranges", "bytes");
  if (not_modified(head.headers, found)) {
    response.head.status = 304;
    co_return response;
  }
  headers.add("Content-Type", mime_type(found.name));
  headers.add("X-Content-Type-Options", "nosniff");
  std::uint64_t first = 0;
  std::uint64_t last = found.size == 0 ? 0 : found.size - 1;
  std::uint64_t length = found.size;
  response.head.status = 200;
  const auto range = head.headers.find("Range");
  if (range && head.method == "GET" && range_applies(head.headers, found)) {
    const auto status = parse_range(*range, found.size, first, last);
    if (status == RangeStatus::unsatisfiable) {
      response.head.status = 416;
      headers.add("Content-Range", "bytes */" + std::to_string(found.size));
      co_return response;
    }
    if (status == RangeStatus::satisfiable) {
      response.head.status = 206;
      length = last - first + 1;
      headers.add("Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(last) +
                                       "/" + std::to_string(found.size));
    }
  }
  headers.add("Content-Length", std::to_string(length));
  if (head.method == "HEAD") co_return response;
  if (found.size == found.first.size())
    response.body =
        length == found.size ? std::move(found.first) : found.first.substr(first, length);
  else
    response.more = std::make_unique<io::FileBody>(
        pool, std::make_shared<os::Fd>(std::move(found.fd)), first, length);
  co_return response;
}

RangeStatus parse_range(std::string_view text, std::uint64_t size, std::uint64_t& first,
                        std::uint64_t& last) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return RangeStatus::ignored;
  text.remove_prefix(kUnit.size());
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return RangeStatus::ignored;
  const auto number = [](std::string_view digits, std::uint64_t& value) {
    if (digits.empty() || digits.size() > 18) return false;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
  };
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  const auto left = text.substr(0, dash);
  const auto right = text.substr(dash + 1);
  if (left.empty()) {  // the last so many bytes
    if (!number(right, to)) return RangeStatus::ignored;
    if (to == 0 || size == 0) return RangeStatus::unsatisfiable;
    first = to >= size ? 0 : size - to;
    last = size - 1;
    return RangeStatus::satisfiable;
  }
  if (!number(left, from)) return RangeStatus::ignored;
  if (right.empty())
    to = size == 0 ? 0 : size - 1;
  else if (!number(right, to) || to < from)
    return RangeStatus::ignored;
  if (from >= size) return RangeStatus::unsatisfiable;
  first = from;
  last = std::min(to, size - 1);
  return RangeStatus::satisfiable;
}

namespace {
constexpr const char* kDateFormat = "%a, %d %b %Y %H:%M:%S GMT";
}  // namespace

std::string http_date(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[64];
  const auto size = std::strftime(text, sizeof(text), kDateFormat, &utc);
  return std::string(text, size);
}

std::int64_t parse_http_date(std::string_view text) {
  const std::string copy(text);
  std::tm utc{};
  const char* end = ::strptime(copy.c_str(), kDateFormat, &utc);
  if (end == nullptr || *end != '\0') return -1;
  return ::timegm(&utc);
}

std::string_view mime_type(std::string_view file_name) {
  struct Type {
    std::string_view extension, type;
  };
  static constexpr std::array kTypes = {
      Type{"html", "text/html; charset=utf-8"},
      Type{"htm", "text/html; charset=utf-8"},
      Type{"css", "text/css; charset=utf-8"},
      Type{"js", "text/javascript; charset=utf-8"},
      Type{"mjs", "text/javascript; charset=utf-8"},
      Type{"json", "application/json"},
      Type{"map", "application/json"},
      Type{"webmanifest", "application/manifest+json"},
      Type{"txt", "text/plain; charset=utf-8"},
      Type{"md", "text/markdown; charset=utf-8"},
      Type{"csv", "text/csv; charset=utf-8"},
      Type{"xml", "application/xml"},
      Type{"yaml", "application/yaml"},
      Type{"yml", "application/yaml"},
      Type{"svg", "image/svg+xml"},
      Type{"png", "image/png"},
      Type{"jpg", "image/jpeg"},
      Type{"jpeg", "image/jpeg"},
      Type{"gif", "image/gif"},
      Type{"webp", "image/webp"},
      Type{"avif", "image/avif"},
      Type{"ico", "image/vnd.microsoft.icon"},
      Type{"bmp", "image/bmp"},
      Type{"woff", "font/woff"},
      Type{"woff2", "font/woff2"},
      Type{"ttf", "font/ttf"},
      Type{"otf", "font/otf"},
      Type{"wasm", "application/wasm"},
      Type{"pdf", "application/pdf"},
      Type{"zip", "application/zip"},
      Type{"gz", "application/gzip"},
      Type{"tar", "application/x-tar"},
      Type{"mp3", "audio/mpeg"},
      Type{"wav", "audio/wav"},
      Type{"ogg", "audio/ogg"},
      Type{"mp4", "video/mp4"},
      Type{"webm", "video/webm"},
      Type{"rss", "application/rss+xml"},
  };
  const auto dot = file_name.rfind('.');
  if (dot != std::string_view::npos)
    for (const auto& [extension, type] : kTypes)
      if (wire::equal_ignoring_case(file_name.substr(dot + 1), extension)) return type;
  return "application/octet-stream";
}

}  // namespace mayfly::gateway
