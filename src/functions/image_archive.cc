#include "functions/image_archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "base/ids.h"

namespace mayfly::functions {

namespace {

constexpr std::uint64_t kManifestFileMax = 4u << 20;
constexpr int kIndexDepthMax = 3;
constexpr std::size_t kIndexedMax = 64;  // manifests that are looked at

Error refused_image(std::string_view why) {
  return invalid(fmt::format("The image was refused: {}.", why));
}

// A plain file of the directory; links in it (docker save has some) do not leave it.
os::Fd open_inside(const std::string& directory, const std::string& path) {
  const os::Fd top(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  os::Fd file(static_cast<int>(::syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
  struct stat info {};
  if (file && (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))) file.reset();
  return file;
}

Result<std::string> read_inside(const std::string& directory, const std::string& path) {
  const os::Fd file = open_inside(directory, path);
  if (!file) return refused_image(fmt::format("it has no file {}", path.substr(0, 200)));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return errno_error("read " + path, errno);
  if (static_cast<std::uint64_t>(info.st_size) > kManifestFileMax)
    return refused_image(
        fmt::format("{} has more than {} bytes", path.substr(0, 200), kManifestFileMax));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got <= 0) return errno_error("read " + path.substr(0, 200), got < 0 ? errno : EIO);
    done += static_cast<std::size_t>(got);
  }
  return text;
}

std::string blob_path(std::string_view digest) {
  return fmt::format("blobs/sha256/{}", digest_hex(digest));
}

// A small blob, checked against its name.
Result<std::string> read_blob(const std::string& directory, const std::string& digest) {
  auto text = read_inside(directory, blob_path(digest));
  if (text.has_error()) return text;
  if (const std::string found = sha256_hex(*text); found != digest_hex(digest))
    return refused_image(fmt::format(
        "the blob {} has the SHA-256 {}: its bytes are not what they were", digest, found));
  return text;
}

struct Candidate {
  BlobReference reference;
  OciManifest manifest;
  std::vector<std::string> names;
};

// The images of an index that could run here, and what else was seen.
class Candidates {
 public:
  Candidates(const std::string& directory) : directory_(directory) {}

  Status collect(const OciManifest& index, const std::string& name, int depth) {
    if (depth > kIndexDepthMax) return refused_image("its indexes lie too deep in each other");
    for (const auto& reference : index.manifests) {
      const bool said = !reference.architecture.empty() || !reference.os.empty();
      if (said && (reference.os != "linux" || reference.architecture != image_architecture())) {
        if (reference.os != "unknown")
          others_.push_back(reference.os + "/" + reference.architecture);
        continue;
      }
      if (++looked_at_ > kIndexedMax)
        return refused_image(fmt::format("its index has more than {} manifests", kIndexedMax));
      const std::string called = reference.name.empty() ? name : reference.name;
      const auto known = std::find_if(found_.begin(), found_.end(), [&](const auto& candidate) {
        return candidate.reference.digest == reference.digest;
      });
      if (known != found_.end()) {
        if (!called.empty()) known->names.push_back(called);
        continue;
      }
      auto text = read_blob(directory_, reference.digest);
      if (text.has_error()) return text.error();
      auto manifest = read_oci_manifest(*text);
      if (manifest.has_error()) return manifest.error();
      if (manifest->index) {
        MAYFLY_TRY(collect(*manifest, called, depth + 1));
        continue;
      }
      found_.push_back({reference, std::move(*manifest), {}});
      if (!called.empty()) found_.back().names.push_back(called);
    }
    return ok();
  }

  Result<Candidate> only() {
    if (found_.empty())
      return Error{
          Code::unsupported,
          fmt::format("The image was refused: it has nothing for linux/{}, which this "
                      "machine is{}.",
                      image_architecture(),
                      others_.empty() ? std::string()
                                      : fmt::format("; it is for {}", fmt::join(others_, ", ")))};
    if (found_.size() == 1) return std::move(found_.front());
    std::vector<std::string> names;
    for (const auto& candidate : found_)
      names.push_back(candidate.names.empty() ? candidate.reference.digest
                                              : candidate.names.front());
    return refused_image(fmt::format("the archive holds {} images ({}); save one alone",
                                     found_.size(), fmt::join(names, ", ")));
  }

