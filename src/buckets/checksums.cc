#include "buckets/checksums.h"

#include <openssl/evp.h>

#include <boost/crc.hpp>

#include "base/base64.h"

namespace mayfly::buckets {
namespace {

struct Named {
  Checksum kind;
  std::string_view name;
  std::size_t size;
};
constexpr Named kNames[] = {
    {Checksum::crc32, "CRC32", 4},         {Checksum::crc32c, "CRC32C", 4},
    {Checksum::crc64nvme, "CRC64NVME", 8}, {Checksum::sha1, "SHA1", 20},
    {Checksum::sha256, "SHA256", 32},      {Checksum::md5, "MD5", 16},
};

template <std::size_t kBits, std::uint64_t kPolynomial>
class Crc final : public Digest {
 public:
  void add(std::string_view bytes) override { crc_.process_bytes(bytes.data(), bytes.size()); }
  std::string finish() override {
    const std::uint64_t value = crc_.checksum();
    std::string out;
    for (std::size_t bit = kBits; bit > 0; bit -= 8)
      out += static_cast<char>(value >> (bit - 8) & 0xff);
    return out;
  }

 private:
  static constexpr std::uint64_t kOnes = ~std::uint64_t{0} >> (64 - kBits);
  boost::crc_optimal<kBits, static_cast<typename boost::uint_t<kBits>::fast>(kPolynomial),
                     static_cast<typename boost::uint_t<kBits>::fast>(kOnes),
                     static_cast<typename boost::uint_t<kBits>::fast>(kOnes), true, true>
      crc_;
};

class EvpDigest final : public Digest {
 public:
  explicit EvpDigest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), kind, nullptr);
  }
  void add(std::string_view bytes) override {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  std::string finish() override {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    return std::string(reinterpret_cast<const char*>(digest), size);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// Polynomials over GF(2) modulo that of the CRC, reflected: the highest bit is x^0.
struct Field {
  std::uint64_t polynomial, one;

  std::uint64_t multiply(std::uint64_t a, std::uint64_t b) const {
    std::uint64_t product = 0;
    for (std::uint64_t bit = one; bit != 0; bit >>= 1) {
      if (a & bit) product ^= b;
      b = b & 1 ? (b >> 1) ^ polynomial : b >> 1;
    }
    return product;
  }
  std::uint64_t power_of_x8(std::uint64_t exponent) const {
    std::uint64_t result = one, base = one >> 8;
    for (; exponent != 0; exponent >>= 1) {
      if (exponent & 1) result = multiply(base, result);
      base = multiply(base, base);
    }
    return result;
  }
};

Field field_of(Checksum kind) {
  if (kind == Checksum::crc32) return {0xEDB88320u, 1ull << 31};
  if (kind == Checksum::crc32c) return {0x82F63B78u, 1ull << 31};
  return {0x9A6C9329AC4BC9B5ull, 1ull << 63};
}

std::uint64_t number_of(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

}  // namespace

std::optional<Checksum> checksum_named(std::string_view name) {
  for (const auto& one : kNames)
    if (one.name == name && one.kind != Checksum::md5) return one.kind;
  return std::nullopt;
}

std::string_view name_of(Checksum kind) {
  for (const auto& one : kNames)
    if (one.kind == kind) return one.name;
  return "";
}

std::size_t size_of(Checksum kind) {
  for (const auto& one : kNames)
    if (one.kind == kind) return one.size;
  return 0;
}

bool is_crc(Checksum kind) {
  return kind == Checksum::crc32 || kind == Checksum::crc32c || kind == Checksum::crc64nvme;
}

std::unique_ptr<Digest> Digest::make(Checksum kind) {
  switch (kind) {
    case Checksum::crc32:
      return std::make_unique<Crc<32, 0x04C11DB7>>();
    case Checksum::crc32c:
      return std::make_unique<Crc<32, 0x1EDC6F41>>();
    case Checksum::crc64nvme:
      return std::make_unique<Crc<64, 0xAD93D23594C93659>>();
    case Checksum::sha1:
      return std::make_unique<EvpDigest>(EVP_sha1());
    case Checksum::sha256:
      return std::make_unique<EvpDigest>(EVP_sha256());
    case Checksum::md5:
      return std::make_unique<EvpDigest>(EVP_md5());
    case Checksum::none:
      break;
  }
  return nullptr;
}

std::string Digest::of(Checksum kind, std::string_view bytes) {
  const auto digest = make(kind);
  if (digest == nullptr) return "";
  digest->add(bytes);
  return digest->finish();
}

std::string base64_of(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

std::string combine_crc(Checksum kind, std::string_view first, std::string_view second,
                        std::uint64_t second_size) {
  const Field field = field_of(kind);
  std::uint64_t value =
      field.multiply(field.power_of_x8(second_size), number_of(first)) ^ number_of(second);
  std::string out(size_of(kind), '\0');
  for (std::size_t i = out.size(); i > 0; --i, value >>= 8)
    out[i - 1] = static_cast<char>(value & 0xff);
  return out;
}

}  // namespace mayfly::buckets
