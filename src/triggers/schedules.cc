#include "triggers/schedules.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>

#include "base/ids.h"
#include "base/log.h"
#include "engine/park.h"
#include "io/keyed_lock.h"
#include "telemetry/bytes.h"
#include "triggers/call_state.h"
#include "wire/http_message.h"

namespace mayfly::triggers {
namespace {

namespace asio = boost::asio;

// "schedules/d/": what was asked for, as JSON; "schedules/s/": where it is. Apart, because the
// second changes with every tick.
constexpr std::string_view kAskedPrefix = "schedules/d/";
constexpr std::string_view kPlacePrefix = "schedules/s/";
constexpr std::uint8_t kScheduleVersion = 1;
constexpr auto kLate = seconds(60);               // older ticks are caught up by policy
constexpr auto kLook = seconds(1);                // the wall clock may jump meanwhile
constexpr auto kSetBack = std::chrono::hours(1);  // further back: planned anew
constexpr std::size_t kInputMax = 256 * 1024;
constexpr std::size_t kDueMax = 100'000;  // ticks that are looked at one by one

std::string id_of(const std::string& group, const std::string& name) {
  return group + "/" + name;
}

struct Place {
  std::optional<WallTime> next, fire, last;
  std::uint64_t ticks = 0, skipped = 0;
};

std::string encode(const Place& place) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(kScheduleVersion);
  for (const auto& time : {place.next, place.fire, place.last}) {
    out.byte(time ? 1 : 0);
    if (time) out.signed_number(to_epoch_us(*time));
  }
  out.number(place.ticks);
  out.number(place.skipped);
  return bytes;
}

Result<Place> decode_place(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  Place place;
  const bool known = in.byte() == kScheduleVersion;
  for (auto* time : {&place.next, &place.fire, &place.last})
    if (in.byte() != 0) *time = from_epoch_us(in.signed_number());
  place.ticks = in.number();
  place.skipped = in.number();
  if (!known || !in.good())
    return Error{Code::corrupt, "The stored state of a schedule is not readable."};
  return place;
}

struct Entry {
  Schedule schedule;
  When when;
  ZonePtr zone;
  Target target;
  Place place;
  std::string stored;  // the place's bytes as they are on the store
};
using EntryPtr = std::shared_ptr<Entry>;

Status check_word(std::string_view what, const std::string& text) {
  const bool good =
      !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
      });
  if (good) return ok();
  return Error{Code::invalid_argument,
               fmt::format("\"{}\" cannot be the {} of a schedule: 1 to 64 letters, digits, "
                           "., - and _ are allowed.",
                           text.substr(0, 100), what)};
}

Result<EntryPtr> make_entry(Schedule schedule) {
  MAYFLY_TRY(check_word("group", schedule.group));
  MAYFLY_TRY(check_word("name", schedule.name));
  auto when = When::parse(schedule.expression);
  if (when.has_error()) return when.error();
  auto zone = Zone::load(schedule.zone);
  if (zone.has_error()) return Error{Code::invalid_argument, zone.error().message};
  if (schedule.target.empty())
    return Error{Code::invalid_argument, "A schedule wants a target, such as function:NAME."};
  auto target = parse_target(schedule.target);
  if (target.has_error()) return target.error();
  if (!schedule.dead_letter.empty())
    if (auto dead = parse_target(schedule.dead_letter); dead.has_error()) return dead.error();
  if (schedule.input.size() > kInputMax || schedule.description.size() > 1024)
    return Error{Code::too_large,
                 "The input of a schedule can have 256 KB, its description 1024 bytes."};
  if (schedule.start && schedule.end && *schedule.end < *schedule.start)
    return Error{Code::invalid_argument, "The schedule would end before it starts."};
  auto entry = std::make_shared<Entry>();
  entry->schedule = std::move(schedule);
  entry->when = std::move(*when);
  entry->zone = std::move(*zone);
  entry->target = std::move(*target);
  return entry;
}

// From where rates count.
WallTime anchor_of(const Schedule& schedule) {
  return schedule.start.value_or(schedule.created);
}

