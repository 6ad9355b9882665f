#include "triggers/call_record.h"

#include <array>
#include <cstring>

#include "base/ids.h"
#include "telemetry/bytes.h"

namespace mayfly::triggers {
namespace {

using telemetry::ByteReader;
using telemetry::ByteWriter;

constexpr std::uint8_t kCallVersion = 1;

Error corrupt(std::string_view what) {
  return Error{Code::corrupt, "A stored " + std::string(what) + " is not readable."};
}

void put_optional(ByteWriter& out, const std::optional<std::int64_t>& value) {
  out.byte(value ? 1 : 0);
  if (value) out.signed_number(*value);
}

std::optional<std::int64_t> take_optional(ByteReader& in) {
  if (in.byte() == 0) return std::nullopt;
  return in.signed_number();
}

void put_delivery(ByteWriter& out, const Delivery& d) {
  for (const auto* text :
       {&d.body, &d.id, &d.source, &d.group, &d.deduplication_id, &d.trace_id, &d.content_type})
    out.text(*text);
  out.number(d.attributes.size());
  for (const auto& [name, value] : d.attributes) {
    out.text(name);
    out.text(value);
  }
  out.number(d.headers.size());
  for (const auto& [name, value] : d.headers) {
    out.text(name);
    out.text(value);
  }
}

Delivery take_delivery(ByteReader& in) {
  Delivery d;
  for (auto* text :
       {&d.body, &d.id, &d.source, &d.group, &d.deduplication_id, &d.trace_id, &d.content_type})
    *text = in.text();
  for (auto left = in.number(); left > 0 && in.good(); --left) {
    std::string name(in.text());
    d.attributes[std::move(name)] = in.text();
  }
  for (auto left = in.number(); left > 0 && in.good(); --left) {
    std::string name(in.text());
    d.headers.emplace_back(std::move(name), std::string(in.text()));
  }
  return d;
}

}  // namespace

std::string encode(const CallMessage& m) {
  std::string bytes;
  bytes.reserve(m.body.size() + m.head.size() + m.delivery.body.size() + 256);
  ByteWriter out(bytes);
  out.byte(kCallVersion);
  for (const auto* text :
       {&m.id, &m.alias, &m.target.name, &m.target.qualifier, &m.head, &m.client_context, &m.body,
        &m.content_type, &m.source, &m.trace_id, &m.callback_url, &m.dead_letter, &m.again_of})
    out.text(*text);
  out.byte(static_cast<std::uint8_t>(m.target.kind));
  out.byte(static_cast<std::uint8_t>(m.kind));
  out.number(m.spilled_bytes);
  out.signed_number(m.accepted_us);
  out.number(m.hops);
  put_optional(out, m.retries ? std::optional<std::int64_t>(*m.retries) : std::nullopt);
  put_optional(out, m.max_age_s);
  const bool delivery = m.target.kind != Target::Kind::function;
  out.byte(delivery ? 1 : 0);
  if (delivery) put_delivery(out, m.delivery);
  return bytes;
}

Result<CallMessage> decode_message(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.byte() != kCallVersion) return corrupt("call");
  CallMessage m;
  for (auto* text :
       {&m.id, &m.alias, &m.target.name, &m.target.qualifier, &m.head, &m.client_context, &m.body,
        &m.content_type, &m.source, &m.trace_id, &m.callback_url, &m.dead_letter, &m.again_of})
    *text = in.text();
  const std::uint8_t target = in.byte();
  const std::uint8_t kind = in.byte();
  if (target > static_cast<std::uint8_t>(Target::Kind::webhook) || kind > 1) return corrupt("call");
  m.target.kind = static_cast<Target::Kind>(target);
  m.kind = static_cast<engine::PayloadKind>(kind);
  m.spilled_bytes = in.number();
  m.accepted_us = in.signed_number();
  m.hops = static_cast<std::uint32_t>(in.number());
  if (const auto retries = take_optional(in)) m.retries = static_cast<std::uint32_t>(*retries);
  m.max_age_s = take_optional(in);
  if (in.byte() != 0) m.delivery = take_delivery(in);
  if (!in.good() || !in.at_end()) return corrupt("call");
  return m;
}

std::string_view state_name(CallState state) {
  constexpr std::array<std::string_view, 5> kNames{"waiting", "running", "succeeded", "failed",
                                                   "cancelled"};
  return kNames[static_cast<std::size_t>(state)];
}

std::optional<CallState> state_from_name(std::string_view name) {
  for (const auto state : {CallState::waiting, CallState::running, CallState::succeeded,
                           CallState::failed, CallState::cancelled})
    if (state_name(state) == name) return state;
  return std::nullopt;
}

