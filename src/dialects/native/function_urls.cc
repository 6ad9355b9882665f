// Function URLs: of a function, or of one of its aliases.

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "dialects/lambda_api/urls.h"
#include "dialects/native/state.h"
#include "functions/app.h"
#include "functions/checks.h"

namespace mayfly::dialects::native {

namespace json = boost::json;
using functions::Belongings;
using lambda_api::UrlWish;

namespace {

constexpr std::uint32_t kUrlCorsAgeMax = 86'400;  // as Lambda has it

Result<UrlWish> url_wish_in(const json::object& body) {
  UrlWish wish;
  const std::string auth = text_of(body, "auth");
  if (auth != "none" && auth != "iam") return invalid("\"auth\" must be \"none\" or \"iam\".");
  wish.iam = auth == "iam";
  if (const auto* stream = body.if_contains("stream")) {
    if (!stream->is_bool()) return invalid("\"stream\" must be true or false.");
    wish.streaming = stream->get_bool();
  }
  if (const auto* cors = body.if_contains("cors")) {
    if (!cors->is_object()) return invalid("\"cors\" must be an object.");
    auto read = functions::cors_from_json(json::serialize(*cors));
    if (read.has_error()) return read.error();
    MAYFLY_TRY(functions::check_cors(*read));
    if (read->max_age_s > kUrlCorsAgeMax)
      return invalid(fmt::format("cors: max_age_s must be up to {}.", kUrlCorsAgeMax));
    if (!read->allow_origins.empty()) wish.cors = std::move(*read);
  }
  return wish;
}

// Known before it is made, so that what names it can be deployed first; for who has the API's key
// only.
std::string future_url_id(const std::string& key, const std::string& function,
                          const std::string& alias) {
  std::string text = key;
  for (const auto& part : {std::string("function URL"), function, alias}) text += '\0' + part;
  return sha256_hex(text).substr(0, 32);
}

}  // namespace

json::object Api::State::render_url(const std::string& function, const std::string& alias) const {
  const Belongings& belongings = parts.catalogue.belongings(function);
  std::string id = lambda_api::url_id(belongings, alias);
  json::object out{{"function", function}, {"alias", alias}, {"there", !id.empty()}};
  if (!id.empty()) {
    const UrlWish wish = lambda_api::url_wish(belongings, alias);
    out["auth"] = wish.iam ? "iam" : "none";
    out["stream"] = wish.streaming;
    if (!wish.cors.allow_origins.empty())
      out["cors"] = json::parse(functions::cors_to_json(wish.cors));
  } else {
    id = future_url_id(parts.key, function, alias);
  }
  out["url"] = lambda_api::url_address(facts.url_base, id);
  return out;
}

Reply Api::State::function_urls(Endpoint endpoint, Call call) {
  const auto query = query_of(call, {"alias"});
  if (query.has_error()) co_return query.error();
  std::string alias = text_in(*query, "alias");
  if (!alias.empty() && !functions::is_alias_name(alias))
    co_return invalid("'" + alias.substr(0, 100) + "' is no name of an alias.");
  if (auto good = functions::check_name("function", call.name); good.has_error())
    co_return good.error();
  if (endpoint == Endpoint::get_url) co_return json_reply(200, render_url(call.name, alias));
  if (!parts.catalogue.find(call.name, alias))
    co_return no_such_function(alias.empty() ? call.name : call.name + ":" + alias);
  if (endpoint == Endpoint::put_url) {
    auto putting = put_url(std::move(call), std::move(alias));
    co_return co_await std::move(putting);
  }
  std::function<Status(Belongings&)> remove = [alias](Belongings& belongings) -> Status {
    if (lambda_api::url_id(belongings, alias).empty())
      return Error{Code::not_found, "The function has no URL."};
    lambda_api::remove_url(belongings, alias);
    return ok();
  };
  auto removing = parts.catalogue.change_belongings(call.name, std::move(remove));
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  co_return json_reply(200, json::object{{"removed", call.name}, {"alias", alias}});
}

Reply Api::State::put_url(Call call, std::string alias) {
  std::vector<std::string_view> known{"auth", "stream", "cors"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  const auto wish = url_wish_in(*body);
  if (wish.has_error()) co_return wish.error();
  const Belongings& before = parts.catalogue.belongings(call.name);
  const bool unchanged =
      !lambda_api::url_id(before, alias).empty() && lambda_api::url_wish(before, alias) == *wish;
  if (!unchanged) {
    std::function<Status(Belongings&)> change =
        [alias, wish = *wish, id = future_url_id(parts.key, call.name, alias),
         now = clock.wall_now()](Belongings& belongings) -> Status {
      lambda_api::put_url(belongings, alias, wish, id, now);
      return ok();
    };
    auto changing = parts.catalogue.change_belongings(call.name, std::move(change));
    const Status changed = co_await std::move(changing);
    if (changed.has_error()) co_return changed.error();
  }
  json::object out = render_url(call.name, alias);
  out["unchanged"] = unchanged;
  co_return json_reply(200, out);
}

}  // namespace mayfly::dialects::native
