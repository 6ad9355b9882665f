// Bytes on their way to disk: from a client, or from another object.

#include "dialects/s3/faults.h"
#include "dialects/s3/s3.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

// So much is gathered before it is handed to a thread that writes.
constexpr std::size_t kBatch = 1u << 20;

// A job of the pool.
struct Feed {
  std::shared_ptr<Receiver> receiver;
  std::string bytes;
  bool last = false;
  Outcome<void> operator()() const {
    AWS_TRY(receiver->feed(bytes));
    return last ? receiver->finish() : Outcome<void>(boost::system::in_place_value);
  }
};

}  // namespace

io::Task<Outcome<std::string>> S3::receive(RequestPtr request, BodyClaims claims,
                                           buckets::NewContentPtr content) {
  const bool to_disk = content != nullptr;
  const std::uint64_t limit =
      to_disk ? parts_.buckets.limits().put_bytes_max : parts_.document_bytes_max;
  const std::string_view setting = to_disk ? "buckets.put_bytes_max" : "aws.body_bytes_max";
  if (claims.size && *claims.size > limit)
    co_return Fault{"EntityTooLarge",
                    "Your proposed upload exceeds the maximum allowed size: the setting " +
                        std::string(setting) + " allows " + std::to_string(limit) + " bytes."};
  auto receiver = std::make_shared<Receiver>(request, std::move(claims), content, limit, setting);
  buckets::Reserved reserved(parts_.buckets);
  std::string batch = std::move(request->http.body);
  for (bool last = false; !last;) {
    while (request->http.more && batch.size() < kBatch) {
      auto reading = request->http.more->read();
      auto piece = co_await std::move(reading);
      if (piece.has_error()) {
        request->http.more.reset();
        co_return Fault{"IncompleteBody", piece.error().message};
      }
      if (piece->empty()) request->http.more.reset();
      batch += *piece;
    }
    last = !request->http.more;
    if (to_disk)
      if (auto room = reserved.add(batch.size()); room.has_error())
        co_return fault_of(room.error());
    Feed feed{receiver, std::move(batch), last};
    batch.clear();
    auto feeding = parts_.buckets.pool().run(std::move(feed));
    auto fed = co_await std::move(feeding);
    if (fed.has_error()) co_return std::move(fed).error();
  }
  co_return Outcome<std::string>(boost::system::in_place_value, std::move(receiver->text()));
}

io::Task<Outcome<aws::XmlNode>> S3::document(RequestPtr request) {
  auto claims = body_claims(*request);
  if (claims.has_error()) co_return std::move(claims).error();
  auto receiving = receive(request, std::move(*claims), nullptr);
  auto text = co_await std::move(receiving);
  if (text.has_error()) co_return std::move(text).error();
  auto root = aws::parse_xml(*text);
  if (root.has_error()) co_return malformed_xml(root.error().message);
  co_return std::move(*root);
}

io::Task<Outcome<void>> S3::copy_bytes(buckets::Found source, ByteRange range,
                                       buckets::NewContentPtr content) {
  auto filling =
      parts_.buckets.fill(content, {}, parts_.buckets.read(source, range.first, range.size));
  auto filled = co_await std::move(filling);
  if (filled.has_error()) co_return fault_of(filled.error());
  co_return boost::system::in_place_value;
}

}  // namespace mayfly::dialects::s3
