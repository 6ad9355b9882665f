#pragma once
// An HTTP message without I/O: what the gateway, the dialects and the instances exchange. Values
// copy and compare; header bytes live in one buffer, so that a head costs one allocation.

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mayfly::wire {

// Header fields in the order received; names keep their spelling, look-up ignores case.
// Not thread-safe. Views stay valid until the next add/set/remove or the end of the object.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  void add(std::string_view name, std::string_view value);
  // Removes every field of that name, then adds one.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void clear();
  void reserve(std::size_t fields, std::size_t bytes);

  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  Field operator[](std::size_t index) const;
  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name).has_value(); }

  class Iterator {
   public:
    Iterator(const Headers* headers, std::size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return (*headers_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const Headers* headers_;
    std::size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, fields_.size()}; }

 private:
  struct Slot {
    std::uint32_t name_at, name_size, value_at, value_size;
  };
  std::string bytes_;
  std::vector<Slot> fields_;
};

// Same fields in the same order with the same spelling.
bool operator==(const Headers& a, const Headers& b);

bool equal_ignoring_case(std::string_view a, std::string_view b);

// token of RFC 9110 5.6.2: what names of fields and methods are made of.
bool is_token(std::string_view text);
// False when text holds CR, LF or NUL.
bool is_field_value(std::string_view text);

struct RequestHead {
  std::string method;  // upper case as received: GET, POST, any token
  // Origin form, /a%20b?x=1 ; begins with /, but is "*" for OPTIONS *. As received, except that
  // bytes over 0x7f are percent-encoded and a fragment is dropped.
  std::string target;
  int version = 11;  // 10 or 11 (20 for HTTP/2)
  Headers headers;
  std::string remote_ip;  // of the peer, without the port
  std::uint16_t remote_port = 0;
  std::string scheme = "http";

  std::string_view path() const;   // target up to '?', still percent-encoded
  std::string_view query() const;  // behind '?', without it; may be empty
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

// The form in which heads cross into an instance (contracts: docs/internals/frames.md):
// {"method":"GET","path":"/a","query":"x=1","headers":[["Host","h"],...],"remote":"127.0.0.1",
//  "scheme":"http","version":"1.1","base":"/function/NAME"}
// base is what the gateway took off the front of the path ("" when nothing): WSGI's SCRIPT_NAME.
// The path is still percent-encoded.
std::string encode_request_head(const RequestHead& head, std::string_view path,
                                std::string_view base);

// The same back: head.target is path and query. For the adapters, which hand the request on in
// another form. corrupt when it is not what encode_request_head() makes.
struct DecodedRequest {
  RequestHead head;
  std::string base;
};
Result<DecodedRequest> decode_request_head(std::string_view json);

// {"status":200,"headers":[["content-type","text/plain"],...]}. Refuses a status outside 100..599,
// names that are no tokens, and values with CR, LF or NUL: the instance is not trusted.
Result<ResponseHead> decode_response_head(std::string_view json);
std::string encode_response_head(const ResponseHead& head);

// Appends text as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// %XX decoding; nullopt when malformed or when the result holds a NUL.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace mayfly::wire
