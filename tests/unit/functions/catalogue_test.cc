#include "functions/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>

#include "functions/helpers.h"
#include "functions/json_forms.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
using test::Item;
using test::pack;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const RuntimeTable& table() {
  static const RuntimeTable found = RuntimeTable::discover({});
  return found;
}

// Passes on, and can refuse to write, as a full disk does.
class GuardedStore final : public store::Store {
 public:
  Result<std::string> get(std::string_view key) override { return inner_->get(key); }
  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return inner_->scan(range, visit);
  }
  Status commit(const store::Transaction& transaction, store::Durability durability) override {
    if (full) return Error{Code::io_error, "The disk is full."};
    if (durability == store::Durability::synced) ++synced;
    if (!transaction.conditions.empty()) ++conditional;
    return inner_->commit(transaction, durability);
  }
  std::atomic<bool> full = false;
  std::atomic<int> synced = 0, conditional = 0;

 private:
  std::unique_ptr<store::Store> inner_ = store::make_memory_store();
};

class CatalogueTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(packages_.open().has_value());
    open();
  }
  void open() {
    catalogue_ = std::make_unique<Catalogue>(Catalogue::Parts{
        store_, packages_, pool_, clock_, table(), defaults_, sandboxes_, "/runtimes"});
    const auto loaded = catalogue_->load();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }
  std::string upload(const std::vector<Item>& items) {
    const auto added = loop_.run(packages_.add(pack(items), nullptr));
    EXPECT_TRUE(added.has_value());
    return added.has_value() ? added->sha256 : "";
  }
  Result<Catalogue::Candidate> prepare(const std::string& name, const std::string& package,
                                       Settings settings = {}) {
    return loop_.run(catalogue_->prepare(name, std::move(settings), package));
  }
  VersionPtr deploy(const std::string& name, const std::string& package, Settings settings = {}) {
    const auto candidate = prepare(name, package, std::move(settings));
    EXPECT_TRUE(candidate.has_value()) << candidate.error().message;
    if (candidate.has_error()) return nullptr;
    const auto done = loop_.run(catalogue_->commit(*candidate->version));
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return done.has_value() ? *done : nullptr;
  }
  std::string problem(const std::string& name, const std::string& package, Settings settings,
                      Code code = Code::invalid_argument) {
    const auto candidate = prepare(name, package, std::move(settings));
    EXPECT_TRUE(candidate.has_error());
    if (candidate.has_value()) return "taken";
    EXPECT_EQ(candidate.error().code, code) << candidate.error().message;
    return candidate.error().message;
  }

  mayfly::test::TempDir directory_;
  io::BlockingPool pool_{2};
  Packages packages_{directory_.path(), {}, pool_};
  GuardedStore store_;
  SystemClock clock_;
  Defaults defaults_;
  sandbox::Sandboxes* sandboxes_ = nullptr;
  test::Loop loop_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(CatalogueTest, DeployIsDurableThenVisible) {
  const std::string package = upload({{"app.py", "def handler(e, c): return e"}});
  const auto candidate = prepare("hello", package);
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  EXPECT_FALSE(candidate->unchanged);
  EXPECT_EQ(catalogue_->find("hello", ""), nullptr) << "nothing is visible before commit";
  const Version& v = *candidate->version;
  EXPECT_EQ(v.settings.memory_mb, 128u);
  EXPECT_EQ(v.settings.timeout_ms, 30'000u);
  EXPECT_EQ(v.settings.keep_alive_ms, -1);
  EXPECT_EQ(v.settings.runtime.rfind("python3.", 0), 0u);
  EXPECT_EQ(v.entry, "app.py");
  EXPECT_EQ(v.code_dir, packages_.tree(package));
  EXPECT_EQ(v.concurrency, 1u);
  EXPECT_FALSE(v.notes.empty());

  store_.full = true;
  const auto failed = loop_.run(catalogue_->commit(v));
  ASSERT_TRUE(failed.has_error());
  EXPECT_EQ(failed.error().code, Code::io_error);
  EXPECT_EQ(catalogue_->find("hello", ""), nullptr);
  store_.full = false;

  Version seen = v;
  seen.model = Model::http;
  seen.settings.handler = "app.app";
  seen.concurrency = 0;
  const auto generation = catalogue_->generation();
  const auto done = loop_.run(catalogue_->commit(seen));
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ((*done)->concurrency, 64u) << "settled by the model";
  EXPECT_EQ(store_.synced, 1);
  EXPECT_EQ(store_.conditional, 1);
  EXPECT_GT(catalogue_->generation(), generation);
  EXPECT_EQ(catalogue_->find("hello", "$LATEST"), *done);
  EXPECT_EQ(catalogue_->find_qualified("hello"), *done);

  open();  // as after a restart
  const auto again = catalogue_->find("hello", "");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->revision, v.revision);
  EXPECT_EQ(again->model, Model::http);
  EXPECT_EQ(again->settings.handler, "app.app");
  EXPECT_EQ(again->code_dir, packages_.tree(package));
}