 private:
  const std::string& directory_;
  std::vector<Candidate> found_;
  std::vector<std::string> others_;
  std::size_t looked_at_ = 0;
};

// By the standard a reference's name may be the tag alone: that names no image.
bool names_an_image(const std::string& name) {
  return name.find_first_of(":/") != std::string::npos;
}

Result<ArchivedImage> find_in_layout(const std::string& directory, const std::string& index_text) {
  const auto index = read_oci_manifest(index_text);
  if (index.has_error()) return index.error();
  if (!index->index) return refused_image("its index.json has no manifests");
  Candidates candidates(directory);
  MAYFLY_TRY(candidates.collect(*index, "", 0));
  auto chosen = candidates.only();
  if (chosen.has_error()) return chosen.error();
  ArchivedImage image;
  image.digest = chosen->reference.digest;
  for (auto& name : chosen->names)
    if (names_an_image(name)) image.names.push_back(std::move(name));
  auto text = read_blob(directory, chosen->manifest.config.digest);
  if (text.has_error()) return text.error();
  auto config = read_image_config(*text);
  if (config.has_error()) return config.error();
  image.config = std::move(*config);
  for (const auto& layer : chosen->manifest.layers)
    image.layers.push_back({blob_path(layer.digest), layer.digest});
  return image;
}

Result<ArchivedImage> find_in_docker(const std::string& directory, const std::string& text) {
  auto images = read_docker_manifest(text);
  if (images.has_error()) return images.error();
  if (images->size() != 1)
    return refused_image(
        fmt::format("the archive holds {} images; save one alone", images->size()));
  DockerImage& found = images->front();
  auto config_text = read_inside(directory, found.config);
  if (config_text.has_error()) return config_text.error();
  ArchivedImage image;
  const std::string hex = sha256_hex(*config_text);
  image.digest = "sha256:" + hex;
  // HEX.json, or blobs/sha256/HEX
  std::string_view name = found.config;
  name.remove_prefix(name.rfind('/') + 1);
  if (name.ends_with(".json")) name.remove_suffix(5);
  if (!digest_hex("sha256:" + std::string(name)).empty() && name != hex)
    return refused_image(
        fmt::format("{} has the SHA-256 {}: its bytes are not what they were", found.config, hex));
  auto config = read_image_config(*config_text);
  if (config.has_error()) return config.error();
  image.config = std::move(*config);
  image.names = std::move(found.tags);
  for (auto& layer : found.layers) image.layers.push_back({std::move(layer), ""});
  return image;
}

Status check_image(const ArchivedImage& image, const ImageLimits& limits) {
  const auto& config = image.config;
  if (config.os != "linux" || config.architecture != image_architecture())
    return Error{Code::unsupported,
                 fmt::format("The image was refused: it is for {}/{}; this machine is linux/{}.",
                             config.os.substr(0, 40), config.architecture.substr(0, 40),
                             image_architecture())};
  if (image.layers.empty()) return refused_image("it has no layers");
  if (image.layers.size() > limits.layers_max)
    return Error{Code::too_large,
                 fmt::format("The image was refused: it has {} layers; the setting "
                             "images.layers_max allows {}.",
                             image.layers.size(), limits.layers_max)};
  if (image.layers.size() != config.diff_ids.size())
    return refused_image(fmt::format("it has {} layers, and its configuration names {}",
                                     image.layers.size(), config.diff_ids.size()));
  return ok();
}

Result<std::string> sha256_of_file(int file) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!hash || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1)
    return Error{Code::internal, "SHA-256 is not available.", "check a layer"};
  std::vector<char> buffer(1u << 20);
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(file, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read a layer", errno);
    if (got == 0) break;
    EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<std::size_t>(got));
    at += got;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash.get(), digest, &size);
  return to_hex({reinterpret_cast<const char*>(digest), size});
}

}  // namespace

Result<ArchivedImage> find_image(const std::string& directory, const ImageLimits& limits) {
  Result<ArchivedImage> image = refused_image(
      "the archive has neither an index.json (OCI layout) nor a manifest.json (docker save)");
  if (open_inside(directory, "index.json")) {
    auto text = read_inside(directory, "index.json");
    if (text.has_error()) return text.error();
    image = find_in_layout(directory, *text);
  } else if (open_inside(directory, "manifest.json")) {
    auto text = read_inside(directory, "manifest.json");
    if (text.has_error()) return text.error();
    image = find_in_docker(directory, *text);
  }
  if (image.has_value()) MAYFLY_TRY(check_image(*image, limits));
  return image;
}

Result<os::Fd> open_layer(const std::string& directory, const ArchivedImage::Layer& layer) {
  os::Fd file = open_inside(directory, layer.path);
  if (!file)
    return refused_image(
        fmt::format("it has no file {}, which is a layer", layer.path.substr(0, 200)));
  if (layer.digest.empty()) return file;
  const auto found = sha256_of_file(file.get());
  if (found.has_error()) return found.error();
  if (*found != digest_hex(layer.digest))
    return refused_image(fmt::format(
        "the blob {} has the SHA-256 {}: its bytes are not what they were", layer.digest, *found));
  return file;
}

}  // namespace mayfly::functions
