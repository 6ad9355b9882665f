#pragma once
// What a target of a rule gets: the event, a part of it, a constant, or text put together from
// parts of it (EventBridge's InputPath, Input and InputTransformer). Pure.

#include <boost/json/fwd.hpp>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace mayfly::triggers {

// "$.detail.items[0]['a key']": members and places in lists, nothing that searches.
class EventPath {
 public:
  static Result<EventPath> parse(std::string_view text);
  // null when there is nothing.
  const boost::json::value* find(const boost::json::value& event) const;

 private:
  std::vector<std::variant<std::string, std::size_t>> steps_;
};

struct InputTransformer {
  std::map<std::string, std::string> paths;  // variable -> path
  std::string text;                          // with <variable> in it
};

// What text may name without a path.
struct RuleFacts {
  std::string rule_arn, rule_name;
  std::string ingestion_time;  // RFC 3339
};

inline constexpr std::size_t kTransformerPathsMax = 100;
inline constexpr std::size_t kTransformerBytesMax = 8192;

// The paths are paths, the variables of the text are known.
Status check(const InputTransformer& transformer);

// The text with each <variable> replaced: inside a JSON string by its characters (escaped),
// elsewhere by its JSON. What is not in the event is nothing inside a string, null elsewhere.
// Variables that are always there: aws.events.rule-arn, aws.events.rule-name,
// aws.events.event.ingestion-time, aws.events.event (without detail), aws.events.event.json.
// invalid_argument when the result is too large.
Result<std::string> transform(const InputTransformer& transformer, const boost::json::value& event,
                              const RuleFacts& facts, std::size_t bytes_max);

}  // namespace mayfly::triggers
