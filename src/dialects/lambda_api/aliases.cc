// Aliases: names for one version, or for two by weight.

#include "base/ids.h"
#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::Alias;

namespace {

aws::Fault no_alias(const std::string& arn) {
  return not_found("Cannot find alias arn: " + arn);
}

// "$LATEST" or the number of a version that is there.
Outcome<std::uint64_t> alias_version(const functions::Catalogue& catalogue,
                                     const std::string& function, const std::string& text,
                                     const Home& home) {
  if (text == "$LATEST") return std::uint64_t{0};
  const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  const auto version = number ? catalogue.find(function, text) : nullptr;
  if (!version) return no_function(home.arn(function, text.substr(0, 128)));
  return version->number;
}

Outcome<void> take_weights(const functions::Catalogue& catalogue, const std::string& function,
                           const Home& home, const json::object& input, Alias& alias) {
  const auto* routing = object_member(input, "RoutingConfig");
  if (routing == nullptr) return boost::system::in_place_value;
  alias.weights.clear();
  const auto* weights = object_member(*routing, "AdditionalVersionWeights");
  if (weights == nullptr) return boost::system::in_place_value;
  if (weights->size() > 1)
    return invalid_parameter(
        "Number of items in AdditionalVersionWeights cannot be greater than 1");
  for (const auto& [text, share] : *weights) {
    auto version = alias_version(catalogue, function, std::string(text), home);
    if (version.has_error()) return std::move(version).error();
    const double weight = share.is_number() ? share.to_number<double>() : -1;
    if (!(weight >= 0 && weight <= 1))
      return validation(std::string(text), "routingConfig.additionalVersionWeights",
                        "Map value must satisfy constraint: [Member must have value from 0.0 to "
                        "1.0]");
    if (alias.version == 0 || *version == 0)
      return invalid_parameter(
          "$LATEST is not supported for an alias pointing to more than 1 version");
    if (*version == alias.version)
      return invalid_parameter("Invalid function version " + std::string(text) +
                               ". Function version " + std::string(text) +
                               " is already included in routing "
                               "configuration.");
    alias.weights[*version] = weight;
  }
  return boost::system::in_place_value;
}

}  // namespace

LambdaApi::Object LambdaApi::alias_info(const std::string& function, const std::string& name,
                                        const Alias& alias) const {
  Object out{{"AliasArn", home_.arn(function, name)},
             {"Name", name},
             {"FunctionVersion",
              alias.version == 0 ? std::string("$LATEST") : std::to_string(alias.version)},
             {"Description", alias.description},
             {"RevisionId", alias.revision}};
  if (!alias.weights.empty()) {
    Object weights;
    for (const auto& [version, share] : alias.weights) weights[std::to_string(version)] = share;
    out["RoutingConfig"] = Object{{"AdditionalVersionWeights", std::move(weights)}};
  }
  return out;
}

LambdaApi::Answer LambdaApi::put_alias(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  const bool creates = static_cast<Op>(call.operation->tag) == Op::create_alias;
  const std::string name = text_member(call.input, "Name");
  if (!functions::is_alias_name(name))
    co_return validation(name.substr(0, 200), "name",
                         "Member must satisfy regular expression pattern: "
                         "(?!^[0-9]+$)([a-zA-Z0-9-_]+)");
  const auto& aliases = parts_.catalogue.belongings(ref.name).aliases;
  const auto found = aliases.find(name);
  if (creates && found != aliases.end())
    co_return conflict("Alias already exists: " + home_.arn(ref.name, name));
  if (!creates && found == aliases.end()) co_return no_alias(home_.arn(ref.name, name));
  Alias alias = creates ? Alias() : found->second;
  const std::string before = alias.revision;
  if (auto good = check_revision(call.input, before); good.has_error()) co_return good.error();
  if (call.input.contains("FunctionVersion")) {
    auto version = alias_version(parts_.catalogue, ref.name,
                                 text_member(call.input, "FunctionVersion"), home_);
    if (version.has_error()) co_return std::move(version).error();
    alias.version = *version;
  }
  if (call.input.contains("Description"))
    alias.description = text_member(call.input, "Description");
  if (alias.description.size() > 256)
    co_return validation(alias.description.substr(0, 40) + "...", "description",
                         "Member must have length less than or equal to 256");
  auto weighed = take_weights(parts_.catalogue, ref.name, home_, call.input, alias);
  if (weighed.has_error()) co_return std::move(weighed).error();
  const auto& provisioned = parts_.catalogue.belongings(ref.name).provisioned;
  if (alias.version == 0 && provisioned.contains(name))
    co_return invalid_parameter(
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
  alias.revision = new_uuid();
  auto changing = parts_.catalogue.change_belongings(
      ref.name, [name, alias, before](functions::Belongings& belongings) -> Status {
        const auto now = belongings.aliases.find(name);
        if ((now == belongings.aliases.end() ? "" : now->second.revision) != before)
          return Error{Code::conflict, "The alias was changed by somebody else meanwhile."};
        belongings.aliases[name] = alias;
        return ok();
      });
  const Status changed = co_await std::move(changing);
  if (changed.has_error()) co_return lambda_fault(changed.error());
  keep_warm(ref.name);
  parts_.changed();
  co_return alias_info(ref.name, name, alias);
}

LambdaApi::Answer LambdaApi::get_alias(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  const std::string name = text_member(call.input, "Name");
  const auto& aliases = parts_.catalogue.belongings(ref.name).aliases;
  const auto found = aliases.find(name);
  if (found == aliases.end()) co_return no_alias(home_.arn(ref.name, name.substr(0, 200)));
  co_return alias_info(ref.name, name, found->second);
}

LambdaApi::Answer LambdaApi::list_aliases(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  const std::string version = text_member(call.input, "FunctionVersion");
  std::vector<std::pair<std::string, Alias>> all;
  for (const auto& [name, alias] : parts_.catalogue.belongings(ref.name).aliases) {
    const std::string own = alias.version == 0 ? "$LATEST" : std::to_string(alias.version);
    if (version.empty() || version == own) all.emplace_back(name, alias);
  }
  auto page = lambda_page(all, call.input, 50, [](const auto& one) { return one.first; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& [name, alias] : page->first) list.push_back(alias_info(ref.name, name, alias));
  Object out{{"Aliases", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_alias(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  const std::string name = text_member(call.input, "Name");
  auto changing =
      parts_.catalogue.change_belongings(ref.name, [name](functions::Belongings& belongings) {
        belongings.aliases.erase(name);
        belongings.provisioned.erase(name);
        // Its URL and its policy: an alias of that name that comes later starts with nothing.
        std::erase_if(belongings.other,
                      [&name](const auto& one) { return one.first.ends_with(":" + name); });
        return ok();
      });
  const Status changed = co_await std::move(changing);
  if (changed.has_error()) co_return lambda_fault(changed.error());
  keep_warm(ref.name);
  parts_.changed();
  co_return Object{};
}

}  // namespace mayfly::dialects::lambda_api
