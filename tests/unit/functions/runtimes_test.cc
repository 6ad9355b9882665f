#include "functions/runtimes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "functions/helpers.h"
#include "functions/run_program.h"

namespace mayfly::functions {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

TEST(RunProgram, CollectsOutputAndStatus) {
  const auto ran =
      run_program({{"/bin/sh", "-c", "echo out; echo err >&2; echo $A; exit 3"}, {"A=b"}});
  ASSERT_TRUE(ran.has_value());
  EXPECT_TRUE(ran->exited);
  EXPECT_EQ(ran->status, 3);
  EXPECT_EQ(ran->output, "out\nerr\nb\n");
  EXPECT_TRUE(run_program({{"/no/such/program"}, {}}).has_error());
}

TEST(RunProgram, LimitsTimeAndOutput) {
  ProgramRun slow{{"/bin/sh", "-c", "sleep 600 & sleep 600"}, {"PATH=/bin:/usr/bin"}};
  slow.limit = std::chrono::milliseconds(100);
  const auto late = run_program(slow);
  ASSERT_TRUE(late.has_value());
  EXPECT_TRUE(late->over_limit);
  EXPECT_FALSE(late->succeeded());
  ProgramRun loud{{"/bin/sh", "-c", "yes | head -c 1000000; echo end"}, {"PATH=/bin:/usr/bin"}};
  loud.output_bytes_max = 1'000;
  loud.limit = std::chrono::seconds(20);
  const auto much = run_program(loud);
  ASSERT_TRUE(much.has_value());
  EXPECT_EQ(much->output.size(), 1'000u);
  EXPECT_THAT(much->output, HasSubstr("end\n"));
}

class RuntimesTest : public testing::Test {
 protected:
  const RuntimeTable table_ = RuntimeTable::discover({});
  std::string problem(std::string_view name, Code code) {
    const auto found = table_.find(name);
    EXPECT_TRUE(found.has_error()) << name;
    if (found.has_value()) return "found";
    EXPECT_EQ(found.error().code, code) << found.error().message;
    return found.error().message;
  }
};

TEST_F(RuntimesTest, FindsPythonByManyNames) {
  const auto python = table_.find("python");
  ASSERT_TRUE(python.has_value()) << python.error().message;
  EXPECT_EQ(python->language, "python");
  EXPECT_EQ(python->name.rfind("python3.", 0), 0u);
  EXPECT_TRUE(python->installed);
  EXPECT_EQ(python->version.rfind("3.", 0), 0u);
  for (const auto& name : {std::string("python3"), std::string("py"), python->name})
    EXPECT_EQ(table_.find(name)->name, python->name);
}

TEST_F(RuntimesTest, FindsNodeByManyNames) {
  const auto node = table_.find("node");
  if (node.has_error()) GTEST_SKIP() << node.error().message;
  EXPECT_EQ(node->language, "node");
  const std::string major = node->version.substr(0, node->version.find('.'));
  for (const auto& name : {std::string("nodejs"), "nodejs" + major + ".x", "node" + major})
    EXPECT_EQ(table_.find(name)->program, node->program) << name;
}

TEST_F(RuntimesTest, NativeWaysAreAlwaysThere) {
  for (const char* name : {"native", "provided", "provided.al2", "provided.al2023", "http", "exec"})
    EXPECT_EQ(table_.find(name)->language, "native") << name;
}

TEST_F(RuntimesTest, ErrorsSayWhatHelps) {
  EXPECT_THAT(problem("pyhton", Code::invalid_argument),
              AllOf(HasSubstr("Did you mean 'python'?"), HasSubstr("Runtimes on this machine")));
  EXPECT_THAT(problem("python2.7", Code::unsupported),
              AllOf(HasSubstr("not installed"), HasSubstr("python3.")));
  EXPECT_THAT(problem("", Code::invalid_argument), HasSubstr("not a known runtime"));
  EXPECT_THAT(problem("nodejs4.x", Code::unsupported), HasSubstr("not installed"));
}

// Of the languages below a machine may have any: what is asked for is what is there, or what brings
// it.
TEST_F(RuntimesTest, OtherLanguagesAreFoundOrSayWhatBringsThem) {
  for (const auto& [id, language, package] :
       {std::tuple{"ruby3.2", "ruby", "ruby"}, std::tuple{"php-83", "php", "php-cli"},
        std::tuple{"perl5.30", "perl", "perl"},
        std::tuple{"java11", "java", "default-jdk-headless"},
        std::tuple{"java8.al2", "java", "default-jdk-headless"},
        std::tuple{"dotnet8", "dotnet", "mono-runtime mono-mcs"},
        std::tuple{"dotnetcore3.1", "dotnet", "mono-runtime mono-mcs"}}) {
    const auto plain = table_.find(language);
    const auto found = table_.find(id);
    ASSERT_EQ(found.has_value(), plain.has_value()) << id;
    if (found.has_error()) {
      EXPECT_THAT(found.error().message, HasSubstr(std::string("apt-get install ") + package));
      continue;
    }
    EXPECT_EQ(found->language, language);
    EXPECT_EQ(found->name, plain->name) << "the newest";
    EXPECT_EQ(RuntimeTable::note_on(*found, language), "");
    EXPECT_EQ(RuntimeTable::note_on(*found, found->name), "");
    if (id == found->name) continue;
    EXPECT_THAT(RuntimeTable::note_on(*found, id),
                AllOf(HasSubstr(id), HasSubstr("it runs on " + found->name)));
  }
}

TEST(Runtimes, EveryLanguageIsReadFromItsVersion) {
  mayfly::test::TempDir directory;
  const auto named = [&directory](const std::string& said) {
    const std::string program = directory.path() + "/bin/program";
    test::write_file(program, "#!/bin/sh\ncat <<'END'\n" + said + "\nEND\n", 0755);
    const auto found = RuntimeTable::discover({{"mine", program}}).find("mine");
    return found.has_value() ? found->language + " " + found->version : found.error().message;
  };
  EXPECT_EQ(named("ruby 9.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]"),
            "ruby 9.1.2");
  EXPECT_EQ(named("PHP 9.2.35 (cli) (built: Oct 21 2026 06:29:51) (NTS)"), "php 9.2.35");
  EXPECT_EQ(named("\nThis is perl 5, version 96, subversion 1 (v5.96.1) built for x86_64"),
            "perl 5.96.1");
  EXPECT_EQ(named("openjdk 97.0.15 2025-04-15"), "java 97.0.15");
  EXPECT_EQ(named("Mono JIT compiler version 9.8.0.105 (Debian 6.8.0.105)"), "dotnet 9.8.0");
}

TEST(Runtimes, SettingsComeFirstAndBringTheirPrefix) {
  mayfly::test::TempDir directory;
  const std::string program = directory.path() + "/py/bin/python3";
  test::write_file(program,
                   "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.99.1' && exit 0\n"
                   "echo " +
                       program + "; echo " + directory.path() + "/venv; echo " + directory.path() +
                       "/py\n",
                   0755);
  const auto table = RuntimeTable::discover({{"future", program}, {"broken", "/no/such/python"}});
  const auto future = table.find("future");
  ASSERT_TRUE(future.has_value());
  EXPECT_EQ(future->version, "3.99.1");
  EXPECT_EQ(future->program, program);
  EXPECT_THAT(future->prefixes, Contains(directory.path() + "/venv"));
  EXPECT_THAT(future->prefixes, Contains(directory.path() + "/py"));
  EXPECT_EQ(table.find("python")->name, "future") << "the newest takes the plain names";
  EXPECT_EQ(table.find("python3.99")->name, "future");
  const auto broken = table.find("broken");
  ASSERT_TRUE(broken.has_error());
  EXPECT_THAT(broken.error().message, HasSubstr("/no/such/python"));
}

TEST(Runtimes, ProgramThatHangsIsGivenUp) {
  mayfly::test::TempDir directory;
  const std::string program = directory.path() + "/hang";
  test::write_file(program, "#!/bin/sh\nexec sleep 600\n", 0755);
  const auto found = RuntimeTable::discover({{"hang", program}}, milliseconds(100)).find("hang");
  ASSERT_TRUE(found.has_error());
  EXPECT_THAT(found.error().message,
              HasSubstr(program + " --version did not answer within 100 ms"));
}

}  // namespace
}  // namespace mayfly::functions
