#include "gateway/key_sets.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/log.h"

namespace mayfly::gateway {
namespace {

constexpr auto kKeysStale = std::chrono::minutes(10);
constexpr auto kKeysRefetch = seconds(10);  // at most so often for names that are not known
constexpr std::size_t kKeySetsMax = 1000;

// jwks_uri of an OpenID configuration.
Result<std::string> keys_address(std::string_view configuration) {
  boost::system::error_code failed;
  const auto value = boost::json::parse({configuration.data(), configuration.size()}, failed);
  if (!failed && value.is_object())
    if (const auto* uri = value.get_object().if_contains("jwks_uri"); uri && uri->is_string())
      return std::string(uri->get_string());
  return Error{Code::unavailable, "The issuer's OpenID configuration names no jwks_uri."};
}

}  // namespace

io::Task<Result<KeySetPtr>> KeySets::fetch(const functions::Authorizer& authorizer) {
  if (!fetch_) co_return Error{Code::unsupported, "This server fetches no keys."};
  std::string address = authorizer.jwks_url;
  if (address.empty()) {
    std::string issuer = authorizer.issuer;
    while (issuer.ends_with('/')) issuer.pop_back();
    io::Task<Result<std::string>> asking = fetch_(issuer + "/.well-known/openid-configuration");
    Result<std::string> configuration = co_await std::move(asking);
    if (configuration.has_error()) co_return std::move(configuration).error();
    auto named = keys_address(*configuration);
    if (named.has_error()) co_return std::move(named).error();
    address = std::move(*named);
  }
  io::Task<Result<std::string>> asking = fetch_(std::move(address));
  Result<std::string> text = co_await std::move(asking);
  if (text.has_error()) co_return std::move(text).error();
  co_return identity::KeySet::parse(*text);
}

io::Task<Result<KeySetPtr>> KeySets::keys(functions::Authorizer authorizer, Want want) {
  const bool given = !authorizer.jwks.empty();
  const std::string& place = given                         ? authorizer.jwks
                             : authorizer.jwks_url.empty() ? authorizer.issuer
                                                           : authorizer.jwks_url;
  const auto found = kept_.find(place);
  const SteadyTime now = clock_.steady_now();
  if (found != kept_.end()) {
    const auto age = now - found->second.fetched;
    if (given || age < (want == Want::fresh ? SteadyTime::duration(kKeysRefetch)
                                            : SteadyTime::duration(kKeysStale)))
      co_return found->second.keys;
  }
  Result<KeySetPtr> keys = KeySetPtr();
  if (given) {
    keys = identity::KeySet::parse(authorizer.jwks);
  } else {
    io::Task<Result<KeySetPtr>> fetching = fetch(authorizer);
    keys = co_await std::move(fetching);
  }
  if (keys.has_value()) {
    if (kept_.size() >= kKeySetsMax) kept_.clear();
    kept_[place] = {*keys, now};
    co_return keys;
  }
  log::warn("keys of the authorizer {}: {}", authorizer.name, keys.error().describe());
  const auto old = kept_.find(place);
  if (old == kept_.end()) co_return keys;
  // Tried again after the shorter time.
  old->second.fetched = now - kKeysStale + kKeysRefetch;
  co_return old->second.keys;
}

}  // namespace mayfly::gateway
