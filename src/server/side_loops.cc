#include "server/side_loops.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <tuple>

#include "base/log.h"
#include "gateway/plain_call.h"
#include "os/cpu_meter.h"

namespace mayfly::server {
namespace {

namespace asio = boost::asio;

constexpr milliseconds kLookEvery{100};
constexpr std::uint32_t kMovesMax = 64;  // a connection that asks for this and that stays at home
constexpr std::uint64_t kSampleEvery = 8;
constexpr auto kPrepareMax = seconds(30);

enum class Stage { free, preparing, open, retiring };

struct Side {
  std::unique_ptr<SideLoop> loop;
  Stage stage = Stage::free;
  functions::VersionPtr version;
  std::uint32_t instances = 0;  // lent to it
  SteadyTime since{};
  SideReport report;
  SpreadPolicy policy{SpreadSettings()};

  std::uint64_t bytes() const {
    return version ? (std::uint64_t{version->settings.memory_mb} << 20) * instances : 0;
  }
};

}  // namespace

struct SideLoops::State : std::enable_shared_from_this<State> {
  explicit State(Parts p) : parts(std::move(p)), timer(parts.loop) {}

  io::HttpServer* steer(const wire::RequestHead& head, const io::ConnectionFacts& connection);
  bool may_spread(const functions::Version& version) const;
  void look_soon();
  void look();
  void look_at(Side& side, const std::string& hottest, double share);
  void spread(Side& side, functions::VersionPtr version);
  void withdraw(Side& side);
  void give_back(Side& side);
  void move(Side& side, Stage stage);
  void check();
  void tell_dispatcher();

  Parts parts;
  std::vector<Side> sides;
  asio::steady_timer timer;
  os::CpuMeter cores;
  os::ThreadMeter own;
  std::uint64_t requests = 0;                   // since the last look
  std::map<std::string, std::uint64_t> sample;  // of them, by function
  bool looking = false, stopping = false;
};

// Every connection has its place among those that may answer it, by its number: no two loops take
// turns with one.
io::HttpServer* SideLoops::State::steer(const wire::RequestHead& head,
                                        const io::ConnectionFacts& connection) {
  const bool sampled = ++requests % kSampleEvery == 0;
  if (!looking) look_soon();
  const auto is_open = [](const Side& side) { return side.stage == Stage::open; };
  const bool any = std::any_of(sides.begin(), sides.end(), is_open);
  if (!sampled && !any) return nullptr;
  const auto name = gateway::plain_call(head);
  if (!name) return nullptr;
  if (sampled) ++sample[*name];
  if (!any || connection.moves >= kMovesMax) return nullptr;
  const auto serves = [&name, &is_open](const Side& side) {
    return is_open(side) && side.version->function == *name;
  };
  const auto count = static_cast<std::uint64_t>(std::count_if(sides.begin(), sides.end(), serves));
  std::uint64_t place = connection.number % (count + 1);
  if (place == 0) return nullptr;
  for (auto& side : sides)
    if (serves(side) && --place == 0) return &side.loop->port();
  return nullptr;
}

// What is counted, limited or kept ready for the whole server stays on its first loop.
bool SideLoops::State::may_spread(const functions::Version& version) const {
  const auto& settings = version.settings;
  const auto& belongings = parts.catalogue.belongings(version.function);
  return version.model != functions::Model::unknown && settings.direct && !version.is_image() &&
         settings.instances_max == 0 && !belongings.reserved_concurrency &&
         belongings.provisioned.empty();
}

void SideLoops::State::look_soon() {
  looking = true;
  timer.expires_after(kLookEvery);
  timer.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    const auto self = weak.lock();
    if (failed || !self || self->stopping) return;
    const bool quiet = self->requests == 0 &&
                       std::all_of(self->sides.begin(), self->sides.end(),
                                   [](const Side& side) { return side.stage == Stage::free; });
    self->look();
    self->looking = false;
    if (!quiet) self->look_soon();
  });
}

void SideLoops::State::look() {
  std::string hottest;
  std::uint64_t most = 0;
  for (const auto& [name, count] : sample)
    if (count > most) std::tie(hottest, most) = std::tie(name, count);
  const double share =
      requests == 0 ? 0 : static_cast<double>(most * kSampleEvery) / static_cast<double>(requests);
  sample.clear();
  requests = 0;
  bool begins = false;  // one at a time: the next look shows what it has changed
  for (auto& side : sides) {
    const Stage before = side.stage;
    if (side.stage != Stage::free || !begins) look_at(side, hottest, share);
    begins = begins || (before == Stage::free && side.stage == Stage::preparing);
  }
}

