// RocksDB's log carries CRC-32C (Castagnoli) over every byte. Debian builds it for processors of
// 2003, so it looks them up in tables; the server, which links it statically, answers in its place
// with the processor's own instruction where there is one (cmake/static_parts.cmake).

#if defined(__x86_64__)

#include <nmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
// Given by the linker; absent where a program links the shared library.
__attribute__((weak)) std::uint32_t __real__ZN7rocksdb6crc32c6ExtendEjPKcm(std::uint32_t crc,
                                                                           const char* data,
                                                                           std::size_t size);
std::uint32_t __wrap__ZN7rocksdb6crc32c6ExtendEjPKcm(std::uint32_t crc, const char* data,
                                                     std::size_t size);
}

namespace mayfly::store {
namespace {

__attribute__((target("sse4.2"))) std::uint32_t extend_crc32c(std::uint32_t crc, const char* data,
                                                              std::size_t size) {
  std::uint64_t sum = crc ^ 0xffffffffu;
  for (; size >= sizeof(std::uint64_t); size -= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, data, sizeof word);
    sum = _mm_crc32_u64(sum, word);
    data += sizeof word;
  }
  auto rest = static_cast<std::uint32_t>(sum);
  for (; size > 0; --size) rest = _mm_crc32_u8(rest, static_cast<std::uint8_t>(*data++));
  return rest ^ 0xffffffffu;
}

const bool has_crc32c = __builtin_cpu_supports("sse4.2");

}  // namespace
}  // namespace mayfly::store

std::uint32_t __wrap__ZN7rocksdb6crc32c6ExtendEjPKcm(std::uint32_t crc, const char* data,
                                                     std::size_t size) {
  return mayfly::store::has_crc32c ? mayfly::store::extend_crc32c(crc, data, size)
                                   : __real__ZN7rocksdb6crc32c6ExtendEjPKcm(crc, data, size);
}

#endif
