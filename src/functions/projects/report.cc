#include "functions/projects/report.h"

#include <algorithm>

#include "functions/checks.h"

namespace mayfly::functions::projects {

void Report::add(Finding::Kind kind, const Value& at, std::string what) {
  Finding finding;
  finding.kind = kind;
  if (at.place) {
    finding.path = at.place->path();
    finding.line = at.place->line;
    if (at.place->file) finding.file = *at.place->file;
  }
  finding.what = std::move(what);
  if (!seen_.emplace(finding.path, finding.what).second) return;
  findings_.push_back(std::move(finding));
}

std::vector<Finding> Report::take() {
  std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
    return a.file != b.file ? a.file < b.file : a.line < b.line;
  });
  return std::move(findings_);
}

Section::Section(const Value& value, Report& report) : value_(value), report_(report) {
  if (!value.is_map()) wrong(value, "must be a mapping (key: value).");
}

const Value* Section::look(std::string_view key) {
  const Value* value = value_.find(key);
  if (value == nullptr) return nullptr;
  taken_.emplace(key);
  if (value->is_null()) {
    report_.not_used(*value, "it is empty");
    return nullptr;
  }
  if (value->is_unknown()) {
    report_.not_used(*value, value->text);
    return nullptr;
  }
  return value;
}

std::string Section::text(std::string_view key, std::string otherwise) {
  const Value* value = look(key);
  if (value == nullptr) return otherwise;
  std::string text = filled_text_of(*value);
  report_.used(*value);
  return text;
}

bool Section::flag(std::string_view key, bool otherwise) {
  const Value* value = look(key);
  if (value == nullptr) return otherwise;
  const bool flag = boolean_of(*value);
  report_.used(*value);
  return flag;
}

void Section::finish(const Reasons& reasons) {
  std::vector<std::string_view> known(taken_.begin(), taken_.end());
  for (const auto& [key, why] : reasons) known.push_back(key);
  for (const auto& [key, member] : value_.members) {
    if (taken_.contains(key)) continue;
    const auto reason = std::find_if(reasons.begin(), reasons.end(),
                                     [&key = key](const auto& one) { return one.first == key; });
    if (reason != reasons.end())
      report_.not_used(member, std::string(reason->second));
    else
      report_.not_used(member, "Mayfly does not know this key." + did_you_mean(key, known));
  }
}

}  // namespace mayfly::functions::projects
