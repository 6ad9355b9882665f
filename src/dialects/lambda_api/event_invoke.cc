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

// The config of an alias is its own, that of a version is with its settings.
bool is_alias(const FunctionRef& ref) {
  return functions::is_alias_name(ref.qualifier);
}

AsyncSettings settings_of(const functions::Catalogue& catalogue, const FunctionRef& ref,
                          const functions::Version& version) {
  if (!is_alias(ref)) return version.settings.async;
  return functions::alias_async(catalogue.belongings(ref.name), ref.qualifier)
      .value_or(AsyncSettings());
}

}  // namespace

LambdaApi::Object LambdaApi::event_invoke_info(const std::string& function,
                                               const std::string& qualifier,
                                               const AsyncSettings& async,
                                               std::int64_t changed_us) const {
  const auto destination = [&](const std::string& text) {
    Object one;
    const auto target = triggers::parse_target(text);
    if (!text.empty() && target.has_value())
      one["Destination"] = triggers::to_arn(*target, home_.region, home_.account);
    return one;
  };
  Object out{{"FunctionArn", home_.arn(function, qualifier.empty() ? "$LATEST" : qualifier)},
             {"LastModified", static_cast<double>(changed_us / 1000) / 1e3},
             {"DestinationConfig", Object{{"OnSuccess", destination(async.on_success)},
                                          {"OnFailure", destination(async.on_failure)}}}};
  if (async.retries >= 0) out["MaximumRetryAttempts"] = async.retries;
  if (async.max_age_s >= 0) out["MaximumEventAgeInSeconds"] = async.max_age_s;
  return out;
}

io::Task<Status> LambdaApi::keep_event_invoke(FunctionRef ref, std::uint64_t number,
                                              AsyncSettings async) {
  if (is_alias(ref)) {
    auto changing = parts_.catalogue.change_belongings(
        ref.name, [async, name = ref.qualifier](functions::Belongings& belongings) -> Status {
          const auto alias = belongings.aliases.find(name);
          if (alias == belongings.aliases.end())
            return Error{Code::not_found, "The alias has gone meanwhile."};
          alias->second.async = is_set(async) ? std::optional(async) : std::nullopt;
          return ok();
        });
    co_return co_await std::move(changing);
  }
  auto adjusting = parts_.catalogue.adjust(ref.name, number, [async](functions::Version& changed) {
    changed.settings.async = async;
    return ok();
  });
  auto adjusted = co_await std::move(adjusting);
  if (adjusted.has_error()) co_return std::move(adjusted).error();
  co_return ok();
}

LambdaApi::Answer LambdaApi::put_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  AsyncSettings async = settings_of(parts_.catalogue, ref, **version);
  if (static_cast<Op>(call.operation->tag) == Op::put_event_invoke)
    clear_async(async);
  else if (!is_set(async))
    co_return no_config(home_.arn(ref.name, ref.qualifier));
  auto taken = take_async(call.input, async);
  if (taken.has_error()) co_return std::move(taken).error();
  if (!is_set(async))
    co_return invalid_parameter("You must specify at least one of the config's parameters.");
  auto keeping = keep_event_invoke(ref, (*version)->number, async);
  const Status kept = co_await std::move(keeping);
  if (kept.has_error()) co_return lambda_fault(kept.error());
  co_return event_invoke_info(ref.name, ref.qualifier, async, (*version)->created_us);
}

LambdaApi::Answer LambdaApi::get_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const AsyncSettings async = settings_of(parts_.catalogue, ref, **version);
  if (!is_set(async)) co_return no_config(home_.arn(ref.name, ref.qualifier));
  co_return event_invoke_info(ref.name, ref.qualifier, async, (*version)->created_us);
}

LambdaApi::Answer LambdaApi::list_event_invokes(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  struct Row {
    std::string key, qualifier;
    AsyncSettings async;
    std::int64_t changed_us;
  };
  std::vector<Row> all;  // versions by number, then aliases
  for (const auto& each : parts_.catalogue.versions(ref.name)) {
    const std::string number = std::to_string(each->number);
    if (is_set(each->settings.async))
      all.push_back({std::string(20 - std::min<std::size_t>(20, number.size()), '0') + number,
                     version_text(*each), each->settings.async, each->created_us});
  }
  for (const auto& [name, alias] : parts_.catalogue.belongings(ref.name).aliases)
    if (alias.async) all.push_back({"alias " + name, name, *alias.async, (*version)->created_us});
  auto page = lambda_page(all, call.input, 50, [](const Row& row) { return row.key; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& row : page->first)
    list.push_back(event_invoke_info(ref.name, row.qualifier, row.async, row.changed_us));
  Object out{{"FunctionEventInvokeConfigs", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_event_invoke(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  AsyncSettings async = settings_of(parts_.catalogue, ref, **version);
  if (!is_set(async)) co_return no_config(home_.arn(ref.name, ref.qualifier));
  clear_async(async);
  auto keeping = keep_event_invoke(ref, (*version)->number, std::move(async));
  const Status kept = co_await std::move(keeping);
  if (kept.has_error()) co_return lambda_fault(kept.error());
  co_return Object{};
}

}  // namespace mayfly::dialects::lambda_api
