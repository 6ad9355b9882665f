#include "functions/projects/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <vector>

namespace mayfly::functions::projects {
namespace {

constexpr int kVariableDepthMax = 100;
constexpr std::size_t kFilesMax = 100;

bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Where the block that begins at open ("${") ends: the place of its }; npos: nowhere.
std::size_t end_of_block(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') {
      ++depth;
      ++i;
    } else if (text[i] == '}' && --depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

// What stands in front of the address: "self" of self:a.b, "file" of file(x.yml):a. Empty: this is
// no variable of the framework, but text (as ${AWS::Region} is, for Fn::Sub).
std::string_view source_name(std::string_view expression) {
  std::size_t end = 0;
  while (end < expression.size() && is_name_letter(expression[end])) ++end;
  if (end == 0 || end == expression.size()) return "";
  if (expression[end] == '(') return expression.substr(0, end);
  if (expression[end] != ':') return "";
  if (end + 1 < expression.size() && expression[end + 1] == ':') return "";
  return expression.substr(0, end);
}

bool is_variable(std::string_view expression) {
  expression = trimmed(expression);
  return expression.starts_with("${") || !source_name(expression).empty();
}

// Alternatives of "a, b, 'c,d', ${e, f}".
std::vector<std::string_view> alternatives(std::string_view expression) {
  std::vector<std::string_view> parts;
  std::size_t from = 0;
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '{') {
      ++depth;
    } else if (c == ')' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.push_back(trimmed(expression.substr(from, i - from)));
      from = i + 1;
    }
  }
  parts.push_back(trimmed(expression.substr(from)));
  return parts;
}

bool is_plain_literal(std::string_view part) {
  if (part == "true" || part == "false" || part == "null") return true;
  return !part.empty() && part.find_first_not_of("0123456789.-") == std::string_view::npos &&
         part.find_first_of("0123456789") != std::string_view::npos;
}

std::string why_unknown(const std::string& source) {
  if (source == "ssm")
    return "Mayfly has no Parameter Store; give a default or an environment variable";
  if (source == "cf") return "Mayfly has no stacks of CloudFormation";
  if (source == "s3") return "Mayfly has no buckets to read";
  if (source == "git") return "the version control is not asked";
  return "Mayfly does not know the source '" + source.substr(0, 40) + "'; plugins are not run";
}

class Deeper {
 public:
  Deeper(int& depth, const Value& at) : depth_(depth) {
    if (++depth_ > kVariableDepthMax) {
      --depth_;
      wrong(at, "its variables are nested too deeply.");
    }
  }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  ~Deeper() { --depth_; }

 private:
  int& depth_;
};

}  // namespace

Variables::Variables(const Value& document, const Surroundings& around, Budget& budget)
    : document_(document), around_(around), budget_(budget) {}

Value Variables::resolve(const Value& value) {
  const Deeper deeper(depth_, value);
  if (value.is_scalar()) return resolve_scalar(value);
  budget_.spend(value, 1);
  if (value.is_map()) return resolve_members(value);
  Value out = value;
  if (!value.is_list()) return out;
  out.items.clear();
  for (const auto& item : value.items) out.items.push_back(resolve(item));
  return out;
}

Value Variables::resolve_members(const Value& value) {
  Value out = value;
  out.members.clear();
  std::vector<Value> merges;
  for (const auto& [key, member] : value.members) {
    Value made = resolve(member);
    if (key == "<<") {
      merges.push_back(std::move(made));
      continue;
    }
    const std::string name =
        key.find("${") == std::string::npos ? key : text_of(resolve_text(key, member));
    budget_.spend(value, 0, name.size());
    out.members.emplace_back(name, std::move(made));
  }
  for (auto& merge : merges) {
    if (merge.is_null()) continue;
    if (!merge.is_map()) wrong(merge, "a merge (<<) takes a mapping.");
    for (auto& member : merge.members)
      if (out.find(member.first) == nullptr) out.members.push_back(std::move(member));
  }
  return out;
}

Value Variables::resolve_scalar(const Value& value) {
  if (value.text.find("${") == std::string::npos) {
    budget_.spend(value, 1, value.text.size());
    return value;
  }
  if (const auto found = done_.find(&value); found != done_.end()) {
    budget_.spend_copy(value, found->second);
    return found->second;
  }
  if (!resolving_.insert(&value).second) wrong(value, "its variables lead back to itself.");
  Value made = resolve_text(value.text, value);
  if (made.tag.empty()) made.tag = value.tag;
  resolving_.erase(&value);
  done_.emplace(&value, made);
  return made;
}

