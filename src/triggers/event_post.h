#pragma once
// Events for functions that take HTTP: each is the body of a POST to /.

#include <initializer_list>
#include <string_view>
#include <utility>

#include "engine/invocation.h"

namespace mayfly::triggers {

// Of an invocation whose body is the event. content_type: empty for JSON; more: further headers.
void make_post(engine::Invocation& invocation, std::string_view content_type,
               std::initializer_list<std::pair<std::string_view, std::string_view>> more = {});

}  // namespace mayfly::triggers
