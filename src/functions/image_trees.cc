#include "functions/image_trees.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/ids.h"
#include "functions/checks.h"
#include "functions/image_archive.h"
#include "functions/tree.h"
#include "functions/unpack.h"
#include "functions/upload.h"

namespace mayfly::functions {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kUnusedImageSecondsMin = 3600;  // as packages, while a deploy is under way

std::string incoming_images(const std::string& directory) {
  return directory + "/.incoming";
}

// The same layers in the same order are the same tree.
std::string tree_id(const ImageConfig& config) {
  return sha256_hex(fmt::format("image tree 1\n{}", fmt::join(config.diff_ids, "\n")));
}

Status lay_layers(const ArchivedImage& image, const std::string& parts, const std::string& tree,
                  const ImageLimits& limits, ImageSize& size) {
  // chmod too: the mode of mkdir is subject to the umask, and sandboxes run as another user.
  if (mkdir(tree.c_str(), 0755) != 0 || chmod(tree.c_str(), 0755) != 0)
    return disk_error("unpack the image", tree, errno);
  const os::Fd top(open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return disk_error("unpack the image", tree, errno);
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const auto blob = open_layer(parts, image.layers[i]);
    if (blob.has_error()) return blob.error();
    MAYFLY_TRY(apply_layer(blob->get(), top.get(), image.config.diff_ids[i], limits, size));
  }
  if (size.bytes == 0) return invalid("The image was refused: it holds no file.");
  return make_mount_points(top.get());
}

Status check_layers(const ArchivedImage& image, const std::string& parts,
                    const ImageLimits& limits) {
  ImageSize size;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const auto blob = open_layer(parts, image.layers[i]);
    if (blob.has_error()) return blob.error();
    MAYFLY_TRY(check_layer(blob->get(), image.config.diff_ids[i], limits, size));
  }
  return ok();
}

// Takes apart what was received, and moves its tree to its place.
Result<ImportedImage> settle_image(Upload& upload, const std::string& directory,
                                   const ImageLimits& limits) {
  (void)upload.finish();
  const std::string parts = upload.base() + "/parts";
  if (mkdir(parts.c_str(), 0755) != 0 || chmod(upload.base().c_str(), 0755) != 0)
    return disk_error("unpack the image", parts, errno);
  PackageLimits outer;
  outer.unpacked_bytes_max = limits.unpacked_bytes_max;
  outer.files_max = 16 * limits.layers_max + 256;
  const auto unpacked = unpack_archive(upload.archive(), parts, outer);
  if (unpacked.has_error() && unpacked.error().code == Code::too_large)
    return Error{Code::too_large,
                 fmt::format("The image was refused: its archive holds more than {} bytes (setting "
                             "images.unpacked_bytes_max) or {} files (16 for each of {} layers, "
                             "setting images.layers_max, and 256).",
                             limits.unpacked_bytes_max, outer.files_max, limits.layers_max)};
  if (unpacked.has_error()) return unpacked.error();
  unlink(upload.archive().c_str());  // its parts are there; the disk may be small
  auto image = find_image(parts, limits);
  if (image.has_error()) return image.error();
  ImportedImage imported;
  imported.tree = tree_id(image->config);
  imported.digest = image->digest;
  imported.names = image->names;
  const std::string place = directory + "/" + imported.tree;
  if (access((place + "/tree").c_str(), F_OK) == 0) {
    utimensat(AT_FDCWD, place.c_str(), nullptr, 0);  // asked for again: young again
    MAYFLY_TRY(check_layers(*image, parts, limits));
    imported.existed = true;
  } else {
    ImageSize size;
    MAYFLY_TRY(lay_layers(*image, parts, upload.tree(), limits, size));
    remove_tree(parts);
    MAYFLY_TRY(sync_tree(upload.base(), size.files + 1));
    // Somebody else may have imported the same meanwhile: theirs is as good.
    imported.existed = rename(upload.base().c_str(), place.c_str()) != 0;
    if (imported.existed && errno != EEXIST && errno != ENOTEMPTY)
      return disk_error("keep the image", directory, errno);
    MAYFLY_TRY(sync_directory(directory));
  }
  imported.bytes = measure_tree(place + "/tree").bytes;
  imported.config = std::move(image->config);
  return imported;
}

}  // namespace

ImageTrees::ImageTrees(std::string directory, ImageLimits limits, io::BlockingPool& pool)
    : directory_(std::move(directory)), limits_(limits), pool_(pool) {}

Status ImageTrees::open() {
  remove_tree(incoming_images(directory_));
  std::error_code error;
  fs::create_directories(incoming_images(directory_), error);
  if (error)
    return Error{Code::io_error,
                 "The image directory " + directory_ + " cannot be made: " + error.message() + ".",
                 "open images", error.value()};
  return ok();
}

io::Task<Result<ImportedImage>> ImageTrees::add(std::string first, io::BodyReaderPtr more) {
  auto upload = std::make_shared<Upload>(incoming_images(directory_) + "/" + random_hex(8));
  const UploadLimit limit{limits_.archive_bytes_max, "The archive of the image",
                          "images.archive_bytes_max"};
  auto receiving = receive_upload(pool_, upload, std::move(first), std::move(more), limit);
  const Status received = co_await std::move(receiving);
  if (received.has_error()) co_return received.error();
  auto last = [upload, directory = directory_, limits = limits_] {
    auto settled = settle_image(*upload, directory, limits);
    upload->discard();  // here rather than on the loop: there may be much to remove
    return settled;
  };
  auto task = pool_.run(std::move(last));
  auto result = co_await std::move(task);
  co_return result;
}

bool ImageTrees::contains(std::string_view sha256) const {
  if (!is_sha256(sha256)) return false;
  const std::string place = directory_ + "/" + std::string(sha256);
  if (access((place + "/tree").c_str(), F_OK) != 0) return false;
  utimensat(AT_FDCWD, place.c_str(), nullptr, 0);  // who asks is about to use it
  return true;
}

std::string ImageTrees::tree(std::string_view sha256) const {
  return directory_ + "/" + std::string(sha256) + "/tree";
}

std::size_t ImageTrees::collect(const std::set<std::string>& in_use) {
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
    if (lstat(at->path().c_str(), &info) != 0 || now - info.st_mtime < kUnusedImageSecondsMin)
      continue;
    const std::string trash = incoming_images(directory_) + "/trash-" + random_hex(8);
    if (rename(at->path().c_str(), trash.c_str()) != 0) continue;
    remove_tree(trash);
    ++collected;
  }
  return collected;
}

os::Fd open_in_image(const std::string& tree, const std::string& path, int flags) {
  const os::Fd top(open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_NONBLOCK | O_CLOEXEC);
  if ((flags & O_PATH) != 0) how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return os::Fd(static_cast<int>(syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
}

}  // namespace mayfly::functions
