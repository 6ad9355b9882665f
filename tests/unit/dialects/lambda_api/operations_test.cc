// Operations of the Lambda API that concern versions, aliases and what is kept ready, on a
// catalogue and an engine whose instances are fakes.

#include <boost/json.hpp>

#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/lambda_api.h"
#include "engine/dispatcher_fixture.h"
#include "functions/helpers.h"
#include "triggers/async_calls.h"
#include "triggers/trigger_fixture.h"

namespace mayfly::dialects::lambda_api {
namespace {

namespace json = boost::json;

struct Operations : engine::testing::DispatcherFixture {
  Operations()
      : memory(store::make_memory_store()),
        world(*memory),
        packages(folder.path() + "/packages", {}, pool),
        catalogue({*memory, packages, pool, clock, functions::RuntimeTable::discover({}), {}}) {
    EXPECT_TRUE(packages.open().has_value());
    EXPECT_TRUE(catalogue.load().has_value());
    warm = [this](const functions::Version& one) {
      return functions::provisioned_calls(catalogue.belongings(one.function), one.number);
    };
    deployer.emplace(
        engine::Deployer::Parts{loop, catalogue, dispatcher(), telemetry, pool, nullptr});
    calls.emplace(triggers::AsyncCalls::Parts{world.loop,
                                              *world.engine,
                                              *memory,
                                              *world.committer,
                                              pool,
                                              world.clock,
                                              targets,
                                              nullptr,
                                              nullptr,
                                              {},
                                              "us-east-1",
                                              "000000000000",
                                              folder.path() + "/calls"});
    triggers.emplace(triggers::QueueTriggers::Parts{world.loop.get_executor(),
                                                    *world.engine,
                                                    *memory,
                                                    *world.committer,
                                                    pool,
                                                    runner,
                                                    no_services,
                                                    &targets,
                                                    world.clock,
                                                    {}});
    keeper = std::make_shared<native::PackageKeeper>(native::PackageKeeper::Parts{
        loop, pool, clock, [this] { return catalogue.packages_in_use(); },
        [](const std::set<std::string>&) { return std::size_t{0}; }, milliseconds(1000)});
    buckets.emplace(buckets::Buckets::Parts{world.loop.get_executor(),
                                            *memory,
                                            *world.committer,
                                            pool,
                                            clock,
                                            {},
                                            folder.path() + "/b"});
    EXPECT_TRUE(buckets->open().has_value());
    api.emplace(LambdaApi::Parts{catalogue,
                                 packages,
                                 dispatcher(),
                                 *deployer,
                                 *calls,
                                 *triggers,
                                 *buckets,
                                 keys,
                                 pool,
                                 clock,
                                 keeper,
                                 [] {},
                                 {},
                                 "us-east-1",
                                 "000000000000"});
  }
  ~Operations() override {
    api.reset();
    buckets.reset();
    triggers.reset();
    calls.reset();
    world.close();
  }

  void make_function(const std::string& name) {
    const auto added = engine::testing::run_task(
        loop,
        packages.add(functions::test::pack({{"app.py", "def handler(e, c): return e"}}), nullptr));
    ASSERT_TRUE(added.has_value());
    functions::Version made = *make_version(name);
    made.revision = "";
    made.package = added->sha256;
    const auto committed = engine::testing::run_task(loop, catalogue.commit(std::move(made)));
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }
  // The answer, or {"error", "status"}.
  json::object ask(std::string_view name, json::object input) {
    aws::Call call;
    for (const auto& one : api->contract().operations)
      if (one.name == name) call.operation = &one;
    EXPECT_NE(call.operation, nullptr) << name;
    call.input = std::move(input);
    call.input["FunctionName"] = "hello";
    auto outcome = engine::testing::run_task(loop, api->call(std::move(call)));
    if (outcome.has_value()) return std::move(*outcome);
    return {{"error", outcome.error().code},
            {"status", outcome.error().status},
            {"message", outcome.error().message}};
  }
  std::string error(std::string_view name, json::object input) {
    const json::object answer = ask(name, std::move(input));
    const auto* code = answer.if_contains("error");
    return code ? json::value_to<std::string>(*code) : "none";
  }
  json::object provision(const std::string& qualifier, int calls_wanted) {
    return ask("PutProvisionedConcurrencyConfig",
               {{"Qualifier", qualifier}, {"ProvisionedConcurrentExecutions", calls_wanted}});
  }
  bool becomes_ready(const std::string& qualifier) {
    return engine::testing::run_until(loop, [&] {
      return ask("GetProvisionedConcurrencyConfig", {{"Qualifier", qualifier}})["Status"] ==
             "READY";
    });
  }

