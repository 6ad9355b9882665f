#pragma once
// Maps of text in records. Internal.

#include <map>
#include <string>

#include "telemetry/bytes.h"

namespace mayfly::triggers {

inline void put_map(telemetry::ByteWriter& out, const std::map<std::string, std::string>& map) {
  out.number(map.size());
  for (const auto& [name, value] : map) {
    out.text(name);
    out.text(value);
  }
}

inline std::map<std::string, std::string> get_map(telemetry::ByteReader& in) {
  std::map<std::string, std::string> map;
  for (std::uint64_t n = in.number(); n > 0 && in.good(); --n) {
    std::string name(in.text());
    map[std::move(name)] = std::string(in.text());
  }
  return map;
}

}  // namespace mayfly::triggers
