// Layers: published, described, listed, removed, and given to functions.

#include "dialects/lambda_api/layers.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"
#include "dialects/lambda_api/policies.h"
#include "functions/checks.h"
#include "functions/layers.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::LayerVersion;
using functions::LayerVersionPtr;

namespace {

constexpr std::string_view kLayerAction = "lambda:GetLayerVersion";

Outcome<void> check_length(const std::string& value, std::string_view member, std::size_t max) {
  if (value.size() <= max) return {};
  return validation(value.substr(0, 40) + "...", member,
                    "Member must have length less than or equal to " + std::to_string(max));
}

bool holds(const std::vector<std::string>& list, const std::string& wanted) {
  return wanted.empty() || std::find(list.begin(), list.end(), wanted) != list.end();
}

bool fits(const LayerVersion& layer, const json::object& input) {
  return holds(layer.runtimes, text_member(input, "CompatibleRuntime")) &&
         holds(layer.architectures, text_member(input, "CompatibleArchitecture"));
}

json::array texts_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

json::object layer_statement(const json::object& input, const std::string& arn) {
  const std::string principal = text_member(input, "Principal");
  json::object statement{{"Sid", text_member(input, "StatementId")}, {"Effect", "Allow"}};
  if (principal == "*")
    statement["Principal"] = "*";
  else
    statement["Principal"] = json::object{
        {"AWS", principal.starts_with("arn:") ? principal : "arn:aws:iam::" + principal + ":root"}};
  statement["Action"] = kLayerAction;
  statement["Resource"] = arn;
  if (const std::string organisation = text_member(input, "OrganizationId"); !organisation.empty())
    statement["Condition"] =
        json::object{{"StringEquals", json::object{{"aws:PrincipalOrgID", organisation}}}};
  return statement;
}

}  // namespace

Outcome<void> check_layer(const LayerVersion& layer) {
  if (auto good = check_length(layer.description, "description", 256); good.has_error())
    return good;
  if (auto good = check_length(layer.license, "licenseInfo", 512); good.has_error()) return good;
  if (layer.runtimes.size() > 15)
    return validation("...", "compatibleRuntimes",
                      "Member must have length less than or equal to 15");
  for (const auto& runtime : layer.runtimes)
    if (auto good = check_length(runtime, "compatibleRuntimes", 64); good.has_error()) return good;
  for (const auto& architecture : layer.architectures)
    if (architecture != "x86_64" && architecture != "arm64")
      return validation(architecture.substr(0, 100), "compatibleArchitectures",
                        "Member must satisfy enum value set: [x86_64, arm64]");
  return {};
}

LambdaApi::Answer LambdaApi::call_layers(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::publish_layer:
      return publish_layer(std::move(call));
    case Op::get_layer:
    case Op::get_layer_by_arn:
      return get_layer(std::move(call));
    case Op::list_layers:
      return list_layers(std::move(call));
    case Op::list_layer_versions:
      return list_layer_versions(std::move(call));
    case Op::delete_layer:
      return delete_layer(std::move(call));
    case Op::add_layer_permission:
      return add_layer_permission(std::move(call));
    case Op::get_layer_policy:
      return get_layer_policy(std::move(call));
    case Op::remove_layer_permission:
      return remove_layer_permission(std::move(call));
    default:
      return answered(not_implemented(call.operation->name));
  }
}

Outcome<LayerVersionPtr> LambdaApi::layer_of(const Object& input) const {
  const bool by_arn = input.contains("Arn");
  auto ref =
      by_arn ? parse_layer(text_member(input, "Arn"))
             : parse_layer(text_member(input, "LayerName"), text_member(input, "VersionNumber"));
  if (ref.has_error()) return std::move(ref).error();
  if (ref->version == 0)
    return validation(text_member(input, "Arn").substr(0, 300), "arn",
                      "Member must be the ARN of a version of a layer");
  LayerVersionPtr layer = parts_.catalogue.layers().find(ref->name, ref->version);
  if (!layer) return not_found("The resource you requested does not exist.");
  return layer;
}

LambdaApi::Object LambdaApi::layer_info(const LayerVersion& layer) const {
  Object out{{"LayerVersionArn", home_.layer_arn(layer.name, layer.number)},
             {"Version", layer.number},
             {"Description", layer.description},
             {"CreatedDate", lambda_time(layer.created_us)}};
  if (!layer.runtimes.empty()) out["CompatibleRuntimes"] = texts_array(layer.runtimes);
  if (!layer.architectures.empty())
    out["CompatibleArchitectures"] = texts_array(layer.architectures);
  if (!layer.license.empty()) out["LicenseInfo"] = layer.license;
  return out;
}

