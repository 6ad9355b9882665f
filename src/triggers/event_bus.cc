#include "triggers/event_bus.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "triggers/event_state.h"

namespace mayfly::triggers {
namespace {

constexpr std::size_t kBusNameMax = 256;
constexpr std::size_t kRuleNameMax = 64;
constexpr std::size_t kTextMax = 512;

Error no_bus(const std::string& name) {
  return Error{Code::not_found, fmt::format("There is no event bus \"{}\".", name)};
}

Error no_rule(const std::string& bus, const std::string& name) {
  return Error{Code::not_found,
               fmt::format("There is no rule \"{}\" on event bus \"{}\".", name, bus)};
}

bool is_name(std::string_view text, std::size_t max, std::string_view also) {
  return !text.empty() && text.size() <= max &&
         std::all_of(text.begin(), text.end(), [also](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  also.find(c) != std::string_view::npos;
         });
}

std::string bus_key(std::string_view name) {
  return std::string(kBusPrefix).append(name);
}

std::string rule_key(const Rule& rule) {
  return std::string(kRulePrefix) + rule.bus + "\n" + rule.name;
}

}  // namespace

std::string scheduled_event(const std::string& rule_arn) {
  return boost::json::serialize(
      boost::json::object{{"source", "aws.events"},
                          {"detail-type", "Scheduled Event"},
                          {"resources", boost::json::array{boost::json::value(rule_arn)}},
                          {"detail", boost::json::object{}}});
}

io::Task<Status> EventBuses::State::write(store::Transaction transaction) {
  queues::Batch batch;
  batch.also = std::move(transaction);
  io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  co_return ok();
}

Status EventBuses::State::check(const RuleTarget& target) const {
  if (!is_name(target.id, kRuleNameMax, ".-_"))
    return invalid("The id of a target has 1 to 64 of the characters A-Z a-z 0-9 . - _.");
  const int ways = (target.input.empty() ? 0 : 1) + (target.input_path.empty() ? 0 : 1) +
                   (target.transformer ? 1 : 0);
  if (ways > 1)
    return invalid("A target has at most one of Input, InputPath and InputTransformer.");
  if (!target.input.empty()) {
    boost::system::error_code failed;
    const auto parsed = boost::json::parse(target.input, failed);
    if (failed) return invalid("Input is not valid JSON (" + failed.message() + ").");
    if (target.input.size() > 8192) return invalid("Input has at most 8192 bytes.");
  }
  if (!target.input_path.empty())
    if (auto path = EventPath::parse(target.input_path); path.has_error())
      return invalid("InputPath: " + path.error().message);
  if (target.transformer) MAYFLY_TRY(triggers::check(*target.transformer));
  if (!target.dead_letter.empty()) {
    const auto letter = parse_target(target.dead_letter);
    if (letter.has_error()) return invalid("dead_letter: " + letter.error().message);
    if (letter->kind != Target::Kind::queue) return invalid("dead_letter must be a queue.");
  }
  return ok();
}

Status EventBuses::State::check(const Rule& rule) const {
  if (!is_name(rule.name, kRuleNameMax, ".-_"))
    return invalid("The name of a rule has 1 to 64 of the characters A-Z a-z 0-9 . - _.");
  if (rule.description.size() > kTextMax) return invalid("A description has at most 512 bytes.");
  if (rule.pattern.empty() && rule.schedule.empty())
    return invalid("A rule wants an event pattern or a schedule.");
  if (!rule.schedule.empty() && rule.bus != kDefaultBus)
    return invalid("Only rules of the default event bus can have a schedule.");
  if (!rule.schedule.empty() && !parts.set_schedule)
    return Error{Code::unsupported, "This server has no schedules."};
  if (rule.pattern.empty()) return ok();
  auto pattern = Pattern::compile(rule.pattern, parts.settings.pattern_bytes_max);
  if (pattern.has_error())
    return invalid("Event pattern is not valid. Reason: " + pattern.error().message);
  return ok();
}

// In memory; what is checked.
Status EventBuses::State::add(Rule rule) {
  const auto bus = buses.find(rule.bus);
  if (bus == buses.end()) return no_bus(rule.bus);
  CompiledRule compiled;
  if (!rule.pattern.empty()) {
    auto pattern = Pattern::compile(rule.pattern);
    if (pattern.has_error()) return pattern.error();
    compiled.pattern = std::move(*pattern);
  }
  for (const auto& [id, target] : rule.targets) {
    if (target.input_path.empty()) continue;
    auto path = EventPath::parse(target.input_path);
    if (path.has_error()) return path.error();
    compiled.paths.emplace(id, std::move(*path));
  }
  compiled.arn =
      rule.bus == kDefaultBus
          ? fmt::format("arn:aws:events:{}:{}:rule/{}", parts.region, parts.account, rule.name)
          : fmt::format("arn:aws:events:{}:{}:rule/{}/{}", parts.region, parts.account, rule.bus,
                        rule.name);
  const std::string name = rule.name;
  compiled.info = std::make_shared<const Rule>(std::move(rule));
  bus->second.rules[name] = std::move(compiled);
  return ok();
}

Status EventBuses::State::open() {
  Bus first;
  first.name = std::string(kDefaultBus);
  buses[first.name].info = std::make_shared<const Bus>(first);
  Status failed = ok();
  const auto scan = [&](std::string_view prefix, const auto& take) -> Status {
    store::Store::Scan range;
    range.first = std::string(prefix);
    range.last = store::prefix_end(prefix);
    MAYFLY_TRY(parts.store.scan(range, [&](std::string_view, std::string_view value) {
      failed = take(value);
      return !failed.has_error();
    }));
    return failed;
  };
  MAYFLY_TRY(scan(kBusPrefix, [&](std::string_view value) -> Status {
    auto bus = decode_bus(value);
    if (bus.has_error()) return bus.error();
    const std::string name = bus->name;
    buses[name].info = std::make_shared<const Bus>(std::move(*bus));
    return ok();
  }));
  return scan(kRulePrefix, [&](std::string_view value) -> Status {
    auto rule = decode_rule(value);
    if (rule.has_error()) return rule.error();
    return add(std::move(*rule));
  });
}

// Writes it and takes it into memory; refused when it has changed since copy_of().
io::Task<Status> EventBuses::State::replace(Rule rule) {
  const auto bus = buses.find(rule.bus);
  if (bus == buses.end()) co_return no_bus(rule.bus);
  store::Transaction transaction;
  const auto there = bus->second.rules.find(rule.name);
  transaction.require(rule_key(rule), there == bus->second.rules.end()
                                          ? std::nullopt
                                          : std::optional(encode(*there->second.info)));
  if (rule.bus != kDefaultBus) transaction.require(bus_key(rule.bus), encode(*bus->second.info));
  transaction.put(rule_key(rule), encode(rule));
  io::Task<Status> writing = write(std::move(transaction));
  MAYFLY_CO_TRY(co_await std::move(writing));
  co_return add(std::move(rule));
}

Result<Rule> EventBuses::State::copy_of(const std::string& bus, const std::string& name) const {
  const auto found = buses.find(bus);
  if (found == buses.end()) return no_bus(bus);
  const auto rule = found->second.rules.find(name);
  if (rule == found->second.rules.end()) return no_rule(bus, name);
  return *rule->second.info;
}

EventBuses::EventBuses(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}
EventBuses::~EventBuses() = default;

Status EventBuses::open() {
  return state_->open();
}

io::Task<Result<BusPtr>> EventBuses::create(Bus bus) {
  if (!is_name(bus.name, kBusNameMax, "./-_"))
    co_return invalid(
        "The name of an event bus has 1 to 256 of the characters A-Z a-z 0-9 / . - _.");
  if (bus.description.size() > kTextMax) co_return invalid("A description has at most 512 bytes.");
  if (find(bus.name))
    co_return Error{Code::already_exists, fmt::format("Event bus {} already exists.", bus.name)};
  if (state_->buses.size() >= state_->parts.settings.buses_max)
    co_return Error{Code::resource_exhausted,
                    fmt::format("There are {} event buses already (setting events.buses_max).",
                                state_->buses.size())};
  bus.created = bus.modified = state_->parts.clock.wall_now();
  store::Transaction transaction;
  transaction.require(bus_key(bus.name), std::nullopt);
  transaction.put(bus_key(bus.name), encode(bus));
  io::Task<Status> writing = state_->write(std::move(transaction));
  Status written = co_await std::move(writing);
  if (written.has_error() && written.error().code == Code::conflict)
    co_return Error{Code::already_exists, fmt::format("Event bus {} already exists.", bus.name)};
  if (written.has_error()) co_return written.error();
  auto made = std::make_shared<const Bus>(std::move(bus));
  state_->buses[made->name].info = made;
  co_return BusPtr(made);
}

io::Task<Status> EventBuses::update(Bus bus) {
  const auto there = find(bus.name);
  if (!there) co_return no_bus(bus.name);
  bus.created = there->created;
  bus.modified = state_->parts.clock.wall_now();
  store::Transaction transaction;
  transaction.put(bus_key(bus.name), encode(bus));
  io::Task<Status> writing = state_->write(std::move(transaction));
  MAYFLY_CO_TRY(co_await std::move(writing));
  if (const auto found = state_->buses.find(bus.name); found != state_->buses.end())
    found->second.info = std::make_shared<const Bus>(std::move(bus));
  co_return ok();
}

io::Task<Status> EventBuses::remove(std::string name) {
  const auto found = state_->buses.find(name);
  if (name == kDefaultBus) co_return invalid("The default event bus stays.");
  if (found == state_->buses.end()) co_return no_bus(name);
  if (!found->second.rules.empty())
    co_return invalid(fmt::format("Event bus {} has rules; remove them first.", name));
  store::Transaction transaction;
  transaction.require(bus_key(name), encode(*found->second.info));
  transaction.remove(bus_key(name));
  io::Task<Status> writing = state_->write(std::move(transaction));
  MAYFLY_CO_TRY(co_await std::move(writing));
  state_->buses.erase(name);
  co_return ok();
}

BusPtr EventBuses::find(const std::string& name) const {
  const auto found = state_->buses.find(name);
  return found == state_->buses.end() ? nullptr : found->second.info;
}

std::vector<BusPtr> EventBuses::list() const {
  std::vector<BusPtr> out;
  for (const auto& [name, bus] : state_->buses) out.push_back(bus.info);
  return out;
}

io::Task<Result<RulePtr>> EventBuses::put_rule(Rule rule) {
  const auto state = state_;
  const auto bus = state->buses.find(rule.bus);
  if (bus == state->buses.end()) co_return no_bus(rule.bus);
  MAYFLY_CO_TRY(state->check(rule));
  const auto there = bus->second.rules.find(rule.name);
  const bool had_schedule =
      there != bus->second.rules.end() && !there->second.info->schedule.empty();
  if (there != bus->second.rules.end()) {
    rule.created = there->second.info->created;
    rule.tags = there->second.info->tags;
    rule.targets = there->second.info->targets;
  } else {
    if (bus->second.rules.size() >= state->parts.settings.rules_max)
      co_return Error{Code::resource_exhausted,
                      fmt::format("Event bus {} has {} rules already (setting events.rules_max).",
                                  rule.bus, bus->second.rules.size())};
    rule.created = state->parts.clock.wall_now();
  }
  // The schedule first: a tick of a rule that is not there reaches nobody, and it refuses what is
  // no expression.
  if (had_schedule || !rule.schedule.empty()) {
    Rule copy = rule;
    io::Task<Status> setting = state->parts.set_schedule(std::move(copy));
    MAYFLY_CO_TRY(co_await std::move(setting));
  }
  const std::string bus_name = rule.bus;
  const std::string name = rule.name;
  io::Task<Status> replacing = state->replace(std::move(rule));
  MAYFLY_CO_TRY(co_await std::move(replacing));
  co_return find_rule(bus_name, name);
}

io::Task<Status> EventBuses::tag_rule(std::string bus, std::string name,
                                      std::map<std::string, std::string> tags) {
  auto rule = state_->copy_of(bus, name);
  if (rule.has_error()) co_return rule.error();
  rule->tags = std::move(tags);
  io::Task<Status> replacing = state_->replace(std::move(*rule));
  Status replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Status> EventBuses::enable_rule(std::string bus, std::string name, bool enabled) {
  const auto state = state_;
  auto rule = state->copy_of(bus, name);
  if (rule.has_error()) co_return rule.error();
  rule->enabled = enabled;
  if (!rule->schedule.empty()) {
    Rule copy = *rule;
    io::Task<Status> setting = state->parts.set_schedule(std::move(copy));
    MAYFLY_CO_TRY(co_await std::move(setting));
  }
  io::Task<Status> replacing = state->replace(std::move(*rule));
  Status replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Status> EventBuses::remove_rule(std::string bus, std::string name) {
  const auto state = state_;
  auto rule = state->copy_of(bus, name);
  if (rule.has_error()) co_return rule.error();
  if (!rule->targets.empty())
    co_return invalid("Rule can't be deleted since it has targets; remove them first.");
  store::Transaction transaction;
  transaction.require(rule_key(*rule), encode(*rule));
  transaction.remove(rule_key(*rule));
  io::Task<Status> writing = state->write(std::move(transaction));
  MAYFLY_CO_TRY(co_await std::move(writing));
  if (const auto found = state->buses.find(bus); found != state->buses.end())
    found->second.rules.erase(name);
  if (rule->schedule.empty()) co_return ok();
  rule->schedule.clear();
  io::Task<Status> setting = state->parts.set_schedule(std::move(*rule));
  Status set = co_await std::move(setting);
  co_return set;
}

RulePtr EventBuses::find_rule(const std::string& bus, const std::string& name) const {
  const auto found = state_->buses.find(bus);
  if (found == state_->buses.end()) return nullptr;
  const auto rule = found->second.rules.find(name);
  return rule == found->second.rules.end() ? nullptr : rule->second.info;
}

std::vector<RulePtr> EventBuses::rules(const std::string& bus) const {
  std::vector<RulePtr> out;
  const auto found = state_->buses.find(bus);
  if (found == state_->buses.end()) return out;
  for (const auto& [name, rule] : found->second.rules) out.push_back(rule.info);
  return out;
}

io::Task<Status> EventBuses::put_targets(std::string bus, std::string rule,
                                         std::vector<RuleTarget> targets) {
  auto changed = state_->copy_of(bus, rule);
  if (changed.has_error()) co_return changed.error();
  for (auto& target : targets) {
    MAYFLY_CO_TRY(state_->check(target));
    const std::string id = target.id;
    changed->targets[id] = std::move(target);
  }
  if (changed->targets.size() > state_->parts.settings.targets_max)
    co_return Error{Code::resource_exhausted,
                    fmt::format("A rule has at most {} targets (setting events.targets_max).",
                                state_->parts.settings.targets_max)};
  io::Task<Status> replacing = state_->replace(std::move(*changed));
  Status replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Status> EventBuses::remove_targets(std::string bus, std::string rule,
                                            std::vector<std::string> ids) {
  auto changed = state_->copy_of(bus, rule);
  if (changed.has_error()) co_return changed.error();
  for (const auto& id : ids) changed->targets.erase(id);
  io::Task<Status> replacing = state_->replace(std::move(*changed));
  Status replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Result<std::vector<Result<PutResult>>>> EventBuses::put(std::string bus,
                                                                 std::vector<Event> events) {
  return state_->put(std::move(bus), std::move(events));
}

std::string EventBuses::bus_arn(const std::string& bus) const {
  return fmt::format("arn:aws:events:{}:{}:event-bus/{}", state_->parts.region,
                     state_->parts.account, bus);
}

std::string EventBuses::rule_arn(const Rule& rule) const {
  const auto bus = state_->buses.find(rule.bus);
  if (bus == state_->buses.end()) return {};
  const auto found = bus->second.rules.find(rule.name);
  return found == bus->second.rules.end() ? std::string() : found->second.arn;
}

}  // namespace mayfly::triggers
