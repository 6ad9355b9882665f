#include "dialects/iam/iam.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "aws/tables.h"
#include "aws/text.h"
#include "dialects/aws_values.h"

namespace mayfly::dialects::iam {

namespace json = boost::json;

using aws::Call;
using aws::Fault;
using aws::kString;
using aws::Member;
using aws::operation;
using aws::Outcome;
using aws::required;
using aws::Shape;
using identity::Role;

namespace {

constexpr std::size_t kPageMax = 1'000;
constexpr std::size_t kDocumentMax = 10'240;  // as IAM takes inline policies
constexpr std::size_t kTagsMax = 50, kPoliciesMax = 50;

enum class Op {
  attach,
  create,
  remove,
  remove_policy,
  detach,
  get,
  get_policy,
  list_attached,
  list_profiles,
  list_policies,
  list_tags,
  list,
  put_policy,
  tag,
  untag,
  update_trust,
  update,
};

AWS_SHAPE(RoleTag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kRoleTags{aws::Kind::list, {}, &kRoleTag};
AWS_SHAPE(RoleInfo, {{"Path", &kString},
                     {"RoleName", &kString},
                     {"RoleId", &kString},
                     {"Arn", &kString},
                     {"CreateDate", &aws::kTimestamp},
                     {"AssumeRolePolicyDocument", &kString},
                     {"Description", &kString},
                     {"MaxSessionDuration", &aws::kInteger},
                     {"Tags", &kRoleTags}});
constexpr Shape kRoleInfos{aws::Kind::list, {}, &kRoleInfo};
constexpr Member kRoleName = required("RoleName", kString);
AWS_SHAPE(OnlyRole, {kRoleName});
AWS_SHAPE(RoleOut, {{"Role", &kRoleInfo}});
AWS_SHAPE(CreateRole, {kRoleName,
                       required("AssumeRolePolicyDocument", kString),
                       {"Path", &kString},
                       {"Description", &kString},
                       {"MaxSessionDuration", &aws::kInteger},
                       {"PermissionsBoundary", &kString},
                       {"Tags", &kRoleTags}});
AWS_SHAPE(UpdateRole,
          {kRoleName, {"Description", &kString}, {"MaxSessionDuration", &aws::kInteger}});
AWS_SHAPE(UpdateTrust, {kRoleName, required("PolicyDocument", kString)});
AWS_SHAPE(RoleAndArn, {kRoleName, required("PolicyArn", kString)});
AWS_SHAPE(RoleAndPolicy, {kRoleName, required("PolicyName", kString)});
AWS_SHAPE(PutPolicy,
          {kRoleName, required("PolicyName", kString), required("PolicyDocument", kString)});
AWS_SHAPE(PolicyOut,
          {{"RoleName", &kString}, {"PolicyName", &kString}, {"PolicyDocument", &kString}});
AWS_SHAPE(ListRoles,
          {{"PathPrefix", &kString}, {"Marker", &kString}, {"MaxItems", &aws::kInteger}});
AWS_SHAPE(RolePage, {kRoleName,
                     {"PathPrefix", &kString},
                     {"Marker", &kString},
                     {"MaxItems", &aws::kInteger}});
AWS_SHAPE(RolesOut,
          {{"Roles", &kRoleInfos}, {"IsTruncated", &aws::kBoolean}, {"Marker", &kString}});
AWS_SHAPE(AttachedPolicy, {{"PolicyName", &kString}, {"PolicyArn", &kString}});
constexpr Shape kAttachedPolicies{aws::Kind::list, {}, &kAttachedPolicy};
AWS_SHAPE(AttachedOut, {{"AttachedPolicies", &kAttachedPolicies}, {"IsTruncated", &aws::kBoolean}});
AWS_SHAPE(NamesOut, {{"PolicyNames", &aws::kStrings}, {"IsTruncated", &aws::kBoolean}});
AWS_SHAPE(TagsOfRole, {{"Tags", &kRoleTags}, {"IsTruncated", &aws::kBoolean}});
AWS_SHAPE(ProfilesOut, {{"InstanceProfiles", &aws::kStrings}, {"IsTruncated", &aws::kBoolean}});
AWS_SHAPE(TagRole, {kRoleName, required("Tags", kRoleTags)});
// Nothing, in an element of its own: clients look for UpdateRoleResult.
AWS_SHAPE(Nothing, {{"Nothing", &kString}});
AWS_SHAPE(UntagRole, {kRoleName, required("TagKeys", aws::kStrings)});

constexpr aws::Operation kIamOperations[] = {
    operation("AttachRolePolicy", Op::attach, kRoleAndArn),
    operation("CreateRole", Op::create, kCreateRole, kRoleOut),
    operation("DeleteRole", Op::remove, kOnlyRole),
    operation("DeleteRolePolicy", Op::remove_policy, kRoleAndPolicy),
    operation("DetachRolePolicy", Op::detach, kRoleAndArn),
    operation("GetRole", Op::get, kOnlyRole, kRoleOut),
    operation("GetRolePolicy", Op::get_policy, kRoleAndPolicy, kPolicyOut),
    operation("ListAttachedRolePolicies", Op::list_attached, kRolePage, kAttachedOut),
    operation("ListInstanceProfilesForRole", Op::list_profiles, kRolePage, kProfilesOut),
    operation("ListRolePolicies", Op::list_policies, kRolePage, kNamesOut),
    operation("ListRoleTags", Op::list_tags, kRolePage, kTagsOfRole),
    operation("ListRoles", Op::list, kListRoles, kRolesOut),
    operation("PutRolePolicy", Op::put_policy, kPutPolicy),
    operation("TagRole", Op::tag, kTagRole),
    operation("UntagRole", Op::untag, kUntagRole),
    operation("UpdateAssumeRolePolicy", Op::update_trust, kUpdateTrust),
    operation("UpdateRole", Op::update, kUpdateRole, kNothing),
};

constexpr aws::Contract make_iam_contract() {
  aws::Contract made;
  made.name = "iam";
  made.api_version = "2010-05-08";
  made.operations = kIamOperations;
  made.query = true;
  made.xml_namespace = "https://iam.amazonaws.com/doc/2010-05-08/";
  return made;
}
constexpr aws::Contract kIamContract = make_iam_contract();

Fault no_entity(std::string message) {
  return {"NoSuchEntity", std::move(message), 404};
}

Fault validation(std::string message) {
  return {"ValidationError", std::move(message)};
}

bool is_iam_name(std::string_view name, std::size_t max) {
  return !name.empty() && name.size() <= max && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

Outcome<void> check_document(const std::string& document) {
  boost::system::error_code failed;
  const json::value value = json::parse(document, failed);
  if (failed || !value.is_object() || document.size() > kDocumentMax)
    return Fault{"MalformedPolicyDocument",
                 "This policy contains invalid Json: it must be an object of up to 10,240 "
                 "characters."};
  return boost::system::in_place_value;
}

// Documents travel as RFC 3986 wants URLs.
std::string encoded_document(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_' || c == '.' || c == '~') {
      out += c;
      continue;
    }
    out += '%';
    out += kDigits[static_cast<std::uint8_t>(c) >> 4];
    out += kDigits[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

Outcome<void> check_role(const Role& role) {
  if (!is_iam_name(role.name, 64))
    return validation(
        "The specified value for roleName is invalid. It must contain only alphanumeric "
        "characters and/or the following: +=,.@_- and have up to 64 of them");
  if (!role.path.starts_with('/') || !role.path.ends_with('/') || role.path.size() > 512)
    return validation("The specified value for path is invalid: it begins and ends with /.");
  if (role.session_s < 3600 || role.session_s > 43'200)
    return validation("MaxSessionDuration must be between 3600 and 43200.");
  if (role.description.size() > 1'000) return validation("The description is too long.");
  if (role.tags.size() > kTagsMax || role.attached.size() > kPoliciesMax ||
      role.policies.size() > kPoliciesMax)
    return Fault{"LimitExceeded", "A role has up to 50 tags and 50 policies of either kind.", 409};
  for (const auto& [key, value] : role.tags)
    if (key.empty() || key.size() > 128 || value.size() > 256)
      return validation("A tag has a key of 1 to 128 characters and a value of up to 256.");
  return check_document(role.trust);
}

Fault role_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return no_entity(error.message);
    case Code::already_exists:
      return {"EntityAlreadyExists", error.message, 409};
    case Code::conflict:
      return {"ConcurrentModification",
              "The request was rejected because multiple requests to change this object were "
              "submitted simultaneously.",
              409};
    case Code::resource_exhausted:
      return {"LimitExceeded", error.message, 409};
    default:
      return aws::fault_of(error);
  }
}

// What a call changes of a role.
Outcome<void> apply(const Call& call, Role& role) {
  const json::object& input = call.input;
  const std::string arn = text_member(input, "PolicyArn"),
                    policy = text_member(input, "PolicyName");
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::attach:
      if (!arn.starts_with("arn:") || arn.find(":policy/") == std::string::npos ||
          arn.size() > 2'048)
        return validation("ARN " + arn.substr(0, 200) + " is not valid.");
      role.attached[arn] = arn.substr(arn.rfind('/') + 1);
      break;
    case Op::detach:
      if (role.attached.erase(arn) == 0)
        return no_entity("Policy " + arn.substr(0, 200) + " was not found.");
      break;
    case Op::put_policy:
      if (!is_iam_name(policy, 128)) return validation("The policy's name is invalid.");
      AWS_TRY(check_document(text_member(input, "PolicyDocument")));
      role.policies[policy] = text_member(input, "PolicyDocument");
      break;
    case Op::remove_policy:
      if (role.policies.erase(policy) == 0)
        return no_entity("The role policy with name " + policy.substr(0, 130) +
                         " cannot be found.");
      break;
    case Op::tag:
      for (auto& [key, value] : tags_member(input, "Tags")) role.tags[key] = value;
      break;
    case Op::untag:
      for (const auto& key : texts_member(input, "TagKeys")) role.tags.erase(key);
      break;
    case Op::update_trust:
      role.trust = text_member(input, "PolicyDocument");
      break;
    default:  // update
      if (input.contains("Description")) role.description = text_member(input, "Description");
      role.session_s = number_member(input, "MaxSessionDuration", role.session_s);
  }
  return check_role(role);
}

}  // namespace

const aws::Contract& Iam::contract() const {
  return kIamContract;
}

json::object Iam::render(const Role& role) const {
  json::object out{{"Path", role.path},
                   {"RoleName", role.name},
                   {"RoleId", role.id},
                   {"Arn", "arn:aws:iam::" + account_ + ":role" + role.path + role.name},
                   {"CreateDate", static_cast<double>(to_epoch_us(role.created)) / 1e6},
                   {"AssumeRolePolicyDocument", encoded_document(role.trust)},
                   {"MaxSessionDuration", role.session_s}};
  if (!role.description.empty()) out["Description"] = role.description;
  if (!role.tags.empty()) out["Tags"] = tags_list(role.tags);
  return out;
}

io::Task<Outcome<json::object>> Iam::call(Call call) {
  const auto op = static_cast<Op>(call.operation->tag);
  if (op == Op::create) return create_role(std::move(call));
  if (op == Op::list) return answered(list_roles(call));
  const std::string name = text_member(call.input, "RoleName");
  auto role = roles_.find(name);
  if (!role)
    return answered(no_entity("The role with name " + name.substr(0, 100) + " cannot be found."));
  switch (op) {
    case Op::remove:
      return delete_role(std::move(role));
    case Op::get:
    case Op::get_policy:
    case Op::list_attached:
    case Op::list_profiles:
    case Op::list_policies:
    case Op::list_tags:
      return answered(look_at(call, *role));
    default:
      return change_role(std::move(call), std::move(role));
  }
}

Iam::Answer Iam::create_role(Call call) {
  Role role;
  role.name = text_member(call.input, "RoleName");
  role.trust = text_member(call.input, "AssumeRolePolicyDocument");
  role.description = text_member(call.input, "Description");
  role.session_s = number_member(call.input, "MaxSessionDuration", role.session_s);
  role.tags = tags_member(call.input, "Tags");
  if (call.input.contains("Path")) role.path = text_member(call.input, "Path");
  if (auto good = check_role(role); good.has_error()) co_return std::move(good).error();
  auto creating = roles_.create(std::move(role));
  const auto made = co_await std::move(creating);
  if (made.has_error()) co_return role_fault(made.error());
  Object out;
  out["Role"] = render(**made);
  co_return out;
}

Iam::Answer Iam::delete_role(identity::RolePtr role) {
  if (!role->attached.empty())
    co_return Fault{"DeleteConflict", "Cannot delete entity, must detach all policies first.", 409};
  if (!role->policies.empty())
    co_return Fault{"DeleteConflict", "Cannot delete entity, must delete policies first.", 409};
  auto removing = roles_.remove(std::move(role));
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return role_fault(removed.error());
  co_return Object();
}

Iam::Answer Iam::change_role(Call call, identity::RolePtr role) {
  Role changed = *role;
  if (auto good = apply(call, changed); good.has_error()) co_return std::move(good).error();
  auto changing = roles_.change(std::move(role), std::move(changed));
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return role_fault(done.error());
  co_return Object();
}

Outcome<json::object> Iam::look_at(const Call& call, const Role& role) const {
  Object out;
  json::array list;
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::get:
      out["Role"] = render(role);
      return out;
    case Op::get_policy: {
      const std::string name = text_member(call.input, "PolicyName");
      const auto found = role.policies.find(name);
      if (found == role.policies.end())
        return no_entity("The role policy with name " + name.substr(0, 130) + " cannot be found.");
      out["RoleName"] = role.name;
      out["PolicyName"] = name;
      out["PolicyDocument"] = encoded_document(found->second);
      return out;
    }
    case Op::list_attached:
      for (const auto& [arn, name] : role.attached)
        list.push_back(Object{{"PolicyName", name}, {"PolicyArn", arn}});
      out["AttachedPolicies"] = std::move(list);
      break;
    case Op::list_policies:
      for (const auto& [name, document] : role.policies) list.emplace_back(name);
      out["PolicyNames"] = std::move(list);
      break;
    case Op::list_tags:
      out["Tags"] = tags_list(role.tags);
      break;
    default:
      out["InstanceProfiles"] = std::move(list);
  }
  out["IsTruncated"] = false;
  return out;
}

json::object Iam::list_roles(const Call& call) const {
  const std::string prefix = text_member(call.input, "PathPrefix");
  const auto max = std::clamp<std::int64_t>(number_member(call.input, "MaxItems", 100), 1,
                                            static_cast<std::int64_t>(kPageMax));
  std::vector<identity::RolePtr> roles = roles_.list();
  std::erase_if(roles, [&](const auto& role) { return !role->path.starts_with(prefix); });
  const auto name_of = [](const identity::RolePtr& role) { return role->name; };
  auto [page, next] =
      page_of(roles, text_member(call.input, "Marker"), static_cast<std::size_t>(max), name_of);
  json::array list;
  for (const auto& role : page) list.push_back(render(*role));
  Object out;
  out["Roles"] = std::move(list);
  out["IsTruncated"] = !next.empty();
  if (!next.empty()) out["Marker"] = next;
  return out;
}

}  // namespace mayfly::dialects::iam
