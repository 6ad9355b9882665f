#include "dialects/sqs/batches.h"

#include <algorithm>
#include <set>

#include "dialects/sqs/faults.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;

namespace {

constexpr std::size_t kEntriesMax = 10;

bool is_entry_id(std::string_view id) {
  if (id.empty() || id.size() > 80) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

}  // namespace

aws::Outcome<std::vector<const json::object*>> batch_entries(const json::object& input,
                                                             std::string_view entry_name) {
  std::vector<const json::object*> entries;
  if (const json::value* list = input.if_contains("Entries"); list && list->is_array())
    for (const auto& entry : list->get_array())
      if (entry.is_object()) entries.push_back(&entry.get_object());
  if (entries.empty())
    return prefixed("EmptyBatchRequest",
                    "There should be at least one " + std::string(entry_name) + " in the request.");
  if (entries.size() > kEntriesMax)
    return prefixed("TooManyEntriesInBatchRequest",
                    "Maximum number of entries per request are 10. You have sent " +
                        std::to_string(entries.size()) + ".");
  std::set<std::string_view> ids;
  for (const json::object* entry : entries) {
    const std::string_view id = text_of(*entry, "Id");
    if (!entry->contains("Id")) return missing_parameter(std::string(entry_name) + ".Id");
    if (!is_entry_id(id))
      return prefixed("InvalidBatchEntryId",
                      "A batch entry id can only contain alphanumeric characters, hyphens and "
                      "underscores. It can be at most 80 letters long.");
    if (!ids.insert(id).second)
      return prefixed("BatchEntryIdsNotDistinct", "Id " + std::string(id) + " repeated.");
  }
  return entries;
}

void BatchAnswer::succeed(json::object entry) {
  successful_.push_back(std::move(entry));
}

void BatchAnswer::fail(std::string_view id, const aws::Fault& fault) {
  failed_.push_back(json::object{{"Id", json::string_view(id)},
                                 {"SenderFault", fault.sender},
                                 {"Code", fault.query_code.empty() ? fault.code : fault.query_code},
                                 {"Message", fault.message}});
}

json::object BatchAnswer::take() {
  json::object answer;
  if (!successful_.empty()) answer["Successful"] = std::move(successful_);
  if (!failed_.empty()) answer["Failed"] = std::move(failed_);
  return answer;
}

}  // namespace mayfly::dialects::sqs
