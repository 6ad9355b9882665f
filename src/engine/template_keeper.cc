#include "engine/template_keeper.h"

#include <algorithm>

#include "base/log.h"
#include "engine/instance.h"
#include "engine/pool.h"

namespace mayfly::engine {
namespace {

constexpr milliseconds kBehind{500};       // a first call has the machine for itself so long
constexpr milliseconds kReview{30'000};    // shells of a version that is not called
constexpr milliseconds kSettled{10'000};   // who stood for so long has not failed
constexpr unsigned kCloneFailuresMax = 3;  // then another template may do better
constexpr std::uint64_t kBytesUnknown = 32u << 20;
constexpr microseconds kCloneUnknown{3'000};

}  // namespace

TemplateKeeper::TemplateKeeper(Core& core, Pool& pool)
    : core_(core), pool_(pool), timer_(&TemplateKeeper::on_timer, this) {}

TemplateKeeper::~TemplateKeeper() {
  if (standing_) core_.templates->remove(*this);
}

bool TemplateKeeper::possible() const {
  if (closed_ || core_.stopping || core_.settings.runtime_lib.empty()) return false;
  const auto& version = *pool_.effective();
  if (!version.settings.snapshot || !uncloneable_.empty()) return false;
  const auto* factory = core_.factory_for(version);
  if (factory == nullptr || pool_.per_call()) return false;
  if (!factory->wants_runtime(version)) return factory->clones(version, {});
  const auto runtime = core_.runtimes.find(version.settings.runtime);
  return runtime.has_value() && factory->clones(version, *runtime);
}

std::shared_ptr<Instance> TemplateKeeper::source() const {
  return standing_ ? current_ : nullptr;
}

// ---- building

bool TemplateKeeper::build() {
  if (current_) return true;
  if (!possible()) return false;
  wanted_ = false;
  ++core_.templates->building;
  current_ = std::make_shared<Instance>(core_.shared_from_this(), pool_.shared_from_this(),
                                        pool_.memory_bytes(), Instance::Kind::source);
  current_->begin(nullptr);
  return true;
}

void TemplateKeeper::on_boot() {
  if (current_ || !possible()) return;
  use();  // a clone would have been made
  wanted_ = true;
  schedule(kBehind);
}

void TemplateKeeper::schedule(milliseconds after) {
  const auto left = std::chrono::ceil<milliseconds>(backoff_until_ - core_.now());
  core_.timers.arm(timer_, std::max({after, left, milliseconds(1)}));
}

void TemplateKeeper::on_timer(void* self) {
  auto& keeper = *static_cast<TemplateKeeper*>(self);
  const auto pool = keeper.pool_.shared_from_this();
  keeper.look();
}

void TemplateKeeper::look() {
  if (standing_) return keep_shells();
  if (current_ || !wanted_ || !possible()) return;
  const std::uint64_t bytes = bytes_ != 0 ? bytes_ : kBytesUnknown;
  if (!core_.templates->admits(value_, bytes)) {
    wanted_ = false;  // until it starts the ordinary way again
    return;
  }
  // In the background: at most one for each core, and not while calls wait.
  if (core_.templates->building >= core_.cores || pool_.waiting() > 0) return schedule(kBehind);
  (void)build();
}

// ---- what became of it

void TemplateKeeper::on_standing(Instance& instance, const Ready& ready) {
  if (&instance != current_.get()) return;
  --core_.templates->building;
  standing_ = true;
  ++generation_;
  living_ = 0;
  ready_ = ready;
  stood_since_ = core_.now();
  clone_failures_ = 0;
  bytes_ = std::max<std::uint64_t>(instance.memory_used(), 1u << 20);
  count_build("ok");
  use();
  core_.templates->add(*this);
  if (standing_) keep_shells();
}

void TemplateKeeper::on_declined(const std::string& why) {
  --core_.templates->building;
  uncloneable_ = why.empty() ? "its runtime cannot be cloned" : why;
  current_->keep_shells(0);
  current_.reset();
  count_build("declined");
}

void TemplateKeeper::on_failed(Instance& instance, const Failure& failure) {
  if (&instance != current_.get()) return;
  --core_.templates->building;
  current_.reset();
  ++failures_;
  backoff_until_ = core_.now() + policy::rebuild_after(failures_);
  count_build("failed");
  // What the user's code said goes to who deploys.
  if (!closed_ && failure.error_json.empty())
    log::warn("a template of function {} could not be built: {}", pool_.version()->function,
              failure.message);
}

// It died, or was ended. Who does not want it any more has let go of it before.
void TemplateKeeper::on_gone(Instance& instance) {
  if (&instance != current_.get()) return;
  const bool settled = core_.now() - stood_since_ >= kSettled;
  let_go("");
  if (!possible()) return;
  failures_ = settled ? 1 : failures_ + 1;
  backoff_until_ = core_.now() + policy::rebuild_after(failures_);
  wanted_ = true;
  log::warn("the template of function {} died; the next one is built in {} ms",
            pool_.version()->function, policy::rebuild_after(failures_).count());
  schedule(milliseconds(0));
}

void TemplateKeeper::let_go(const std::string& why) {
  const auto instance = std::move(current_);
  current_.reset();
  if (std::exchange(standing_, false)) core_.templates->remove(*this);
  shells_ = 0;
  timer_.disarm();
  if (instance && !why.empty()) instance->kill(why);
}

void TemplateKeeper::evict() {
  core_.metrics
      .counter("mayfly_template_evictions_total", "Templates ended to make room for others.", {})
      .add();
  wanted_ = false;
  let_go("was ended: other templates are of more use");
}

void TemplateKeeper::close(const std::string& why) {
  closed_ = true;
  wanted_ = false;
  timer_.disarm();
  if (building()) --core_.templates->building;
  let_go(why);
}

// ---- use

void TemplateKeeper::count_build(const char* outcome) {
  core_.metrics
      .counter("mayfly_template_builds_total", "Templates that were to be built, by outcome.",
               {{"outcome", outcome}})
      .add();
}

telemetry::Metrics::Counter& TemplateKeeper::clone_failed_counter() {
  return core_.metrics.counter("mayfly_template_clone_failures_total",
                               "Clones that failed; the instance started the ordinary way.",
                               {{"function", pool_.version()->function}});
}

microseconds TemplateKeeper::clone_time() const {
  return clone_times_.value().value_or(kCloneUnknown);
}

policy::TemplateCost TemplateKeeper::cost() const {
  return {bytes_ != 0 ? bytes_ : kBytesUnknown, pool_.boot_median() - clone_time()};
}

void TemplateKeeper::use() {
  value_ = policy::after_use(value_, cost(), core_.templates->floor(), core_.now());
}

void TemplateKeeper::on_clone_gone(std::uint32_t generation) {
  if (generation != generation_ || living_ == 0) return;
  if (--living_ == 0 && standing_) core_.templates->trim();
}

void TemplateKeeper::on_cloned(std::uint32_t generation, microseconds took) {
  if (generation == generation_) ++living_;
  clone_times_.add(took.count());
  ++clones_;
  if (clones_counter_ == nullptr) {
    clones_counter_ =
        &core_.metrics.counter("mayfly_template_clones_total", "Instances cloned from a template.",
                               {{"function", pool_.version()->function}});
    clone_duration_ = &core_.metrics.histogram(
        "mayfly_template_clone_duration_seconds", "From the order to the clone in its sandbox.", {},
        {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2});
  }
  clones_counter_->add();
  clone_duration_->observe(static_cast<double>(took.count()) / 1e6);
  clone_failures_ = 0;
  if (core_.now() - stood_since_ >= kSettled) failures_ = 0;
  rate_.add(core_.now());
  burst_.add(core_.now());
  use();
  keep_shells();
}

void TemplateKeeper::on_clone_failed(Instance& instance, const Error& error) {
  log::warn("function {} starts the ordinary way: its template was not cloned: {}",
            pool_.version()->function, error.describe());
  clone_failed_counter().add();
  if (&instance != current_.get() || ++clone_failures_ < kCloneFailuresMax) return;
  instance.kill("was ended because it could not be cloned");
  on_gone(instance);
}

void TemplateKeeper::keep_shells() {
  if (!standing_) return;
  const auto now = core_.now();
  const auto unused =
      std::chrono::duration_cast<microseconds>(now - std::max(value_.used_at, stood_since_));
  const unsigned wanted =
      policy::shells_wanted(rate_.per_second(now), burst_.expected(now), unused);
  if (wanted != shells_) current_->keep_shells(shells_ = wanted);
  if (wanted > 0 && !timer_.armed()) schedule(kReview);
}

policy::TemplateHeld TemplateKeeper::held() const {
  return {value_.priority, bytes(), living_ > 0};
}

// ---- the shelf

std::vector<policy::TemplateHeld> TemplateShelf::held() const {
  std::vector<policy::TemplateHeld> all;
  all.reserve(keepers_.size());
  for (const auto* keeper : keepers_) all.push_back(keeper->held());
  return all;
}

std::uint64_t TemplateShelf::bytes() const {
  std::uint64_t sum = 0;
  for (const auto* keeper : keepers_) sum += keeper->bytes();
  return sum;
}

void TemplateShelf::add(TemplateKeeper& keeper) {
  keepers_.push_back(&keeper);
  trim();
}

void TemplateShelf::trim() {
  const auto used = bytes();
  if (used <= bytes_max_) return;
  const auto all = held();
  const auto eviction = policy::evict_templates(all, used - bytes_max_, floor_);
  if (!eviction) return;
  floor_ = eviction->floor;
  std::vector<TemplateKeeper*> victims;
  for (const auto index : eviction->victims) victims.push_back(keepers_[index]);
  evictions_ += victims.size();
  for (auto* victim : victims) victim->evict();
}

void TemplateShelf::remove(TemplateKeeper& keeper) {
  std::erase(keepers_, &keeper);
}

bool TemplateShelf::admits(const policy::TemplateValue& value, std::uint64_t size) {
  if (size > bytes_max_) return false;
  const auto wanted = bytes() + size;
  const auto admission = policy::admit_template(
      held(), wanted > bytes_max_ ? wanted - bytes_max_ : 0, value.priority, floor_);
  if (!admission.admitted) floor_ = admission.floor;
  return admission.admitted;
}

}  // namespace mayfly::engine
