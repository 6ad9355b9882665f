#pragma once
// Internal: the report of what was used, and the one way to read a mapping: a Section, whose keys
// that nobody asked for end up in the report.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "functions/projects/document.h"
#include "functions/projects/project.h"

namespace mayfly::functions::projects {

class Report {
 public:
  void made(const Value& at, std::string what) { add(Finding::Kind::made, at, std::move(what)); }
  void used(const Value& at, std::string what = "") {
    add(Finding::Kind::used, at, std::move(what));
  }
  void not_used(const Value& at, std::string why) {
    add(Finding::Kind::not_used, at, std::move(why));
  }
  // By file and line; each once.
  std::vector<Finding> take();

 private:
  void add(Finding::Kind kind, const Value& at, std::string what);

  std::vector<Finding> findings_;
  std::set<std::pair<std::string, std::string>> seen_;  // path and text
};

using Reasons = std::vector<std::pair<std::string_view, std::string_view>>;  // key, why not

// Of a mapping. Keys that were not taken by finish() are reported as not used, with the reason that
// is known for them.
class Section {
 public:
  // Throws Wrong when value is no mapping.
  Section(const Value& value, Report& report);

  // Calls use(value) when the key is there and not null. A value that nobody knows is reported and
  // not used.
  template <class Use>
  bool take(std::string_view key, Use use) {
    const Value* value = look(key);
    if (value == nullptr) return false;
    use(*value);
    return true;
  }
  // The value itself: whoever asks reports what becomes of it. Null: not there, or unknown.
  const Value* look(std::string_view key);
  // A setting: reported as used.
  std::string text(std::string_view key, std::string otherwise = "");
  bool flag(std::string_view key, bool otherwise);
  bool has(std::string_view key) const { return value_.find(key) != nullptr; }
  // It is there, and nobody can say what it is.
  bool unknown(std::string_view key) const {
    const Value* value = value_.find(key);
    return value != nullptr && value->is_unknown();
  }
  void finish(const Reasons& reasons = {});
  const Value& value() const { return value_; }
  Report& report() { return report_; }

 private:
  const Value& value_;
  Report& report_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace mayfly::functions::projects