std::optional<WallTime> tick_after(const Entry& entry, WallTime after) {
  const Schedule& s = entry.schedule;
  if (s.start && after < *s.start) {
    // The start itself may be a tick; a rate begins with it.
    if (entry.when.kind() == When::Kind::rate) return *s.start;
    after = *s.start - seconds(1);
  }
  const auto next = entry.when.next(after, *entry.zone, anchor_of(s));
  if (!next || (s.end && *next > *s.end)) return std::nullopt;
  return next;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

std::string second_of(WallTime time) {  // 2026-11-21T10:00:00Z
  return to_rfc3339(time).substr(0, 19) + "Z";
}

}  // namespace

TickPlan plan_ticks(const std::vector<WallTime>& ticks, WallTime now, CatchUp catch_up,
                    std::size_t all_max) {
  TickPlan plan;
  const auto recent = std::find_if(ticks.begin(), ticks.end(),
                                   [now](WallTime tick) { return now - tick <= kLate; });
  const std::vector<WallTime> old(ticks.begin(), recent);
  std::size_t keep = 0;
  if (catch_up == CatchUp::all) keep = std::min(old.size(), all_max);
  // The latest of all is enough: not also an older one when there are recent ones.
  if (catch_up == CatchUp::latest && recent == ticks.end())
    keep = std::min<std::size_t>(1, old.size());
  plan.run.assign(old.end() - static_cast<std::ptrdiff_t>(keep), old.end());
  plan.skipped = old.size() - keep;
  plan.run.insert(plan.run.end(), recent, ticks.end());
  return plan;
}

struct Schedules::State : std::enable_shared_from_this<Schedules::State> {
  explicit State(Parts p) : parts(std::move(p)), timer(parts.loop) {}

  WallTime now() const { return parts.clock.wall_now(); }
  void plan(Entry& entry, WallTime after) const;
  ScheduleInfo info_of(const Entry& entry) const;
  Result<EntryPtr> entry_of(const std::string& group, const std::string& name) const;
  io::Task<Status> keep(EntryPtr entry, bool fresh);
  io::Task<Status> fire(EntryPtr entry);
  io::Task<Status> add_tick(queues::Batch* batch, EntryPtr entry, WallTime tick, std::string id);
  io::Task<std::optional<WallTime>> run_due();
  io::Task<void> watch();
  io::Task<Result<ScheduleInfo>> replace(Schedule schedule);
  bool due(const Entry& entry) const { return entry.place.fire && *entry.place.fire <= now(); }
  void heed_set_back(Entry& entry) const;
  void changed() {
    timer.cancel();
    idle.wake();
  }

  Parts parts;
  std::map<std::string, EntryPtr> entries;  // by group/name
  io::KeyedLock locks;                      // who writes a tick or a change holds group/name
  bool stopping = false;
  asio::steady_timer timer;
  engine::Park idle;
};

void Schedules::State::plan(Entry& entry, WallTime after) const {
  Place& place = entry.place;
  place.next = entry.schedule.enabled ? tick_after(entry, after) : std::nullopt;
  place.fire = place.next;
  if (place.next && entry.schedule.window_s > 0)
    *place.fire += std::chrono::duration_cast<WallTime::duration>(
        std::chrono::duration<double>(entry.schedule.window_s * parts.random()));
}

ScheduleInfo Schedules::State::info_of(const Entry& entry) const {
  return {entry.schedule, entry.place.next, entry.place.last, entry.place.ticks,
          entry.place.skipped};
}

Result<EntryPtr> Schedules::State::entry_of(const std::string& group,
                                            const std::string& name) const {
  const auto found = entries.find(id_of(group, name));
  if (found != entries.end()) return found->second;
  return Error{Code::not_found, fmt::format("There is no schedule \"{}\"{}; `mayfly schedule ls` "
                                            "lists them.",
                                            name.substr(0, 100),
                                            group == "default" ? "" : " in the group " + group)};
}

// Writes the entry and makes it the one of its name.
io::Task<Status> Schedules::State::keep(EntryPtr entry, bool fresh) {
  const std::string id = id_of(entry->schedule.group, entry->schedule.name);
  store::Transaction transaction;
  const std::string asked = std::string(kAskedPrefix) + id;
  if (fresh) transaction.require(asked, std::nullopt);
  std::string place = encode(entry->place);
  transaction.put(asked, std::string(1, static_cast<char>(kScheduleVersion)) +
                             schedule_to_json(entry->schedule));
  transaction.put(std::string(kPlacePrefix) + id, place);
  io::Task<Status> committing =
      parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) {
    if (fresh && committed.error().code == Code::conflict)
      co_return Error{Code::already_exists, fmt::format("There is a schedule \"{}\" already.", id)};
    co_return committed.error();
  }
  entry->stored = std::move(place);
  entries[id] = entry;
  changed();
  co_return ok();
}

