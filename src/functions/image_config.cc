#include "functions/image_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "functions/checks.h"

namespace mayfly::functions {

namespace {

namespace json = boost::json;

constexpr std::size_t kImageJsonBytesMax = 4u << 20;
constexpr std::size_t kItemsMax = 4096;  // of a list in such a file
constexpr std::string_view kSha256 = "sha256:";

Error no_image(std::string_view what, std::string_view why) {
  return invalid(fmt::format("The image was refused: {} {}.", what, why));
}

Result<json::value> parse_image_json(std::string_view text, std::string_view what) {
  if (text.size() > kImageJsonBytesMax)
    return no_image(what, fmt::format("has more than {} bytes", kImageJsonBytesMax));
  json::parse_options options;
  options.max_depth = 32;
  boost::system::error_code failed;
  json::value value = json::parse({text.data(), text.size()}, failed, {}, options);
  if (failed) return no_image(what, "is malformed JSON: " + failed.message());
  return value;
}

const json::value* json_member(const json::value& value, std::string_view name) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

std::string json_text(const json::value& value, std::string_view name) {
  const auto* member = json_member(value, name);
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : "";
}

// A list of texts; null and what is not there are an empty one.
Result<std::vector<std::string>> json_texts(const json::value& value, std::string_view name,
                                            std::string_view what) {
  std::vector<std::string> texts;
  const auto* member = json_member(value, name);
  if (member == nullptr || member->is_null()) return texts;
  const auto* list = member->if_array();
  if (list == nullptr || list->size() > kItemsMax)
    return no_image(what, fmt::format("has a {} that is no list of texts", name));
  for (const auto& item : *list) {
    if (!item.is_string())
      return no_image(what, fmt::format("has a {} that is no list of texts", name));
    texts.emplace_back(item.get_string());
  }
  return texts;
}

Result<BlobReference> blob_reference(const json::value& value, std::string_view what) {
  BlobReference blob;
  blob.media_type = json_text(value, "mediaType");
  blob.digest = json_text(value, "digest");
  if (digest_hex(blob.digest).empty())
    return no_image(what, "names a blob by something else than sha256: and 64 hex digits");
  const auto* size = json_member(value, "size");
  if (size != nullptr && size->is_int64() && size->get_int64() >= 0)
    blob.size = static_cast<std::uint64_t>(size->get_int64());
  if (const auto* platform = json_member(value, "platform")) {
    blob.os = json_text(*platform, "os");
    blob.architecture = json_text(*platform, "architecture");
  }
  if (const auto* notes = json_member(value, "annotations")) {
    // containerd and Docker write the whole name; by the standard it is the tag alone.
    blob.name = json_text(*notes, "io.containerd.image.name");
    if (blob.name.empty()) blob.name = json_text(*notes, "org.opencontainers.image.ref.name");
    // What BuildKit lays beside an image; nothing that could run.
    if (!json_text(*notes, "vnd.docker.reference.type").empty()) blob.os = "unknown";
  }
  return blob;
}

Result<std::vector<BlobReference>> blob_references(const json::value& value, std::string_view name,
                                                   std::string_view what) {
  std::vector<BlobReference> blobs;
  const auto* list = json_member(value, name)->if_array();
  if (list == nullptr || list->size() > kItemsMax)
    return no_image(what, fmt::format("has {} that are no list of blobs", name));
  for (const auto& item : *list) {
    auto blob = blob_reference(item, what);
    if (blob.has_error()) return blob.error();
    blobs.push_back(std::move(*blob));
  }
  return blobs;
}

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool good_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || !name_char(name.front()) || !name_char(name.back()))
    return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (name_char(c)) continue;
    if (c != '.' && c != '_' && c != '-' && c != '/') return false;
    const bool separates = c == '/' || c == '.';  // _ and - may be doubled
    if (separates && !name_char(name[i - 1])) return false;
    if (c == '/' && !name_char(name[i + 1])) return false;
  }
  return true;
}

bool good_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(), [](char c) {
    return name_char(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
  });
}

// The registry in front, by the rule of Docker: the first part is one when it could be an address.
std::string_view without_host(std::string_view name) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return name;
  const std::string_view first = name.substr(0, slash);
  if (first.empty()) return name;
  const auto letter = [](char c) { return name_char(c) || (c >= 'A' && c <= 'Z'); };
  const bool host = first == "localhost" ||
                    (first.find_first_of(".:") != std::string_view::npos && letter(first.front()) &&
                     std::all_of(first.begin(), first.end(), [&](char c) {
                       return letter(c) || c == '.' || c == ':' || c == '-';
                     }));
  if (!host) return name;
  name.remove_prefix(slash + 1);
  if (first == "docker.io" && name.starts_with("library/")) name.remove_prefix(8);
  return name;
}

}  // namespace

