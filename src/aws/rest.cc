#include "aws/rest.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <set>

#include "aws/json_body.h"
#include "aws/text.h"
#include "wire/query.h"
#include "wire/utf8.h"

namespace mayfly::aws {

namespace json = boost::json;

namespace {

Fault misfit_member(std::string_view name, std::string_view wanted) {
  return {"SerializationException", std::string(name) + " must be " + std::string(wanted) + "."};
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  path = path.substr(0, path.find('?'));
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const auto end = path.find('/');
    segments.push_back(path.substr(0, end));
    path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
    if (end != std::string_view::npos && path.empty()) segments.emplace_back();
  }
  return segments;
}

bool is_label(std::string_view pattern) {
  return pattern.size() > 2 && pattern.front() == '{' && pattern.back() == '}';
}

// How many fixed segments of pattern fit; -1 when it does not fit. Without an allocation where it
// does not: every request is held against every operation.
int fit(std::string_view pattern, const std::vector<std::string_view>& path, RestMatch& match) {
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (pattern.ends_with('/')) pattern.remove_suffix(1);
  int fixed = 0;
  std::size_t at = 0;
  while (!pattern.empty()) {
    const auto end = pattern.find('/');
    const std::string_view one = pattern.substr(0, end);
    pattern = end == std::string_view::npos ? std::string_view() : pattern.substr(end + 1);
    if (at >= path.size()) return -1;
    if (!is_label(one)) {
      if (one != path[at++]) return -1;
      ++fixed;
      continue;
    }
    std::string_view name = one.substr(1, one.size() - 2);
    std::string text(path[at++]);
    if (name.ends_with('+')) {
      name.remove_suffix(1);
      const std::size_t behind =
          pattern.empty()
              ? 0
              : 1 + static_cast<std::size_t>(std::count(pattern.begin(), pattern.end(), '/'));
      while (at + behind < path.size()) text.append("/").append(path[at++]);
    }
    auto decoded = wire::percent_decode(text);
    if (!decoded || decoded->empty() || !wire::is_utf8(*decoded)) return -1;
    match.labels.emplace_back(name, std::move(*decoded));
  }
  return at == path.size() ? fixed : -1;
}

std::string_view without_equals(std::string_view parameter) {
  if (parameter.ends_with('=')) parameter.remove_suffix(1);
  return parameter;
}

template <class Visit>
bool all_parameters(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const auto end = query.find('&');
    if (!visit(without_equals(query.substr(0, end)))) return false;
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
  }
  return true;
}

// Every parameter of wanted ("find=LayerVersion") is one of query.
bool has_parameters(std::string_view query, std::string_view wanted) {
  return all_parameters(wanted, [query](std::string_view one) {
    return !all_parameters(query, [one](std::string_view there) { return there != one; });
  });
}

Outcome<json::value> scalar(const Shape& shape, std::string_view name, std::string_view text,
                            TimeForm standard, const json::storage_ptr& memory) {
  const char* const last = text.data() + text.size();
  switch (shape.kind) {
    case Kind::integer: {
      std::int64_t number = 0;
      const auto [end, failed] = std::from_chars(text.data(), last, number);
      if (failed != std::errc() || end != last) return misfit_member(name, "an integer");
      return json::value(number, memory);
    }
    case Kind::floating: {
      if (text == "NaN" || text == "Infinity" || text == "-Infinity")
        return json::value(json::string_view(text), memory);
      double number = 0;
      const auto [end, failed] = std::from_chars(text.data(), last, number);
      if (failed != std::errc() || end != last || !std::isfinite(number))
        return misfit_member(name, "a number");
      return json::value(number, memory);
    }
    case Kind::boolean:
      if (text != "true" && text != "false") return misfit_member(name, "true or false");
      return json::value(text == "true", memory);
    case Kind::timestamp: {
      const auto time = parse_time(shape.time == TimeForm::standard ? standard : shape.time, text);
      if (!time) return misfit_member(name, "a timestamp");
      return json::value(*time, memory);
    }
    default:
      if (!wire::is_utf8(text)) return misfit_member(name, "UTF-8");
      return json::value(json::string_view(text), memory);
  }
}

// The items of a field with a list: a,b or "a,b","c". Dates hold a comma themselves.
std::vector<std::string> items_of(std::string_view text, bool dates) {
  std::vector<std::string> items;
  std::string item;
  bool quoted = false, any = false;
  int commas = 0;
  const auto end_item = [&] {
    if (!quoted)
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.pop_back();
    items.push_back(std::move(item));
    item.clear();
  };
  bool in_quotes = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    any = true;
    if (in_quotes) {
      if (c == '\\' && i + 1 < text.size())
        item += text[++i];
      else if (c == '"')
        in_quotes = false;
      else
        item += c;
    } else if (c == '"' && item.empty()) {
      in_quotes = quoted = true;
    } else if (c == ',' && !(dates && ++commas % 2 == 1)) {
      end_item();
      quoted = false;
    } else if (!(item.empty() && (c == ' ' || c == '\t'))) {
      item += c;
    }
  }
  if (any) end_item();
  return items;
}

