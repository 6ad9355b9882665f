#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

#include "engine/frame_connection.h"

namespace mayfly::engine {

Result<Ready> parse_ready(std::string_view json) {
  boost::system::error_code ec;
  const auto value = boost::json::parse({json.data(), json.size()}, ec);
  if (ec || !value.is_object())
    return Error{Code::corrupt, "sent a ready frame that is no JSON object", "", 0};
  const auto& object = value.get_object();
  Ready ready;
  const auto text = [&](const char* name) {
    const auto* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  const auto model = functions::model_from_name(text("model"));
  if (!model || *model == functions::Model::unknown)
    return Error{Code::corrupt, "sent a ready frame with no known model", "", 0};
  ready.model = *model;
  ready.handler = text("handler");
  ready.runtime = text("runtime");
  if (const auto* count = object.if_contains("concurrency");
      count != nullptr && count->is_int64() && count->get_int64() > 0)
    ready.concurrency =
        static_cast<std::uint32_t>(std::min<std::int64_t>(count->get_int64(), 1000));
  if (const auto* notes = object.if_contains("notes"); notes != nullptr && notes->is_array())
    for (const auto& note : notes->get_array())
      if (note.is_string() && ready.notes.size() < 32) ready.notes.emplace_back(note.get_string());
  if (const auto* cloneable = object.if_contains("cloneable");
      cloneable != nullptr && cloneable->is_bool())
    ready.cloneable = cloneable->get_bool();
  ready.why = text("why").substr(0, 500);
  return ready;
}

}  // namespace mayfly::engine
