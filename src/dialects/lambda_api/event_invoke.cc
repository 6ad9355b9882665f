// How calls that nobody waits for are retried, and where they are told of: async settings of a
// version, changed without a deploy.

#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"
#include "triggers/targets.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::AsyncSettings;
using functions::VersionPtr;

namespace {

bool is_set(const AsyncSettings& async) {
  return async.retries >= 0 || async.max_age_s >= 0 || !async.on_success.empty() ||
         !async.on_failure.empty();
}

void clear_async(AsyncSettings& async) {
  AsyncSettings fresh;
  fresh.dead_letter = async.dead_letter;  // of the function's configuration
  async = std::move(fresh);
}

Outcome<void> take_target(const json::object& destinations, std::string_view when,
                          std::string& into) {
  const auto* one = object_member(destinations, when);
  if (one == nullptr) return boost::system::in_place_value;
  const std::string arn = text_member(*one, "Destination");
  into.clear();
  if (arn.empty()) return boost::system::in_place_value;
  const auto target = triggers::parse_target(arn);
  if (target.has_error())
    return invalid_parameter("The destination ARN " + arn.substr(0, 200) + " is invalid. " +
                             target.error().message);
  into = triggers::to_text(*target);
  return boost::system::in_place_value;
}

Outcome<void> take_async(const json::object& input, AsyncSettings& async) {
  if (input.contains("MaximumRetryAttempts")) {
    const std::int64_t retries = number_member(input, "MaximumRetryAttempts", 0);
    if (retries < 0 || retries > 2)
      return validation(std::to_string(retries), "maximumRetryAttempts",
                        "Member must have value from 0 to 2");
    async.retries = static_cast<std::int32_t>(retries);
  }
  if (input.contains("MaximumEventAgeInSeconds")) {
    const std::int64_t age = number_member(input, "MaximumEventAgeInSeconds", 60);
    if (age < 60 || age > 21'600)
      return validation(std::to_string(age), "maximumEventAgeInSeconds",
                        "Member must have value from 60 to 21600");
    async.max_age_s = age;
  }
  if (const auto* destinations = object_member(input, "DestinationConfig")) {
    AWS_TRY(take_target(*destinations, "OnSuccess", async.on_success));
    AWS_TRY(take_target(*destinations, "OnFailure", async.on_failure));
  }
  return boost::system::in_place_value;
}

aws::Fault no_config(const std::string& arn) {
  return not_found("The function " + arn + " doesn't have an EventInvokeConfig");
}

// Settings are of versions here: an alias has none of its own.
Outcome<void> check_alias(const FunctionRef& ref) {
  if (ref.qualifier.empty() || ref.qualifier == "$LATEST" ||
      ref.qualifier.find_first_not_of("0123456789") == std::string::npos)
    return boost::system::in_place_value;
  return invalid_parameter(
      "An event-invoke config is of a version here: name a number or $LATEST, not an alias.");
}

}  // namespace

LambdaApi::Object LambdaApi::event_invoke_info(const functions::Version& version,
                                               const std::string& qualifier) const {
  const AsyncSettings& async = version.settings.async;
  const auto destination = [&](const std::string& text) {
    Object one;
    const auto target = triggers::parse_target(text);
    if (!text.empty() && target.has_value())
      one["Destination"] = triggers::to_arn(*target, home_.region, home_.account);
    return one;
  };
  Object out{
      {"FunctionArn", home_.arn(version.function, qualifier.empty() ? "$LATEST" : qualifier)},
      {"LastModified", static_cast<double>(version.created_us / 1000) / 1e3},
      {"DestinationConfig", Object{{"OnSuccess", destination(async.on_success)},
                                   {"OnFailure", destination(async.on_failure)}}}};
  if (async.retries >= 0) out["MaximumRetryAttempts"] = async.retries;
  if (async.max_age_s >= 0) out["MaximumEventAgeInSeconds"] = async.max_age_s;
  return out;
}

LambdaApi::Answer LambdaApi::put_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (auto good = check_alias(ref); good.has_error()) co_return std::move(good).error();
  AsyncSettings async = (*version)->settings.async;
  if (static_cast<Op>(call.operation->tag) == Op::put_event_invoke)
    clear_async(async);
  else if (!is_set(async))
    co_return no_config(home_.arn(ref.name, ref.qualifier));
  auto taken = take_async(call.input, async);
  if (taken.has_error()) co_return std::move(taken).error();
  auto adjusting =
      parts_.catalogue.adjust(ref.name, (*version)->number, [async](functions::Version& changed) {
        changed.settings.async = async;
        return ok();
      });
  auto adjusted = co_await std::move(adjusting);
  if (adjusted.has_error()) co_return lambda_fault(adjusted.error());
  co_return event_invoke_info(**adjusted, ref.qualifier);
}

LambdaApi::Answer LambdaApi::get_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (!is_set((*version)->settings.async)) co_return no_config(home_.arn(ref.name, ref.qualifier));
  co_return event_invoke_info(**version, ref.qualifier);
}

LambdaApi::Answer LambdaApi::list_event_invokes(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  std::vector<VersionPtr> all;
  for (auto& each : parts_.catalogue.versions(ref.name))
    if (is_set(each->settings.async)) all.push_back(std::move(each));
  auto page = lambda_page(all, call.input, 50, [](const VersionPtr& one) {
    std::string number = std::to_string(one->number);
    return std::string(20 - std::min<std::size_t>(20, number.size()), '0') + number;
  });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& each : page->first)
    list.push_back(event_invoke_info(*each, version_text(*each)));
  Object out{{"FunctionEventInvokeConfigs", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (!is_set((*version)->settings.async)) co_return no_config(home_.arn(ref.name, ref.qualifier));
  auto adjusting =
      parts_.catalogue.adjust(ref.name, (*version)->number, [](functions::Version& changed) {
        clear_async(changed.settings.async);
        return ok();
      });
  auto adjusted = co_await std::move(adjusting);
  if (adjusted.has_error()) co_return lambda_fault(adjusted.error());
  co_return Object{};
}

}  // namespace mayfly::dialects::lambda_api