TEST_F(CatalogueTest, SameCodeAndSettingsAreUnchanged) {
  const std::string package = upload({{"app.py", "1"}});
  Settings settings;
  settings.env["A"] = "1";
  const auto first = deploy("hello", package, settings);
  auto again = prepare("hello", package, settings);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->version, first);
  settings.env["A"] = "2";
  EXPECT_FALSE(prepare("hello", package, settings)->unchanged);
  EXPECT_FALSE(prepare("hello", upload({{"app.py", "2"}}), settings)->unchanged);
  EXPECT_FALSE(prepare("other", package, settings)->unchanged);
}

TEST_F(CatalogueTest, LimitsNameSettingAndBound) {
  const std::string package = upload({{"app.py", "1"}});
  Settings s;
  s.memory_mb = 20'000;
  EXPECT_THAT(problem("f", package, s),
              AllOf(HasSubstr("functions.memory_mb_max"), HasSubstr("10240")));
  s = {};
  s.memory_mb = 1;
  EXPECT_THAT(problem("f", package, s), HasSubstr("16"));
  s = {};
  s.timeout_ms = 1'000'000;
  EXPECT_THAT(problem("f", package, s),
              AllOf(HasSubstr("functions.timeout_ms_max"), HasSubstr("900")));
  s = {};
  s.concurrency = 5'000;
  EXPECT_THAT(problem("f", package, s), HasSubstr("functions.concurrency_max"));
  s = {};
  s.instances_min = 3;
  s.instances_max = 2;
  EXPECT_THAT(problem("f", package, s), HasSubstr("min is 3"));
  s = {};
  s.env["A"] = std::string(40'000, 'x');
  EXPECT_THAT(problem("f", package, s, Code::too_large), HasSubstr("functions.env_bytes_max"));
  s = {};
  s.env["A=B"] = "x";
  EXPECT_THAT(problem("f", package, s), HasSubstr("A=B"));
  for (const std::string name : {"", "a b", "a/b", "../x", "\xc3\xa4"})
    EXPECT_THAT(problem(name, package, {}), HasSubstr("1 to 64 letters"));
  EXPECT_THAT(problem(std::string(65, 'a'), package, {}), HasSubstr("1 to 64 letters"));
  EXPECT_THAT(problem("f", std::string(64, 'a'), {}, Code::not_found), HasSubstr("upload"));
  EXPECT_THAT(problem("f", "../../etc", {}), HasSubstr("SHA-256"));
  s = {};
  s.runtime = "cobol";
  EXPECT_THAT(problem("f", package, s), HasSubstr("not a known runtime"));
}

TEST_F(CatalogueTest, NumberOfFunctionsIsBounded) {
  defaults_.functions_max = 2;
  open();
  const std::string package = upload({{"app.py", "1"}});
  deploy("a", package);
  deploy("b", package);
  EXPECT_THAT(problem("c", package, {}, Code::resource_exhausted),
              HasSubstr("functions.functions_max"));
  EXPECT_TRUE(prepare("a", package).has_value());
}

TEST_F(CatalogueTest, PublishedVersionsStay) {
  const std::string package = upload({{"app.py", "1"}});
  EXPECT_EQ(loop_.run(catalogue_->publish("f")).error().code, Code::not_found);
  deploy("f", package);
  const auto one = loop_.run(catalogue_->publish("f"));
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ((*one)->number, 1u);
  EXPECT_EQ((*one)->qualified_name(), "f:1");
  EXPECT_NE((*one)->revision, catalogue_->find("f", "")->revision);
  EXPECT_EQ(*loop_.run(catalogue_->publish("f")), *one) << "nothing changed in between";
  const std::string second = upload({{"app.py", "2"}});
  deploy("f", second);
  EXPECT_EQ((*loop_.run(catalogue_->publish("f")))->number, 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(catalogue_->find("f", "1")->package, package);
    EXPECT_EQ(catalogue_->find_qualified("f:2")->package, second);
    for (const char* unknown : {"3", "0", "x", "1x", "-1", "$latest"})
      EXPECT_EQ(catalogue_->find("f", unknown), nullptr) << unknown;
    EXPECT_EQ(catalogue_->versions("f").size(), 3u);
    EXPECT_THAT(catalogue_->packages_in_use(), testing::UnorderedElementsAre(package, second));
    open();
  }
}

TEST_F(CatalogueTest, NumbersOfVersionsAreNotGivenAgain) {
  for (std::uint64_t number = 1; number <= 4; ++number) {
    const auto candidate = prepare("f", upload({{"app.py", std::to_string(number)}}));
    ASSERT_TRUE(candidate.has_value());
    Along along;
    along.publish = number > 2;  // by both ways
    ASSERT_TRUE(loop_.run(catalogue_->commit(*candidate->version, std::move(along))).has_value());
    if (number <= 2) {
      EXPECT_EQ((*loop_.run(catalogue_->publish("f")))->number, number);
    }
    ASSERT_NE(catalogue_->find("f", std::to_string(number)), nullptr);
    EXPECT_EQ(catalogue_->versions("f").size(), 2u) << "only those of the function that is there";
    ASSERT_TRUE(loop_.run(catalogue_->remove("f")).has_value());
    if (number % 2 == 0) open();
    EXPECT_TRUE(catalogue_->list().empty());
    EXPECT_EQ(catalogue_->find("f", std::to_string(number)), nullptr);
  }
}

TEST_F(CatalogueTest, WhatComesAlongWithADeployIsOneWriteWithIt) {
  const auto commit = [&](const std::string& code, Along along) {
    const auto candidate = prepare("f", upload({{"app.py", code}}));
    EXPECT_TRUE(candidate.has_value());
    const int before = store_.synced;
    EXPECT_TRUE(loop_.run(catalogue_->commit(*candidate->version, std::move(along))).has_value());
    EXPECT_EQ(store_.synced, before + 1) << "a crash can leave no half of it";
  };
  commit("1", Along{{{"a", "b"}}, true});
  commit("2", Along{{}, true});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(catalogue_->belongings("f").tags, (std::map<std::string, std::string>{{"a", "b"}}));
    ASSERT_EQ(catalogue_->versions("f").size(), 3u);
    EXPECT_NE(catalogue_->find("f", "1")->package, catalogue_->find("f", "2")->package);
    EXPECT_EQ(catalogue_->find("f", "2")->package, catalogue_->find("f", "")->package);
    EXPECT_NE(catalogue_->find("f", "2")->revision, catalogue_->find("f", "")->revision);
    EXPECT_EQ((*loop_.run(catalogue_->publish("f")))->number, 2u) << "it is published already";
    open();
  }
  commit("3", Along{});
  EXPECT_EQ(catalogue_->belongings("f").tags.size(), 1u);
  EXPECT_EQ((*loop_.run(catalogue_->publish("f")))->number, 3u) << "no gap, no number twice";
}