std::string encode(const CallRecord& r) {
  std::string bytes;
  bytes.reserve(r.result.size() + r.message.size() + 192);
  ByteWriter out(bytes);
  out.byte(kCallVersion);
  out.byte(static_cast<std::uint8_t>(r.state));
  for (const auto* text : {&r.id, &r.alias, &r.target, &r.function, &r.source, &r.again_of})
    out.text(*text);
  out.number(r.attempts);
  for (const auto time : {r.accepted_us, r.ended_us, r.next_us}) out.signed_number(time);
  const bool more = r.attempts > 0 || is_over(r.state);
  out.byte(more ? 1 : 0);  // most records are of calls that wait: keep those short
  if (!more) return bytes;
  for (const auto* text :
       {&r.error_code, &r.error, &r.error_json, &r.result, &r.result_type, &r.message})
    out.text(*text);
  out.signed_number(r.status);
  out.number(r.duration_us);
  out.byte(r.result_cut ? 1 : 0);
  return bytes;
}

Result<CallRecord> decode_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.byte() != kCallVersion) return corrupt("record of a call");
  CallRecord r;
  const std::uint8_t state = in.byte();
  if (state > static_cast<std::uint8_t>(CallState::cancelled)) return corrupt("record of a call");
  r.state = static_cast<CallState>(state);
  for (auto* text : {&r.id, &r.alias, &r.target, &r.function, &r.source, &r.again_of})
    *text = in.text();
  r.attempts = static_cast<std::uint32_t>(in.number());
  for (auto* time : {&r.accepted_us, &r.ended_us, &r.next_us}) *time = in.signed_number();
  if (in.byte() != 0) {
    for (auto* text :
         {&r.error_code, &r.error, &r.error_json, &r.result, &r.result_type, &r.message})
      *text = in.text();
    r.status = static_cast<int>(in.signed_number());
    r.duration_us = in.number();
    r.result_cut = in.byte() != 0;
  }
  if (!in.good() || !in.at_end()) return corrupt("record of a call");
  return r;
}

std::string encode_first_record(const CallMessage& m) {
  const std::string target = to_text(m.target);
  std::string bytes;
  bytes.reserve(64 + m.id.size() + m.alias.size() + 2 * target.size() + m.source.size() +
                m.again_of.size());
  ByteWriter out(bytes);
  out.byte(kCallVersion);
  out.byte(static_cast<std::uint8_t>(CallState::waiting));
  const std::string_view function =
      m.target.kind == Target::Kind::function ? std::string_view(m.target.name) : "";
  for (const std::string_view text :
       {std::string_view(m.id), std::string_view(m.alias), std::string_view(target), function,
        std::string_view(m.source), std::string_view(m.again_of)})
    out.text(text);
  out.number(0);  // attempts
  for (const auto time : {m.accepted_us, std::int64_t{0}, std::int64_t{0}}) out.signed_number(time);
  out.byte(0);
  return bytes;
}

CallRecord first_record(const CallMessage& message) {
  CallRecord record;
  record.id = message.id;
  record.alias = message.alias;
  record.target = to_text(message.target);
  if (message.target.kind == Target::Kind::function) record.function = message.target.name;
  record.source = message.source;
  record.again_of = message.again_of;
  record.accepted_us = message.accepted_us;
  return record;
}

namespace {

// Layout of a version 7 UUID: 48 bits of milliseconds, 12 bits below them, 62 random ones.
std::string uuid_of(std::uint64_t stamp, const std::array<std::uint8_t, 8>& random) {
  std::array<std::uint8_t, 16> b{};
  const std::uint64_t ms = stamp >> 12;
  for (std::size_t i = 0; i < 6; ++i) b[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  b[6] = static_cast<std::uint8_t>(0x70 | ((stamp >> 8) & 0x0f));
  b[7] = static_cast<std::uint8_t>(stamp);
  std::memcpy(b.data() + 8, random.data(), 8);
  b[8] = static_cast<std::uint8_t>((b[8] & 0x3f) | 0x80);
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[b[i] >> 4];
    text += kHex[b[i] & 0x0f];
  }
  return text;
}

std::uint64_t stamp_of(std::int64_t us) {
  const auto positive = static_cast<std::uint64_t>(us < 0 ? 0 : us);
  return (positive / 1000) << 12 | (positive % 1000) << 2;
}

}  // namespace

std::string CallIds::next(std::int64_t now_us) {
  // Also when many come in one microsecond, or the clock steps back.
  last_ = std::max(stamp_of(now_us), last_ + 1);
  std::array<std::uint8_t, 8> random{};
  random_bytes(random);
  return uuid_of(last_, random);
}

std::string first_id_at(std::int64_t epoch_us) {
  return uuid_of(stamp_of(epoch_us), {});
}

bool is_call_id(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

}  // namespace mayfly::triggers