LambdaApi::Answer LambdaApi::publish_layer(Call call) {
  auto ref = parse_layer(text_member(call.input, "LayerName"));
  if (ref.has_error()) co_return std::move(ref).error();
  if (ref->version != 0) co_return invalid_parameter("The name of a layer has no version.");
  LayerVersion layer;
  layer.name = ref->name;
  layer.description = text_member(call.input, "Description");
  layer.license = text_member(call.input, "LicenseInfo");
  layer.runtimes = texts_member(call.input, "CompatibleRuntimes");
  layer.architectures = texts_member(call.input, "CompatibleArchitectures");
  if (auto good = check_layer(layer); good.has_error()) co_return good.error();

  auto holding = parts_.keeper->hold();
  const auto hold = co_await std::move(holding);
  Object content = call.input.at("Content").get_object();
  auto taking = take_code(std::move(content));
  auto package = co_await std::move(taking);
  if (package.has_error()) co_return std::move(package).error();
  layer.package = std::move(*package);
  auto measuring = archive_bytes(layer.package);
  layer.archive_bytes = co_await std::move(measuring);
  layer.created_us = to_epoch_us(parts_.clock.wall_now());
  auto publishing = parts_.catalogue.layers().publish(std::move(layer));
  auto published = co_await std::move(publishing);
  if (published.has_error()) co_return lambda_fault(published.error());
  Call wanted = std::move(call);
  wanted.input = Object{{"LayerName", (*published)->name},
                        {"VersionNumber", std::to_string((*published)->number)}};
  auto getting = get_layer(std::move(wanted));
  co_return co_await std::move(getting);
}

LambdaApi::Answer LambdaApi::get_layer(Call call) {
  const auto layer = layer_of(call.input);
  if (layer.has_error()) co_return layer.error();
  Object out = layer_info(**layer);
  out["LayerArn"] = home_.layer_arn((*layer)->name);
  out["Content"] = Object{{"Location", package_link(call, (*layer)->package)},
                          {"CodeSha256", code_sha256((*layer)->package)},
                          {"CodeSize", (*layer)->archive_bytes}};
  co_return out;
}

