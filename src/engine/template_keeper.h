#pragma once
// The template of one version: an instance that has run the user's initialisation and then waits to
// be cloned. Builds it, keeps shells ready, builds it again when it dies, and lets go of it when
// its memory is worth more elsewhere. Private to the engine; on one loop only.

#include <memory>
#include <string>
#include <vector>

#include "engine/core.h"
#include "engine/median.h"
#include "engine/policy/template_policy.h"
#include "engine/policy/template_value.h"

namespace mayfly::engine {

class Instance;

class TemplateKeeper {
 public:
  TemplateKeeper(Core& core, Pool& pool);
  ~TemplateKeeper();

  // May this version have a template at all, as far as anybody knows?
  bool possible() const;
  // The template to clone from; null when there is none.
  std::shared_ptr<Instance> source() const;
  bool building() const { return current_ != nullptr && !standing_; }
  bool empty() const { return current_ == nullptr; }

  // Starts one now, unless there is one. False: this version has none.
  bool build();
  // An instance has started the ordinary way: a template is built behind it when it is worth it.
  void on_boot();

  // From the instance that is the template.
  void on_standing(Instance& instance, const Ready& ready);
  // It serves as an ordinary instance instead.
  void on_declined(const std::string& why);
  void on_failed(Instance& instance, const Failure& failure);
  void on_gone(Instance& instance);
  // From instances that are cloned, or could not be.
  void on_cloned(std::uint32_t generation, microseconds took);
  void on_clone_gone(std::uint32_t generation);
  void on_clone_failed(Instance& instance, const Error& error);

  // What the catalogue knows: it was found at an earlier deploy that there can be none.
  void set_uncloneable(const std::string& why) { uncloneable_ = why; }
  const std::string& uncloneable() const { return uncloneable_; }

  // Ends it; also one that is being built. No other is built.
  void close(const std::string& why);
  void reopen() { closed_ = false; }
  // It has to make room for others.
  void evict();

  policy::TemplateHeld held() const;
  std::uint64_t bytes() const { return standing_ ? bytes_ : 0; }
  // What a clone takes: the median, or a guess.
  microseconds clone_time() const;
  unsigned shells() const { return shells_; }
  std::uint64_t clones() const { return clones_; }
  // Tells the templates of one version apart.
  std::uint32_t generation() const { return generation_; }
  bool standing() const { return standing_; }
  const Ready& ready() const { return ready_; }

 private:
  void use();
  void count_build(const char* outcome);
  telemetry::Metrics::Counter& clone_failed_counter();
  policy::TemplateCost cost() const;
  void keep_shells();
  void schedule(milliseconds after);
  void look();
  void let_go(const std::string& why);
  static void on_timer(void* self);

  Core& core_;
  Pool& pool_;
  std::shared_ptr<Instance> current_;  // being built, or standing
  bool standing_ = false;
  bool closed_ = false;
  bool wanted_ = false;  // build when the timer fires
  Ready ready_;
  std::string uncloneable_;

  policy::TemplateValue value_;
  policy::CloneRate rate_;
  policy::BurstSize burst_;
  std::uint64_t bytes_ = 0;  // what it held when it was ready; of the last one, when there is none
  RecentMedian clone_times_;
  std::uint64_t clones_ = 0;
  std::uint32_t generation_ = 0;
  std::uint32_t living_ = 0;  // clones of this generation: they share its memory
  telemetry::Metrics::Counter* clones_counter_ = nullptr;
  telemetry::Metrics::Histogram* clone_duration_ = nullptr;
  unsigned shells_ = 0;
  unsigned failures_ = 0;        // templates that failed or died in a row
  unsigned clone_failures_ = 0;  // of this one, in a row
  SteadyTime stood_since_{}, backoff_until_{};
  TimerQueue::Entry timer_;
};

// All templates that stand on this node, and their memory. Owned by the Core.
class TemplateShelf {
 public:
  explicit TemplateShelf(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // A template stands; it may be the one too many.
  void add(TemplateKeeper& keeper);
  void remove(TemplateKeeper& keeper);
  // Ends those worth least while all together hold too much. One with living clones stays: most of
  // its memory would, too.
  void trim();
  // Is there room for one more, or are those that would have to go worth less?
  bool admits(const policy::TemplateValue& value, std::uint64_t bytes);
  double floor() const { return floor_; }
  std::uint64_t bytes() const;
  std::size_t size() const { return keepers_.size(); }
  std::uint64_t evictions() const { return evictions_; }
  std::uint32_t building = 0;  // at this moment

 private:
  std::vector<policy::TemplateHeld> held() const;

  const std::uint64_t bytes_max_;
  double floor_ = 0;
  std::uint64_t evictions_ = 0;
  std::vector<TemplateKeeper*> keepers_;
};

}  // namespace mayfly::engine
