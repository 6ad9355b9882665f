#pragma once
// The engines that the contract's tests are run for.

#include "queues/fixture.h"

namespace mayfly::queues::testing {

struct OnMemory {
  std::unique_ptr<store::Store> made = store::make_memory_store();
};
struct OnRocksdb {
  test::TempDir directory;
  std::unique_ptr<store::Store> made = std::move(*store::open_rocksdb(directory.path() + "/store"));
};

struct EmbeddedOnMemory : OnMemory, Embedded {
  EmbeddedOnMemory() : Embedded(*made) {}
};
struct EmbeddedOnRocksdb : OnRocksdb, Embedded {
  EmbeddedOnRocksdb() : Embedded(*made) {}
};
// No room for bodies: each is read from the store.
struct EmbeddedWithoutBodies : OnMemory, Embedded {
  EmbeddedWithoutBodies() : Embedded(*made, EmbeddedSettings{0}) {}
};

using Environments = ::testing::Types<EmbeddedOnMemory, EmbeddedOnRocksdb, EmbeddedWithoutBodies>;

struct EnvironmentNames {
  template <class Env>
  static std::string GetName(int) {
    if (std::is_same_v<Env, EmbeddedOnMemory>) return "memory";
    if (std::is_same_v<Env, EmbeddedOnRocksdb>) return "rocksdb";
    return "bodies_on_store";
  }
};

}  // namespace mayfly::queues::testing
