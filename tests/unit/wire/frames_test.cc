#include "wire/frames.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace mayfly::wire {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

struct Owned {
  std::uint32_t stream;
  FrameType type;
  std::uint8_t flags;
  std::string payload;
  bool operator==(const Owned&) const = default;
};

// Feeds bytes in two pieces cut at `cut`, as two reads would bring them.
std::vector<Owned> decode_split(std::string_view bytes, std::size_t cut) {
  std::vector<Owned> frames;
  std::string buffer;
  for (const auto piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    buffer.append(piece);
    std::size_t at = 0;
    for (;;) {
      Frame frame;
      std::size_t used = 0;
      const auto status = decode_frame(std::string_view(buffer).substr(at), frame, used);
      EXPECT_NE(status, DecodeStatus::error);
      if (status != DecodeStatus::frame) break;
      frames.push_back({frame.stream, frame.type, frame.flags, std::string(frame.payload)});
      at += used;
    }
    buffer.erase(0, at);
  }
  EXPECT_TRUE(buffer.empty());
  return frames;
}

TEST(Frames, LayoutIsLittleEndian) {
  std::string out;
  append_frame(out, 0x01020304, FrameType::data, kEnd, "abc");
  EXPECT_EQ(hex(out),
            "03000000"
            "04030201"
            "02"
            "01"
            "0000"
            "616263");
  out.clear();
  append_window(out, 7, 0x00010000);
  EXPECT_EQ(hex(out),
            "04000000"
            "07000000"
            "04"
            "00"
            "0000"
            "00000100");
  out.clear();
  append_invoke(out, 1, kEnd, "{}", "", "xy");
  EXPECT_EQ(hex(out),
            "0c000000"
            "01000000"
            "01"
            "01"
            "0000"
            "02000000"
            "7b7d"
            "00000000"
            "7879");
  out.clear();
  append_invoke(out, 1, kEnd | kHttp, "{}", "[]", "xy");
  EXPECT_EQ(hex(out),
            "0e000000"
            "01000000"
            "01"
            "03"
            "0000"
            "02000000"
            "7b7d"
            "02000000"
            "5b5d"
            "7879");
}

TEST(Frames, EveryTypeSurvivesASplitAtEveryByte) {
  std::string bytes;
  std::vector<Owned> expected;
  const FrameType types[] = {FrameType::invoke,     FrameType::data,     FrameType::cancel,
                             FrameType::window,     FrameType::shutdown, FrameType::ready,
                             FrameType::init_error, FrameType::reply,    FrameType::error,
                             FrameType::log};
  std::uint32_t stream = 0;
  for (const auto type : types) {
    const std::string payload(stream * 3, static_cast<char>('a' + stream));
    const auto flags = static_cast<std::uint8_t>(stream % 4);
    append_frame(bytes, stream * 1000003u, type, flags, payload);
    expected.push_back({stream * 1000003u, type, flags, payload});
    ++stream;
  }
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
    ASSERT_EQ(decode_split(bytes, cut), expected) << "cut at " << cut;
}

TEST(Frames, ShortInputNeedsMore) {
  std::string bytes;
  append_frame(bytes, 1, FrameType::reply, kEnd, "0123456789");
  Frame frame;
  std::size_t used = 99;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_frame(std::string_view(bytes).substr(0, size), frame, used),
              DecodeStatus::need_more);
    EXPECT_EQ(used, 99u);
  }
  EXPECT_EQ(decode_frame(bytes, frame, used), DecodeStatus::frame);
  EXPECT_EQ(used, bytes.size());
}

TEST(Frames, RefusesWhatIsNoFrame) {
  std::string good;
  append_frame(good, 1, FrameType::data, 0, "x");
  Frame frame;
  std::size_t used = 0;
  for (int type = 0; type < 256; ++type) {
    std::string bytes = good;
    bytes[8] = static_cast<char>(type);
    const bool known =
        (type >= 1 && type <= 6) || (type >= 65 && type <= 67) || (type >= 69 && type <= 72);
    EXPECT_EQ(decode_frame(bytes, frame, used), known ? DecodeStatus::frame : DecodeStatus::error)
        << type;
  }
  for (int flags = 0; flags < 256; ++flags) {
    std::string bytes = good;
    bytes[9] = static_cast<char>(flags);
    EXPECT_EQ(decode_frame(bytes, frame, used),
              flags < 4 ? DecodeStatus::frame : DecodeStatus::error)
        << flags;
  }
  for (const std::size_t at : {10u, 11u}) {
    std::string bytes = good;
    bytes[at] = 1;
    EXPECT_EQ(decode_frame(bytes, frame, used), DecodeStatus::error);
  }
}

