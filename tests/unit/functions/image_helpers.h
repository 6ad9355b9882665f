#pragma once
// Images built in memory, as docker save and as an OCI layout.

#include <boost/json.hpp>

#include "base/ids.h"
#include "functions/helpers.h"
#include "functions/image_config.h"

namespace mayfly::functions::test {

using Layer = std::vector<Item>;

struct TestImage {
  std::vector<std::string> layers;  // tar archives
  boost::json::object run{{"Entrypoint", {"/app"}}};
  std::string architecture = std::string(image_architecture());
  std::string tag = "team/app:1";

  static TestImage of(const std::vector<Layer>& layers) {
    TestImage image;
    for (const auto& layer : layers) image.layers.push_back(pack(layer, Format::tar));
    return image;
  }
  std::string config() const {
    boost::json::array ids;
    for (const auto& layer : layers) ids.emplace_back("sha256:" + sha256_hex(layer));
    return boost::json::serialize(
        boost::json::object{{"os", "linux"},
                            {"architecture", architecture},
                            {"config", run},
                            {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(ids)}}}});
  }
  Layer docker_files() const {
    Layer files;
    boost::json::array names;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      files.push_back({std::to_string(i) + "/layer.tar", layers[i]});
      names.emplace_back(files.back().name);
    }
    files.push_back({sha256_hex(config()) + ".json", config()});
    const boost::json::array manifest{boost::json::object{
        {"Config", files.back().name}, {"RepoTags", {tag}}, {"Layers", std::move(names)}}};
    files.push_back({"manifest.json", boost::json::serialize(manifest)});
    return files;
  }
  std::string docker() const { return pack(docker_files(), Format::tar); }

  static boost::json::object blob(const std::string& bytes, Layer& files) {
    const std::string hex = sha256_hex(bytes);
    files.push_back({"blobs/sha256/" + hex, bytes});
    return {{"digest", "sha256:" + hex}, {"size", bytes.size()}};
  }
  // changed: on the files before they are packed.
  Layer oci_files(const std::function<std::string(const std::string&)>& compress = {}) const {
    Layer files;
    boost::json::array blobs;
    for (const auto& layer : layers)
      blobs.push_back(blob(compress ? compress(layer) : layer, files));
    boost::json::object manifest{{"schemaVersion", 2}, {"config", blob(config(), files)}};
    manifest["layers"] = std::move(blobs);
    auto reference = blob(boost::json::serialize(manifest), files);
    reference["platform"] = {{"os", "linux"}, {"architecture", architecture}};
    reference["annotations"] = {{"io.containerd.image.name", "docker.io/library/" + tag}};
    const boost::json::object index{{"schemaVersion", 2}, {"manifests", {std::move(reference)}}};
    files.push_back({"index.json", boost::json::serialize(index)});
    files.push_back({"oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"});
    return files;
  }
};

// One stream of bytes, compressed by a filter of libarchive.
inline std::string compressed(const std::string& bytes, int (*filter)(archive*)) {
  std::string out;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  filter(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open(
      writer, &out, nullptr,
      [](archive*, void* to, const void* data, std::size_t size) -> la_ssize_t {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  return out;
}

}  // namespace mayfly::functions::test
