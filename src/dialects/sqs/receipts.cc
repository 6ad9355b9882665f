// What receivers do with the messages that they hold: delete them, or change for how long.

#include "dialects/sqs/batches.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Call;
using aws::Fault;
using aws::Outcome;

namespace {

constexpr std::uint32_t kHiddenMax = 43'200;

Fault receipt_fault(const Error& error, std::string_view receipt) {
  if (error.code == Code::invalid_argument) return bad_receipt(receipt);
  if (error.code == Code::not_found || error.code == Code::conflict)
    return prefixed("MessageNotInflight",
                    "The message referred to is not in flight: its visibility timeout has passed, "
                    "or it was deleted.");
  return engine_fault(error);
}

Outcome<queues::QueueEngine::Visibility> read_visibility(const json::object& input) {
  const std::string_view receipt = text_of(input, "ReceiptHandle");
  if (receipt.empty()) return missing_parameter("ReceiptHandle");
  if (!input.contains("VisibilityTimeout")) return missing_parameter("VisibilityTimeout");
  auto timeout = number_in(input, "VisibilityTimeout", 0, kHiddenMax);
  if (timeout.has_error()) return std::move(timeout).error();
  return queues::QueueEngine::Visibility{std::string(receipt), timeout->value_or(0)};
}

}  // namespace

io::Task<Outcome<json::object>> Sqs::remove(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  const std::string receipt(text_of(call.input, "ReceiptHandle"));
  if (receipt.empty()) co_return bad_receipt(receipt);
  std::vector<std::string> receipts;
  receipts.push_back(receipt);
  auto settling = parts_.engine.settle((*queue)->name, std::move(receipts));
  const auto settled = co_await std::move(settling);
  if (!settled.empty() && settled.front().has_error())
    co_return receipt_fault(settled.front().error(), receipt);
  co_return json::object();
}

io::Task<Outcome<json::object>> Sqs::remove_batch(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  auto entries = batch_entries(call.input, "DeleteMessageBatchRequestEntry");
  if (entries.has_error()) co_return std::move(entries).error();
  std::vector<std::string> receipts;
  for (const json::object* entry : *entries)
    receipts.emplace_back(text_of(*entry, "ReceiptHandle"));
  auto settling = parts_.engine.settle((*queue)->name, std::move(receipts));
  const auto settled = co_await std::move(settling);
  BatchAnswer answer;
  for (std::size_t i = 0; i < entries->size() && i < settled.size(); ++i) {
    const json::object& entry = *(*entries)[i];
    const std::string_view id = text_of(entry, "Id");
    if (settled[i].has_error())
      answer.fail(id, receipt_fault(settled[i].error(), text_of(entry, "ReceiptHandle")));
    else
      answer.succeed(json::object{{"Id", json::string_view(id)}});
  }
  co_return answer.take();
}

io::Task<Outcome<json::object>> Sqs::change_visibility(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  auto change = read_visibility(call.input);
  if (change.has_error()) co_return std::move(change).error();
  const std::string receipt = change->receipt;
  std::vector<queues::QueueEngine::Visibility> changes;
  changes.push_back(std::move(*change));
  auto changing = parts_.engine.change_visibility((*queue)->name, std::move(changes));
  const auto changed = co_await std::move(changing);
  if (!changed.empty() && changed.front().has_error())
    co_return receipt_fault(changed.front().error(), receipt);
  co_return json::object();
}

io::Task<Outcome<json::object>> Sqs::change_visibility_batch(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  auto entries = batch_entries(call.input, "ChangeMessageVisibilityBatchRequestEntry");
  if (entries.has_error()) co_return std::move(entries).error();
  BatchAnswer answer;
  std::vector<queues::QueueEngine::Visibility> changes;
  std::vector<const json::object*> asked;
  for (const json::object* entry : *entries) {
    auto change = read_visibility(*entry);
    if (change.has_error()) {
      answer.fail(text_of(*entry, "Id"), change.error());
      continue;
    }
    changes.push_back(std::move(*change));
    asked.push_back(entry);
  }
  if (changes.empty()) co_return answer.take();
  auto changing = parts_.engine.change_visibility((*queue)->name, std::move(changes));
  const auto changed = co_await std::move(changing);
  for (std::size_t i = 0; i < asked.size() && i < changed.size(); ++i) {
    const std::string_view id = text_of(*asked[i], "Id");
    if (changed[i].has_error())
      answer.fail(id, receipt_fault(changed[i].error(), text_of(*asked[i], "ReceiptHandle")));
    else
      answer.succeed(json::object{{"Id", json::string_view(id)}});
  }
  co_return answer.take();
}

}  // namespace mayfly::dialects::sqs