io::Task<Status> Schedules::State::add_tick(queues::Batch* batch, EntryPtr entry, WallTime tick,
                                            std::string id) {
  const Schedule& s = entry->schedule;
  const std::string arn = fmt::format("arn:aws:scheduler:{}:{}:schedule/{}/{}", parts.region,
                                      parts.account, s.group, s.name);
  Delivery delivery;
  delivery.id = id;
  delivery.source = "schedule";
  delivery.body = s.input;
  if (delivery.body.empty()) {
    delivery.body = R"({"version":"0","id":)";
    wire::append_json_string(delivery.body, id);
    delivery.body += fmt::format(
        R"(,"detail-type":"Scheduled Event","source":"mayfly.scheduler","account":"{}","time":"{}",)"
        R"("region":"{}","resources":["{}"],"detail":{{}}}})",
        parts.account, second_of(tick), parts.region, arn);
  } else if (delivery.body.find("<aws.scheduler.") != std::string::npos) {
    replace_all(delivery.body, "<aws.scheduler.scheduled-time>", second_of(tick));
    replace_all(delivery.body, "<aws.scheduler.schedule-arn>", arn);
    replace_all(delivery.body, "<aws.scheduler.execution-id>", id);
    replace_all(delivery.body, "<aws.scheduler.attempt-number>", "1");
  }
  if (entry->target.kind == Target::Kind::queue && parts.queues.find(entry->target.name)) {
    io::Task<Status> adding =
        parts.calls.add_delivery(batch, entry->target, std::move(delivery), 0);
    Status added = co_await std::move(adding);
    co_return added;
  }
  NewCall call;
  call.message.target = entry->target;
  call.message.source = "schedule";
  call.message.content_type = "application/json";
  call.message.body = std::move(delivery.body);
  delivery.body.clear();
  call.message.delivery = std::move(delivery);
  call.message.retries = s.retries;
  call.message.max_age_s = s.max_age_s;
  call.message.dead_letter = s.dead_letter;
  io::Task<Result<PreparedCall>> preparing = parts.calls.prepare(std::move(call));
  Result<PreparedCall> prepared = co_await std::move(preparing);
  if (prepared.has_error()) co_return prepared.error();
  std::move(*prepared).add_to(*batch);
  co_return ok();
}

// All ticks of one schedule that are due: their messages and the step behind them, in one
// transaction.
io::Task<Status> Schedules::State::fire(EntryPtr entry) {
  const std::string id = id_of(entry->schedule.group, entry->schedule.name);
  const WallTime time = now();
  std::vector<WallTime> ticks{*entry->place.next};
  while (ticks.size() < kDueMax) {
    const auto following = tick_after(*entry, ticks.back());
    if (!following || *following > time) break;
    ticks.push_back(*following);
  }
  const WallTime last = ticks.back();
  const TickPlan plan_now =
      plan_ticks(ticks, time, entry->schedule.catch_up, parts.settings.catch_up_max);
  const Place before = entry->place;
  queues::Batch batch;
  for (const WallTime tick : plan_now.run) {
    io::Task<Status> adding =
        add_tick(&batch, entry, tick, fmt::format("{}@{}", id, to_epoch_ms(tick)));
    if (Status added = co_await std::move(adding); added.has_error()) co_return added;
  }
  entry->place.last = last;
  entry->place.ticks += plan_now.run.size();
  entry->place.skipped += plan_now.skipped;
  plan(*entry, last);
  std::string place = encode(entry->place);
  const bool over = !entry->place.next && entry->schedule.remove_when_over;
  batch.also.require(std::string(kPlacePrefix) + id, entry->stored);
  if (over) {
    batch.also.remove(std::string(kPlacePrefix) + id);
    batch.also.remove(std::string(kAskedPrefix) + id);
  } else {
    batch.also.put(std::string(kPlacePrefix) + id, place);
  }
  auto committing = parts.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) {
    entry->place = before;
    co_return committed.error();
  }
  entry->stored = std::move(place);
  if (over) entries.erase(id);
  co_return ok();
}

