#include "wire/websocket.h"

#include <gtest/gtest.h>

namespace mayfly::wire {
namespace {

// A frame as clients send it, masked.
std::string frame(int first, std::string_view payload, bool masked = true) {
  std::string out(1, static_cast<char>(first));
  const std::size_t size = payload.size();
  const int mask_bit = masked ? 0x80 : 0;
  if (size < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(size));
  } else if (size <= 0xffff) {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size & 0xff);
  } else {
    out += static_cast<char>(mask_bit | 127);
    for (int i = 7; i >= 0; --i)
      out += static_cast<char>(static_cast<std::uint64_t>(size) >> (8 * i) & 0xff);
  }
  if (!masked) return out.append(payload);
  const char mask[] = {'\x12', '\x34', '\x56', '\x78'};
  out.append(mask, 4);
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return out;
}

// What comes out: "1:hello|9:x|!1002" and so on.
std::string read(const std::string& bytes, std::size_t step = SIZE_MAX,
                 SocketReader::Limits limits = {}) {
  SocketReader reader(limits);
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto piece = std::string_view(bytes).substr(at, step);
    at += piece.size();
    reader.feed(piece);
    SocketReader::Event event;
    while (true) {
      const auto status = reader.next(event);
      if (status == SocketReader::Status::more) break;
      if (status == SocketReader::Status::broken)
        return out + "!" + std::to_string(reader.fail().code);
      out += std::to_string(static_cast<int>(event.op)) + ":" + event.payload;
      if (event.op == SocketOp::close) out += "=" + std::to_string(event.code);
      out += "|";
    }
  }
  return out;
}

TEST(WebSocketHandshake, TheExampleOfTheRfc) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  for (const std::string_view bad : {"", "x", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ"})
    EXPECT_FALSE(websocket_accept(bad)) << bad;
  RequestHead head;
  head.method = "GET";
  EXPECT_FALSE(wants_websocket(head));
  head.headers.add("Connection", "keep-alive, Upgrade");
  head.headers.add("Upgrade", "WebSocket");
  EXPECT_TRUE(wants_websocket(head));
  head.method = "POST";
  EXPECT_FALSE(wants_websocket(head));
}

TEST(WebSocketFrames, MessagesInOnePieceAndInMany) {
  const std::string both = frame(0x81, "hello") + frame(0x01, "a") + frame(0x89, "p") +
                           frame(0x00, "b") + frame(0x80, "c") +
                           frame(0x82, std::string(300, 'x')) +
                           frame(0x88,
                                 "\x03\xe8"
                                 "bye");
  const std::string wanted = "1:hello|9:p|1:abc|2:" + std::string(300, 'x') + "|8:bye=1000|!1000";
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{7}, SIZE_MAX})
    EXPECT_EQ(read(both, step), step == SIZE_MAX ? wanted : wanted) << step;
  EXPECT_EQ(read(frame(0x88, "")), "8:=1005|!1000");
}

TEST(WebSocketFrames, WhatBreaksTheConnection) {
  EXPECT_EQ(read(frame(0x81, "x", false)), "!1002");
  EXPECT_EQ(read(frame(0xc1, "x")), "!1002");  // a reserved bit
  EXPECT_EQ(read(frame(0x83, "x")), "!1002");  // an unknown kind
  EXPECT_EQ(read(frame(0x8b, "x")), "!1002");
  EXPECT_EQ(read(frame(0x80, "x")), "!1002");                     // goes on with nothing
  EXPECT_EQ(read(frame(0x01, "x") + frame(0x81, "y")), "!1002");  // a message in a message
  EXPECT_EQ(read(frame(0x09, "x")), "!1002");                     // a control frame in pieces
  EXPECT_EQ(read(frame(0x89, std::string(126, 'x'))), "!1002");
  EXPECT_EQ(read(frame(0x81, "\xff")), "!1007");
  EXPECT_EQ(read(frame(0x81, "\xed\xa0\x80")), "!1007");
  EXPECT_EQ(read(frame(0x88, "x")), "!1002");
  EXPECT_EQ(read(frame(0x88, "\x03\xed")), "!1002");  // 1005 must not travel
  EXPECT_EQ(read(std::string("\x81\xfe\x00\x05", 4) + "maskhello"), "!1002");
  EXPECT_EQ(read(std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10)), "!1009");
}

TEST(WebSocketFrames, Limits) {
  const SocketReader::Limits limits{10, 6};
  EXPECT_EQ(read(frame(0x81, "1234567"), SIZE_MAX, limits), "!1009");
  EXPECT_EQ(read(frame(0x01, "123456") + frame(0x80, "7890"), SIZE_MAX, limits), "1:1234567890|");
  EXPECT_EQ(read(frame(0x01, "123456") + frame(0x80, "78901"), SIZE_MAX, limits), "!1009");
}

TEST(WebSocketFrames, Written) {
  std::string out;
  append_socket_frame(out, SocketOp::text, "hi");
  EXPECT_EQ(out, "\x81\x02hi");
  out.clear();
  append_socket_frame(out, SocketOp::binary, std::string(126, 'x'));
  EXPECT_EQ(out.substr(0, 4), std::string("\x82\x7e\x00\x7e", 4));
  out.clear();
  append_socket_frame(out, SocketOp::binary, std::string(65'536, 'x'));
  EXPECT_EQ(out.substr(0, 10), std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
  out.clear();
  append_close_frame(out, 1001, "Going away");
  EXPECT_EQ(out, "\x88\x0c\x03\xe9Going away");
}

}  // namespace
}  // namespace mayfly::wire
