#include "functions/image_trees.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
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
Result<ImportedImage> settle_image(Upload& upload, const TreeStore& store,
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
  imported.existed = store.contains(imported.tree);
  if (imported.existed) {
    MAYFLY_TRY(check_layers(*image, parts, limits));
  } else {
    ImageSize size;
    MAYFLY_TRY(lay_layers(*image, parts, upload.tree(), limits, size));
    remove_tree(parts);
    MAYFLY_TRY(sync_tree(upload.base(), size.files + 1));
    const auto existed = store.keep(upload.base(), imported.tree);
    if (existed.has_error()) return existed.error();
    imported.existed = *existed;
  }
  imported.bytes = measure_tree(store.tree(imported.tree)).bytes;
  imported.config = std::move(image->config);
  return imported;
}

}  // namespace

ImageTrees::ImageTrees(std::string directory, ImageLimits limits, io::BlockingPool& pool)
    : store_(std::move(directory), "image"), limits_(limits), pool_(pool) {}

io::Task<Result<ImportedImage>> ImageTrees::add(std::string first, io::BodyReaderPtr more) {
  auto upload = std::make_shared<Upload>(store_.incoming());
  const UploadLimit limit{limits_.archive_bytes_max, "The archive of the image",
                          "images.archive_bytes_max"};
  auto receiving = receive_upload(pool_, upload, std::move(first), std::move(more), limit);
  const Status received = co_await std::move(receiving);
  if (received.has_error()) co_return received.error();
  auto last = [upload, store = store_, limits = limits_] {
    auto settled = settle_image(*upload, store, limits);
    upload->discard();  // here rather than on the loop: there may be much to remove
    return settled;
  };
  auto task = pool_.run(std::move(last));
  auto result = co_await std::move(task);
  co_return result;
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
