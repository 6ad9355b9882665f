// Bodies that become the bytes of objects.

#include "buckets/buckets.h"

namespace mayfly::buckets {

bool is_archived(const Attributes& attributes) {
  return attributes.storage == "GLACIER" || attributes.storage == "DEEP_ARCHIVE";
}

bool is_readable(const Attributes& attributes, std::int64_t now_us) {
  return !is_archived(attributes) || attributes.restored_until_us > now_us;
}

namespace {

// So much is gathered before it is handed to a thread that writes.
constexpr std::size_t kFillBatch = 1u << 20;

struct WriteBytes {
  NewContentPtr content;
  std::string bytes;
  bool last = false;
  Status operator()() const {
    MAYFLY_TRY(content->write(bytes));
    if (last) content->finish();
    return ok();
  }
};

}  // namespace

Answer<void> Reserved::add(std::uint64_t bytes) {
  auto reserved = buckets_.reserve(bytes);
  if (reserved.has_value()) bytes_ += bytes;
  return reserved;
}

io::Task<Answer<void>> Buckets::fill(NewContentPtr content, std::string first,
                                     io::BodyReaderPtr more) {
  Reserved reserved(*this);
  std::string batch = std::move(first);
  std::uint64_t size = 0;
  for (bool last = false; !last;) {
    while (more && batch.size() < kFillBatch) {
      auto reading = more->read();
      auto piece = co_await std::move(reading);
      if (piece.has_error()) co_return Failure{Why::other, piece.error()};
      if (piece->empty()) more.reset();
      batch += *piece;
    }
    last = !more;
    size += batch.size();
    if (size > parts_.limits.put_bytes_max)
      co_return Failure{
          Why::too_large,
          {Code::too_large, "The object is larger than the setting buckets.put_bytes_max allows (" +
                                std::to_string(parts_.limits.put_bytes_max) +
                                " bytes): upload it in parts, as S3's clients do."}};
    if (auto room = reserved.add(batch.size()); room.has_error()) co_return std::move(room).error();
    WriteBytes write{content, std::move(batch), last};
    batch.clear();
    auto writing = parts_.pool.run(std::move(write));
    const Status written = co_await std::move(writing);
    if (written.has_error())
      co_return Failure{written.error().code == Code::resource_exhausted ? Why::full : Why::other,
                        written.error()};
  }
  co_return boost::system::in_place_value;
}

}  // namespace mayfly::buckets