using Parameters = std::vector<std::pair<std::string, std::string>>;

Outcome<Parameters> parameters_of(std::string_view query) {
  Parameters parameters;
  while (const auto one = wire::take_parameter(query)) {
    auto name = wire::percent_decode(one->name);
    auto value = wire::percent_decode(one->value);
    if (!name || !value || !wire::is_utf8(*name) || !wire::is_utf8(*value))
      return Fault{"SerializationException",
                   "The query has a broken %-escape, or bytes that are not UTF-8."};
    parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return parameters;
}

// Reads one request; a class so that its pieces share what they need.
class Reader {
 public:
  Reader(const RestMatch& match, const wire::RequestHead& head, std::string_view body,
         json::storage_ptr memory)
      : match_(match), head_(head), body_(body), memory_(std::move(memory)), out_(memory_) {}

  Outcome<json::object> read() {
    auto parameters = parameters_of(head_.query());
    if (parameters.has_error()) return std::move(parameters).error();
    parameters_ = std::move(*parameters);
    const Shape& shape = *match_.operation->input;
    for (const auto& member : shape.members)
      if (member.place == Place::query && member.shape->kind != Kind::map)
        taken_.insert(member.wire());
    bool payload = false;
    for (const auto& member : shape.members) {
      AWS_TRY(read_member(member));
      payload = payload || member.place == Place::payload;
    }
    if (payload || body_.empty()) return std::move(out_);
    auto body = read_json(shape, body_, memory_);
    if (body.has_error()) return std::move(body).error();
    for (auto& member : *body) out_.insert_or_assign(member.key(), std::move(member.value()));
    return std::move(out_);
  }

 private:
  Outcome<void> read_member(const Member& member) {
    switch (member.place) {
      case Place::path:
        for (const auto& [name, text] : match_.labels)
          if (name == member.wire()) return put(member, text, TimeForm::iso8601);
        return {};
      case Place::query:
        return read_query(member);
      case Place::header:
        return read_header(member);
      case Place::headers: {
        json::object fields(memory_);
        for (const auto field : head_.headers)
          if (field.name.size() >= member.wire_name.size() &&
              wire::equal_ignoring_case(field.name.substr(0, member.wire_name.size()),
                                        member.wire_name))
            fields.insert_or_assign(field.name.substr(member.wire_name.size()),
                                    json::string_view(field.value));
        if (!fields.empty()) out_.emplace(member.name, std::move(fields));
        return {};
      }
      case Place::payload:
        return read_payload(member);
      default:
        return {};
    }
  }

  Outcome<void> put(const Member& member, std::string_view text, TimeForm standard) {
    auto value = scalar(*member.shape, member.name, text, standard, memory_);
    if (value.has_error()) return std::move(value).error();
    out_.insert_or_assign(member.name, std::move(*value));
    return {};
  }

  Outcome<void> read_query(const Member& member) {
    if (member.shape->kind == Kind::map) return read_query_map(member);
    if (member.shape->kind != Kind::list) {
      for (const auto& [name, text] : parameters_)
        if (name == member.wire()) return put(member, text, TimeForm::iso8601);
      return {};
    }
    json::array items(memory_);
    for (const auto& [name, text] : parameters_) {
      if (name != member.wire()) continue;
      auto value = scalar(*member.shape->element, member.name, text, TimeForm::iso8601, memory_);
      if (value.has_error()) return std::move(value).error();
      items.push_back(std::move(*value));
    }
    if (!items.empty()) out_.emplace(member.name, std::move(items));
    return {};
  }

  Outcome<void> read_query_map(const Member& member) {
    json::object entries(memory_);
    const bool lists = member.shape->element->kind == Kind::list;
    for (const auto& [name, text] : parameters_) {
      if (taken_.contains(name)) continue;
      if (!lists) {
        entries.emplace(name, json::string_view(text));
        continue;
      }
      json::value& list = entries.emplace(name, json::array(memory_)).first->value();
      list.get_array().emplace_back(json::string_view(text));
    }
    if (!entries.empty()) out_.emplace(member.name, std::move(entries));
    return {};
  }

  Outcome<void> read_header(const Member& member) {
    const auto field = head_.headers.find(member.wire());
    if (!field) return {};
    if (member.shape->kind != Kind::list) return put(member, *field, TimeForm::http_date);
    const Shape& element = *member.shape->element;
    const bool dates = element.kind == Kind::timestamp &&
                       (element.time == TimeForm::standard || element.time == TimeForm::http_date);
    json::array items(memory_);
    for (const auto& text : items_of(*field, dates)) {
      auto value = scalar(element, member.name, text, TimeForm::http_date, memory_);
      if (value.has_error()) return std::move(value).error();
      items.push_back(std::move(*value));
    }
    out_.emplace(member.name, std::move(items));
    return {};
  }

  Outcome<void> read_payload(const Member& member) {
    if (body_.empty()) return {};
    const Kind kind = member.shape->kind;
    if (kind == Kind::string || kind == Kind::blob) {
      // Bytes as they came: the one blob that is not base64 text in the value.
      out_.emplace(member.name, json::string_view(body_));
      return {};
    }
    boost::system::error_code failed;
    json::value value = json::parse(json::string_view(body_), failed, memory_);
    if (failed) return Fault{"SerializationException", "The body is not valid JSON."};
    auto read = from_wire(*member.shape, std::move(value), member.name);
    if (read.has_error()) return std::move(read).error();
    out_.emplace(member.name, std::move(*read));
    return {};
  }

  const RestMatch& match_;
  const wire::RequestHead& head_;
  std::string_view body_;
  json::storage_ptr memory_;
  json::object out_;
  Parameters parameters_;
  std::set<std::string_view> taken_;
};

std::string field_text(const Shape& shape, const json::value& value) {
  if (shape.kind == Kind::list && value.is_array()) {
    std::string text;
    for (const auto& item : value.get_array()) {
      std::string one = field_text(*shape.element, item);
      if (shape.element->kind == Kind::string && one.find_first_of(",\"") != std::string::npos) {
        std::string quoted = "\"";
        for (const char c : one) {
          if (c == '"' || c == '\\') quoted += '\\';
          quoted += c;
        }
        one = quoted + "\"";
      }
      text.append(text.empty() ? "" : ", ").append(one);
    }
    return text;
  }
  if (shape.kind == Kind::timestamp && value.is_number())
    return format_time(shape.time == TimeForm::standard ? TimeForm::http_date : shape.time,
                       value.to_number<double>());
  if (value.is_string()) return std::string(value.get_string());
  return number_text(value);
}

}  // namespace

