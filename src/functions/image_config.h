#pragma once
// What is written in an image's own files, and how images are named: readers of the JSON of OCI
// layouts and of docker save. All of it is foreign. Pure; fuzzed.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/types.h"

namespace mayfly::functions {

// "HOST/NAME:TAG@sha256:HEX", of which HOST says nothing here and is left out.
struct ImageName {
  std::string name;    // "team/app": [a-z0-9] with . _ - and / between, at most 255
  std::string tag;     // empty with a digest: any
  std::string digest;  // "sha256:..."; may be empty
};
// Without tag and digest the tag is "latest". invalid_argument says what is wrong.
Result<ImageName> parse_image_name(std::string_view text);

// "sha256:" and 64 hex digits: the digits; else empty.
std::string_view digest_hex(std::string_view digest);

// A reference to a blob, as OCI manifests and indexes hold them.
struct BlobReference {
  std::string media_type;
  std::string digest;  // "sha256:..."
  std::uint64_t size = 0;
  std::string os, architecture;  // of an index; empty: not said
  std::string name;              // of an index: what the image is called; may be empty
};

// An index (index.json) has manifests; a manifest has config and layers.
struct OciManifest {
  bool index = false;
  std::vector<BlobReference> manifests;
  BlobReference config;
  std::vector<BlobReference> layers;
};
Result<OciManifest> read_oci_manifest(std::string_view json);

// One image of the manifest.json of docker save; paths as written there.
struct DockerImage {
  std::string config;
  std::vector<std::string> tags, layers;
};
Result<std::vector<DockerImage>> read_docker_manifest(std::string_view json);

struct ImageConfig {
  std::string os, architecture;
  std::vector<std::string> diff_ids;  // "sha256:..." of each layer, uncompressed
  ImageProgram program;
  std::map<std::string, std::string> env;
};
Result<ImageConfig> read_image_config(std::string_view json);

// As images call this machine's processor: "amd64".
std::string_view image_architecture();

}  // namespace mayfly::functions
