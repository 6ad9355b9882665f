#include "queues/record.h"

#include <boost/json.hpp>

#include "queues/move_tasks.h"

namespace mayfly::queues {
namespace {

namespace json = boost::json;

constexpr char kVersion = 1;

void put_u64_be(std::string& out, std::uint64_t value) {
  char bytes[8];
  for (int i = 7; i >= 0; --i, value >>= 8) bytes[i] = static_cast<char>(value);
  out.append(bytes, sizeof(bytes));
}

// Writes and reads the fields of a record one after the other.
class Writer {
 public:
  explicit Writer(std::size_t expected) {
    out_.reserve(expected);
    out_ += kVersion;
  }
  Writer& number(std::uint64_t value) {
    put_u64_be(out_, value);
    return *this;
  }
  Writer& time(std::int64_t value) { return number(static_cast<std::uint64_t>(value)); }
  Writer& length(std::size_t value) {  // 7 bits a byte, least first
    while (value >= 0x80) {
      out_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
    return *this;
  }
  Writer& text(std::string_view value) {
    length(value.size());
    out_ += value;
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {
    good_ = !in_.empty() && in_.front() == kVersion;
    if (good_) in_.remove_prefix(1);
  }
  std::uint64_t number() {
    if (!good_ || in_.size() < 8) return fail();
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<std::uint8_t>(in_[i]);
    in_.remove_prefix(8);
    return value;
  }
  std::int64_t time() { return static_cast<std::int64_t>(number()); }
  std::size_t length() {
    std::size_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      if (!good_ || in_.empty()) return fail();
      const auto byte = static_cast<std::uint8_t>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }
  std::string_view text() {
    const std::size_t size = length();
    if (!good_ || in_.size() < size) {
      fail();
      return {};
    }
    const auto value = in_.substr(0, size);
    in_.remove_prefix(size);
    return value;
  }
  bool good() const { return good_; }
  bool complete() const { return good_ && in_.empty(); }

 private:
  std::uint64_t fail() {
    good_ = false;
    return 0;
  }
  std::string_view in_;
  bool good_;
};

Error corrupt(const char* what) {
  return Error{Code::corrupt, std::string("A record of a ") + what + " on the store is damaged."};
}

template <class T>
T whole(const json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr) return 0;
  boost::system::error_code failed;
  const T got = value->to_number<T>(failed);
  return failed ? 0 : got;
}
bool truth(const json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}
std::string text(const json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::map<std::string, std::string> texts(const json::object& from, std::string_view name) {
  std::map<std::string, std::string> out;
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_object()) return out;
  for (const auto& [key, item] : value->get_object())
    if (item.is_string()) out.emplace(key, std::string(item.get_string()));
  return out;
}
json::object to_json(const std::map<std::string, std::string>& texts) {
  json::object out;
  for (const auto& [key, value] : texts) out[key] = value;
  return out;
}

}  // namespace

std::string message_key(Kind kind, std::uint64_t queue, std::uint64_t sequence) {
  std::string key;
  key.reserve(18);
  key += 'q';
  key += static_cast<char>(kind);
  put_u64_be(key, queue);
  put_u64_be(key, sequence);
  return key;
}

std::string watermark_key(std::uint64_t queue) {
  std::string key("q");
  key += static_cast<char>(Kind::watermark);
  put_u64_be(key, queue);
  return key;
}

std::uint64_t sequence_of(std::string_view key) {
  std::uint64_t value = 0;
  for (const char c : key.substr(key.size() < 8 ? 0 : key.size() - 8))
    value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

std::string encode(const StoredQueue& queue) {
  const QueueSettings& s = queue.info.settings;
  json::object out{{"id", queue.id},
                   {"name", queue.info.name},
                   {"created_us", to_epoch_us(queue.info.created)},
                   {"modified_us", to_epoch_us(queue.info.modified)},
                   {"fifo", s.fifo},
                   {"content_deduplication", s.content_deduplication},
                   {"deduplicate_by_group", s.deduplicate_by_group},
                   {"visibility_timeout_s", s.visibility_timeout_s},
                   {"delay_s", s.delay_s},
                   {"retention_s", s.retention_s},
                   {"message_bytes_max", s.message_bytes_max},
                   {"receive_wait_s", s.receive_wait_s},
                   {"dead_letter_queue", s.dead_letter_queue},
                   {"receive_count_max", s.receive_count_max},
                   {"other", to_json(s.other)},
                   {"tags", to_json(queue.info.tags)}};
  std::string record(1, kVersion);
  record += json::serialize(out);
  return record;
}

Result<StoredQueue> decode_queue(std::string_view record) {
  if (record.empty() || record.front() != kVersion) return corrupt("queue");
  boost::system::error_code failed;
  const json::value parsed = json::parse(record.substr(1), failed);
  if (failed || !parsed.is_object()) return corrupt("queue");
  const json::object& in = parsed.get_object();
  StoredQueue queue;
  queue.id = whole<std::uint64_t>(in, "id");
  queue.info.name = text(in, "name");
  queue.info.created = from_epoch_us(whole<std::int64_t>(in, "created_us"));
  queue.info.modified = from_epoch_us(whole<std::int64_t>(in, "modified_us"));
  QueueSettings& s = queue.info.settings;
  s.fifo = truth(in, "fifo");
  s.content_deduplication = truth(in, "content_deduplication");
  s.deduplicate_by_group = truth(in, "deduplicate_by_group");
  s.visibility_timeout_s = whole<std::uint32_t>(in, "visibility_timeout_s");
  s.delay_s = whole<std::uint32_t>(in, "delay_s");
  s.retention_s = whole<std::uint32_t>(in, "retention_s");
  s.message_bytes_max = whole<std::uint32_t>(in, "message_bytes_max");
  s.receive_wait_s = whole<std::uint32_t>(in, "receive_wait_s");
  s.dead_letter_queue = text(in, "dead_letter_queue");
  s.receive_count_max = whole<std::uint32_t>(in, "receive_count_max");
  s.other = texts(in, "other");
  queue.info.tags = texts(in, "tags");
  if (queue.id == 0 || queue.info.name.empty() || s.retention_s == 0) return corrupt("queue");
  return queue;
}

bool same_settings(const QueueSettings& a, const QueueSettings& b) {
  return a.fifo == b.fifo && a.content_deduplication == b.content_deduplication &&
         a.deduplicate_by_group == b.deduplicate_by_group &&
         a.visibility_timeout_s == b.visibility_timeout_s && a.delay_s == b.delay_s &&
         a.retention_s == b.retention_s && a.message_bytes_max == b.message_bytes_max &&
         a.receive_wait_s == b.receive_wait_s && a.dead_letter_queue == b.dead_letter_queue &&
         a.receive_count_max == b.receive_count_max && a.other == b.other;
}

std::string encode(const StoredMessage& m) {
  std::size_t size = 128 + m.group.size() + m.deduplication_id.size() + m.trace_header.size() +
                     m.sender.size() + m.dead_letter_source.size() + m.dead_letter_reason.size() +
                     m.body.size();
  for (const auto& a : m.attributes) size += a.name.size() + a.type.size() + a.value.size() + 12;
  Writer out(size);
  // The head first: decode_head reads no further.
  out.time(m.arrived_ms).time(m.visible_at_ms).text(m.group).time(m.sent_ms).text(m.id);
  out.text(m.deduplication_id).text(m.trace_header).text(m.sender);
  out.text(m.dead_letter_source).text(m.dead_letter_reason).length(m.attributes.size());
  for (const auto& a : m.attributes) out.text(a.name).text(a.type).text(a.value);
  return out.text(m.body).take();
}

Result<StoredMessage> decode_message(std::string_view record) {
  Reader in(record);
  StoredMessage m;
  m.arrived_ms = in.time();
  m.visible_at_ms = in.time();
  m.group = in.text();
  m.sent_ms = in.time();
  m.id = in.text();
  m.deduplication_id = in.text();
  m.trace_header = in.text();
  m.sender = in.text();
  m.dead_letter_source = in.text();
  m.dead_letter_reason = in.text();
  for (std::size_t left = in.length(); left > 0 && in.good(); --left) {
    MessageAttribute a;
    a.name = in.text();
    a.type = in.text();
    a.value = in.text();
    m.attributes.push_back(std::move(a));
  }
  m.body = in.text();
  if (!in.complete()) return corrupt("message");
  return m;
}

Result<MessageHead> decode_head(std::string_view record) {
  Reader in(record);
  MessageHead head;
  head.arrived_ms = in.time();
  head.visible_at_ms = in.time();
  head.group = in.text();
  if (!in.good()) return corrupt("message");
  return head;
}

std::string encode(const StoredReception& r) {
  return Writer(48)
      .number(r.count)
      .time(r.first_ms)
      .time(r.visible_at_ms)
      .number(r.nonce)
      .time(r.noted_ms)
      .take();
}

Result<StoredReception> decode_reception(std::string_view record) {
  Reader in(record);
  StoredReception r;
  r.count = static_cast<std::uint32_t>(in.number());
  r.first_ms = in.time();
  r.visible_at_ms = in.time();
  r.nonce = in.number();
  if (!in.complete()) r.noted_ms = in.time();
  if (!in.complete()) return corrupt("reception");
  return r;
}

std::string encode(const StoredDuplicate& duplicate) {
  return Writer(32)
      .time(duplicate.arrived_ms)
      .text({duplicate.key.data(), duplicate.key.size()})
      .take();
}

Result<StoredDuplicate> decode_duplicate(std::string_view record) {
  Reader in(record);
  StoredDuplicate duplicate;
  duplicate.arrived_ms = in.time();
  const auto key = in.text();
  if (!in.complete() || key.size() != duplicate.key.size()) return corrupt("deduplication");
  std::copy(key.begin(), key.end(), duplicate.key.begin());
  return duplicate;
}

std::string encode(const StoredWatermark& watermark) {
  return Writer(24).number(watermark.next).number(watermark.first).take();
}

Result<StoredWatermark> decode_watermark(std::string_view record) {
  Reader in(record);
  StoredWatermark watermark;
  watermark.next = in.number();
  watermark.first = in.number();
  if (!in.complete()) return corrupt("queue's numbers");
  return watermark;
}

std::string encode(const MoveTask& task) {
  return Writer(160)
      .text(task.id)
      .text(task.source)
      .text(task.destination)
      .number(task.per_second)
      .number(static_cast<std::uint64_t>(task.state))
      .text(task.failure)
      .number(task.moved)
      .number(task.to_move)
      .time(task.started_ms)
      .take();
}

Result<MoveTask> decode_move(std::string_view record) {
  Reader in(record);
  MoveTask task;
  task.id = in.text();
  task.source = in.text();
  task.destination = in.text();
  task.per_second = static_cast<std::uint32_t>(in.number());
  const auto state = in.number();
  task.state = static_cast<MoveTask::State>(state);
  task.failure = in.text();
  task.moved = in.number();
  task.to_move = in.number();
  task.started_ms = in.time();
  if (!in.complete() || state > static_cast<std::uint64_t>(MoveTask::State::failed))
    return corrupt("move of messages");
  return task;
}

}  // namespace mayfly::queues
