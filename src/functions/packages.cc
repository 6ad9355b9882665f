#include "functions/packages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/ids.h"
#include "functions/checks.h"
#include "functions/tree.h"
#include "functions/unpack.h"
#include "functions/upload.h"

namespace mayfly::functions {

namespace fs = std::filesystem;

Packages::Packages(std::string directory, PackageLimits limits, io::BlockingPool& pool)
    : store_(std::move(directory), "package"), limits_(limits), pool_(pool) {}

// Unpacks what was received and moves it to its place.
static Result<PackageInfo> settle(const std::shared_ptr<Upload>& upload, const TreeStore& store,
                                  const PackageLimits& limits) {
  PackageInfo info;
  info.sha256 = upload->finish();
  info.archive_bytes = upload->bytes();
  info.existed = store.contains(info.sha256);
  if (info.existed) return info;
  // chmod too: the mode of mkdir is subject to the umask, and sandboxes run as another user.
  if (mkdir(upload->tree().c_str(), 0755) != 0 || chmod(upload->tree().c_str(), 0755) != 0 ||
      chmod(upload->base().c_str(), 0755) != 0)
    return disk_error("unpack the package", upload->base(), errno);
  const auto unpacked = unpack_archive(upload->archive(), upload->tree(), limits);
  if (unpacked.has_error()) return unpacked.error();
  MAYFLY_TRY(sync_tree(upload->base(), unpacked->files + 1));
  const auto existed = store.keep(upload->base(), info.sha256);
  if (existed.has_error()) return existed.error();
  info.existed = *existed;
  return info;
}

io::Task<Result<PackageInfo>> Packages::add(std::string first, io::BodyReaderPtr more) {
  auto upload = std::make_shared<Upload>(store_.incoming());
  const UploadLimit limit{limits_.archive_bytes_max, "The package", "packages.archive_bytes_max"};
  auto receiving = receive_upload(pool_, upload, std::move(first), std::move(more), limit);
  const Status received = co_await std::move(receiving);
  if (received.has_error()) co_return received.error();
  auto last = [upload, store = store_, limits = limits_] {
    auto settled = settle(upload, store, limits);
    upload->discard();  // here rather than on the loop: there may be much to remove
    return settled;
  };
  auto task = pool_.run(std::move(last));
  auto result = co_await std::move(task);
  co_return result;
}

std::string Packages::archive(std::string_view sha256) const {
  return store_.place(sha256) + "/archive";
}

std::string Packages::built(std::string_view sha256) const {
  const std::string path = store_.place(sha256) + "/built";
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
  const std::string base = store_.incoming("overlay-");
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
    const auto existed = store_.keep(base, id);
    return existed.has_error() ? Status(existed.error()) : ok();
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
  const std::string base = store_.incoming("build-");
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
    const std::string place = store_.place(sha256);
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

}  // namespace mayfly::functions
