#include "identity/roles.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"

namespace mayfly::identity {
namespace {

namespace json = boost::json;

constexpr std::string_view kRolePrefix = "i/r/";
constexpr char kRoleVersion = 1;

std::string role_row(const std::string& name) {
  return std::string(kRolePrefix) + name;
}

json::object object_of(const std::map<std::string, std::string>& texts) {
  json::object out;
  for (const auto& [name, text] : texts) out[name] = text;
  return out;
}

std::string encode(const Role& role) {
  return kRoleVersion + json::serialize(json::object{{"id", role.id},
                                                     {"path", role.path},
                                                     {"trust", role.trust},
                                                     {"description", role.description},
                                                     {"session_s", role.session_s},
                                                     {"created_us", to_epoch_us(role.created)},
                                                     {"tags", object_of(role.tags)},
                                                     {"attached", object_of(role.attached)},
                                                     {"policies", object_of(role.policies)}});
}

std::string text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t number_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : 0;
}

std::map<std::string, std::string> texts_in(const json::object& object, std::string_view name) {
  std::map<std::string, std::string> out;
  const json::value* value = object.if_contains(name);
  if (value && value->is_object())
    for (const auto& [key, text] : value->get_object())
      if (text.is_string()) out[std::string(key)] = std::string(text.get_string());
  return out;
}

Result<RolePtr> decode_role(std::string_view name, std::string_view bytes) {
  const Error broken{Code::corrupt, "the stored role " + std::string(name) + " is not readable",
                     "load roles"};
  if (bytes.empty() || bytes.front() != kRoleVersion) return broken;
  bytes.remove_prefix(1);
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(bytes.data(), bytes.size()), failed);
  if (failed || !value.is_object()) return broken;
  const json::object& object = value.get_object();
  auto role = std::make_shared<Role>();
  role->name = name;
  role->id = text_in(object, "id");
  role->path = text_in(object, "path");
  role->trust = text_in(object, "trust");
  role->description = text_in(object, "description");
  role->session_s = number_in(object, "session_s");
  role->created = from_epoch_us(number_in(object, "created_us"));
  role->tags = texts_in(object, "tags");
  role->attached = texts_in(object, "attached");
  role->policies = texts_in(object, "policies");
  return RolePtr(std::move(role));
}

struct CommitRole {
  store::Store* store;
  store::Transaction transaction;
  Status operator()() const { return store->commit(transaction, store::Durability::synced); }
};

Error no_role(const std::string& name) {
  return Error{Code::not_found, "The role with name " + name + " cannot be found."};
}

}  // namespace

Status Roles::load() {
  Status status;
  store::Store::Scan range{std::string(kRolePrefix), store::prefix_end(kRolePrefix)};
  MAYFLY_TRY(parts_.store.scan(range, [&](std::string_view key, std::string_view value) {
    auto decoded = decode_role(key.substr(kRolePrefix.size()), value);
    if (decoded.has_error()) {
      status = decoded.error();
      return false;
    }
    roles_[(*decoded)->name] = *decoded;
    return true;
  }));
  return status;
}

io::Task<Result<RolePtr>> Roles::create(Role role) {
  if (roles_.contains(role.name))
    co_return Error{Code::already_exists, "Role with name " + role.name + " already exists."};
  if (roles_.size() >= kRolesMax)
    co_return Error{Code::resource_exhausted, "There are 5,000 roles; delete some."};
  role.id = "AROA" + random_hex(8);
  for (char& c : role.id)
    if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
  role.created = from_epoch_us(to_epoch_us(parts_.clock.wall_now()));
  CommitRole commit{&parts_.store, {}};
  commit.transaction.require(role_row(role.name), std::nullopt)
      .put(role_row(role.name), encode(role));
  auto writing = parts_.pool.run(std::move(commit));
  const Status written = co_await std::move(writing);
  if (written.has_error()) {
    if (written.error().code != Code::conflict) co_return written.error();
    co_return Error{Code::already_exists, "Role with name " + role.name + " already exists."};
  }
  auto made = std::make_shared<const Role>(std::move(role));
  roles_[made->name] = made;
  co_return RolePtr(made);
}

io::Task<Status> Roles::change(RolePtr basis, Role role) {
  if (!roles_.contains(basis->name)) co_return no_role(basis->name);
  CommitRole commit{&parts_.store, {}};
  const std::string row = role_row(basis->name);
  commit.transaction.require(row, encode(*basis)).put(row, encode(role));
  auto writing = parts_.pool.run(std::move(commit));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  roles_[basis->name] = std::make_shared<const Role>(std::move(role));
  co_return ok();
}

io::Task<Status> Roles::remove(RolePtr role) {
  if (!roles_.contains(role->name)) co_return no_role(role->name);
  CommitRole commit{&parts_.store, {}};
  commit.transaction.require(role_row(role->name), encode(*role)).remove(role_row(role->name));
  auto writing = parts_.pool.run(std::move(commit));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  roles_.erase(role->name);
  co_return ok();
}

RolePtr Roles::find(const std::string& name) const {
  const auto found = roles_.find(name);
  return found == roles_.end() ? nullptr : found->second;
}

std::vector<RolePtr> Roles::list() const {
  std::vector<RolePtr> out;
  for (const auto& [name, role] : roles_) out.push_back(role);
  return out;
}

}  // namespace mayfly::identity
