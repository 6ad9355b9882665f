#pragma once
// What programs post to the Runtime API: whole bodies up to a limit, and responses that are
// streamed to the caller while the program still writes them. Private to the session; on one loop
// only.

#include <functional>
#include <memory>
#include <string>

#include "engine/park.h"
#include "io/http.h"
#include "wire/http_message.h"

namespace mayfly::dialects::lambda {

// The type of an error, as header or trailer.
inline constexpr std::string_view kErrorType = "Lambda-Runtime-Function-Error-Type";

// Reads a whole body into request.body. Over the limit the rest is read and dropped, so that the
// program gets to see the refusal.
enum class Taken { whole, too_large, cut_off };
io::Task<Taken> take_body(io::HttpRequest& request, std::size_t limit);

// Reads on to the end; false: it was cut off, or is longer than at_most.
io::Task<bool> discard(io::BodyReader& body, std::size_t at_most);

// What the trailers of a response say went wrong, as a JSON object; empty when nothing did.
std::string trailer_error(const wire::Headers* trailers);

// Takes the prelude from the front of an HTTP integration response.
struct Prelude {
  wire::ResponseHead head;
  std::string problem;  // why it is none; else empty
  bool cut_off = false;
};
io::Task<Prelude> take_prelude(io::HttpRequest& request);

// A response on its way from the program's request to the caller.
struct ResponseStream {
  io::BodyReaderPtr source;
  std::shared_ptr<const wire::Headers> trailers;
  engine::Park over;     // of the program's request
  bool ended = false;    // read to its end, or broken off
  bool dropped = false;  // the caller does not want the rest
};

// The caller's end. broke_off: the program did not come to its end; is kept as long as the reader.
io::BodyReaderPtr read_stream(std::shared_ptr<ResponseStream> stream,
                              std::function<void()> broke_off);

}  // namespace mayfly::dialects::lambda
