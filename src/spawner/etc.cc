#include "spawner/etc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "os/files.h"

namespace mayfly::spawner {

namespace {

constexpr off_t kFileBytesMax = 1 << 20;
constexpr int kEtcDepthMax = 6;

// Prefixes of names in the host's /etc. Folders are copied whole.
constexpr const char* kCopied[] = {
    "alternatives", "fonts",   "gai.conf",   "host.conf", "java-",     "ld.so.cache",
    "ld.so.conf",   "magic",   "mime.types", "mono",      "perl",      "php",
    "protocols",    "python3", "ruby",       "services",  "localtime",
};

Status write_new(const std::string& path, std::string_view text) {
  os::Fd file(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
  if (!file) return errno_error("make " + path, errno);
  while (!text.empty()) {
    ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0) return errno_error("write " + path, errno);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return ok();
}

// Copies what everybody may read; what cannot be copied is left out.
void copy_entry(const std::string& from, const std::string& to, int depth) {
  struct stat info {};
  if (depth > kEtcDepthMax || ::lstat(from.c_str(), &info) != 0) return;
  if (S_ISLNK(info.st_mode)) {
    char target[1024];
    ssize_t size = ::readlink(from.c_str(), target, sizeof target - 1);
    if (size <= 0) return;
    target[size] = '\0';
    if (::symlink(target, to.c_str()) != 0) return;
  } else if (S_ISREG(info.st_mode)) {
    if ((info.st_mode & S_IROTH) == 0 || info.st_size > kFileBytesMax) return;
    auto text = os::read_file(from);
    if (text.has_value()) ignore(write_new(to, text.value()), "a full /etc costs only this file");
  } else if (S_ISDIR(info.st_mode)) {
    if ((info.st_mode & S_IXOTH) == 0 || ::mkdir(to.c_str(), 0755) != 0) return;
    std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(from.c_str()), &::closedir);
    if (!dir) return;
    while (dirent* entry = ::readdir(dir.get())) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") copy_entry(from + "/" + name, to + "/" + name, depth + 1);
    }
  }
}

void copy_listed(const std::string& etc) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/etc"), &::closedir);
  if (!dir) return;
  while (dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    for (std::string_view prefix : kCopied) {
      if (name.starts_with(prefix)) {
        copy_entry("/etc/" + std::string(name), etc + "/" + std::string(name), 0);
        break;
      }
    }
  }
}

}  // namespace

Status fill_etc(const std::string& etc) {
  copy_listed(etc);
  if (::mkdir((etc + "/ssl").c_str(), 0755) != 0) return errno_error("make /etc/ssl", errno);
  copy_entry("/etc/ssl/certs", etc + "/ssl/certs", 0);
  copy_entry("/etc/ssl/openssl.cnf", etc + "/ssl/openssl.cnf", 0);
  MAYFLY_TRY(write_new(etc + "/passwd",
                       "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                       "user:x:1000:1000:user:/tmp:/bin/sh\n"
                       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"));
  MAYFLY_TRY(write_new(etc + "/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"));
  MAYFLY_TRY(write_new(etc + "/hosts",
                       "127.0.0.1 localhost sandbox.localdomain sandbox\n::1 localhost\n"));
  MAYFLY_TRY(write_new(etc + "/nsswitch.conf",
                       "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"
                       "protocols: files\n"));
  return write_new(etc + "/resolv.conf", std::string("nameserver ") + kResolverAddress + "\n");
}

}  // namespace mayfly::spawner