std::optional<RestMatch> match_rest(const Contract& contract, std::string_view method,
                                    std::string_view path, std::string_view query) {
  const auto segments = segments_of(path);
  std::optional<RestMatch> best;
  int most = -1;
  for (const auto& operation : contract.operations) {
    if (operation.method != method) continue;
    RestMatch match{&operation, {}};
    const auto mark = operation.path.find('?');
    int fixed = fit(operation.path.substr(0, mark), segments, match);
    if (fixed >= 0 && mark != std::string_view::npos) {
      if (!has_parameters(query, operation.path.substr(mark + 1))) continue;
      ++fixed;
    }
    if (fixed > most) {
      most = fixed;
      best = std::move(match);
    }
  }
  return best;
}

Outcome<json::object> read_rest(const RestMatch& match, const wire::RequestHead& head,
                                std::string_view body, json::storage_ptr memory) {
  return Reader(match, head, body, std::move(memory)).read();
}

RestAnswer write_rest(const Operation& operation, const json::object& output) {
  RestAnswer answer;
  answer.head.status = operation.status;
  const Shape& shape = *operation.output;
  bool payload = false;
  const auto put = [&answer](std::string_view name, const std::string& value) {
    if (wire::is_token(name) && wire::is_field_value(value)) answer.head.headers.add(name, value);
  };
  std::string type = "application/json";
  for (const auto& member : shape.members) {
    payload = payload || member.place == Place::payload;
    const json::value* value = output.if_contains(member.name);
    if (!value || value->is_null()) continue;
    if (member.place == Place::header) {
      put(member.wire(), field_text(*member.shape, *value));
    } else if (member.place == Place::headers && value->is_object()) {
      for (const auto& entry : value->get_object())
        put(std::string(member.wire_name) + std::string(entry.key()),
            field_text(*member.shape->element, entry.value()));
    } else if (member.place == Place::status && value->is_number()) {
      answer.head.status = value->to_number<int>();
    } else if (member.place == Place::payload) {
      const Kind kind = member.shape->kind;
      if ((kind == Kind::blob || kind == Kind::string) && value->is_string()) {
        answer.body = std::string(value->get_string());
        type = kind == Kind::blob ? "application/octet-stream" : "text/plain";
      } else {
        answer.body = json::serialize(to_wire(*member.shape, *value));
      }
    }
  }
  if (!payload && answer.head.status != 204) answer.body = write_json(shape, output);
  if (!answer.head.headers.contains("Content-Type") && !answer.body.empty())
    answer.head.headers.set("Content-Type", type);
  return answer;
}

}  // namespace mayfly::aws
