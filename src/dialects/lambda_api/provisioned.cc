// Provisioned concurrency: instances of a published version, or of those that an alias leads to,
// that stand ready whether they are called or not; and the least and most instances of a version.

#include <algorithm>
#include <set>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::Belongings;
using functions::Provisioned;
using functions::VersionPtr;

namespace {

constexpr std::int64_t kEnvironmentsMax = 15'000;

aws::Fault no_provisioned() {
  aws::Fault fault = not_found("No Provisioned Concurrency Config found for this function");
  fault.code = "ProvisionedConcurrencyConfigNotFoundException";
  return fault;
}

// The versions that a qualifier leads to.
std::set<std::uint64_t> targets_of(const Belongings& belongings, const std::string& qualifier,
                                   std::uint64_t version) {
  const auto alias = belongings.aliases.find(qualifier);
  if (alias == belongings.aliases.end()) return {version};
  std::set<std::uint64_t> all{alias->second.version};
  for (const auto& [number, share] : alias->second.weights) all.insert(number);
  return all;
}

// A version has its instances of its own config or of that of one alias, not of several.
Outcome<void> check_overlap(const Belongings& belongings, const std::string& qualifier,
                            const std::set<std::uint64_t>& targets) {
  for (const auto& [name, provisioned] : belongings.provisioned) {
    if (name == qualifier) continue;
    const bool alias = belongings.aliases.contains(name);
    for (const std::uint64_t target : targets) {
      if (!alias && name == std::to_string(target))
        return invalid_parameter(
            "Alias can't be used for Provisioned Concurrency configuration on an already "
            "Provisioned version");
      if (alias && targets_of(belongings, name, 0).contains(target))
        return invalid_parameter(
            "Version can't be used for Provisioned Concurrency configuration on an already "
            "Provisioned alias");
    }
  }
  return boost::system::in_place_value;
}

std::uint64_t all_provisioned(const Belongings& belongings, const std::string& but) {
  std::uint64_t sum = 0;
  for (const auto& [name, one] : belongings.provisioned)
    if (name != but) sum += one.calls;
  return sum;
}

}  // namespace

void LambdaApi::keep_warm(const std::string& function) {
  for (const auto& version : parts_.catalogue.versions(function)) parts_.dispatcher.keep(version);
}

LambdaApi::Object LambdaApi::provisioned_info(const std::string& function,
                                              const std::string& qualifier,
                                              const Provisioned& provisioned) const {
  const auto& belongings = parts_.catalogue.belongings(function);
  std::uint64_t ready = 0;
  std::string failure;
  const VersionPtr found = parts_.catalogue.find(function, qualifier);
  for (const std::uint64_t number : targets_of(belongings, qualifier, found ? found->number : 0)) {
    const VersionPtr version = parts_.catalogue.find(function, std::to_string(number));
    const auto pool = version ? parts_.dispatcher.pool_of(*version) : std::nullopt;
    if (!pool) continue;
    ready +=
        std::min<std::uint64_t>(std::uint64_t{pool->instances} * std::max(1u, version->concurrency),
                                functions::provisioned_calls(belongings, number));
    if (pool->instances == 0 && failure.empty()) failure = pool->start_failure;
  }
  ready = std::min<std::uint64_t>(ready, provisioned.calls);
  Object out{{"RequestedProvisionedConcurrentExecutions", provisioned.calls},
             {"AvailableProvisionedConcurrentExecutions", ready},
             {"AllocatedProvisionedConcurrentExecutions", ready},
             {"Status", "IN_PROGRESS"},
             {"LastModified", lambda_time(provisioned.changed_us)}};
  if (ready == provisioned.calls) {
    out["Status"] = "READY";
  } else if (!failure.empty()) {
    out["Status"] = "FAILED";
    out["StatusReason"] = "FUNCTION_ERROR_INIT_FAILURE: " + failure.substr(0, 500);
  }
  return out;
}

