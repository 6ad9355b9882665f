#include "engine/zygote_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly::engine {
namespace {

using ::testing::Contains;
using ::testing::Not;

struct ZygoteSpecTest : ::testing::Test {
  ZygoteSpecTest() {
    spec.argv = {"/usr/bin/python3", "/var/runtime/main.py"};
    spec.env = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "TZ=:UTC", "SECRET=s"};
    spec.mounts = {{"/data/package", "/var/task"},
                   {"/data/layers", "/opt"},
                   {"/srv/runtimes/python", "/var/runtime"},
                   {"/opt/python3.13", "/opt/python3.13"}};
  }
  bool has(const char* language, std::vector<std::string> more = {}) {
    auto changed = spec;
    changed.env.insert(changed.env.end(), more.begin(), more.end());
    return zygote_for(language, changed, "/lib/mayfly").has_value();
  }
  sandbox::LaunchSpec spec;
};

TEST_F(ZygoteSpecTest, KnowsNothingOfTheVersion) {
  const auto zygote = zygote_for("python", spec, "/lib/mayfly");
  ASSERT_TRUE(zygote.has_value());
  EXPECT_EQ(zygote->argv, spec.argv);
  EXPECT_THAT(zygote->env, Not(Contains("SECRET=s")));
  EXPECT_THAT(zygote->env, Contains("MAYFLY_CLONE_LIB=/var/runtime-lib/libmayfly_clone.so"));
  ASSERT_EQ(zygote->mounts.size(), 3u);  // neither package nor layers
  EXPECT_EQ(zygote->mounts[0].sandbox_path, "/var/runtime");
  EXPECT_EQ(zygote->mounts[1].sandbox_path, "/opt/python3.13");
  EXPECT_EQ(zygote->mounts[2].host_path, "/lib/mayfly");
  EXPECT_EQ(zygote->mounts[2].sandbox_path, "/var/runtime-lib");
}

TEST_F(ZygoteSpecTest, IsTheSameForAllVersionsOfARuntime) {
  const auto one = zygote_for("python", spec, "/lib/mayfly");
  spec.env.emplace_back("OTHER=x");
  spec.mounts[0].host_path = "/data/another";
  spec.mounts.erase(spec.mounts.begin() + 1);
  spec.cloneable = true;
  spec.mounts.push_back({"/lib/mayfly", "/var/runtime-lib"});
  const auto other = zygote_for("python", spec, "/lib/mayfly");
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->env, other->env);
  ASSERT_EQ(one->mounts.size(), other->mounts.size());
  for (std::size_t i = 0; i < one->mounts.size(); ++i)
    EXPECT_EQ(one->mounts[i].host_path, other->mounts[i].host_path);
}

TEST_F(ZygoteSpecTest, WhatIsReadAtTheStartNeedsAStart) {
  for (const char* entry :
       {"PYTHONPATH=/opt", "PYTHONHASHSEED=1", "LD_PRELOAD=/opt/x.so", "LD_LIBRARY_PATH=/opt/lib",
        "LC_ALL=de_DE.UTF-8", "MALLOC_ARENA_MAX=2", "GLIBC_TUNABLES=x", "OPENSSL_CONF=/opt/x"})
    EXPECT_FALSE(has("python", {entry})) << entry;
  EXPECT_TRUE(has("python", {"NODE_OPTIONS=x", "MY_PYTHON=1"}));
  spec.env[1] = "HOME=/var/task";
  EXPECT_FALSE(has("python"));
  spec.env[1] = "HOME=/tmp";
  spec.env[2] = "LANG=de_DE.UTF-8";
  EXPECT_FALSE(has("python"));
}

TEST_F(ZygoteSpecTest, OfNodeForTemplatesAlone) {
  spec.argv = {"/usr/bin/node", "--single-threaded", "/var/runtime/main.js"};
  EXPECT_FALSE(has("node"));
  spec.cloneable = true;
  EXPECT_TRUE(
      has("node", {"LD_PRELOAD=/var/runtime-lib/libmayfly_forksafe.so", "NODE_ENV=production"}));
  EXPECT_FALSE(has("node", {"LD_PRELOAD=/var/runtime-lib/libmayfly_forksafe.so:/opt/x.so"}));
  EXPECT_FALSE(has("node", {"NODE_OPTIONS=--max-old-space-size=64"}));
  EXPECT_FALSE(has("node", {"UV_THREADPOOL_SIZE=8"}));
  spec.rootfs = "/data/image";
  EXPECT_FALSE(has("node"));
}

TEST_F(ZygoteSpecTest, OfScriptsForTemplatesAndInstances) {
  const std::pair<const char*, std::vector<const char*>> read[] = {
      {"ruby", {"RUBYOPT=-w", "RUBYLIB=/opt/ruby", "RUBY_GC_HEAP_INIT_SLOTS=1"}},
      {"php", {"PHPRC=/opt", "PHP_INI_SCAN_DIR=/opt", "USE_ZEND_ALLOC=0", "ZEND_X=1"}},
      {"perl", {"PERL5LIB=/opt", "PERL5OPT=-w", "PERL_HASH_SEED=0", "PERLIO=stdio"}}};
  for (const auto& [language, entries] : read) {
    for (const bool cloneable : {false, true}) {
      spec.cloneable = cloneable;
      EXPECT_TRUE(has(language, {"PYTHONPATH=/opt", "GEM_PATH=/var/task/vendor"})) << language;
    }
    for (const char* entry : entries) EXPECT_FALSE(has(language, {entry})) << entry;
    EXPECT_FALSE(has(language, {"LC_ALL=de_DE.UTF-8"})) << language;
  }
  EXPECT_FALSE(has("java"));
  EXPECT_FALSE(has("dotnet"));
}

}  // namespace
}  // namespace mayfly::engine
