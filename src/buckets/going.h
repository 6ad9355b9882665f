#pragma once
// Marks a bucket or an upload while it is made, completed or removed: others keep away from it.

#include "buckets/buckets.h"

namespace mayfly::buckets {

class Buckets::Going {
 public:
  Going(std::set<std::string>& names, std::string name)
      : names_(names), name_(std::move(name)), taken_(names.insert(name_).second) {}
  Going(const Going&) = delete;
  Going& operator=(const Going&) = delete;
  ~Going() {
    if (taken_) names_.erase(name_);
  }
  bool taken() const { return taken_; }  // false: somebody else is at it

 private:
  std::set<std::string>& names_;
  std::string name_;
  bool taken_;
};

}  // namespace mayfly::buckets
