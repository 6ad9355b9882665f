#pragma once
// The checksums that clients of an object store may ask for beside MD5. Pure.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly::buckets {

enum class Checksum : std::uint8_t { none, crc32, crc32c, crc64nvme, sha1, sha256, md5 };

// "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"; nullopt for other names.
std::optional<Checksum> checksum_named(std::string_view name);
std::string_view name_of(Checksum kind);
std::size_t size_of(Checksum kind);  // bytes
bool is_crc(Checksum kind);

// One digest over what comes bit by bit. Used by one thread at a time.
class Digest {
 public:
  virtual ~Digest() = default;
  virtual void add(std::string_view bytes) = 0;
  virtual std::string finish() = 0;  // the bytes, most significant first; once

  static std::unique_ptr<Digest> make(Checksum kind);  // null for none
  static std::string of(Checksum kind, std::string_view bytes);
};

std::string base64_of(std::string_view bytes);

// The CRC of two texts behind each other, of which the second has so many bytes.
std::string combine_crc(Checksum kind, std::string_view first, std::string_view second,
                        std::uint64_t second_size);

}  // namespace mayfly::buckets
