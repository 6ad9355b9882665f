#include "simulation/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "simulation/azure_2019.h"
#include "simulation/event_queue.h"

namespace mayfly::simulation {
namespace {

constexpr double kDayS = 86'400;
constexpr double kTwoPi = 6.283185307179586;
// Least values for the logarithms of azure_2019::quantile.
constexpr double kCvLeast = 0.005, kMemoryLeastMb = 30;

// Streams of the seed; those of the applications' calls begin above.
enum Stream : std::uint64_t { kPopulation = 1, kCalls = 1000 };

// Hyper-exponential gaps with mean 1 and this squared CV: with probability `likely` a gap of mean
// `quick`, else of mean `slow`.
struct Hyper {
  double likely, quick, slow;
};
Hyper balanced(double scv) {
  const double p = 0.5 * (1 + std::sqrt((scv - 1) / (scv + 1)));
  return {p, 0.5 / p, 0.5 / (1 - p)};
}
// Bursts: the quick gap is given, the rest follows from (1-pf)^2/(1-p) + p f^2 = (scv+1)/2.
Hyper bursts(double scv, double quick) {
  const double wanted = (scv + 1) / 2;
  double low = 0, high = 1 - 1e-9;
  for (int i = 0; i < 60; ++i) {
    const double p = 0.5 * (low + high), rest = 1 - p * quick;
    (rest * rest / (1 - p) + p * quick * quick < wanted ? low : high) = p;
  }
  const double p = 0.5 * (low + high);
  return {p, quick, (1 - p * quick) / (1 - p)};
}

}  // namespace

Load::Load(const LoadOptions& options) : options_(options) {
  draw_population();
}

Load::Load(const LoadOptions& options, std::vector<Application> applications,
           std::vector<Function> functions)
    : options_(options), applications_(std::move(applications)), functions_(std::move(functions)) {}

std::int64_t Load::warmup_us() const {
  return std::llround(options_.warmup_h * 3600e6);
}
std::int64_t Load::end_us() const {
  return warmup_us() + std::llround(options_.hours * 3600e6);
}

double Load::simulated_rate(const Application& application) const {
  return std::min(application.calls_a_day / kDayS, options_.rate_max);
}

void Load::draw_population() {
  namespace azure = azure_2019;
  Random random(options_.seed, kPopulation);
  while (functions_.size() < options_.functions) {
    Application application;
    application.first = static_cast<std::uint32_t>(functions_.size());
    application.calls_a_day = azure::quantile(azure::calls_a_day(), random.uniform(), 1);
    application.cv = azure::quantile(azure::gap_cv(), random.uniform(), kCvLeast);
    const double wanted =
        std::ceil(azure::quantile(azure::functions_of_an_app(), random.uniform(), 1) - 1e-9);
    const double memory_mb = azure::quantile(azure::memory_mb(), random.uniform(), kMemoryLeastMb);
    const auto room = options_.functions - application.first;
    application.count = std::min(room, static_cast<std::uint32_t>(std::max(1.0, wanted)));
    const auto index = static_cast<std::uint32_t>(applications_.size());
    const double rate = application.calls_a_day / kDayS;
    for (std::uint32_t i = 0; i < application.count; ++i) {
      Function function;
      function.application = index;
      function.memory_mb = memory_mb;
      const double run_ms = azure::quantile(azure::run_ms(), random.uniform(), options_.run_min_ms);
      function.run_mean_us =
          std::llround(1000 * std::clamp(run_ms, options_.run_min_ms, options_.run_max_s * 1000));
      function.init_us =
          std::llround(1000 * options_.init_ms * std::exp(options_.init_sigma * random.normal()));
      function.weight = std::max(1.0, rate / options_.rate_max);
      functions_.push_back(function);
    }
    applications_.push_back(application);
  }
}

Arrivals::Arrivals(const Load& load) : load_(load) {
  states_.reserve(load.applications().size());
  for (std::size_t i = 0; i < load.applications().size(); ++i)
    states_.push_back({Random(load.options().seed, kCalls + i)});
}

double Arrivals::gap(const Application& application, Random& random) const {
  const double cv = application.cv;
  if (cv <= 0) return 1;
  if (std::abs(cv - 1) < 0.01) return random.exponential();
  if (cv < 1) return random.gamma(1 / (cv * cv));
  const double quick = load_.options().burst_gap;
  const Hyper mix = quick > 0 ? bursts(cv * cv, quick) : balanced(cv * cv);
  const double mean = random.uniform() < mix.likely ? mix.quick : mix.slow;
  return mean * random.exponential();
}

// The real time at which so much operational time has passed since from_s: the intensity over the
// day is 1 + a sin, with (1 + a) / (1 - a) = peak.
double Arrivals::to_real(double from_s, double operational_s) const {
  const double peak = load_.options().peak;
  const double a = (peak - 1) / (peak + 1);
  if (a <= 0) return from_s + operational_s;
  const auto intensity = [&](double t) { return 1 + a * std::sin(kTwoPi * t / kDayS); };
  if (operational_s < 60) return from_s + operational_s / intensity(from_s);
  const auto passed = [&](double t) {
    const double wave = a * kDayS / kTwoPi;
    return (t - from_s) + wave * (std::cos(kTwoPi * from_s / kDayS) - std::cos(kTwoPi * t / kDayS));
  };
  double low = from_s + operational_s / (1 + a), high = from_s + operational_s / (1 - a);
  double t = from_s + operational_s;
  for (int i = 0; i < 50; ++i) {
    const double off = passed(t) - operational_s;
    if (std::abs(off) < 1e-6) break;
    (off < 0 ? low : high) = t;
    t -= off / intensity(t);
    if (t <= low || t >= high) t = 0.5 * (low + high);
  }
  return t;
}

std::int64_t Arrivals::next_at(std::uint32_t index) {
  const Application& application = load_.applications()[index];
  State& state = states_[index];
  const double mean_s = 1 / load_.simulated_rate(application);
  double step = gap(application, state.random) * mean_s;
  if (!state.begun) step *= state.random.uniform();  // somewhere within a gap
  state.begun = true;
  state.at_s = application.cv <= 0 ? state.at_s + step : to_real(state.at_s, step);
  return std::llround(std::min(state.at_s, 1e9) * 1e6);
}

Call Arrivals::draw(std::uint32_t index, std::int64_t at_us) {
  const Application& application = load_.applications()[index];
  State& state = states_[index];
  std::uint32_t chosen = 0;
  if (application.count > 1 && application.cv <= 0) {
    chosen = static_cast<std::uint32_t>(state.calls % application.count);  // timers take turns
  } else if (application.count > 1) {
    // Few functions of an application make most of its calls: 1, 1/2, 1/3 ...
    double sum = 0;
    for (std::uint32_t i = 1; i <= application.count; ++i) sum += 1.0 / i;
    double left = state.random.uniform() * sum;
    while (chosen + 1 < application.count && (left -= 1.0 / (chosen + 1)) >= 0) ++chosen;
  }
  ++state.calls;
  const std::uint32_t id = application.first + chosen;
  const double mean = double(load_.functions()[id].run_mean_us);
  const double sigma = load_.options().run_sigma;
  const double run = sigma > 0 ? state.random.lognormal(mean, sigma) : mean;
  const double most = load_.options().run_max_s * 1e6;
  return {at_us, id, std::llround(std::clamp(run, 1.0, most))};
}

void for_each_call(const Load& load, const std::function<void(const Call&)>& visit) {
  Arrivals arrivals(load);
  EventQueue queue;
  const auto expect = [&](std::uint32_t application) {
    const std::int64_t at = arrivals.next_at(application);
    if (at < load.end_us()) queue.push({at, 0, application});
  };
  for (std::uint32_t i = 0; i < load.applications().size(); ++i) expect(i);
  while (!queue.empty()) {
    const auto event = queue.pop();
    visit(arrivals.draw(event.id, event.at_us));
    expect(event.id);
  }
}

void write_trace(const Load& load, std::ostream& out) {
  out << "time_s,function,run_ms,memory_mb,stands_for\n";
  std::string block;
  for_each_call(load, [&](const Call& call) {
    const Function& function = load.functions()[call.function];
    fmt::format_to(std::back_inserter(block), "{:.6f},f{},{:.3f},{:.0f},{:.4g}\n",
                   double(call.at_us) / 1e6, call.function, double(call.run_us) / 1e3,
                   function.memory_mb, function.weight);
    if (block.size() < 60'000) return;
    out << block;
    block.clear();
  });
  out << block;
}

}  // namespace mayfly::simulation
