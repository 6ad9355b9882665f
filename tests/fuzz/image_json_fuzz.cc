// link: mayfly_functions
// The JSON of images (manifests, indexes, configurations) and the names that they are called by, as
// strangers write them. The first byte says which. What is read has the form that others rely on.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "functions/image_config.h"

namespace {

using namespace mayfly::functions;

void demand(bool holds) {
  if (!holds) std::abort();
}

void check_manifest(std::string_view text) {
  const auto manifest = read_oci_manifest(text);
  if (manifest.has_error()) return demand(!manifest.error().message.empty());
  for (const auto* blobs : {&manifest->manifests, &manifest->layers})
    for (const auto& blob : *blobs) demand(digest_hex(blob.digest).size() == 64);
  demand(manifest->index || digest_hex(manifest->config.digest).size() == 64);
}

void check_config(std::string_view text) {
  const auto config = read_image_config(text);
  if (config.has_error()) return demand(!config.error().message.empty());
  for (const auto& id : config->diff_ids) demand(digest_hex(id).size() == 64);
  for (const auto& [name, value] : config->env)
    demand(!name.empty() && name.find('=') == std::string::npos &&
           (name + value).find('\0') == std::string::npos);
}

void check_docker(std::string_view text) {
  const auto images = read_docker_manifest(text);
  if (images.has_error()) return demand(!images.error().message.empty());
  for (const auto& image : *images) demand(!image.config.empty());
}

// A name that was read is read again as the same; it can be the key of a store and part of a URL.
void check_name(std::string_view text) {
  const auto name = parse_image_name(text);
  if (name.has_error()) return demand(!name.error().message.empty());
  demand(!name->name.empty() && name->name.find_first_of(":@ \n") == std::string::npos);
  demand(name->name.find("..") == std::string::npos && name->name.front() != '/');
  demand(!name->tag.empty() || !name->digest.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm':
      check_manifest(text);
      break;
    case 'c':
      check_config(text);
      break;
    case 'd':
      check_docker(text);
      break;
    default:
      check_name(text);
  }
  return 0;
}
