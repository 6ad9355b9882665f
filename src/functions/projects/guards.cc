#include "functions/projects/guards.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "functions/api_forms.h"
#include "functions/app.h"
#include "functions/projects/builder.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::size_t kGuardsMax = 1'000;

std::string source_of(const Value& at, std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> kForms[] = {
      {"method.request.header.", "$request.header."},
      {"method.request.querystring.", "$request.querystring."},
      {"route.request.header.", "$request.header."},
      {"route.request.querystring.", "$request.querystring."},
      {"context.", "$context."},
      {"stageVariables.", "$stageVariables."}};
  if (text.starts_with("$")) return text;
  for (const auto& [theirs, ours] : kForms)
    if (text.starts_with(theirs)) return std::string(ours) + text.substr(theirs.size());
  wrong(at, "'" + text.substr(0, 100) + "' is no identity source: method.request.header.NAME.");
}

}  // namespace

std::string plain_name(std::string_view text) {
  std::string name(text.substr(0, 60));
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    if (!good) c = '-';
  }
  return name.empty() ? "-" : name;
}

std::vector<std::string> identity_sources(const Value& value) {
  std::vector<std::string> out;
  for (const auto& text : texts_of(value))
    for (std::size_t i = 0; i <= text.size();) {
      const auto end = std::min(text.find(',', i), text.size());
      std::string item = text.substr(i, end - i);
      item.erase(0, std::min(item.find_first_not_of(' '), item.size()));
      item.erase(item.find_last_not_of(' ') + 1);
      if (!item.empty()) out.push_back(source_of(value, std::move(item)));
      i = end + 1;
    }
  return out;
}

Guard Guards::add(const Value& at, Authorizer authorizer, std::vector<std::string> scopes) {
  const RE2 pattern(authorizer.pattern, RE2::Quiet);
  if (!pattern.ok()) {  // Java knows more
    const std::string why = "its pattern is no regular expression of RE2: " + pattern.error();
    report_.not_used(at, why);
    return Guard::missing(fmt::format("the authorizer {} is not made ({})", authorizer.name, why));
  }
  const std::string wanted = plain_name(authorizer.name);
  authorizer.name = wanted;
  for (int i = 2; authorizer.name == kIamAuthorizer || api_.authorizer(authorizer.name); ++i) {
    const Authorizer* there = api_.authorizer(authorizer.name);
    if (there != nullptr && *there == authorizer) break;
    authorizer.name = wanted.substr(0, 58) + "-" + std::to_string(i);
  }
  Guard guard;
  guard.name = authorizer.name;
  guard.scopes = std::move(scopes);
  guard.jwt = authorizer.kind == Authorizer::Kind::jwt;
  if (api_.authorizer(authorizer.name) != nullptr) return guard;
  if (api_.authorizers.size() >= kGuardsMax) wrong(at, "there are too many of these.");
  App app;
  app.name = "app";
  app.api.authorizers = {authorizer};
  demand(at, check_api(app));
  places_[authorizer.name] = at.place;
  api_.authorizers.push_back(std::move(authorizer));
  return guard;
}

void Guards::settle(const std::set<std::string>& functions) {
  std::vector<Authorizer> kept;
  for (auto& one : api_.authorizers) {
    Value at;
    at.place = places_[one.name];
    if (one.function.empty() ||
        functions.contains(one.function.substr(0, one.function.find(':')))) {
      report_.made(at, fmt::format("authorizer {}{}", one.name,
                                   one.function.empty() ? " of tokens of " + one.issuer
                                                        : " asks " + one.function));
      kept.push_back(std::move(one));
      continue;
    }
    broken_[one.name] =
        fmt::format("the function {} of its authorizer is not made here", one.function);
    report_.not_used(at, fmt::format("its function {} is not made here", one.function));
  }
  api_.authorizers = std::move(kept);
  settle_plans();
}

Guards::Plan& Guards::plan(const Value& at, const std::string& id) {
  if (plans_.size() >= kGuardsMax) wrong(at, "there are too many of these.");
  Plan& plan = plans_[id];
  if (!plan.place) plan.place = at.place;
  if (plan.plan.name.empty()) plan.plan.name = plain_name(id);
  return plan;
}