void SideLoops::State::look_at(Side& side, const std::string& hottest, double share) {
  const auto now = parts.clock.steady_now();
  const auto& pools = side.report.beside.pools;
  SpreadView view;
  view.first_busy = 1 - own.idle_share(now);
  view.beside_busy = side.report.busy;
  view.cores_idle = cores.idle_share(now);
  view.share = share;
  view.spread = side.stage == Stage::open;
  view.room_wanted = !parts.dispatcher.has_room(1, 1);
  switch (side.stage) {
    case Stage::free: {
      if (side.policy.look(view) != SpreadStep::spread) return;
      const auto version = parts.catalogue.find(hottest, "");
      if (version && may_spread(*version)) spread(side, version);
      return;
    }
    case Stage::preparing: {
      const bool ready = std::any_of(pools.begin(), pools.end(), [&side](const auto& pool) {
        return pool.function == side.version->function && pool.revision == side.version->revision &&
               pool.instances > 0;
      });
      if (ready) {
        move(side, Stage::open);
        side.loop->open();
      } else if (now - side.since > kPrepareMax) {
        withdraw(side);
      }
      return;
    }
    case Stage::open:
      if (side.policy.look(view) == SpreadStep::withdraw) withdraw(side);
      return;
    case Stage::retiring:
      // Longer than any report takes: an empty one is of after the retirement.
      if (pools.empty() && now - side.since > 5 * kLookEvery) give_back(side);
      return;
  }
}

void SideLoops::State::spread(Side& side, functions::VersionPtr version) {
  const auto pool = parts.dispatcher.pool_of(*version);
  side.version = std::move(version);
  side.instances = std::max(1u, pool ? pool->instances + pool->starting : 1u);
  if (!parts.dispatcher.lend(side.bytes(), side.instances)) {
    side.version = nullptr;
    return;
  }
  move(side, Stage::preparing);
  log::debug("the loop is full and cores idle: calls of {} get another loop",
             side.version->qualified_name());
  side.loop->prepare(side.version, side.instances);
}

void SideLoops::State::withdraw(Side& side) {
  side.loop->close();
  side.loop->retire();
  move(side, Stage::retiring);
}

void SideLoops::State::move(Side& side, Stage stage) {
  side.stage = stage;
  side.since = parts.clock.steady_now();
  const auto open = std::count_if(sides.begin(), sides.end(),
                                  [](const Side& each) { return each.stage == Stage::open; });
  parts.serving.set(static_cast<double>(1 + open));
}

void SideLoops::State::give_back(Side& side) {
  parts.dispatcher.take_back(side.bytes(), side.instances);
  move(side, Stage::free);
  side.version = nullptr;
}

// What has changed or gone is answered here from this moment on.
void SideLoops::State::check() {
  for (auto& side : sides) {
    if (side.stage != Stage::preparing && side.stage != Stage::open) continue;
    const auto version = parts.catalogue.find(side.version->function, "");
    if (version != side.version || !may_spread(*version)) withdraw(side);
  }
}

void SideLoops::State::tell_dispatcher() {
  engine::Beside all;
  for (const auto& side : sides) {
    const auto& pools = side.report.beside.pools;
    all.pools.insert(all.pools.end(), pools.begin(), pools.end());
    all.callers_wait = all.callers_wait || side.report.beside.callers_wait;
  }
  parts.dispatcher.set_beside(std::move(all));
}

SideLoops::SideLoops(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {
  State& state = *state_;
  state.sides.resize(state.parts.spawners.size());
  for (std::size_t i = 0; i < state.sides.size(); ++i) {
    SideLoop::Parts side{state.parts.side.home,
                         *state.parts.spawners[i],
                         state.parts.side.telemetry,
                         state.parts.side.metrics,
                         state.parts.side.clock,
                         state.parts.side.runtimes,
                         state.parts.side.engine,
                         state.parts.side.http,
                         state.parts.side.poll_us,
                         state.parts.side.services,
                         state.parts.side.door,
                         [weak = std::weak_ptr<State>(state_), i](SideReport report) {
                           const auto self = weak.lock();
                           if (!self) return;
                           self->sides[i].report = std::move(report);
                           self->tell_dispatcher();
                         }};
    state.sides[i].loop = std::make_unique<SideLoop>(std::move(side), state.parts.home_server);
    state.sides[i].policy = SpreadPolicy(state.parts.spread);
  }
  state.parts.catalogue.on_change([weak = std::weak_ptr<State>(state_)] {
    if (const auto self = weak.lock()) self->check();
  });
  state.parts.home_server.steer_by(
      [&state](const wire::RequestHead& head, const io::ConnectionFacts& connection) {
        return state.steer(head, connection);
      });
}

SideLoops::~SideLoops() = default;

io::Task<void> SideLoops::stop(milliseconds grace) {
  const auto state = state_;
  state->stopping = true;
  state->timer.cancel();
  for (auto& side : state->sides) {
    side.loop->close();
    state->move(side, Stage::retiring);  // nothing goes there any more
  }
  const SteadyTime deadline = state->parts.clock.steady_now() + grace;
  for (auto& side : state->sides) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - state->parts.clock.steady_now());
    co_await side.loop->stop(std::max(milliseconds(0), left));
  }
}

}  // namespace mayfly::server
