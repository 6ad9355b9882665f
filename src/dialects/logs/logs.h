#pragma once
// CloudWatch Logs (API version 2014-03-28), as far as people read with it what functions wrote:
// `aws logs tail`, describe and filter. A function's lines are the log group /aws/lambda/NAME; the
// lines of one of its instances on one day are a stream. docs/reference/lambda.md.

#include <string>
#include <vector>

#include "aws/service.h"
#include "dialects/logs/groups.h"
#include "functions/catalogue.h"
#include "io/blocking.h"
#include "telemetry/telemetry.h"

namespace mayfly::dialects::logs {

// Belongs to the engine's loop.
class Logs : public aws::Service {
 public:
  struct Parts {
    functions::Catalogue& catalogue;
    telemetry::Telemetry& telemetry;
    io::BlockingPool& pool;
    Groups& groups;
    std::string region, account;
  };
  explicit Logs(Parts parts) : parts_(std::move(parts)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;

  // group_calls.cc
  bool is_function_group(const std::string& group) const;
  aws::Outcome<Object> describe_groups(const aws::Call& call) const;
  aws::Outcome<Group> changed_group(const aws::Call& call, const std::string& name) const;
  Answer change_group(aws::Call call);
  aws::Outcome<Object> list_group_tags(const aws::Call& call) const;

  // logs.cc
  Answer describe_streams(aws::Call call);
  Answer get_events(aws::Call call);
  Answer filter_events(aws::Call call);
  // The function of a log group that is there; empty: of a group without one.
  aws::Outcome<std::string> function_in(const Object& input) const;
  io::Task<aws::Outcome<std::vector<telemetry::LogLine>>> lines_of(std::string function,
                                                                   std::int64_t since_us);

  Parts parts_;
};

inline constexpr std::string_view kGroupPrefix = "/aws/lambda/";
aws::Fault no_group();
// By name, identifier or ARN.
std::string group_named(const boost::json::object& input);

// A filter pattern of words: all of "plain" and none of "-minus"; of "?these" at least one. Texts
// in quotes are one word. Nothing for patterns of JSON members or columns, which are not served.
// Pure.
struct WordFilter {
  std::vector<std::string> all, any, none;
  bool matches(std::string_view text) const;
};
aws::Outcome<WordFilter> parse_filter(std::string_view pattern);

// "2026/11/21/[$LATEST]0123abcd"
std::string stream_of(const telemetry::LogLine& line);

}  // namespace mayfly::dialects::logs
