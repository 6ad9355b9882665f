#include "triggers/services.h"

#include <algorithm>
#include <unordered_map>

#include "telemetry/bytes.h"
#include "wire/http_message.h"
#include "wire/json_slices.h"

namespace mayfly::triggers {
namespace {

constexpr std::size_t kEffectsAtOnce = 16 * 1024;

std::string item_json(const tables::Item& item) {
  std::string json = "{\"key\":";
  wire::append_json_string(json, item.key);
  json.append(",\"value\":").append(item.value).append("}");
  return json;
}

Error broken_failures(std::string why) {
  return Error{Code::invalid_argument, "batchItemFailures of the function's answer " +
                                           std::move(why) +
                                           ", so the whole batch counts as failed."};
}

}  // namespace

Result<std::vector<std::size_t>> failures_of(std::string_view result,
                                             const std::vector<QueueSettlement::Held>& messages) {
  std::vector<std::size_t> failed;
  // Nearly every result is null or short: no look-ups before there is need.
  if (result.find("batchItemFailures") == std::string_view::npos) return failed;
  const auto text = wire::check_json(result);
  if (text.has_error() || !text->starts_with('{')) return failed;
  auto members = wire::json_members(*text, "The answer");
  if (members.has_error()) return members.error();
  const auto list = std::find_if(members->begin(), members->end(),
                                 [](const auto& m) { return m.first == "batchItemFailures"; });
  if (list == members->end() || list->second == "null") return failed;
  auto items = wire::json_elements(list->second, "batchItemFailures");
  if (items.has_error()) return broken_failures("is no list");
  std::unordered_map<std::string_view, std::size_t> by_id;
  for (std::size_t i = 0; i < messages.size(); ++i) by_id.emplace(messages[i].id, i);
  for (const auto item : *items) {
    auto fields = wire::json_members(item, "An item");
    if (fields.has_error()) return broken_failures("has an item that is no object");
    const auto id = std::find_if(fields->begin(), fields->end(),
                                 [](const auto& m) { return m.first == "itemIdentifier"; });
    if (id == fields->end()) return broken_failures("has an item without itemIdentifier");
    auto name = wire::json_string(id->second, "itemIdentifier");
    if (name.has_error() || name->empty())
      return broken_failures("has an itemIdentifier that is empty or no text");
    const auto found = by_id.find(*name);
    if (found == by_id.end())
      return broken_failures("names \"" + name->substr(0, 100) + "\", which was not in the batch");
    failed.push_back(found->second);
  }
  std::sort(failed.begin(), failed.end());
  failed.erase(std::unique(failed.begin(), failed.end()), failed.end());
  return failed;
}

std::string encode(const CallMark& mark) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.signed_number(mark.at_us);
  out.byte(mark.cut ? 1 : 0);
  out.text(mark.result);
  return bytes;
}

Result<CallMark> decode_mark(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  CallMark mark;
  mark.at_us = in.signed_number();
  mark.cut = in.byte() != 0;
  mark.result = in.text();
  if (!in.good() || !in.at_end())
    return Error{Code::corrupt, "The mark of an async call on the store is damaged."};
  return mark;
}

io::Task<Result<std::string>> Services::ask(functions::VersionPtr, std::string question) {
  auto parsed = parse_question(question);
  if (parsed.has_error()) co_return parsed.error();
  if (parsed->op == Question::Op::get) {
    auto getting = state_.get(std::move(parsed->key));
    auto item = co_await std::move(getting);
    if (item.has_error()) co_return item.error();
    if (!item->has_value()) co_return std::string("{\"value\":null,\"etag\":null}");
    co_return "{\"value\":" + (**item).value + ",\"etag\":\"" + tables::etag_of((**item).value) +
        "\"}";
  }
  auto listing = state_.list(std::move(parsed->prefix), std::move(parsed->after), parsed->limit);
  auto items = co_await std::move(listing);
  if (items.has_error()) co_return items.error();
  std::string json = "{\"items\":[";
  for (const auto& item : *items) {
    if (json.back() != '[') json += ',';
    json += item_json(item);
  }
  co_return json + "]}";
}

// Much of it is read beside the loop.
io::Task<Result<Effects>> Services::parse(std::string effects) {
  if (effects.size() < kEffectsAtOnce) co_return parse_effects(effects);
  auto parsing = pool_.run([effects = std::move(effects)] { return parse_effects(effects); });
  co_return co_await std::move(parsing);
}

io::Task<Status> Services::commit(functions::VersionPtr, std::string effects,
                                  std::shared_ptr<engine::Settlement> settlement,
                                  std::string result) {
  auto parsing = parse(std::move(effects));
  auto staged = co_await std::move(parsing);
  if (staged.has_error()) co_return staged.error();
  auto* const held = dynamic_cast<QueueSettlement*>(settlement.get());
  queues::Batch batch;
  batch.sends = std::move(staged->sends);
  std::vector<std::size_t> failed;
  if (held != nullptr) {
    if (held->partial) {
      auto said = failures_of(result, held->messages);
      if (said.has_error()) co_return said.error();
      failed = std::move(*said);
    }
    auto next = failed.begin();
    for (std::size_t i = 0; i < held->messages.size(); ++i) {
      if (next != failed.end() && *next == i)
        ++next;
      else
        batch.done.push_back({held->queue, held->messages[i].receipt});
    }
  }
  if (!staged->changes.empty()) {
    auto preparing = state_.prepare(std::move(staged->changes));
    auto transaction = co_await std::move(preparing);
    if (transaction.has_error()) co_return transaction.error();
    batch.also = std::move(*transaction);
  }
  auto* const call = dynamic_cast<CallSettlement*>(settlement.get());
  const bool marks = call != nullptr && (!batch.sends.empty() || !batch.also.empty());
  if (marks) {
    const std::size_t kept = std::min(result.size(), call->result_bytes_max);
    batch.also.require(call->mark_key, std::nullopt);
    batch.also.put(call->mark_key,
                   encode(CallMark{call->now_us, result.substr(0, kept), kept < result.size()}));
  }
  if (!batch.sends.empty() || !batch.done.empty() || !batch.also.empty()) {
    auto committing = queues_.commit(std::move(batch));
    auto committed = co_await std::move(committing);
    if (committed.has_error()) co_return committed.error();
  }
  if (marks) call->marked = true;
  if (held != nullptr) {
    held->committed = true;
    held->failed = std::move(failed);
  }
  co_return ok();
}

}  // namespace mayfly::triggers
