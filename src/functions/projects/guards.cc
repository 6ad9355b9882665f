#include "functions/projects/guards.h"

#include <fmt/format.h>

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

void Guards::leave_out(const std::set<std::string>& functions) {
  std::vector<Authorizer> kept;
  for (auto& one : api_.authorizers) {
    Value at;
    at.place = places_[one.name];
    if (one.function.empty() || functions.contains(one.function)) {
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

std::string Guards::why_not(const RouteRules& rules) const {
  const auto broken = broken_.find(rules.authorizer);
  return broken == broken_.end() ? "" : broken->second;
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
