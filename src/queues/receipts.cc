#include "queues/receipts.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>

#include "base/ids.h"

namespace mayfly::queues {
namespace {

constexpr std::size_t kTextBytes = 80;  // hex of 24 bytes and a tag of 16

void put_u64(std::uint8_t* out, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) out[i] = static_cast<std::uint8_t>(value);
}
std::uint64_t get_u64(const std::uint8_t* in) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | in[i];
  return value;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

// AES-128 of single blocks; a context made once, since making one costs more than using it.
struct Receipts::Cipher {
  explicit Cipher(const char* key) : context(EVP_CIPHER_CTX_new()) {
    if (context == nullptr ||
        EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr,
                           reinterpret_cast<const unsigned char*>(key), nullptr) != 1)
      std::abort();
    EVP_CIPHER_CTX_set_padding(context, 0);
  }
  ~Cipher() { EVP_CIPHER_CTX_free(context); }

  void encrypt(Block& block) {
    int size = 0;
    Block out;
    if (EVP_EncryptUpdate(context, out.data(), &size, block.data(), 16) != 1 || size != 16)
      std::abort();
    block = out;
  }

  EVP_CIPHER_CTX* context;
};

Receipts::Receipts(std::string_view secret)
    : seals_(std::make_unique<Cipher>(secret.data())),
      ids_(std::make_unique<Cipher>(secret.data() + 16)) {}

Receipts::~Receipts() = default;

// CBC-MAC, which is sound for messages of one length.
Receipts::Block Receipts::tag(const Reception& reception) {
  Block block;
  put_u64(block.data(), reception.queue);
  put_u64(block.data() + 8, reception.sequence);
  seals_->encrypt(block);
  Block second{};
  put_u64(second.data(), reception.nonce);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] ^= second[i];
  seals_->encrypt(block);
  return block;
}

std::string Receipts::seal(const Reception& reception) {
  std::string raw(40, '\0');
  auto* bytes = reinterpret_cast<std::uint8_t*>(raw.data());
  put_u64(bytes, reception.queue);
  put_u64(bytes + 8, reception.sequence);
  put_u64(bytes + 16, reception.nonce);
  const Block proof = tag(reception);
  std::memcpy(bytes + 24, proof.data(), proof.size());
  return to_hex(raw);
}

std::optional<Reception> Receipts::open(std::string_view receipt) {
  if (receipt.size() != kTextBytes) return std::nullopt;
  std::array<std::uint8_t, kTextBytes / 2> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit(receipt[2 * i]), low = digit(receipt[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  const Reception reception{get_u64(bytes.data()), get_u64(bytes.data() + 8),
                            get_u64(bytes.data() + 16)};
  const Block proof = tag(reception);
  if (CRYPTO_memcmp(proof.data(), bytes.data() + 24, proof.size()) != 0) return std::nullopt;
  return reception;
}

std::string Receipts::message_id(std::uint64_t queue, std::uint64_t sequence) {
  Block block;
  put_u64(block.data(), queue);
  put_u64(block.data() + 8, sequence);
  ids_->encrypt(block);
  return uuid_of(block);
}

}  // namespace mayfly::queues