Outcome<void> LambdaApi::check_provisioned(const FunctionRef& ref,
                                           const functions::Version& version,
                                           std::int64_t calls) const {
  if (calls < 1)
    return validation(std::to_string(calls), "provisionedConcurrentExecutions",
                      "Member must have value greater than or equal to 1");
  const auto& belongings = parts_.catalogue.belongings(ref.name);
  const auto targets = targets_of(belongings, ref.qualifier, version.number);
  if (targets.contains(0))
    return invalid_parameter(
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
  AWS_TRY(check_overlap(belongings, ref.qualifier, targets));
  if (version.model == functions::Model::stdio)
    return invalid_parameter(
        "A program of this kind is started for each call: none can be kept ready.");
  const std::uint32_t most = version.settings.instances_max;
  if (most != 0 && calls > std::int64_t{most} * std::max(1u, version.concurrency))
    return invalid_parameter("The function has at most " + std::to_string(most) +
                             " instances (its setting max).");
  const std::uint64_t own = all_provisioned(belongings, ref.qualifier);
  if (belongings.reserved_concurrency &&
      own + static_cast<std::uint64_t>(calls) > *belongings.reserved_concurrency)
    return invalid_parameter(
        "Requested Provisioned Concurrency should not be greater than the "
        "reservedConcurrentExecution for function");
  std::uint64_t all = own;
  for (const auto& latest : parts_.catalogue.list())
    if (latest->function != ref.name)
      all += all_provisioned(parts_.catalogue.belongings(latest->function), "");
  if (all + static_cast<std::uint64_t>(calls) > parts_.settings.concurrency_max)
    return invalid_parameter("All provisioned concurrency together would be over " +
                             std::to_string(parts_.settings.concurrency_max) +
                             " (setting lambda.concurrency_max).");
  return boost::system::in_place_value;
}

LambdaApi::Answer LambdaApi::put_provisioned(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const std::int64_t calls = number_member(call.input, "ProvisionedConcurrentExecutions", 0);
  if (auto good = check_provisioned(ref, **version, calls); good.has_error())
    co_return std::move(good).error();
  const Provisioned wanted{static_cast<std::uint32_t>(calls), to_epoch_us(parts_.clock.wall_now())};
  auto changing = parts_.catalogue.change_belongings(
      ref.name, [wanted, name = ref.qualifier](Belongings& belongings) {
        belongings.provisioned[name] = wanted;
        return ok();
      });
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return lambda_fault(done.error());
  keep_warm(ref.name);
  co_return provisioned_info(ref.name, ref.qualifier, wanted);
}

LambdaApi::Answer LambdaApi::get_provisioned(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (ref.qualifier.empty()) co_return invalid_parameter("Qualifier names a version or an alias.");
  const auto& all = parts_.catalogue.belongings(ref.name).provisioned;
  const auto found = all.find(ref.qualifier);
  if (found == all.end()) co_return no_provisioned();
  co_return provisioned_info(ref.name, ref.qualifier, found->second);
}

LambdaApi::Answer LambdaApi::list_provisioned(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const auto& kept = parts_.catalogue.belongings(ref.name).provisioned;
  const std::vector<std::pair<std::string, Provisioned>> all(kept.begin(), kept.end());
  auto page = lambda_page(all, call.input, 50, [](const auto& one) { return one.first; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& [name, provisioned] : page->first) {
    Object one = provisioned_info(ref.name, name, provisioned);
    one["FunctionArn"] = home_.arn(ref.name, name);
    list.push_back(std::move(one));
  }
  Object out{{"ProvisionedConcurrencyConfigs", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_provisioned(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (!parts_.catalogue.belongings(ref.name).provisioned.contains(ref.qualifier))
    co_return no_provisioned();
  auto changing =
      parts_.catalogue.change_belongings(ref.name, [name = ref.qualifier](Belongings& belongings) {
        belongings.provisioned.erase(name);
        return ok();
      });
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return lambda_fault(done.error());
  keep_warm(ref.name);
  co_return Object{};
}

LambdaApi::Answer LambdaApi::scaling_config(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (ref.qualifier.empty()) co_return validation("null", "qualifier", "Member must not be null");
  if (version_text(**version) != ref.qualifier)
    co_return invalid_parameter("A scaling config is of a version: name a number or $LATEST.");
  if (static_cast<Op>(call.operation->tag) == Op::put_scaling) {
    const auto* wanted = object_member(call.input, "FunctionScalingConfig");
    const Object none;
    const Object& config = wanted ? *wanted : none;
    const std::int64_t least = number_member(config, "MinExecutionEnvironments", 0);
    const std::int64_t most = number_member(config, "MaxExecutionEnvironments", 0);
    for (const std::int64_t number : {least, most})
      if (number < 0 || number > kEnvironmentsMax)
        co_return validation(std::to_string(number), "functionScalingConfig",
                             "Member must have value from 0 to 15000");
    auto adjusting = parts_.catalogue.adjust(
        ref.name, (*version)->number, [least, most](functions::Version& changed) {
          changed.settings.instances_min = static_cast<std::uint32_t>(least);
          changed.settings.instances_max = static_cast<std::uint32_t>(most);
          return ok();
        });
    auto adjusted = co_await std::move(adjusting);
    if (adjusted.has_error()) co_return lambda_fault(adjusted.error());
    parts_.dispatcher.adopt(*adjusted);
    co_return Object{{"FunctionState", "Active"}};
  }
  const auto& settings = (*version)->settings;
  Object config{{"MinExecutionEnvironments", settings.instances_min}};
  if (settings.instances_max != 0) config["MaxExecutionEnvironments"] = settings.instances_max;
  co_return Object{{"FunctionArn", home_.arn(ref.name, ref.qualifier)},
                   {"AppliedFunctionScalingConfig", config},
                   {"RequestedFunctionScalingConfig", config}};
}

}  // namespace mayfly::dialects::lambda_api
