#pragma once
// Bodies in the form aws-chunked (Content-Encoding of S3): pieces with their size in front, perhaps
// each signed, perhaps with fields behind the last. Pure; every byte is hostile.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "aws/digest.h"
#include "aws/service.h"
#include "aws/sigv4.h"

namespace mayfly::aws {

// What X-Amz-Content-Sha256 says about a body.
struct PayloadForm {
  bool chunked = false;
  bool signed_chunks = false;
  bool trailer = false;
  std::string sha256;  // of the body, in hex; "": not signed, or each chunk is

  // InvalidArgument for values that are none of S3's; NotImplemented for other algorithms.
  static Outcome<PayloadForm> of(std::string_view payload);
};

class ChunkedDecoder {
 public:
  // head outlives it; only looked at for signed chunks.
  ChunkedDecoder(const PayloadForm& form, const SignedHead& head);

  // Calls sink for the bytes inside, in order and as they come: a chunk's signature is checked
  // behind its bytes, so nothing of them counts before finish() was content. InvalidRequest,
  // SignatureDoesNotMatch; faults of sink.
  using Sink = std::function<Outcome<void>(std::string_view)>;
  Outcome<void> feed(std::string_view bytes, const Sink& sink);
  // IncompleteBody unless all has come.
  Outcome<void> finish() const;

  // Fields behind the last chunk, by their names in lower case.
  const std::map<std::string, std::string, std::less<>>& trailers() const { return trailers_; }

  static constexpr std::size_t kLineMax = 1024;
  static constexpr std::size_t kTrailersMax = 16;

 private:
  enum class State { size, data, data_end, trailer, done };

  Outcome<void> line(std::string_view text);
  Outcome<void> size_line(std::string_view text);
  Outcome<void> trailer_line(std::string_view text);
  Outcome<void> end_of_chunk();
  Outcome<void> check(std::string_view kind, std::string_view hashes, std::string_view signature);

  const PayloadForm form_;
  const SignedHead& head_;
  State state_ = State::size;
  std::string line_;
  std::uint64_t left_ = 0;
  bool last_ = false;
  std::string signature_;  // of the chunk that is read
  std::string before_;     // of the one in front of it; first that of the head
  Sha256Stream hash_;
  std::map<std::string, std::string, std::less<>> trailers_;
  std::string signed_trailers_, trailer_signature_;
};

}  // namespace mayfly::aws
