// link: mayfly_aws
#include <boost/json.hpp>
#include <cstdlib>
#include <string_view>

#include "aws/json_body.h"
#include "aws/query.h"

namespace {

using namespace mayfly::aws;

constexpr Shape kNames{Kind::list, {}, &kString, "Name", {}, true};
constexpr Shape kPairs{Kind::map, {}, &kString, "Value", "Name", true};
constexpr Member kInner[] = {{"I", &kInteger}, {"B", &kBoolean}, {"T", &kTimestamp}};
constexpr Shape kInnerShape{Kind::structure, kInner};
constexpr Shape kInners{Kind::list, {}, &kInnerShape};
constexpr Member kMembers[] = {{"S", &kString},  {"N", &kNames},    {"P", &kPairs, "Pair"},
                               {"L", &kInners},  {"F", &kFloating}, {"Blob", &kBlob},
                               {"M", &kStringMap}};
constexpr Shape kShape{Kind::structure, kMembers};
constexpr Operation kOperation{"Op", &kShape, &kShape};

}  // namespace

// What is read from a form is of its shape, can be written as XML, and is read again from JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto form = Form::parse(text);
  if (!form) return 0;
  const auto read = form->read(kShape);
  if (!read) return 0;
  if (render_xml(kOperation, "urn:x", *read, "id").empty()) std::abort();
  const std::string written = write_json(kShape, *read);
  const auto again = read_json(kShape, written);
  if (!again) std::abort();
  return 0;
}