void Guards::add_key(const Value& at, const std::string& id, Key key) {
  if (keys_.size() >= kGuardsMax) wrong(at, "there are too many of these.");
  if (!key.value.empty() && (key.value.size() < 20 || key.value.size() > 128))
    wrong(at, "the value of an API key has 20 to 128 characters.");
  key.name = plain_name(key.name);
  if (!keys_.emplace(id, std::move(key)).second) wrong(at, "there are two keys of that name.");
}

void Guards::link(const Value& at, std::string plan, std::string key) {
  if (links_.size() >= kGuardsMax) wrong(at, "there are too many of these.");
  Link link;
  link.place = at.place;
  link.plan = std::move(plan);
  link.key = std::move(key);
  links_.push_back(std::move(link));
}

void Guards::settle_plans() {
  std::set<std::string> values, names;
  for (const auto& [place, plan_id, key_id] : links_) {
    Value at;
    at.place = place;
    const auto plan = plans_.find(plan_id);
    const auto key = keys_.find(key_id);
    if (plan == plans_.end() || key == keys_.end()) {
      report_.not_used(at, "it names no key and plan of this file");
    } else if (key->second.value.empty()) {
      report_.not_used(at,
                       "no file gives the value of its key, which API Gateway would make up: give "
                       "the key a value of 20 letters at least");
    } else if (!key->second.enabled) {
      report_.not_used(at, "its key is not enabled");
    } else if (!values.insert(key->second.value).second) {
      report_.not_used(at, "its key has the value of another one");
    } else {
      plan->second.plan.keys[key->second.name] = key->second.value;
      report_.made(at, fmt::format("API key {} of the usage plan {}", key->second.name,
                                   plan->second.plan.name));
    }
  }
  for (auto& [id, plan] : plans_) {
    Value at;
    at.place = plan.place;
    if (plan.plan.keys.empty()) {
      report_.not_used(at, "a usage plan without a key whose value a file gives opens nothing");
      continue;
    }
    const std::string wanted = plan.plan.name;
    for (int i = 2; !names.insert(plan.plan.name).second; ++i)
      plan.plan.name = wanted.substr(0, 58) + "-" + std::to_string(i);
    App app;
    app.name = "app";
    app.api.plans = {plan.plan};
    demand(at, check_api(app));
    report_.made(at, "usage plan " + plan.plan.name);
    api_.plans.push_back(plan.plan);
  }
}

std::string Guards::closed() {
  Authorizer nobody;
  nobody.name = "nobody";
  nobody.identity = {"$request.header.Authorization"};
  nobody.issuer = "nobody";
  nobody.audience = {"nobody"};
  nobody.jwks = "{\"keys\":[]}";
  Value at;
  return add(at, std::move(nobody)).name;
}

std::string Guards::why_not(const RouteRules& rules, const std::string& api) const {
  const auto broken = broken_.find(rules.authorizer);
  if (broken != broken_.end()) return broken->second;
  if (!rules.api_key) return "";
  bool opens = false;
  for (const auto& [id, plan] : plans_) {
    if (plan.plan.keys.empty()) continue;
    // Here each key opens every route that asks for one.
    if (!plan.apis.contains(api))
      return fmt::format(
          "it asks for an API key, and those of the usage plan {} are of another API",
          plan.plan.name);
    opens = true;
  }
  return opens ? ""
               : "it asks for an API key, and no usage plan of its API has one whose value a file "
                 "gives";
}

void ask(RouteRules& rules, const Guard& guard, const Value* own, Report& report,
         std::string& why_not) {
  if (guard.name.empty()) why_not = guard.why_not;
  rules.authorizer = guard.name;
  if (!guard.jwt) {
    if (own != nullptr) report.not_used(*own, "scopes are of tokens (JWT), not of this authorizer");
    return;
  }
  rules.scopes = guard.scopes;
  if (own == nullptr) return;
  rules.scopes = known_texts(*own, report);
  if (rules.scopes.empty()) why_not = "nothing here says its scopes";
}

std::vector<std::string> known_texts(const Value& value, Report& report) {
  std::vector<std::string> out;
  if (!value.is_list()) {
    out = texts_of(value);
    report.used(value);
    return out;
  }
  for (const auto& item : value.items) {
    if (item.is_unknown()) {
      report.not_used(item, item.text);
      continue;
    }
    out.push_back(filled_text_of(item));
    report.used(item);
  }
  return out;
}

}  // namespace mayfly::functions::projects
