#pragma once
// Internal: maps of texts in stored records.

#include <map>
#include <string>
#include <utility>

#include "telemetry/bytes.h"

namespace mayfly::triggers {

inline void put_texts(telemetry::ByteWriter& out, const std::map<std::string, std::string>& map) {
  out.number(map.size());
  for (const auto& [name, value] : map) {
    out.text(name);
    out.text(value);
  }
}

inline std::map<std::string, std::string> get_texts(telemetry::ByteReader& in) {
  std::map<std::string, std::string> map;
  for (std::uint64_t n = in.number(); n > 0 && in.good(); --n) {
    std::string name(in.text());
    map[std::move(name)] = std::string(in.text());
  }
  return map;
}

}  // namespace mayfly::triggers
