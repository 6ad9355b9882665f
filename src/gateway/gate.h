#pragma once
// What stands before a route: limits of pace, authorizers, API keys with their plans. Refusals are
// worded as API Gateway words them. Belongs to one loop.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "gateway/authorizer.h"
#include "gateway/gateway.h"
#include "gateway/key_sets.h"
#include "gateway/quotas.h"
#include "gateway/throttle.h"

namespace re2 {
class RE2;
}

namespace mayfly::gateway {

// {"message":"..."} with x-amzn-ErrorType.
io::HttpResponse refusal(int status, std::string_view type, std::string_view message);

class Gate {
 public:
  Gate(const Gate&) = delete;
  ~Gate();

  struct Parts {
    std::function<functions::VersionPtr(std::string_view name_and_qualifier)> find_version;
    engine::Invoke invoke;
    const Clock* clock = nullptr;
    const AuthorizerDialect* dialect = nullptr;
    Quotas* quotas = nullptr;
    FetchText fetch = nullptr;
  };
  explicit Gate(Parts parts);

  // The applications that are served from now on: patterns of their authorizers are compiled here,
  // once.
  void serve(const std::vector<functions::App>& apps);

  // Says who comes in match.identity; or the answer that keeps the request out. head and match
  // outlive the task. rules: of the route; signatures (aws_iam) are checked by who calls this.
  io::Task<std::optional<io::HttpResponse>> admit(const wire::RequestHead& head, RouteMatch& match,
                                                  const functions::RouteRules& rules,
                                                  const std::string& id);

 private:
  using Kept = std::optional<io::HttpResponse>;
  Kept pace(const RouteMatch& match, const functions::RouteRules& rules);
  io::Task<Kept> check_jwt(const functions::Authorizer& authorizer, const wire::RequestHead& head,
                           RouteMatch& match, const functions::RouteRules& rules);
  io::Task<Kept> ask(const functions::Authorizer& authorizer, const wire::RequestHead& head,
                     RouteMatch& match, const std::string& id);
  io::Task<Result<Grant>> grant_of(const functions::Authorizer& authorizer,
                                   const wire::RequestHead& head, const RouteMatch& match,
                                   std::vector<std::string> identity, const std::string& id);
  io::Task<Kept> check_key(const wire::RequestHead& head, RouteMatch& match);
  const Grant* remembered(const std::string& key);
  void remember(std::string key, Grant grant, std::uint32_t ttl_s);

  struct Memory {
    Grant grant;
    SteadyTime until;
  };
  static constexpr std::size_t kMemoriesMax = 10'000;

  // Of a token authorizer; by the text. Shared: a request may outlast its application.
  std::shared_ptr<const re2::RE2> pattern(const std::string& text) const;

  Parts parts_;
  std::map<std::string, std::shared_ptr<const re2::RE2>> patterns_;
  KeySets key_sets_;
  Throttles throttles_;
  std::map<std::string, Memory> memories_;
};

}  // namespace mayfly::gateway