TEST_F(CatalogueTest, ProvisionedConcurrencyGoesWithItsVersionInOneWrite) {
  deploy("f", upload({{"app.py", "1"}}));
  ASSERT_TRUE(loop_.run(catalogue_->publish("f")).has_value());
  const auto provide = [](Belongings& belongings) {
    belongings.provisioned["1"] = {2, 0};
    belongings.tags["k"] = "v";
    return ok();
  };
  ASSERT_TRUE(loop_.run(catalogue_->change_belongings("f", provide)).has_value());
  const int before = store_.synced;
  ASSERT_TRUE(loop_.run(catalogue_->remove_version("f", 1)).has_value());
  EXPECT_EQ(store_.synced, before + 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(catalogue_->belongings("f").provisioned.empty());
    EXPECT_EQ(catalogue_->belongings("f").tags.size(), 1u);
    open();
  }
}

TEST_F(CatalogueTest, RemoveTakesVersionsAlong) {
  const std::string package = upload({{"app.py", "1"}});
  deploy("f", package);
  deploy("fg", package);
  ASSERT_TRUE(loop_.run(catalogue_->publish("f")).has_value());
  ASSERT_TRUE(loop_.run(catalogue_->publish("fg")).has_value());
  EXPECT_TRUE(loop_.run(catalogue_->remove("f")).has_value());
  EXPECT_EQ(loop_.run(catalogue_->remove("f")).error().code, Code::not_found);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(catalogue_->find("f", ""), nullptr);
    EXPECT_EQ(catalogue_->find("f", "1"), nullptr);
    EXPECT_EQ(catalogue_->list().size(), 1u);
    EXPECT_NE(catalogue_->find("fg", "1"), nullptr);
    open();
  }
}