LambdaApi::Answer LambdaApi::list_layers(Call call) {
  std::vector<LayerVersionPtr> newest;
  for (const auto& name : parts_.catalogue.layers().names())
    for (const auto& layer : parts_.catalogue.layers().versions(name))
      if (fits(*layer, call.input)) {
        newest.push_back(layer);
        break;
      }
  auto page = lambda_page(newest, call.input, 50, [](const auto& layer) { return layer->name; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& layer : page->first)
    list.push_back(Object{{"LayerName", layer->name},
                          {"LayerArn", home_.layer_arn(layer->name)},
                          {"LatestMatchingVersion", layer_info(*layer)}});
  Object out{{"Layers", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::list_layer_versions(Call call) {
  auto ref = parse_layer(text_member(call.input, "LayerName"));
  if (ref.has_error()) co_return std::move(ref).error();
  std::vector<LayerVersionPtr> matching;
  for (auto& layer : parts_.catalogue.layers().versions(ref->name))
    if (fits(*layer, call.input)) matching.push_back(std::move(layer));
  // Newest first: the key falls as the number rises.
  auto page = lambda_page(matching, call.input, 50, [](const auto& layer) {
    std::string key = std::to_string(UINT64_MAX - layer->number);
    return std::string(20 - key.size(), '0') + key;
  });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& layer : page->first) list.push_back(layer_info(*layer));
  Object out{{"LayerVersions", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_layer(Call call) {
  auto ref =
      parse_layer(text_member(call.input, "LayerName"), text_member(call.input, "VersionNumber"));
  if (ref.has_error()) co_return std::move(ref).error();
  if (const auto layer = parts_.catalogue.layers().find(ref->name, ref->version))
    parts_.keeper->touch(layer->package);
  auto removing = parts_.catalogue.layers().remove(ref->name, ref->version);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return lambda_fault(removed.error());
  parts_.keeper->collect();
  co_return Object{};
}

LambdaApi::Answer LambdaApi::add_layer_permission(Call call) {
  const auto layer = layer_of(call.input);
  if (layer.has_error()) co_return layer.error();
  if (text_member(call.input, "Action") != kLayerAction)
    co_return validation(text_member(call.input, "Action").substr(0, 100), "action",
                         "Member must satisfy regular expression pattern: lambda:GetLayerVersion");
  const auto now = policy_of((*layer)->policy);
  if (auto good = check_revision(call.input, text_member(now, "RevisionId")); good.has_error())
    co_return std::move(good).error();
  const json::object statement =
      layer_statement(call.input, home_.layer_arn((*layer)->name, (*layer)->number));
  auto changing = parts_.catalogue.layers().change(
      (*layer)->name, (*layer)->number, [statement](LayerVersion& changed) -> Status {
        auto policy = with_statement(changed.policy, statement);
        if (policy.has_error()) return std::move(policy).error();
        changed.policy = std::move(*policy);
        return ok();
      });
  const auto changed = co_await std::move(changing);
  if (changed.has_error()) {
    aws::Fault fault = lambda_fault(changed.error());
    if (changed.error().code == Code::too_large) fault.code = "PolicyLengthExceededException";
    co_return fault;
  }
  co_return Object{{"Statement", json::serialize(statement)},
                   {"RevisionId", text_member(policy_of((*changed)->policy), "RevisionId")}};
}

LambdaApi::Answer LambdaApi::get_layer_policy(Call call) {
  const auto layer = layer_of(call.input);
  if (layer.has_error()) co_return layer.error();
  const auto policy = policy_of((*layer)->policy);
  if (statements_of(policy).empty())
    co_return not_found("No policy is associated with the given resource.");
  co_return shown_policy(policy);
}

LambdaApi::Answer LambdaApi::remove_layer_permission(Call call) {
  const auto layer = layer_of(call.input);
  if (layer.has_error()) co_return layer.error();
  const auto now = policy_of((*layer)->policy);
  if (auto good = check_revision(call.input, text_member(now, "RevisionId")); good.has_error())
    co_return std::move(good).error();
  const std::string id = text_member(call.input, "StatementId");
  auto changing = parts_.catalogue.layers().change(
      (*layer)->name, (*layer)->number, [id](LayerVersion& changed) -> Status {
        auto policy = without_statement(changed.policy, id);
        if (policy.has_error()) return std::move(policy).error();
        changed.policy = std::move(*policy);
        return ok();
      });
  const auto changed = co_await std::move(changing);
  if (changed.has_error()) co_return lambda_fault(changed.error());
  co_return Object{};
}

Outcome<void> give_layers(const functions::Layers& layers, const Home& home,
                          const std::vector<std::string>& refs, Unversioned unversioned,
                          functions::Settings& settings) {
  if (refs.size() > functions::kLayersMax)
    return invalid_parameter("You cannot reference more than " +
                             std::to_string(functions::kLayersMax) + " layers.");
  std::vector<std::string> names, packages;
  json::array shown;
  for (const auto& text : refs) {
    const auto ref = parse_layer(text);
    if (ref.has_error()) return ref.error();
    LayerVersionPtr layer = layers.find(ref->name, ref->version);
    if (ref->version == 0 && unversioned == Unversioned::newest)
      if (const auto versions = layers.versions(ref->name); !versions.empty())
        layer = versions.front();
    if (!layer)
      return invalid_parameter("Layer version " + text.substr(0, 300) + " does not exist.");
    if (std::find(names.begin(), names.end(), layer->name) != names.end())
      return invalid_parameter(
          "Two different versions of the same layer are not allowed to be referenced in the same "
          "function. " +
          text.substr(0, 300));
    names.push_back(layer->name);
    packages.push_back(layer->package);
    shown.push_back(json::object{{"Arn", home.layer_arn(layer->name, layer->number)},
                                 {"CodeSize", layer->archive_bytes}});
  }
  settings.layers = std::move(packages);
  keep_layers(settings, std::move(shown));
  return {};
}

Outcome<void> LambdaApi::take_layers(const Object& input, functions::Settings& settings) const {
  if (!input.contains("Layers")) return {};
  return give_layers(parts_.catalogue.layers(), home_, texts_member(input, "Layers"),
                     Unversioned::refused, settings);
}

}  // namespace mayfly::dialects::lambda_api
