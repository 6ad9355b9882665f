#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include <boost/json.hpp>

#include "cli/cli.h"

namespace mayfly::cli {
namespace {

struct Ran {
  int code = 0;
  std::string out;
};

Ran simulate(std::vector<std::string> words) {
  words.insert(words.begin(),
               {"mayfly", "simulate", "--functions", "30", "--hours", "1", "--warmup", "0"});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  ran.code = run(int(argv.size()), argv.data(), "0", [](const ServeFlags&) { return kUsage; });
  std::fflush(stdout);
  ran.out = testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return ran;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Simulate : public ::testing::Test {
 protected:
  Simulate() { std::filesystem::create_directories(folder_); }
  ~Simulate() override { std::filesystem::remove_all(folder_); }
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("mayfly-simulate-" + std::to_string(::getpid()));
};

TEST_F(Simulate, JsonHoldsOptionsAndOutcomes) {
  const Ran ran = simulate({"--seed", "7", "--json", "--policy", "mayfly", "--policy", "fixed"});
  ASSERT_EQ(ran.code, kOk);
  const auto value = boost::json::parse(ran.out);
  EXPECT_EQ(value.at("seed"), 7);
  EXPECT_EQ(value.at("load").at("functions"), 30);
  const auto& outcomes = value.at("outcomes").as_array();
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].at("policy"), "fixed");
  EXPECT_EQ(outcomes[1].at("policy"), "mayfly");
  EXPECT_EQ(outcomes[0].at("simulated_calls"), outcomes[1].at("simulated_calls"));
}

TEST_F(Simulate, SweepAddsFiguresAndKeepsTheAskedOnes) {
  const Ran ran = simulate({"--sweep", "--json", "--policy", "fixed", "--keep-alive", "90"});
  const auto value = boost::json::parse(ran.out);
  const auto& outcomes = value.at("outcomes").as_array();
  ASSERT_EQ(outcomes.size(), 6u);
  EXPECT_EQ(outcomes[0].at("label"), "fixed 90 s");
}

TEST_F(Simulate, TableAndPicture) {
  const auto picture = folder_ / "p.svg";
  const Ran ran = simulate({"--plot", picture.string()});
  EXPECT_EQ(ran.code, kOk);
  for (const char* word : {"seed 1", "fixed 600 s", "hybrid", "mayfly 10 ms", "of the memory of"})
    EXPECT_NE(ran.out.find(word), std::string::npos) << word;
  EXPECT_EQ(read(picture).rfind("<svg", 0), 0u);
}

TEST_F(Simulate, TraceOnly) {
  const auto trace = folder_ / "t.csv";
  const Ran ran = simulate({"--trace", trace.string()});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(read(trace).rfind("time_s,function,", 0), 0u);
}

TEST_F(Simulate, WrongUsageAndUnwritableFiles) {
  EXPECT_EQ(simulate({"--policy", "best"}).code, kUsage);
  EXPECT_EQ(simulate({"--template-share", "2"}).code, kUsage);
  EXPECT_EQ(simulate({"--plot", (folder_ / "none" / "p.svg").string()}).code, kRefused);
  EXPECT_EQ(simulate({"--trace", (folder_ / "none" / "t.csv").string()}).code, kRefused);
}

}  // namespace
}  // namespace mayfly::cli