TEST_F(CatalogueTest, DeploysOfOneFunctionAtOnceAreOneAfterTheOther) {
  const std::string package = upload({{"app.py", "1"}});
  const auto candidate = prepare("f", package);
  int done = 0;
  std::string last;
  for (int i = 0; i < 20; ++i) {
    Version version = *candidate->version;
    version.revision = "r" + std::to_string(i);
    boost::asio::co_spawn(loop_.context(), catalogue_->commit(version),
                          [&](std::exception_ptr problem, Result<VersionPtr> result) {
                            EXPECT_EQ(problem, nullptr);
                            ASSERT_TRUE(result.has_value()) << result.error().message;
                            ++done;
                            last = (*result)->revision;
                          });
  }
  loop_.context().restart();
  loop_.context().run();
  EXPECT_EQ(done, 20);
  EXPECT_EQ(catalogue_->find("f", "")->revision, last);
  open();
  EXPECT_EQ(catalogue_->find("f", "")->revision, last);
}

TEST_F(CatalogueTest, AppsAreCheckedAndKept) {
  const std::string package = upload({{"app.py", "1"}});
  const std::string site = upload({{"index.html", "<p>"}});
  deploy("f", package);
  App app;
  app.name = "shop";
  app.routes = {{"GET", "/pets/{id}", "f"}, {"ANY", "/site/{proxy+}", "", site}};
  const auto put = loop_.run(catalogue_->put_app(app));
  ASSERT_TRUE(put.has_value()) << put.error().message;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(catalogue_->apps().size(), 1u);
    EXPECT_EQ(catalogue_->apps()[0].routes[1].static_dir, packages_.tree(site));
    EXPECT_THAT(catalogue_->packages_in_use(), Contains(site));
    open();
  }
  const auto refused = [&](App other) {
    const auto status = loop_.run(catalogue_->put_app(std::move(other)));
    EXPECT_TRUE(status.has_error());
    return status.has_error() ? status.error().message : "taken";
  };
  App other = app;
  other.name = "other";
  other.routes = {{"GET", "/pets/{name}", "f"}};
  EXPECT_THAT(refused(other), AllOf(HasSubstr("/pets/{name}"), HasSubstr("'shop'")));
  other.routes = {{"GET", "/x", "missing"}};
  EXPECT_THAT(refused(other), HasSubstr("'missing'"));
  other.routes = {{"GET", "/x", "", std::string(64, 'e')}};
  EXPECT_THAT(refused(other), HasSubstr("not uploaded"));
  other.routes = {{"GET", "/x", "f", site}};
  EXPECT_THAT(refused(other), HasSubstr("not to both"));
  other.routes = {{"GET", "x", "f"}};
  EXPECT_THAT(refused(other), HasSubstr("begin with /"));
  other.name = "a b";
  EXPECT_THAT(refused(other), HasSubstr("1 to 64"));
  EXPECT_TRUE(loop_.run(catalogue_->remove_app("shop")).has_value());
  EXPECT_EQ(loop_.run(catalogue_->remove_app("shop")).error().code, Code::not_found);
  open();
  EXPECT_TRUE(catalogue_->apps().empty());
}

TEST_F(CatalogueTest, DamagedRowIsNamed) {
  ASSERT_TRUE(
      store_.commit(store::Transaction().put("f/l/broken", "\x07{}"), store::Durability::synced)
          .has_value());
  Catalogue other({store_, packages_, pool_, clock_, table(), defaults_, nullptr, "/runtimes"});
  const auto loaded = other.load();
  ASSERT_TRUE(loaded.has_error());
  EXPECT_EQ(loaded.error().code, Code::corrupt);
  EXPECT_THAT(loaded.error().message, HasSubstr("broken"));
}

