#pragma once
// The frame protocol between the engine and an instance, over a unix stream socket (fd 3 in the
// instance). Little-endian. Both sides may have many streams (invocations) open at once and may put
// many frames into one write. Source of truth for all runtimes: docs/internals/frames.md; golden
// bytes for tests: tests/unit/wire/golden/.
//
//   header, 12 bytes:  u32 size of payload | u32 stream | u8 type | u8 flags | u16 zero
//
//   engine -> instance
//     invoke   u32 n | meta JSON (n bytes) | u32 m | head JSON (m bytes; m = 0 for an event) | body
//              flags: kHttp when the invocation is an HTTP request, kEnd when body is complete
//     data     more of the request body; kEnd on the last
//     cancel   the caller is gone or the deadline passed: stop working on the stream
//     window   u32: so many more bytes of response body may be sent on the stream
//     shutdown stream 0: finish what runs, then exit
//     answer   u32 question | JSON {"value":...} or {"error":{"code","message"}}: to an ask
//   instance -> engine
//     ready       stream 0, JSON {"model":"event"|"http","handler":"...","runtime":"Python 3.11.2",
//                 "concurrency":N (0: by model),"notes":["..."]}; nothing is invoked before it
//     init_error  stream 0, JSON {"errorType","errorMessage","stackTrace":["...",...]}; then exit
//     reply       u32 n | head JSON (n bytes; n = 0 for an event's result) | body; kEnd when
//     complete;
//                 kHttp when head is present (an HTTP response). An event's body is its JSON
//                 result.
//     data        more of the response body; kEnd on the last
//     error       JSON as init_error; the invocation failed. After a reply without kEnd: the answer
//                 is cut off
//     effects     JSON: what is to happen together with the success of the invocation; once, before
//                 its reply
//     ask         u32 question (the instance's own number) | JSON: answered by an answer
//     log         u8 1 stdout | 2 stderr, then text (one or more whole lines); stream 0: no
//     invocation window      u32: so many more bytes of request body may be sent on the stream
//
// Both directions of each body start with kInitialWindow bytes of credit; a reply or invoke body
// counts too. A frame over kMaxFrame is a protocol error: the instance is killed.

#include <cstdint>
#include <string>
#include <string_view>

namespace mayfly::wire {

inline constexpr std::size_t kFrameHeader = 12;
inline constexpr std::uint32_t kMaxFrame = 64u << 20;
inline constexpr std::uint32_t kInitialWindow = 1u << 20;
inline constexpr std::uint32_t kEffectsMax = 16u << 20;   // bytes of an effects frame
inline constexpr std::uint32_t kQuestionMax = 64u << 10;  // bytes of an ask frame

enum class FrameType : std::uint8_t {
  invoke = 1,
  data = 2,
  cancel = 3,
  window = 4,
  shutdown = 5,
  answer = 6,
  ready = 65,
  init_error = 66,
  reply = 67,
  error = 69,
  log = 70,
  effects = 71,
  ask = 72,
};

inline constexpr std::uint8_t kEnd = 1;
inline constexpr std::uint8_t kHttp = 2;

struct Frame {
  std::uint32_t stream = 0;
  FrameType type = FrameType::data;
  std::uint8_t flags = 0;
  std::string_view payload;  // into the decoder's buffer, until the next feed()
};

void append_frame(std::string& out, std::uint32_t stream, FrameType type, std::uint8_t flags,
                  std::string_view payload);
// Like append_frame of a payload u32 n | first | u32 m | second | rest, without building it.
void append_invoke(std::string& out, std::uint32_t stream, std::uint8_t flags,
                   std::string_view meta, std::string_view head, std::string_view body);
void append_window(std::string& out, std::uint32_t stream, std::uint32_t bytes);

void append_answer(std::string& out, std::uint32_t stream, std::uint32_t question,
                   std::string_view json);

// Splits the payload of an ask frame; false when it is too short.
bool split_ask(std::string_view payload, std::uint32_t& question, std::string_view& json);

// Splits a reply payload into head and body; false when the lengths do not fit.
bool split_reply(std::string_view payload, std::string_view& head, std::string_view& body);
bool split_invoke(std::string_view payload, std::string_view& meta, std::string_view& head,
                  std::string_view& body);
// The payload of a window frame; false unless it is exactly one u32.
bool read_u32(std::string_view payload, std::uint32_t& value);

enum class DecodeStatus { frame, need_more, error };

// Finds one frame at the start of bytes. On frame, `used` says how many bytes it took. Unknown
// types, non-zero reserved bits and payloads over kMaxFrame are errors. Pure; fuzzed.
DecodeStatus decode_frame(std::string_view bytes, Frame& frame, std::size_t& used);

}  // namespace mayfly::wire
