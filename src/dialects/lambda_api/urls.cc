// Function URLs: kept with the function, one for itself and one for each alias.

#include "dialects/lambda_api/urls.h"

#include <fmt/chrono.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

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
using functions::Belongings;

namespace {

constexpr std::string_view kUrlKey = "aws.url";  // and :ALIAS
constexpr std::size_t kCorsListMax = 100;

std::string url_key(const std::string& qualifier) {
  return qualifier.empty() || qualifier == "$LATEST" ? std::string(kUrlKey)
                                                     : std::string(kUrlKey) + ":" + qualifier;
}

std::string alias_of(std::string_view key) {
  return key.size() > kUrlKey.size() ? std::string(key.substr(kUrlKey.size() + 1)) : "";
}

bool is_url_key(std::string_view key) {
  return key == kUrlKey || key.starts_with(std::string(kUrlKey) + ":");
}

json::object parsed(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed || !value.is_object() ? json::object() : std::move(value.get_object());
}

functions::Cors cors_of(const json::object& config) {
  functions::Cors cors;
  cors.max_age_s = 0;
  const auto* given = object_member(config, "Cors");
  if (given == nullptr) return cors;
  cors.allow_origins = texts_member(*given, "AllowOrigins");
  cors.allow_methods = texts_member(*given, "AllowMethods");
  cors.allow_headers = texts_member(*given, "AllowHeaders");
  cors.expose_headers = texts_member(*given, "ExposeHeaders");
  cors.allow_credentials = flag_member(*given, "AllowCredentials");
  cors.max_age_s = static_cast<std::uint32_t>(number_member(*given, "MaxAge", 0));
  return cors;
}

json::object cors_object(const functions::Cors& cors) {
  json::object out;
  const auto list = [&out](std::string_view member, const std::vector<std::string>& texts) {
    if (!texts.empty()) out[member] = json::array(texts.begin(), texts.end());
  };
  list("AllowOrigins", cors.allow_origins);
  list("AllowMethods", cors.allow_methods);
  list("AllowHeaders", cors.allow_headers);
  list("ExposeHeaders", cors.expose_headers);
  if (cors.allow_credentials) out["AllowCredentials"] = true;
  if (cors.max_age_s != 0) out["MaxAge"] = cors.max_age_s;
  return out;
}

bool asks_signatures(const json::object& config) {
  return text_member(config, "AuthType") != "NONE";
}

bool streams(const json::object& config) {
  return text_member(config, "InvokeMode") == "RESPONSE_STREAM";
}

Outcome<void> check_cors(const json::object& cors) {
  const std::int64_t age = number_member(cors, "MaxAge", 0);
  if (age < 0 || age > 86'400)
    return validation(std::to_string(age), "cors.maxAge", "Member must have value from 0 to 86400");
  for (const std::string_view list :
       {"AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders"}) {
    const auto items = texts_member(cors, list);
    if (items.size() > kCorsListMax)
      return validation(std::to_string(items.size()) + " items", "cors." + std::string(list),
                        "Member must have length less than or equal to 100");
    for (const auto& item : items)
      if (item.empty() || item.size() > 1024 ||
          item.find_first_of(std::string_view(" ,\r\n\t\0", 6)) != std::string::npos)
        return validation(item.substr(0, 100), "cors." + std::string(list),
                          "Member must be a value without blanks and commas");
  }
  return boost::system::in_place_value;
}

// What of input is there goes into config.
Outcome<void> take_url_members(const json::object& input, json::object& config) {
  if (input.contains("AuthType")) {
    const std::string type = text_member(input, "AuthType");
    if (type != "NONE" && type != "AWS_IAM")
      return validation(type.substr(0, 100), "authType",
                        "Member must satisfy enum value set: [NONE, AWS_IAM]");
    config["AuthType"] = type;
  }
  if (input.contains("InvokeMode")) {
    const std::string mode = text_member(input, "InvokeMode");
    if (mode != "BUFFERED" && mode != "RESPONSE_STREAM")
      return validation(mode.substr(0, 100), "invokeMode",
                        "Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]");
    config["InvokeMode"] = mode;
  }
  if (const auto* cors = object_member(input, "Cors")) {
    AWS_TRY(check_cors(*cors));
    if (cors->empty())
      config.erase("Cors");
    else
      config["Cors"] = *cors;
  }
  return boost::system::in_place_value;
}

// A URL is of the function or of one of its aliases.
Outcome<void> check_url_qualifier(const FunctionRef& ref) {
  if (ref.qualifier.empty() || ref.qualifier == "$LATEST" ||
      functions::is_alias_name(ref.qualifier))
    return boost::system::in_place_value;
  return validation(ref.qualifier.substr(0, 100), "qualifier",
                    "Member must satisfy regular expression pattern: "
                    "(^\\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))");
}

std::string url_time(WallTime now) {
  const std::int64_t us = to_epoch_us(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                     fmt::gmtime(static_cast<std::time_t>(us / 1'000'000)), us % 1'000'000);
}

aws::Fault no_url() {
  return not_found("The resource you requested does not exist.");
}

}  // namespace

std::shared_ptr<const gateway::UrlTarget> UrlBook::find(std::string_view id) {
  if (!built_ || generation_ != catalogue_.generation()) {
    targets_.clear();
    for (const auto& latest : catalogue_.list()) {
      for (const auto& [key, text] : catalogue_.belongings(latest->function).other) {
        if (!is_url_key(key)) continue;
        const json::object config = parsed(text);
        auto target = std::make_shared<gateway::UrlTarget>();
        target->id = text_member(config, "UrlId");
        const std::string alias = alias_of(key);
        target->function = alias.empty() ? latest->function : latest->function + ":" + alias;
        target->iam = asks_signatures(config);
        target->streaming = streams(config);
        target->cors = cors_of(config);
        targets_[target->id] = std::move(target);
      }
    }
    generation_ = catalogue_.generation();
    built_ = true;
  }
  const auto found = targets_.find(id);
  return found == targets_.end() ? nullptr : found->second;
}

std::string url_address(std::string_view base, std::string_view id) {
  return fmt::format("{}/url/{}/", base, id);
}

std::string url_id(const Belongings& belongings, const std::string& qualifier) {
  const auto there = belongings.other.find(url_key(qualifier));
  return there == belongings.other.end() ? "" : text_member(parsed(there->second), "UrlId");
}

UrlWish url_wish(const Belongings& belongings, const std::string& qualifier) {
  const auto there = belongings.other.find(url_key(qualifier));
  if (there == belongings.other.end()) return {};
  const json::object config = parsed(there->second);
  return {asks_signatures(config), streams(config), cors_of(config)};
}

void put_url(Belongings& belongings, const std::string& qualifier, const UrlWish& wish,
             const std::string& new_id, WallTime now) {
  std::string& text = belongings.other[url_key(qualifier)];
  json::object config = text.empty() ? json::object() : parsed(text);
  if (!config.contains("UrlId")) {
    config["UrlId"] = new_id;
    config["CreationTime"] = url_time(now);
  }
  config["LastModifiedTime"] = url_time(now);
  config["AuthType"] = wish.iam ? "AWS_IAM" : "NONE";
  config["InvokeMode"] = wish.streaming ? "RESPONSE_STREAM" : "BUFFERED";
  config.erase("Cors");
  if (!wish.cors.allow_origins.empty()) config["Cors"] = cors_object(wish.cors);
  text = json::serialize(config);
}

void remove_url(Belongings& belongings, const std::string& qualifier) {
  belongings.other.erase(url_key(qualifier));
}

LambdaApi::Object LambdaApi::url_info(const std::string& function, const std::string& alias,
                                      const std::string& text) const {
  Object out = parsed(text);
  out["FunctionUrl"] = url_address(gateway_url_, text_member(out, "UrlId"));
  out["FunctionArn"] = home_.arn(function, alias);
  out.erase("UrlId");
  return out;
}

LambdaApi::Answer LambdaApi::put_url(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  AWS_CO_TRY(check_url_qualifier(ref));
  const bool create = static_cast<Op>(call.operation->tag) == Op::create_url;
  const std::string key = url_key(ref.qualifier);
  const std::string arn = home_.arn(ref.name, alias_of(key));
  const auto& other = parts_.catalogue.belongings(ref.name).other;
  const auto there = other.find(key);
  if (create && there != other.end())
    co_return conflict("Failed to create function url config for [functionArn = " + arn +
                       "]. Error message:  FunctionUrlConfig exists for this Lambda function");
  if (!create && there == other.end()) co_return no_url();
  Object config = create ? Object() : parsed(there->second);
  const std::string now = url_time(parts_.clock.wall_now());
  if (create) {
    config["UrlId"] = random_hex(16);
    config["InvokeMode"] = "BUFFERED";
    config["CreationTime"] = now;
  }
  config["LastModifiedTime"] = now;
  AWS_CO_TRY(take_url_members(call.input, config));
  const std::string text = json::serialize(config);
  auto changing = parts_.catalogue.change_belongings(
      ref.name, [key, text, create](Belongings& belongings) -> Status {
        if (create && belongings.other.contains(key))
          return Error{Code::conflict, "FunctionUrlConfig exists for this Lambda function"};
        belongings.other[key] = text;
        return ok();
      });
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return lambda_fault(done.error());
  Object out = url_info(ref.name, alias_of(key), text);
  if (create) out.erase("LastModifiedTime");
  co_return out;
}

LambdaApi::Answer LambdaApi::get_url(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  AWS_CO_TRY(check_url_qualifier(ref));
  const std::string key = url_key(ref.qualifier);
  const auto& other = parts_.catalogue.belongings(ref.name).other;
  const auto there = other.find(key);
  if (there == other.end()) co_return no_url();
  if (static_cast<Op>(call.operation->tag) == Op::get_url)
    co_return url_info(ref.name, alias_of(key), there->second);
  auto changing = parts_.catalogue.change_belongings(ref.name, [key](Belongings& belongings) {
    belongings.other.erase(key);
    return ok();
  });
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return lambda_fault(done.error());
  co_return Object{};
}

LambdaApi::Answer LambdaApi::list_urls(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  std::vector<std::pair<std::string, std::string>> all;  // key, stored form
  for (const auto& [key, text] : parts_.catalogue.belongings(ref.name).other)
    if (is_url_key(key)) all.emplace_back(key, text);
  auto page = lambda_page(all, call.input, 50, [](const auto& one) { return one.first; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& [key, text] : page->first)
    list.push_back(url_info(ref.name, alias_of(key), text));
  Object out{{"FunctionUrlConfigs", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

}  // namespace mayfly::dialects::lambda_api
