#include "dialects/logs/groups.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mayfly::dialects::logs {
namespace {

namespace json = boost::json;

constexpr std::string_view kGroupRows = "lg/";
constexpr char kGroupVersion = 1;

std::string group_row(const std::string& name) {
  return std::string(kGroupRows) + name;
}

std::string encode_group(const Group& group) {
  json::object tags;
  for (const auto& [key, value] : group.tags) tags[key] = value;
  return kGroupVersion + json::serialize(json::object{{"created_us", group.created_us},
                                                      {"days", group.retention_days},
                                                      {"tags", std::move(tags)}});
}

Result<Group> decode_group(std::string_view name, std::string_view bytes) {
  const Error broken{Code::corrupt,
                     "the stored log group " + std::string(name) + " is not readable",
                     "load log groups"};
  if (bytes.empty() || bytes.front() != kGroupVersion) return broken;
  bytes.remove_prefix(1);
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(bytes.data(), bytes.size()), failed);
  if (failed || !value.is_object()) return broken;
  const json::object& object = value.get_object();
  const json::value* created = object.if_contains("created_us");
  const json::value* days = object.if_contains("days");
  const json::value* tags = object.if_contains("tags");
  if (!created || !created->is_int64() || !days || !days->is_int64() || !tags || !tags->is_object())
    return broken;
  Group group{created->get_int64(), days->get_int64(), {}};
  for (const auto& [key, text] : tags->get_object())
    if (text.is_string()) group.tags[std::string(key)] = std::string(text.get_string());
  return group;
}

struct CommitGroup {
  store::Store* store;
  store::Transaction transaction;
  Status operator()() const { return store->commit(transaction, store::Durability::synced); }
};

}  // namespace

Status Groups::load() {
  Status status;
  store::Store::Scan range{std::string(kGroupRows), store::prefix_end(kGroupRows)};
  MAYFLY_TRY(parts_.store.scan(range, [&](std::string_view key, std::string_view value) {
    const std::string name(key.substr(kGroupRows.size()));
    auto group = decode_group(name, value);
    if (group.has_error()) {
      status = group.error();
      return false;
    }
    groups_[name] = std::move(*group);
    return true;
  }));
  return status;
}

const Group* Groups::find(const std::string& name) const {
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

io::Task<Status> Groups::put(std::string name, Group group) {
  if (!groups_.contains(name) && groups_.size() >= kGroupsMax)
    co_return Error{Code::resource_exhausted, "There are 10,000 log groups; delete some."};
  CommitGroup commit{&parts_.store, {}};
  commit.transaction.put(group_row(name), encode_group(group));
  auto writing = parts_.pool.run(std::move(commit));
  const Status written = co_await std::move(writing);
  if (written.has_value()) groups_[name] = std::move(group);
  co_return written;
}

io::Task<Status> Groups::remove(std::string name) {
  CommitGroup commit{&parts_.store, {}};
  commit.transaction.remove(group_row(name));
  auto writing = parts_.pool.run(std::move(commit));
  const Status written = co_await std::move(writing);
  if (written.has_value()) groups_.erase(name);
  co_return written;
}

}  // namespace mayfly::dialects::logs
