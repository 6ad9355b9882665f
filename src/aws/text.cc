#include "aws/text.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "aws/times.h"
#include "wire/utf8.h"

namespace mayfly::aws {

void append_xml(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = wire::utf8_length(text);
    const std::string_view piece = text.substr(0, size ? size : 1);
    text.remove_prefix(piece.size());
    const char c = piece.front();
    if (size == 0 || piece == "\xef\xbf\xbe" || piece == "\xef\xbf\xbf")
      out += "\xef\xbf\xbd";
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\r')
      out += "&#xD;";  // parsers turn a bare one into a line feed
    else if (c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20)
      out += piece;
    else
      out += "\xef\xbf\xbd";
  }
}

std::string number_text(const boost::json::value& value) {
  if (value.is_double()) return fmt::format("{}", value.get_double());
  return boost::json::serialize(value);
}

std::optional<double> parse_time(TimeForm form, std::string_view text) {
  if (form == TimeForm::iso8601) return parse_iso8601(text);
  if (form == TimeForm::http_date) return parse_http_date(text);
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::string format_time(TimeForm form, double epoch_s) {
  if (form == TimeForm::iso8601) return iso8601(epoch_s);
  if (form == TimeForm::http_date) return http_date(epoch_s);
  if (epoch_s == std::floor(epoch_s) && std::abs(epoch_s) < 9e15)
    return std::to_string(static_cast<std::int64_t>(epoch_s));
  return fmt::format("{:.3f}", epoch_s);
}

}  // namespace mayfly::aws
