#include "os/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace mayfly::os {

namespace {

Status write_once(int fd, const std::string& path, std::string_view text) {
  ssize_t written;
  do {
    written = ::write(fd, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) {
    return errno_error("write " + path, written < 0 ? errno : EIO);
  }
  return ok();
}

}  // namespace

Result<Fd> open_file(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd) return errno_error("open " + path, errno);
  return fd;
}

Result<std::string> read_file(const std::string& path) {
  auto fd = open_file(path, O_RDONLY);
  if (fd.has_error()) return std::move(fd).error();
  std::string text;
  char buffer[8192];
  for (;;) {
    ssize_t size = ::read(fd.value().get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_error("read " + path, errno);
    if (size == 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

std::string_view pread_text(int fd, char* buffer, std::size_t size) {
  ssize_t got;
  do {
    got = ::pread(fd, buffer, size, 0);
  } while (got < 0 && errno == EINTR);
  return {buffer, got > 0 ? static_cast<std::size_t>(got) : 0};
}

Status write_file(const std::string& path, std::string_view text) {
  auto fd = open_file(path, O_WRONLY);
  if (fd.has_error()) return std::move(fd).error();
  return write_once(fd.value().get(), path, text);
}

Status write_file_at(int dir_fd, const char* name, std::string_view text) {
  Fd fd(::openat(dir_fd, name, O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(std::string("open ") + name, errno);
  return write_once(fd.get(), name, text);
}

Status make_directories(const std::string& path, unsigned mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    std::string part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return errno_error("make directory " + part, errno);
    }
    if (end == std::string::npos) return ok();
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> find_number(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.starts_with(key) && line.size() > key.size()) {
      auto start = line.find_first_not_of(" \t:", key.size());
      if (start != key.size() && start != std::string_view::npos) {
        return parse_number(line.substr(start));
      }
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

}  // namespace mayfly::os