std::string_view digest_hex(std::string_view digest) {
  if (!digest.starts_with(kSha256) || !is_sha256(digest.substr(kSha256.size()))) return {};
  return digest.substr(kSha256.size());
}

Result<ImageName> parse_image_name(std::string_view text) {
  const auto wrong = [text](std::string_view why) {
    return invalid(fmt::format("'{}' does not name an image: {}.", text.substr(0, 300), why));
  };
  if (text.size() > 1024) return wrong("it has more than 1024 bytes");
  ImageName image;
  std::string_view rest = text;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    image.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (digest_hex(image.digest).empty()) return wrong("behind @ stands sha256: and 64 hex digits");
  }
  rest = without_host(rest);
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    image.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!good_tag(image.tag))
      return wrong(
          "a tag is 1 to 128 letters, digits, '.', '_' and '-', and begins with none of "
          "'.' and '-'");
  }
  if (!good_name(rest))
    return wrong(
        "a name is up to 255 small letters, digits, '.', '_', '-' and '/', as in "
        "team/app:1.2");
  image.name = rest;
  if (image.tag.empty() && image.digest.empty()) image.tag = "latest";
  return image;
}

Result<OciManifest> read_oci_manifest(std::string_view text) {
  constexpr std::string_view kWhat = "a manifest of the OCI layout";
  const auto value = parse_image_json(text, kWhat);
  if (value.has_error()) return value.error();
  OciManifest manifest;
  if (json_member(*value, "manifests") != nullptr) {
    auto manifests = blob_references(*value, "manifests", kWhat);
    if (manifests.has_error()) return manifests.error();
    manifest.index = true;
    manifest.manifests = std::move(*manifests);
    return manifest;
  }
  const auto* config = json_member(*value, "config");
  if (config == nullptr || json_member(*value, "layers") == nullptr)
    return no_image(kWhat, "has neither manifests, nor config and layers");
  auto read = blob_reference(*config, kWhat);
  if (read.has_error()) return read.error();
  manifest.config = std::move(*read);
  auto layers = blob_references(*value, "layers", kWhat);
  if (layers.has_error()) return layers.error();
  manifest.layers = std::move(*layers);
  return manifest;
}

Result<std::vector<DockerImage>> read_docker_manifest(std::string_view text) {
  constexpr std::string_view kWhat = "manifest.json";
  const auto value = parse_image_json(text, kWhat);
  if (value.has_error()) return value.error();
  const auto* list = value->if_array();
  if (list == nullptr || list->size() > kItemsMax) return no_image(kWhat, "is no list of images");
  std::vector<DockerImage> images;
  for (const auto& item : *list) {
    DockerImage image;
    image.config = json_text(item, "Config");
    auto tags = json_texts(item, "RepoTags", kWhat);
    if (tags.has_error()) return tags.error();
    auto layers = json_texts(item, "Layers", kWhat);
    if (layers.has_error()) return layers.error();
    image.tags = std::move(*tags);
    image.layers = std::move(*layers);
    if (image.config.empty()) return no_image(kWhat, "has an image without Config");
    images.push_back(std::move(image));
  }
  return images;
}

Result<ImageConfig> read_image_config(std::string_view text) {
  constexpr std::string_view kWhat = "its configuration";
  const auto value = parse_image_json(text, kWhat);
  if (value.has_error()) return value.error();
  if (!value->is_object()) return no_image(kWhat, "is no JSON object");
  ImageConfig config;
  config.os = json_text(*value, "os");
  config.architecture = json_text(*value, "architecture");
  if (const auto* rootfs = json_member(*value, "rootfs")) {
    auto ids = json_texts(*rootfs, "diff_ids", kWhat);
    if (ids.has_error()) return ids.error();
    config.diff_ids = std::move(*ids);
  }
  for (const auto& id : config.diff_ids)
    if (digest_hex(id).empty()) return no_image(kWhat, "has a diff_id that is no SHA-256");
  const auto* run = json_member(*value, "config");
  if (run == nullptr || run->is_null()) return config;
  auto entrypoint = json_texts(*run, "Entrypoint", kWhat);
  if (entrypoint.has_error()) return entrypoint.error();
  auto command = json_texts(*run, "Cmd", kWhat);
  if (command.has_error()) return command.error();
  auto env = json_texts(*run, "Env", kWhat);
  if (env.has_error()) return env.error();
  config.program = {std::move(*entrypoint), std::move(*command), json_text(*run, "WorkingDir")};
  for (const auto& entry : *env) {
    const auto equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos || entry.find('\0') != std::string::npos)
      return no_image(kWhat, "has an environment that is not made of NAME=VALUE");
    config.env[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return config;
}

std::string_view image_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "unknown";
#endif
}

}  // namespace mayfly::functions
