#pragma once
// The catalogue: every function, its versions and the apps; durable in the store, and held in
// memory for look-ups without a lock. Belongs to the engine's loop; writes go through the pool.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "functions/app.h"
#include "functions/belongings.h"
#include "functions/images.h"
#include "functions/layers.h"
#include "functions/packages.h"
#include "functions/runtimes.h"
#include "functions/types.h"
#include "io/blocking.h"
#include "sandbox/sandbox.h"
#include "store/store.h"

namespace mayfly::functions {

struct Defaults {
  std::uint32_t memory_mb = 128, memory_mb_max = 10'240;
  std::uint32_t timeout_ms = 30'000, timeout_ms_max = 900'000;
  std::int64_t keep_alive_ms = -1;  // -1: learnt from the gaps between calls
  std::uint32_t concurrency_max = 1'000;
  std::size_t functions_max = 20'000;
  std::size_t env_bytes_max = 32 * 1024;
  // Setting functions.layers_bytes_max: package and layers of a function that has some, unpacked.
  std::uint64_t layers_bytes_max = 1u << 30;
  // Setting functions.install_outside: when the sandbox cannot reach the package index, npm and pip
  // run outside of it, without running any code of the packages.
  bool install_outside = true;
  std::uint32_t install_timeout_ms = 300'000;  // setting functions.install_timeout_ms
};

// What comes with a deploy, in one with it: no crash leaves the one without the other.
struct Along {
  std::map<std::string, std::string> tags;  // instead of those that are there; empty: they stay
  bool publish = false;                     // a snapshot, which publish() finds afterwards
};

class Catalogue {
 public:
  struct Parts {
    store::Store& store;
    Packages& packages;
    io::BlockingPool& pool;
    const Clock& clock;
    RuntimeTable runtimes;
    Defaults defaults;
    sandbox::Sandboxes* sandboxes = nullptr;  // for npm and pip; null: such packages are refused
    std::string runtimes_dir;                 // folder runtimes/ of the installation
    ImageTrees* images = nullptr;             // null: functions made from images are refused
  };
  explicit Catalogue(Parts parts);
  ~Catalogue();

  // Reads everything from the store; at start. Blocks.
  Status load();

  // qualifier: "" or "$LATEST", a published number, or an alias, which chooses anew among its
  // versions each time. Null when unknown.
  VersionPtr find(std::string_view function, std::string_view qualifier) const;
  VersionPtr find_qualified(std::string_view name_or_name_colon_qualifier) const;
  std::vector<VersionPtr> list() const;                               // $LATEST of each, by name
  std::vector<VersionPtr> versions(std::string_view function) const;  // $LATEST, then 1, 2 ...
  const RuntimeTable& runtimes() const;
  const Defaults& defaults() const;

  // Step 1 of a deploy: checks name, settings and limits, detects runtime and handler as far as the
  // files tell, installs dependencies (npm, pip) in a sandbox when the package asks for it, and
  // returns the version as it would be. Nothing is visible yet. `unchanged` when code and settings
  // are those of the present $LATEST.
  struct Candidate {
    VersionPtr version;
    bool unchanged = false;
  };
  io::Task<Result<Candidate>> prepare(std::string function, Settings settings, std::string package);

  // Step 2, after the instance check filled in what it saw: durable, then visible.
  io::Task<Result<VersionPtr>> commit(Version version, Along along = {});

  // Snapshot of $LATEST; the last one when nothing but the description is different.
  io::Task<Result<VersionPtr>> publish(std::string function,
                                       std::optional<std::string> description = std::nullopt);
  // Of a published version, and of its provisioned concurrency; conflict while an alias leads to
  // it.
  io::Task<Status> remove_version(std::string function, std::uint64_t number);
  // Changes what no running instance notices (settings that others look at) without a deploy: code,
  // revision and limits must stay. number 0: $LATEST.
  io::Task<Result<VersionPtr>> adjust(std::string function, std::uint64_t number,
                                      std::function<Status(Version&)> change);

  // Empty for a function that is not there.
  const Belongings& belongings(std::string_view function) const;
  // One change after another; durable before it is visible. An error of change() leaves all as it
  // was. It runs on the loop.
  io::Task<Status> change_belongings(std::string function,
                                     std::function<Status(Belongings&)> change);
  io::Task<Status> remove(std::string function);  // and its versions; routes to it answer 404

  // Named layers and their versions; loaded with the rest, and their packages are in use.
  Layers& layers();
  // Named images; the same.
  Images& images();
  ImageTrees* image_trees();  // null: there are none

  std::vector<App> apps() const;
  io::Task<Status> put_app(App app);  // checks that functions and packages exist
  io::Task<Status> remove_app(std::string name);
  // Counts up with every change of apps or functions, so that routers know when to rebuild.
  std::uint64_t generation() const;
  // Called with every such change, before whoever asked for it hears of its success.
  void on_change(std::function<void()> tell);

  // What Packages::collect and ImageTrees::collect must keep.
  std::set<std::string> packages_in_use() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mayfly::functions
