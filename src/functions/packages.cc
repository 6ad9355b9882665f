#include "functions/packages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "base/ids.h"
#include "functions/checks.h"
#include "functions/tree.h"
#include "functions/unpack.h"
#include "functions/upload.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

// An upload is not named by a function yet for as long as its deploy takes.
constexpr std::int64_t kUnusedSecondsMin = 3600;

// Everything unfinished lives here, and is nothing when the server starts.
std::string incoming(const std::string& directory) {
  return directory + "/.incoming";
}

}  // namespace

Packages::Packages(std::string directory, PackageLimits limits, io::BlockingPool& pool)
    : directory_(std::move(directory)), limits_(limits), pool_(pool) {}

Status Packages::open() {
  remove_tree(incoming(directory_));
  std::error_code error;
  fs::create_directories(incoming(directory_), error);
  if (error)
    return Error{
        Code::io_error,
        "The package directory " + directory_ + " cannot be made: " + error.message() + ".",
        "open packages", error.value()};
  return ok();
}

// Unpacks what was received and moves it to its place.
static Result<PackageInfo> settle(const std::shared_ptr<Upload>& upload,
                                  const std::string& directory, const PackageLimits& limits) {
  PackageInfo info;
  info.sha256 = upload->finish();
  info.archive_bytes = upload->bytes();
  const std::string place = directory + "/" + info.sha256;
  if (access((place + "/tree").c_str(), F_OK) == 0) {
    utimensat(AT_FDCWD, place.c_str(), nullptr, 0);  // asked for again: young again
    info.existed = true;
    return info;
  }
  // chmod too: the mode of mkdir is subject to the umask, and sandboxes run as another user.
  if (mkdir(upload->tree().c_str(), 0755) != 0 || chmod(upload->tree().c_str(), 0755) != 0 ||
      chmod(upload->base().c_str(), 0755) != 0)
    return disk_error("unpack the package", directory, errno);
  const auto unpacked = unpack_archive(upload->archive(), upload->tree(), limits);
  if (unpacked.has_error()) return unpacked.error();
  MAYFLY_TRY(sync_tree(upload->base(), unpacked->files + 1));
  if (rename(upload->base().c_str(), place.c_str()) != 0) {
    // Someone else uploaded the same bytes meanwhile: theirs are as good.
    if (errno != EEXIST && errno != ENOTEMPTY)
      return disk_error("keep the package", directory, errno);
    info.existed = true;
    return info;
  }
  MAYFLY_TRY(sync_directory(directory));
  return info;
}

io::Task<Result<PackageInfo>> Packages::add(std::string first, io::BodyReaderPtr more) {
  auto upload = std::make_shared<Upload>(incoming(directory_) + "/" + random_hex(8));
  const UploadLimit limit{limits_.archive_bytes_max, "The package", "packages.archive_bytes_max"};
  auto receiving = receive_upload(pool_, upload, std::move(first), std::move(more), limit);
  const Status received = co_await std::move(receiving);
  if (received.has_error()) co_return received.error();
  auto last = [upload, directory = directory_, limits = limits_] {
    auto settled = settle(upload, directory, limits);
    upload->discard();  // here rather than on the loop: there may be much to remove
    return settled;
  };
  auto task = pool_.run(std::move(last));
  auto result = co_await std::move(task);
  co_return result;
}

bool Packages::contains(std::string_view sha256) const {
  if (!is_sha256(sha256)) return false;
  const std::string place = directory_ + "/" + std::string(sha256);
  if (access((place + "/tree").c_str(), F_OK) != 0) return false;
  // Who asks is about to use it: collect() must not take it in between.
  utimensat(AT_FDCWD, place.c_str(), nullptr, 0);
  return true;
}

std::string Packages::tree(std::string_view sha256) const {
  return directory_ + "/" + std::string(sha256) + "/tree";
}

std::string Packages::archive(std::string_view sha256) const {
  return directory_ + "/" + std::string(sha256) + "/archive";
}

std::string Packages::built(std::string_view sha256) const {
  const std::string path = directory_ + "/" + std::string(sha256) + "/built";
  return access(path.c_str(), F_OK) == 0 ? path : "";
}

std::string Packages::overlay_id(const std::vector<std::string>& layers) {
  if (layers.empty()) return "";
  if (layers.size() == 1) return layers.front();
  std::string list = "overlay";
  for (const auto& layer : layers) list += "\n" + layer;
  return sha256_hex(list);
}