// A clock that was wrong by more than a little and is put right must not silence its schedules:
// neither those that ticked meanwhile, nor those that were made or changed meanwhile.
void Schedules::State::heed_set_back(Entry& entry) const {
  const WallTime time = now();
  Schedule& s = entry.schedule;
  const WallTime planned = std::max(entry.place.last.value_or(WallTime::min()), s.modified);
  if (planned - kSetBack <= time || locks.held(id_of(s.group, s.name))) return;
  if (entry.when.kind() == When::Kind::at && entry.place.last) return;  // once is once
  s.created = std::min(s.created, time);  // in memory only; what rates count from
  s.modified = std::min(s.modified, time);
  entry.place.last.reset();
  const auto next = tick_after(entry, time);
  // What is due already stays so.
  if (!entry.place.next || (next && *next < *entry.place.next)) plan(entry, time);
}

io::Task<std::optional<WallTime>> Schedules::State::run_due() {
  const auto self = shared_from_this();
  std::vector<std::string> ids;
  std::optional<WallTime> next;
  const auto sooner = [&next](std::optional<WallTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const auto& [id, entry] : entries) {
    heed_set_back(*entry);
    if (due(*entry)) ids.push_back(id);
  }
  for (const auto& id : ids) {
    if (stopping) break;
    io::Task<Result<io::KeyedLock::Guard>> locking = locks.lock(id);
    const auto guard = co_await std::move(locking);
    if (guard.has_error()) break;
    const auto found = entries.find(id);  // as it is after a change
    if (found == entries.end() || !due(*found->second)) continue;
    const EntryPtr entry = found->second;
    io::Task<Status> firing = fire(entry);
    const Status fired = co_await std::move(firing);
    if (fired.has_error()) {
      log::error("the schedule {} cannot run now, and is tried again: {}", entry->schedule.name,
                 fired.error().describe());
      sooner(now() + kLook);
    }
  }
  for (const auto& [id, entry] : entries) sooner(entry->place.fire);
  co_return next;
}

io::Task<void> Schedules::State::watch() {
  const auto self = shared_from_this();
  while (!stopping) {
    io::Task<std::optional<WallTime>> running = run_due();
    const std::optional<WallTime> next = co_await std::move(running);
    if (stopping) co_return;
    if (!next) {
      if (!co_await idle.wait()) co_return;
      continue;
    }
    // Not longer than a moment: the wall clock may be set.
    const auto left = std::clamp<WallTime::duration>(*next - now(), milliseconds(0), kLook);
    timer.expires_after(std::max<SteadyTime::duration>(left, milliseconds(1)));
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer.async_wait(token);
  }
}

Schedules::Schedules(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}
Schedules::~Schedules() = default;

Status Schedules::open() {
  State& state = *state_;
  const auto scanned = state.parts.store.scan(
      {std::string(kAskedPrefix), store::prefix_end(kAskedPrefix)},
      [&state](std::string_view key, std::string_view value) {
        const std::string id(key.substr(kAskedPrefix.size()));
        if (value.empty() || value.front() != static_cast<char>(kScheduleVersion)) return true;
        auto schedule = schedule_from_json(value.substr(1));
        if (schedule.has_error()) {
          log::error("the stored schedule {} is not readable: {}", id, schedule.error().message);
          return true;
        }
        auto entry = make_entry(std::move(*schedule));
        if (entry.has_error()) {
          log::error("the stored schedule {} does not run: {}", id, entry.error().message);
          return true;
        }
        state.entries[id] = std::move(*entry);
        return true;
      });
  if (scanned.has_error()) return scanned;
  for (auto& [id, entry] : state.entries) {
    auto bytes = state.parts.store.get(std::string(kPlacePrefix) + id);
    if (bytes.has_error()) return bytes.error();
    auto place = decode_place(*bytes);
    if (place.has_error()) return place.error();
    entry->place = std::move(*place);
    entry->stored = std::move(*bytes);
  }
  return ok();
}

void Schedules::start() {
  spawn_logged(state_->parts.loop, state_->watch(), "the clock of the schedules");
}

void Schedules::stop() {
  state_->stopping = true;
  state_->changed();
}

