#include "identity/access_keys.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"

namespace mayfly::identity {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "i/k/";
constexpr char kVersion = 1;  // of the stored form; its first byte

// size characters of alphabet (64 or 32 of them: no remainder, no bias).
std::string random_text(std::size_t size, std::string_view alphabet) {
  std::string text(size, '\0');
  random_bytes({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  for (char& c : text) c = alphabet[static_cast<std::uint8_t>(c) % alphabet.size()];
  return text;
}

std::string new_id() {
  return "AKIA" + random_text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
}

std::string new_secret() {
  return random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

std::string encode(const AccessKey& key) {
  return kVersion +
         json::serialize(json::object{
             {"secret", key.secret}, {"name", key.name}, {"created_us", to_epoch_us(key.created)}});
}

Result<AccessKeyPtr> decode(std::string_view id, std::string_view bytes) {
  const Error broken{Code::corrupt, "the stored access key " + std::string(id) + " is not readable",
                     "load access keys"};
  if (bytes.empty() || bytes.front() != kVersion) return broken;
  bytes.remove_prefix(1);
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(bytes.data(), bytes.size()), failed);
  if (failed || !value.is_object()) return broken;
  const json::object& object = value.get_object();
  const json::value* secret = object.if_contains("secret");
  const json::value* name = object.if_contains("name");
  const json::value* created = object.if_contains("created_us");
  if (!secret || !secret->is_string() || !name || !name->is_string() || !created ||
      !created->is_int64())
    return broken;
  auto key = std::make_shared<AccessKey>();
  key->id = id;
  key->secret = std::string(secret->get_string());
  key->name = std::string(name->get_string());
  key->created = from_epoch_us(created->get_int64());
  return AccessKeyPtr(std::move(key));
}

// A job of the pool: a value, so that nothing of the caller's frame is shared with a thread.
struct Commit {
  store::Store* store;
  store::Transaction transaction;
  Status operator()() const { return store->commit(transaction, store::Durability::synced); }
};

}  // namespace

Status AccessKeys::load() {
  Status status;
  store::Store::Scan range{std::string(kPrefix), store::prefix_end(kPrefix)};
  MAYFLY_TRY(parts_.store.scan(range, [&](std::string_view key, std::string_view value) {
    auto decoded = decode(key.substr(kPrefix.size()), value);
    if (decoded.has_error()) {
      status = decoded.error();
      return false;
    }
    keys_[(*decoded)->id] = *decoded;
    return true;
  }));
  return status;
}

io::Task<Result<AccessKeyPtr>> AccessKeys::create(std::string name) {
  if (name.size() > kNameMax || name.find('\0') != std::string::npos)
    co_return Error{Code::invalid_argument, "The name of a key may have up to 256 characters."};
  if (keys_.size() >= kKeysMax)
    co_return Error{Code::resource_exhausted,
                    "There are 10,000 access keys; remove some with `mayfly keys rm`."};
  auto key = std::make_shared<AccessKey>();
  key->id = new_id();
  key->secret = new_secret();
  key->name = std::move(name);
  key->created = from_epoch_us(to_epoch_us(parts_.clock.wall_now()));
  const std::string row = std::string(kPrefix) + key->id;
  Commit commit{&parts_.store, {}};
  commit.transaction.require(row, std::nullopt).put(row, encode(*key));
  auto writing = parts_.pool.run(std::move(commit));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  keys_[key->id] = key;
  co_return AccessKeyPtr(key);
}

io::Task<Status> AccessKeys::remove(std::string id) {
  if (!keys_.contains(id))
    co_return Error{Code::not_found,
                    "There is no access key \"" + id + "\"; `mayfly keys ls` lists them."};
  Commit commit{&parts_.store, {}};
  commit.transaction.remove(std::string(kPrefix) + id);
  auto writing = parts_.pool.run(std::move(commit));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  keys_.erase(id);
  co_return ok();
}

AccessKeyPtr AccessKeys::find(std::string_view id) const {
  const auto found = keys_.find(id);
  return found == keys_.end() ? nullptr : found->second;
}

std::vector<AccessKeyPtr> AccessKeys::list() const {
  std::vector<AccessKeyPtr> keys;
  keys.reserve(keys_.size());
  for (const auto& [id, key] : keys_) keys.push_back(key);
  std::sort(keys.begin(), keys.end(), [](const AccessKeyPtr& a, const AccessKeyPtr& b) {
    return a->created != b->created ? a->created < b->created : a->id < b->id;
  });
  return keys;
}

}  // namespace mayfly::identity