  std::unique_ptr<store::Store> memory;
  test::TempDir folder;
  queues::testing::Embedded world;
  io::BlockingPool pool{2};
  functions::Packages packages;
  functions::Catalogue catalogue;
  triggers::Targets targets{*world.engine};
  triggers::testing::FakeRunner runner;
  tables::State state{*memory, *world.committer, pool};
  triggers::Services no_services{*world.engine, state, world.pool};
  identity::AccessKeys keys{{*memory, pool, clock}};
  std::optional<engine::Deployer> deployer;
  std::optional<triggers::AsyncCalls> calls;
  std::optional<triggers::QueueTriggers> triggers;
  std::optional<buckets::Buckets> buckets;
  std::shared_ptr<native::PackageKeeper> keeper;
  std::optional<LambdaApi> api;
};

TEST_F(Operations, ProvisionedConcurrencyKeepsInstancesReady) {
  make_function("hello");
  EXPECT_EQ(provision("$LATEST", 1)["error"], "InvalidParameterValueException");
  EXPECT_EQ(provision("", 1)["error"], "InvalidParameterValueException");
  EXPECT_EQ(provision("7", 1)["error"], "ResourceNotFoundException");
  ASSERT_EQ(ask("PublishVersion", {})["Version"], "1");
  EXPECT_EQ(provision("1", 0)["error"], "ValidationException");
  EXPECT_EQ(provision("1", 1001)["error"], "InvalidParameterValueException");
  EXPECT_EQ(error("GetProvisionedConcurrencyConfig", {{"Qualifier", "1"}}),
            "ProvisionedConcurrencyConfigNotFoundException");
  EXPECT_EQ(error("DeleteProvisionedConcurrencyConfig", {{"Qualifier", "1"}}),
            "ProvisionedConcurrencyConfigNotFoundException");

  json::object made = provision("1", 2);
  EXPECT_EQ(made["RequestedProvisionedConcurrentExecutions"], 2);
  EXPECT_EQ(made["Status"], "IN_PROGRESS");
  ASSERT_TRUE(becomes_ready("1"));
  EXPECT_EQ(sandboxes.live.size(), 2u);
  const json::object list = ask("ListProvisionedConcurrencyConfigs", {});
  ASSERT_EQ(list.at("ProvisionedConcurrencyConfigs").as_array().size(), 1u);
  EXPECT_EQ(list.at("ProvisionedConcurrencyConfigs").at(0).at("FunctionArn"),
            "arn:aws:lambda:us-east-1:000000000000:function:hello:1");
  EXPECT_EQ(error("DeleteProvisionedConcurrencyConfig", {{"Qualifier", "1"}}), "none");
  EXPECT_EQ(error("GetProvisionedConcurrencyConfig", {{"Qualifier", "1"}}),
            "ProvisionedConcurrencyConfigNotFoundException");
}

TEST_F(Operations, ProvisionedConcurrencyStaysUnderTheReservedOne) {
  make_function("hello");
  ASSERT_EQ(ask("PublishVersion", {})["Version"], "1");
  EXPECT_EQ(error("PutFunctionConcurrency", {{"ReservedConcurrentExecutions", 3}}), "none");
  EXPECT_EQ(provision("1", 4)["error"], "InvalidParameterValueException");
  EXPECT_EQ(provision("1", 3)["RequestedProvisionedConcurrentExecutions"], 3);
  EXPECT_EQ(provision("1", 2)["RequestedProvisionedConcurrentExecutions"], 2) << "in place of 3";
}

TEST_F(Operations, AnAliasHasProvisionedConcurrencyByItsWeights) {
  make_function("hello");
  ASSERT_EQ(ask("PublishVersion", {{"Description", "one"}})["Version"], "1");
  ASSERT_EQ(ask("PublishVersion", {{"Description", "two"}})["Version"], "1") << "nothing changed";
  EXPECT_EQ(error("CreateAlias", {{"Name", "head"}, {"FunctionVersion", "$LATEST"}}), "none");
  EXPECT_EQ(provision("head", 1)["error"], "InvalidParameterValueException");
  EXPECT_EQ(error("CreateAlias", {{"Name", "live"}, {"FunctionVersion", "1"}}), "none");
  EXPECT_EQ(provision("live", 2)["RequestedProvisionedConcurrentExecutions"], 2);
  ASSERT_TRUE(becomes_ready("live"));
  EXPECT_EQ(provision("1", 1)["error"], "InvalidParameterValueException") << "the alias leads here";
  EXPECT_EQ(error("UpdateAlias", {{"Name", "live"}, {"FunctionVersion", "$LATEST"}}),
            "InvalidParameterValueException");
  EXPECT_EQ(error("DeleteAlias", {{"Name", "live"}}), "none");
  EXPECT_TRUE(ask("ListProvisionedConcurrencyConfigs", {})
                  .at("ProvisionedConcurrencyConfigs")
                  .as_array()
                  .empty());
  EXPECT_EQ(provision("1", 1)["RequestedProvisionedConcurrentExecutions"], 1);
}

TEST_F(Operations, EventInvokeConfigsOfVersionsAndAliasesAreTheirOwn) {
  make_function("hello");
  ASSERT_EQ(ask("PublishVersion", {})["Version"], "1");
  EXPECT_EQ(error("CreateAlias", {{"Name", "live"}, {"FunctionVersion", "1"}}), "none");
  EXPECT_EQ(error("PutFunctionEventInvokeConfig", {}), "InvalidParameterValueException");
  EXPECT_EQ(error("PutFunctionEventInvokeConfig", {{"MaximumRetryAttempts", 3}}),
            "ValidationException");
  EXPECT_EQ(error("UpdateFunctionEventInvokeConfig", {{"Qualifier", "live"}}),
            "ResourceNotFoundException");
  const json::object put =
      ask("PutFunctionEventInvokeConfig", {{"Qualifier", "live"}, {"MaximumRetryAttempts", 0}});
  EXPECT_EQ(put.at("MaximumRetryAttempts"), 0);
  EXPECT_EQ(put.at("FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:hello:live");
  EXPECT_EQ(error("GetFunctionEventInvokeConfig", {{"Qualifier", "1"}}),
            "ResourceNotFoundException")
      << "the version has none";
  EXPECT_EQ(
      error("PutFunctionEventInvokeConfig", {{"Qualifier", "1"}, {"MaximumEventAgeInSeconds", 60}}),
      "none");
  const json::object updated = ask("UpdateFunctionEventInvokeConfig",
                                   {{"Qualifier", "live"}, {"MaximumEventAgeInSeconds", 90}});
  EXPECT_EQ(updated.at("MaximumRetryAttempts"), 0) << "what is not named stays";
  const auto first = ask("ListFunctionEventInvokeConfigs", {{"MaxItems", 1}});
  ASSERT_EQ(first.at("FunctionEventInvokeConfigs").as_array().size(), 1u);
  const auto second =
      ask("ListFunctionEventInvokeConfigs", {{"MaxItems", 1}, {"Marker", first.at("NextMarker")}});
  EXPECT_EQ(second.at("FunctionEventInvokeConfigs").at(0).at("FunctionArn"),
            "arn:aws:lambda:us-east-1:000000000000:function:hello:live");
  EXPECT_FALSE(second.contains("NextMarker"));
  EXPECT_EQ(error("DeleteFunctionEventInvokeConfig", {{"Qualifier", "live"}}), "none");
  EXPECT_EQ(error("DeleteFunctionEventInvokeConfig", {{"Qualifier", "live"}}),
            "ResourceNotFoundException");
}

TEST_F(Operations, RevisionsAreHeldToWhereLambdaHasThem) {
  make_function("hello");
  const std::string wrong = "11111111-1111-1111-1111-111111111111";
  EXPECT_EQ(error("PublishVersion", {{"RevisionId", wrong}}), "PreconditionFailedException");
  ASSERT_EQ(ask("PublishVersion", {})["Version"], "1");
  EXPECT_EQ(error("UpdateFunctionConfiguration", {{"Timeout", 4}, {"RevisionId", wrong}}),
            "PreconditionFailedException");
  EXPECT_EQ(error("UpdateFunctionCode", {{"ZipFile", "UEs="}, {"RevisionId", wrong}}),
            "PreconditionFailedException");
  EXPECT_EQ(error("CreateAlias", {{"Name", "live"}, {"FunctionVersion", "1"}}), "none");
  EXPECT_EQ(error("UpdateAlias", {{"Name", "live"}, {"RevisionId", wrong}}),
            "PreconditionFailedException");
  json::object permission{
      {"StatementId", "s"}, {"Action", "lambda:InvokeFunction"}, {"Principal", "s3.amazonaws.com"}};
  EXPECT_EQ(error("AddPermission", permission), "none");
  permission["StatementId"] = "t";
  permission["RevisionId"] = wrong;
  EXPECT_EQ(error("AddPermission", permission), "PreconditionFailedException");
  EXPECT_EQ(error("RemovePermission", {{"StatementId", "s"}, {"RevisionId", wrong}}),
            "PreconditionFailedException");
  const json::object policy = ask("GetPolicy", {});
  EXPECT_EQ(
      error("RemovePermission", {{"StatementId", "s"}, {"RevisionId", policy.at("RevisionId")}}),
      "none");
}

TEST_F(Operations, ScalingConfigIsTheLeastAndTheMostOfInstances) {
  make_function("hello");
  EXPECT_EQ(error("PutFunctionScalingConfig", {}), "ValidationException") << "Qualifier is missing";
  const json::object config{{"MinExecutionEnvironments", 2}, {"MaxExecutionEnvironments", 4}};
  EXPECT_EQ(ask("PutFunctionScalingConfig",
                {{"Qualifier", "$LATEST"}, {"FunctionScalingConfig", config}})["FunctionState"],
            "Active");
  EXPECT_TRUE(engine::testing::run_until(loop, [&] { return sandboxes.live.size() == 2; }));
  EXPECT_EQ(ask("GetFunctionScalingConfig", {{"Qualifier", "$LATEST"}})
                .at("AppliedFunctionScalingConfig"),
            config);
  EXPECT_EQ(error("PutFunctionScalingConfig",
                  {{"Qualifier", "$LATEST"},
                   {"FunctionScalingConfig",
                    {{"MinExecutionEnvironments", 5}, {"MaxExecutionEnvironments", 4}}}}),
            "InvalidParameterValueException");
}

TEST_F(Operations, WaysOutAreNamed) {
  const json::object image = ask("CreateFunction", {{"PackageType", "Image"}});
  EXPECT_NE(image.at("message").as_string().find("ImageUri"), std::string::npos);
  make_function("hello");
  const json::object bucket = ask("UpdateFunctionCode", {{"S3Bucket", "b"}, {"S3Key", "k"}});
  EXPECT_EQ(bucket.at("error"), "InvalidParameterValueException");
  EXPECT_NE(bucket.at("message").as_string().find("NoSuchBucket"), std::string::npos);
  EXPECT_EQ(ask("StopDurableExecution", {}).at("status"), 501);
}

}  // namespace
}  // namespace mayfly::dialects::lambda_api