Result<std::string> Packages::overlay(const std::vector<std::string>& layers) {
  for (const auto& layer : layers)
    if (!contains(layer)) return Error{Code::not_found, "There is no package " + layer + "."};
  const std::string id = overlay_id(layers);
  if (id.empty() || contains(id)) return id;
  const std::string base = incoming(directory_) + "/overlay-" + random_hex(8);
  const auto make = [&]() -> Status {
    const std::string merged = base + "/tree";
    if (mkdir(base.c_str(), 0755) != 0 || mkdir(merged.c_str(), 0755) != 0 ||
        chmod(base.c_str(), 0755) != 0 || chmod(merged.c_str(), 0755) != 0)
      return disk_error("merge layers", base, errno);
    std::vector<std::string> links;
    for (const auto& layer : layers) MAYFLY_TRY(lay_over(tree(layer), merged, links));
    // Those that a later layer hides are links no more.
    std::erase_if(links, [&](const std::string& link) {
      struct stat info;
      return lstat((merged + "/" + link).c_str(), &info) != 0 || !S_ISLNK(info.st_mode);
    });
    MAYFLY_TRY(check_links(merged, links));
    const TreeSummary size = measure_tree(merged);
    if (size.bytes > limits_.unpacked_bytes_max || size.files > limits_.files_max)
      return Error{
          Code::too_large,
          fmt::format("The layers have {} files of {} bytes together; the settings "
                      "packages.files_max and packages.unpacked_bytes_max allow {} and "
                      "{}.",
                      size.files, size.bytes, limits_.files_max, limits_.unpacked_bytes_max)};
    MAYFLY_TRY(sync_tree(base, size.files + 1));
    const std::string place = directory_ + "/" + id;
    if (rename(base.c_str(), place.c_str()) != 0 && errno != EEXIST && errno != ENOTEMPTY)
      return disk_error("keep the layers", place, errno);
    return sync_directory(directory_);
  };
  const Status made = make();
  remove_tree(base);
  if (made.has_error()) return made.error();
  return id;
}

Result<std::string> Packages::staging(std::string_view sha256) {
  if (!contains(sha256))
    return Error{Code::not_found, "There is no package " + std::string(sha256) + "."};
  // The outer directory keeps other users of the host away from the writable inner one.
  const std::string base = incoming(directory_) + "/build-" + random_hex(8);
  if (mkdir(base.c_str(), 0711) != 0) return disk_error("build the package", base, errno);
  const auto copied = copy_tree_writable(tree(sha256), base + "/tree");
  if (copied.has_error()) {
    remove_tree(base);
    return copied.error();
  }
  return base + "/tree";
}

Status Packages::keep_built(std::string_view sha256, const std::string& staging_path) {
  const std::string base = fs::path(staging_path).parent_path().string();
  const auto keep = [&]() -> Status {
    const auto summary = normalise_tree(staging_path);
    if (summary.has_error()) return summary.error();
    if (summary->bytes > limits_.unpacked_bytes_max)
      return Error{Code::too_large,
                   fmt::format("With its dependencies the package has {} bytes; the setting "
                               "packages.unpacked_bytes_max allows {}.",
                               summary->bytes, limits_.unpacked_bytes_max)};
    MAYFLY_TRY(sync_tree(staging_path, summary->files));
    const std::string place = directory_ + "/" + std::string(sha256);
    if (rename(staging_path.c_str(), (place + "/built").c_str()) != 0 && errno != ENOTEMPTY &&
        errno != EEXIST)
      return disk_error("keep the built package", place, errno);
    return sync_directory(place);
  };
  const Status kept = keep();
  remove_tree(base);
  return kept;
}

void Packages::discard_staging(const std::string& staging_path) {
  remove_tree(fs::path(staging_path).parent_path().string());
}

std::size_t Packages::collect(const std::set<std::string>& in_use) {
  std::size_t collected = 0;
  std::error_code error;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  for (auto at = fs::directory_iterator(directory_, error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat info;
    if (!is_sha256(name) || in_use.contains(name)) continue;
    if (lstat(at->path().c_str(), &info) != 0 || now - info.st_mtime < kUnusedSecondsMin) continue;
    // First out of sight as a whole, then away.
    const std::string trash = incoming(directory_) + "/trash-" + random_hex(8);
    if (rename(at->path().c_str(), trash.c_str()) != 0) continue;
    remove_tree(trash);
    ++collected;
  }
  return collected;
}

}  // namespace mayfly::functions