io::Task<Result<ScheduleInfo>> Schedules::create(Schedule schedule) {
  const auto state = state_;
  if (state->entries.size() >= state->parts.settings.schedules_max)
    co_return Error{Code::resource_exhausted,
                    fmt::format("There are {} schedules already (setting schedules.max).",
                                state->entries.size())};
  schedule.created = schedule.modified = state->now();
  auto entry = make_entry(std::move(schedule));
  if (entry.has_error()) co_return entry.error();
  io::Task<Result<io::KeyedLock::Guard>> locking =
      state->locks.lock(id_of((*entry)->schedule.group, (*entry)->schedule.name));
  const auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return guard.error();
  state->plan(**entry, state->now());
  io::Task<Status> keeping = state->keep(*entry, true);
  if (Status kept = co_await std::move(keeping); kept.has_error()) co_return kept.error();
  co_return state->info_of(**entry);
}

// The caller holds the lock.
io::Task<Result<ScheduleInfo>> Schedules::State::replace(Schedule schedule) {
  const auto known = entry_of(schedule.group, schedule.name);
  if (known.has_error()) co_return known.error();
  schedule.created = (*known)->schedule.created;
  schedule.modified = now();
  auto entry = make_entry(std::move(schedule));
  if (entry.has_error()) co_return entry.error();
  (*entry)->place = (*known)->place;
  plan(**entry, now());
  io::Task<Status> keeping = keep(*entry, false);
  if (Status kept = co_await std::move(keeping); kept.has_error()) co_return kept.error();
  co_return info_of(**entry);
}

io::Task<Result<ScheduleInfo>> Schedules::update(Schedule schedule) {
  const auto state = state_;
  io::Task<Result<io::KeyedLock::Guard>> locking =
      state->locks.lock(id_of(schedule.group, schedule.name));
  const auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return guard.error();
  io::Task<Result<ScheduleInfo>> replacing = state->replace(std::move(schedule));
  Result<ScheduleInfo> replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Result<ScheduleInfo>> Schedules::enable(std::string group, std::string name,
                                                 bool enabled) {
  const auto state = state_;
  io::Task<Result<io::KeyedLock::Guard>> locking = state->locks.lock(id_of(group, name));
  const auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return guard.error();
  const auto known = state->entry_of(group, name);
  if (known.has_error()) co_return known.error();
  Schedule schedule = (*known)->schedule;
  schedule.enabled = enabled;
  io::Task<Result<ScheduleInfo>> replacing = state->replace(std::move(schedule));
  Result<ScheduleInfo> replaced = co_await std::move(replacing);
  co_return replaced;
}

io::Task<Status> Schedules::remove(std::string group, std::string name) {
  const auto state = state_;
  const std::string id = id_of(group, name);
  io::Task<Result<io::KeyedLock::Guard>> locking = state->locks.lock(id);
  const auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return guard.error();
  if (const auto known = state->entry_of(group, name); known.has_error()) co_return known.error();
  store::Transaction transaction;
  transaction.remove(std::string(kAskedPrefix) + id);
  transaction.remove(std::string(kPlacePrefix) + id);
  io::Task<Status> committing =
      state->parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  state->entries.erase(id);
  state->changed();
  co_return ok();
}

io::Task<Status> Schedules::run_now(std::string group, std::string name) {
  const auto state = state_;
  auto known = state->entry_of(group, name);
  if (known.has_error()) co_return known.error();
  queues::Batch batch;
  io::Task<Status> adding = state->add_tick(&batch, *known, state->now(), "run-" + new_uuid());
  if (Status added = co_await std::move(adding); added.has_error()) co_return added;
  auto committing = state->parts.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  co_return ok();
}

Result<ScheduleInfo> Schedules::find(const std::string& group, const std::string& name) const {
  auto entry = state_->entry_of(group, name);
  if (entry.has_error()) return entry.error();
  return state_->info_of(**entry);
}

std::vector<ScheduleInfo> Schedules::list() const {
  std::vector<ScheduleInfo> all;
  for (const auto& [id, entry] : state_->entries) all.push_back(state_->info_of(*entry));
  return all;
}

io::Task<std::optional<WallTime>> Schedules::run_due() {
  return state_->run_due();
}

}  // namespace mayfly::triggers
