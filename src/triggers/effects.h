#pragma once
// What a function staged while it ran: the JSON of its effects frame (docs/internals/frames.md), as
// changes of the state and messages to send. Pure; fuzzed.

#include <string_view>
#include <utility>
#include <vector>

#include "queues/engine.h"
#include "tables/state.h"

namespace mayfly::triggers {

struct Effects {
  tables::Changes changes;
  std::vector<std::pair<std::string, queues::NewMessage>> sends;  // queue, message
};

// Strict: invalid_argument or too_large names the member, and the key or queue that it is about.
// Empty text: no effects.
Result<Effects> parse_effects(std::string_view json);

// A question of a function.
struct Question {
  enum class Op { get, list } op = Op::get;
  std::string key, prefix, after;
  std::size_t limit = 100;
};
Result<Question> parse_question(std::string_view json);

}  // namespace mayfly::triggers