TEST(Frames, SizeLimitIsExact) {
  std::string header;
  append_frame(header, 1, FrameType::data, 0, "");
  Frame frame;
  std::size_t used = 0;
  const auto with_size = [&](std::uint32_t size) {
    std::string bytes = header;
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(size >> (8 * i));
    return decode_frame(bytes, frame, used);
  };
  EXPECT_EQ(with_size(kMaxFrame), DecodeStatus::need_more);
  EXPECT_EQ(with_size(kMaxFrame + 1), DecodeStatus::error);
  EXPECT_EQ(with_size(0xffffffff), DecodeStatus::error);
}

TEST(Frames, ReplyAndInvokePayloadsSplit) {
  std::string_view meta, head, body;
  const std::string reply("\x02\0\0\0{}rest", 10);
  ASSERT_TRUE(split_reply(reply, head, body));
  EXPECT_EQ(head, "{}");
  EXPECT_EQ(body, "rest");
  EXPECT_TRUE(split_reply(std::string_view("\0\0\0\0", 4), head, body));
  EXPECT_EQ(head, "");
  EXPECT_EQ(body, "");
  EXPECT_FALSE(split_reply(std::string_view("\x05\0\0\0abcd", 8), head, body));
  EXPECT_FALSE(split_reply("abc", head, body));
  EXPECT_FALSE(split_reply("", head, body));
  EXPECT_FALSE(split_reply("\xff\xff\xff\xff", head, body));

  for (const std::uint8_t flags : {std::uint8_t{0}, kHttp}) {
    const std::string_view sent_head = flags == kHttp ? "{\"method\":\"GET\"}" : "";
    std::string bytes;
    append_invoke(bytes, 9, flags, "{\"id\":1}", sent_head, "BODY");
    Frame frame;
    std::size_t used = 0;
    ASSERT_EQ(decode_frame(bytes, frame, used), DecodeStatus::frame);
    ASSERT_TRUE(split_invoke(frame.payload, meta, head, body));
    EXPECT_EQ(meta, "{\"id\":1}");
    EXPECT_EQ(head, sent_head);
    EXPECT_EQ(body, "BODY");
    // Cut anywhere before the body, the lengths no longer fit.
    const std::size_t fixed = frame.payload.size() - 4;
    for (std::size_t size = 0; size < fixed; ++size)
      EXPECT_FALSE(split_invoke(frame.payload.substr(0, size), meta, head, body));
  }
  std::uint32_t value = 0;
  EXPECT_TRUE(read_u32(std::string_view("\x01\x02\0\0", 4), value));
  EXPECT_EQ(value, 0x201u);
  EXPECT_FALSE(read_u32("abc", value));
  EXPECT_FALSE(read_u32("abcde", value));
}

// Golden files are shared with the runtimes' own tests: hex of one or more whole frames, white
// space and lines that begin with # do not count.
TEST(Frames, GoldenFilesDecodeAndEncodeToTheSameBytes) {
  const std::filesystem::path folder =
      std::filesystem::path(MAYFLY_SOURCE_DIR) / "tests/unit/wire/golden";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".bin") continue;
    std::ifstream file(entry.path());
    std::string bytes, line, digits;
    while (std::getline(file, line)) {
      const auto comment = line.find('#');
      for (const char c : line.substr(0, comment))
        if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
    }
    ASSERT_EQ(digits.size() % 2, 0u) << entry.path();
    for (std::size_t i = 0; i < digits.size(); i += 2)
      bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    std::string again;
    std::string_view rest = bytes;
    ASSERT_FALSE(rest.empty()) << entry.path();
    while (!rest.empty()) {
      Frame frame;
      std::size_t used = 0;
      ASSERT_EQ(decode_frame(rest, frame, used), DecodeStatus::frame) << entry.path();
      std::string_view meta, head, body;
      if (frame.type == FrameType::invoke) {
        ASSERT_TRUE(split_invoke(frame.payload, meta, head, body)) << entry.path();
        append_invoke(again, frame.stream, frame.flags, meta, head, body);
      } else {
        append_frame(again, frame.stream, frame.type, frame.flags, frame.payload);
      }
      if (frame.type == FrameType::reply) {
        EXPECT_TRUE(split_reply(frame.payload, head, body)) << entry.path();
        EXPECT_EQ(head.empty(), (frame.flags & kHttp) == 0) << entry.path();
      }
      rest.remove_prefix(used);
    }
    EXPECT_EQ(hex(again), hex(bytes)) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace mayfly::wire