TEST_F(CatalogueTest, AliasesLeadToVersionsByWeight) {
  const std::string package = upload({{"app.py", "def handler(e, c): return e"}});
  deploy("hello", package);
  ASSERT_TRUE(loop_.run(catalogue_->publish("hello", "the first")).has_value());
  Settings more;
  more.memory_mb = 256;
  deploy("hello", package, more);
  const auto second = loop_.run(catalogue_->publish("hello"));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ((*second)->number, 2u);
  EXPECT_EQ(catalogue_->find("hello", "1")->settings.description, "the first");
  EXPECT_EQ(catalogue_->find("hello", "live"), nullptr);

  const auto set = [&](Alias alias) {
    return loop_.run(catalogue_->change_belongings("hello", [alias](Belongings& belongings) {
      belongings.aliases["live"] = alias;
      belongings.tags["k"] = "v";
      belongings.reserved_concurrency = 0;
      return ok();
    }));
  };
  ASSERT_TRUE(set({1, {}, "", "r"}).has_value());
  EXPECT_EQ(catalogue_->find("hello", "live"), catalogue_->find("hello", "1"));
  ASSERT_TRUE(set({1, {{2, 0.5}}, "d", "r"}).has_value());
  open();  // as a server that starts again
  const Belongings& kept = catalogue_->belongings("hello");
  EXPECT_EQ(kept.aliases.at("live"), (Alias{1, {{2, 0.5}}, "d", "r"}));
  EXPECT_EQ(kept.tags.at("k"), "v");
  EXPECT_EQ(kept.reserved_concurrency, 0u);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(catalogue_->find_qualified("hello:live")->number);
  EXPECT_EQ(seen, (std::set<std::uint64_t>{1, 2}));

  const auto held = loop_.run(catalogue_->remove_version("hello", 2));
  ASSERT_TRUE(held.has_error());
  EXPECT_EQ(held.error().code, Code::conflict);
  EXPECT_THAT(held.error().message, HasSubstr("[live]"));
  store_.full = true;
  EXPECT_TRUE(set({1, {}, "", "s"}).has_error());
  EXPECT_EQ(catalogue_->belongings("hello").aliases.at("live").revision, "r");
  store_.full = false;
  ASSERT_TRUE(set({1, {}, "", "s"}).has_value());
  ASSERT_TRUE(loop_.run(catalogue_->remove_version("hello", 2)).has_value());
  EXPECT_EQ(catalogue_->find("hello", "2"), nullptr);
  ASSERT_TRUE(loop_.run(catalogue_->remove("hello")).has_value());
  deploy("hello", package);
  open();
  EXPECT_TRUE(catalogue_->belongings("hello").aliases.empty()) << "gone with the function";
}

TEST(Aliases, SharesAndNames) {
  const Alias alias{3, {{1, 0.25}, {2, 0.25}}, "", ""};
  EXPECT_EQ(choose_version(alias, 0.0), 1u);
  EXPECT_EQ(choose_version(alias, 0.3), 2u);
  EXPECT_EQ(choose_version(alias, 0.5), 3u);
  EXPECT_EQ(choose_version(alias, 0.999), 3u);
  for (const char* good : {"live", "a", "1a", "A-b_9"}) EXPECT_TRUE(is_alias_name(good)) << good;
  for (const char* bad : {"", "12", "$LATEST", "a b", "a:b"}) EXPECT_FALSE(is_alias_name(bad));
}

TEST_F(CatalogueTest, AdjustedSettingsKeepTheRevision) {
  const std::string package = upload({{"app.py", "def handler(e, c): return e"}});
  const VersionPtr before = deploy("hello", package);
  const auto adjusted = loop_.run(catalogue_->adjust("hello", 0, [](Version& version) {
    version.settings.async.retries = 1;
    return ok();
  }));
  ASSERT_TRUE(adjusted.has_value()) << adjusted.error().message;
  EXPECT_EQ((*adjusted)->revision, before->revision);
  open();
  EXPECT_EQ(catalogue_->find("hello", "")->settings.async.retries, 1);
  const auto bad = loop_.run(catalogue_->adjust("hello", 0, [](Version& version) {
    version.settings.async.retries = 1000;
    return ok();
  }));
  EXPECT_TRUE(bad.has_error());
  EXPECT_TRUE(loop_.run(catalogue_->adjust("hello", 7, [](Version&) { return ok(); })).has_error());
}

TEST_F(CatalogueTest, TenThousandFunctionsAreSmall) {
  constexpr int kFunctions = 10'000;
  const std::string package = upload({{"app.py", "1"}});
  Settings settings;
  settings.env = {{"TABLE", "a-table-with-a-name"}, {"STAGE", "production"}};
  const Version model = *prepare("f", package, settings)->version;
  store::Transaction rows;
  for (int i = 0; i < kFunctions; ++i) {
    Version version = model;
    version.function = "function-number-" + std::to_string(i);
    rows.put("f/l/" + version.function, encode_version(version));
  }
  ASSERT_TRUE(store_.commit(rows, store::Durability::synced).has_value());
  catalogue_.reset();
  malloc_trim(0);
  const auto used_before = mallinfo2().uordblks;
  const auto begin = std::chrono::steady_clock::now();
  open();
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto bytes = (mallinfo2().uordblks - used_before) / kFunctions;
  std::printf("%d functions: %zu bytes each, loaded in %.0f ms\n", kFunctions, bytes,
              std::chrono::duration<double, std::milli>(took).count());
  EXPECT_EQ(catalogue_->list().size(), std::size_t{kFunctions});
  EXPECT_NE(catalogue_->find("function-number-9999", ""), nullptr);
  EXPECT_LT(bytes, 4096u);
}

}  // namespace
}  // namespace mayfly::functions