Value Variables::resolve_text(const std::string& text, const Value& at) {
  const Deeper deeper(depth_, at);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto open = text.find("${", i);
    out.append(text, i, open == std::string::npos ? std::string::npos : open - i);
    if (open == std::string::npos) break;
    const auto close = end_of_block(text, open);
    if (close == std::string::npos) wrong(at, "a ${ has no } behind it.");
    const std::string_view inner = std::string_view(text).substr(open + 2, close - open - 2);
    i = close + 1;
    if (!is_variable(inner)) {  // for Fn::Sub; variables inside of it are not looked for
      out.append(text, open, close + 1 - open);
      continue;
    }
    Found found = evaluate(inner, at);
    if (!found)
      wrong(at, fmt::format("there is no value for ${{{}}}{}.", inner.substr(0, 200),
                            missing_.empty() ? "" : ": " + missing_));
    if (open == 0 && i == text.size()) {  // the whole: it keeps its kind
      budget_.spend_copy(at, *found);
      if (found->is_scalar() || found->is_unknown() || found->is_null()) found->place = at.place;
      return std::move(*found);
    }
    if (found->is_unknown()) return Value::unknown(found->text, at.place);
    if (!found->is_scalar() && !found->is_null())
      wrong(at, fmt::format("${{{}}} is no text, and stands within one.", inner.substr(0, 200)));
    out += found->text;
    if (out.size() > kTextBytesMax) wrong(at, "its variables make more than a mebibyte of text.");
  }
  budget_.spend(at, 1, out.size());
  Value made = Value::scalar(std::move(out), at.place);
  made.quoted = at.quoted;
  return made;
}

Variables::Found Variables::evaluate(std::string_view expression, const Value& at) {
  const Deeper deeper(depth_, at);
  Found unknown;
  missing_.clear();
  const auto parts = alternatives(expression);
  for (const auto part : parts) {
    Found found = evaluate_part(part, at);
    if (!found) continue;
    if (found->is_unknown()) {
      unknown = std::move(found);
      continue;
    }
    if (found->is_null() && part != parts.back()) continue;
    return found;
  }
  return unknown;
}

Variables::Found Variables::evaluate_part(std::string_view part, const Value& at) {
  if (part.empty()) wrong(at, "a variable has nothing in front of or behind a comma.");
  if (part.front() == '\'' || part.front() == '"') {
    if (part.size() < 2 || part.back() != part.front())
      wrong(at, "a quote in a variable is not closed.");
    Value text = resolve_text(std::string(part.substr(1, part.size() - 2)), at);
    text.quoted = true;
    return text;
  }
  if (is_plain_literal(part)) {
    Value literal = Value::scalar(std::string(part), at.place);
    literal.quoted = false;
    if (part == "null") {
      literal.kind = Value::Kind::null;
      literal.text.clear();
    }
    return literal;
  }
  if (part.starts_with("${") && end_of_block(part, 0) == part.size() - 1)
    return evaluate(part.substr(2, part.size() - 3), at);
  std::string plain(part);
  if (plain.find("${") != std::string::npos) {
    const Value inner = resolve_text(plain, at);
    if (inner.is_unknown()) return inner;
    plain = text_of(inner);
  }
  const std::string name(source_name(plain));
  if (name.empty())
    wrong(at,
          fmt::format("'{}' is no source of a variable; a default that is a text stands in quotes.",
                      plain.substr(0, 100)));
  std::size_t i = name.size();
  std::string argument;
  if (plain[i] == '(') {
    const auto close = plain.find(')', i);
    if (close == std::string::npos) wrong(at, "a ( in a variable has no ) behind it.");
    argument = std::string(trimmed(std::string_view(plain).substr(i + 1, close - i - 1)));
    i = close + 1;
  }
  std::string address;
  if (i < plain.size()) {
    if (plain[i] != ':')
      wrong(at, fmt::format("'{}' has something behind its ).", plain.substr(0, 100)));
    address = plain.substr(i + 1);
  }
  return source(name, argument, address, at);
}

Variables::Found Variables::source(const std::string& name, const std::string& argument,
                                   const std::string& address, const Value& at) {
  const auto text = [&](std::string value) { return Value::scalar(std::move(value), at.place); };
  const auto nothing = [&](std::string why) {
    missing_ = std::move(why);
    return std::nullopt;
  };
  if (name == "self") return self(address, at);
  if (name == "file") return file(argument, address, at);
  if (name == "param") return parameter(address, at);
  if (name == "sls") {
    if (address == "stage") return text(stage());
    if (address == "instanceId") return text("mayfly");
    return nothing("sls has stage and instanceId");
  }
  if (name == "opt") {
    if (address == "stage" && !around_.stage.empty()) return text(around_.stage);
    if (address == "region" && !around_.region.empty()) return text(around_.region);
    return nothing("the option --" + address.substr(0, 60) + " was not given");
  }
  if (name == "env") {
    auto value = around_.environment ? around_.environment(address) : std::nullopt;
    if (value) return text(std::move(*value));
    return nothing("the environment variable " + address.substr(0, 100) + " is not set");
  }
  if (name == "aws") {
    if (address == "region") return text(region());
    if (address == "accountId") return text(around_.account);
    return nothing("aws has region and accountId");
  }
  if (name == "strToBool") {
    std::string word = argument;
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    word = std::string(trimmed(word));
    if (word.size() >= 2 && (word.front() == '\'' || word.front() == '"'))
      word = word.substr(1, word.size() - 2);
    if (word != "true" && word != "1" && word != "false" && word != "0")
      wrong(at,
            fmt::format("strToBool takes true, false, 1 or 0, not '{}'.", argument.substr(0, 60)));
    Value value = text(word == "true" || word == "1" ? "true" : "false");
    value.quoted = false;
    return value;
  }
  return Value::unknown(why_unknown(name), at.place);
}

