// link: mayfly_aws
#include <cstdlib>
#include <string>
#include <string_view>

#include "aws/chunked.h"

// First byte: the form, and how the rest is cut. What comes out does not depend on the cuts, and is
// never more than went in.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::aws;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  static constexpr const char* kForms[] = {"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                           "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                           "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"};
  const SignedHead head{{}, "", std::string(64, '0'), "20130524T000000Z", "scope", HmacKey("key")};
  const auto form = PayloadForm::of(kForms[data[0] % 3]);
  if (form.has_error()) std::abort();
  std::string results[2];
  for (int round = 0; round < 2; ++round) {
    const std::size_t step = round == 0 ? body.size() + 1 : 1 + data[0] / 3;
    ChunkedDecoder decoder(*form, head);
    std::string& out = results[round];
    bool failed = false;
    for (std::size_t at = 0; at < body.size() && !failed; at += step)
      failed = decoder
                   .feed(body.substr(at, step),
                         [&](std::string_view bytes) -> Outcome<void> {
                           out += bytes;
                           return boost::system::in_place_value;
                         })
                   .has_error();
    if (out.size() > body.size()) std::abort();
    if (failed || decoder.finish().has_error()) out = "refused";
  }
  if (results[0] != results[1]) std::abort();
  return 0;
}
