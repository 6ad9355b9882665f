#pragma once
// Receipts and message ids: made from where a message stands and a secret of the store, so that
// nothing has to be kept for them and nobody can make one up.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly::queues {

struct Reception {
  std::uint64_t queue = 0;
  std::uint64_t sequence = 0;
  std::uint64_t nonce = 0;  // random: of this one reception
};

// On one loop only.
class Receipts {
 public:
  static constexpr std::size_t kSecretBytes = 32;

  explicit Receipts(std::string_view secret);  // of kSecretBytes
  ~Receipts();

  std::string seal(const Reception& reception);
  // nullopt for what this store did not make.
  std::optional<Reception> open(std::string_view receipt);

  // A UUID that belongs to this place in this queue alone.
  std::string message_id(std::uint64_t queue, std::uint64_t sequence);

 private:
  struct Cipher;
  using Block = std::array<std::uint8_t, 16>;

  Block tag(const Reception& reception);

  std::unique_ptr<Cipher> seals_, ids_;
};

}  // namespace mayfly::queues