std::string Variables::provider_text(const char* key, const std::string& option,
                                     const char* otherwise) {
  if (!option.empty()) return option;
  const Value* provider = document_.find("provider");
  const Value* own = provider == nullptr ? nullptr : provider->find(key);
  if (own == nullptr || own->is_null()) return otherwise;
  if (finding_provider_) wrong(*own, "its variables lead back to itself.");
  finding_provider_ = true;
  const Value made = resolve(*own);
  finding_provider_ = false;
  return filled_text_of(made);
}

std::string Variables::stage() {
  return provider_text("stage", around_.stage, "dev");
}

std::string Variables::region() {
  return provider_text("region", around_.region, around_.home_region.c_str());
}

Variables::Found Variables::self(const std::string& address, const Value& at) {
  // What the command line says, or nobody, is there all the same.
  const Value* provider = document_.find("provider");
  const auto absent = [&](const char* key) {
    return provider == nullptr || provider->find(key) == nullptr;
  };
  if (address == "provider.stage" && (!around_.stage.empty() || absent("stage")))
    return Value::scalar(stage(), at.place);
  if (address == "provider.region" && (!around_.region.empty() || absent("region")))
    return Value::scalar(region(), at.place);
  Found found = look_up(document_, address, at);
  if (!found) missing_ = "there is no " + address.substr(0, 100) + " in this file";
  return found;
}

Variables::Found Variables::parameter(const std::string& name, const Value& at) {
  if (const auto given = around_.parameters.find(name); given != around_.parameters.end())
    return Value::scalar(given->second, at.place);
  if (const Value* params = document_.find("params"))
    for (const auto& stage_name : {stage(), std::string("default")})
      if (const Value* of_stage = params->find(stage_name))
        if (of_stage->find(name) != nullptr) return look_up(*of_stage, name, at);
  missing_ =
      "there is no parameter of that name; --parameter " + name.substr(0, 100) + "=VALUE gives it";
  return std::nullopt;
}

Variables::Found Variables::file(const std::string& path, const std::string& address,
                                 const Value& at) {
  const auto ends = [&path](std::string_view ending) { return path.ends_with(ending); };
  for (const auto code : {".js", ".cjs", ".mjs", ".ts"})
    if (ends(code)) return Value::unknown("no JavaScript is run to read a project", at.place);
  auto known = files_.find(path);
  if (known == files_.end()) {
    if (files_.size() >= kFilesMax)
      wrong(at, fmt::format("it names more than {} files.", kFilesMax));
    auto text = around_.read_file ? around_.read_file(path)
                                  : Result<std::string>(invalid("files are not read"));
    if (text.has_error() && text.error().code == Code::not_found) {
      missing_ = text.error().message;
      return std::nullopt;
    }
    if (text.has_error()) wrong(at, text.error().message);
    Value content;
    if (ends(".yml") || ends(".yaml") || ends(".json"))
      content = load_document(*text, path);
    else
      content = Value::scalar(std::string(trimmed(*text)), at.place);
    known = files_.emplace(path, std::move(content)).first;
  }
  Found found = look_up(known->second, address, at);
  if (!found) missing_ = "there is no " + address.substr(0, 100) + " in " + path.substr(0, 100);
  return found;
}

Variables::Found Variables::look_up(const Value& from, const std::string& address,
                                    const Value& at) {
  const Deeper deeper(depth_, at);
  std::list<Value> made;  // what variables on the way led to; they are not resolved again
  bool is_made = false;
  const Value* here = &from;
  for (std::size_t i = 0; i < address.size();) {
    const auto end = std::min(address.find('.', i), address.size());
    const std::string key = address.substr(i, end - i);
    i = end + 1;
    if (here->is_scalar() && !is_made) {
      made.push_back(resolve(*here));
      is_made = true;
      here = &made.back();
      if (here->is_unknown()) return *here;
    }
    const Value* next = nullptr;
    if (here->is_list() && !key.empty() && key.size() < 7 &&
        key.find_first_not_of("0123456789") == std::string::npos) {
      const auto index = static_cast<std::size_t>(std::stoul(key));
      if (index < here->items.size()) next = &here->items[index];
    } else if (here->is_map()) {
      next = here->find(key);
      if (const Value* merge = here->find("<<"); next == nullptr && merge != nullptr) {
        made.push_back(resolve(*merge));
        is_made = true;
        next = made.back().find(key);
      }
    }
    if (next == nullptr) return std::nullopt;
    here = next;
  }
  if (is_made) {
    budget_.spend_copy(at, *here);
    return *here;
  }
  return resolve(*here);
}

}  // namespace mayfly::functions::projects
