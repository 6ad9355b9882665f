#include "dialects/lambda_api/event_stream.h"

#include <boost/crc.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace mayfly::dialects::lambda_api {

namespace {

constexpr std::size_t kChunkMax = 1u << 20;
constexpr char kTextHeader = 7;

void append_u32(std::string& out, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

std::uint32_t crc_of(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

class EventStream final : public io::BodyReader {
 public:
  EventStream(std::string first, io::BodyReaderPtr more, StreamEnd end)
      : pending_(std::move(first)), more_(std::move(more)), end_(std::move(end)) {}

  io::Task<Result<std::string>> read() override {
    if (over_) co_return std::string();
    if (pending_.empty() && more_) {
      auto reading = more_->read();
      Result<std::string> piece = co_await std::move(reading);
      if (piece.has_error()) {
        end_.error_code = "Function.ResponseCutOff";
        end_.error_details = piece.error().message;
        more_.reset();
      } else if (piece->empty()) {
        more_.reset();
      } else {
        pending_ = std::move(*piece);
      }
    }
    if (pending_.empty()) {
      over_ = true;
      co_return last();
    }
    std::string out;
    for (std::size_t at = 0; at < pending_.size(); at += kChunkMax)
      out += encode_event({{":event-type", "PayloadChunk"},
                           {":content-type", "application/octet-stream"},
                           {":message-type", "event"}},
                          std::string_view(pending_).substr(at, kChunkMax));
    pending_.clear();
    co_return out;
  }

 private:
  std::string last() const {
    boost::json::object body;
    if (!end_.error_code.empty()) body["ErrorCode"] = end_.error_code;
    if (!end_.error_details.empty()) body["ErrorDetails"] = end_.error_details;
    if (!end_.log_result.empty()) body["LogResult"] = end_.log_result;
    return encode_event({{":event-type", "InvokeComplete"},
                         {":content-type", "application/json"},
                         {":message-type", "event"}},
                        boost::json::serialize(body));
  }

  std::string pending_;
  io::BodyReaderPtr more_;
  StreamEnd end_;
  bool over_ = false;
};

}  // namespace

std::string encode_event(const std::vector<std::pair<std::string_view, std::string_view>>& headers,
                         std::string_view payload) {
  std::string fields;
  for (const auto& [name, value] : headers) {
    fields += static_cast<char>(name.size());
    fields += name;
    fields += kTextHeader;
    fields += static_cast<char>(value.size() >> 8);
    fields += static_cast<char>(value.size());
    fields += value;
  }
  std::string out;
  out.reserve(16 + fields.size() + payload.size());
  append_u32(out, static_cast<std::uint32_t>(16 + fields.size() + payload.size()));
  append_u32(out, static_cast<std::uint32_t>(fields.size()));
  append_u32(out, crc_of(out));
  out += fields;
  out += payload;
  append_u32(out, crc_of(out));
  return out;
}

io::BodyReaderPtr make_event_stream(std::string first, io::BodyReaderPtr more, StreamEnd end) {
  return std::make_unique<EventStream>(std::move(first), std::move(more), std::move(end));
}

}  // namespace mayfly::dialects::lambda_api
