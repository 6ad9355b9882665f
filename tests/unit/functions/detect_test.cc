#include "functions/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/helpers.h"

namespace mayfly::functions {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const RuntimeTable& table() {
  static const RuntimeTable found = RuntimeTable::discover({});
  return found;
}

class DetectTest : public testing::Test {
 protected:
  void file(const std::string& name, const std::string& text = "x", int mode = 0644) {
    test::write_file(directory_.path() + "/" + name, text, mode);
  }
  Result<Detection> look(const std::string& runtime = "", const std::string& handler = "") {
    Settings asked;
    asked.runtime = runtime;
    asked.handler = handler;
    return detect(directory_.path(), asked, table());
  }
  Detection found(const std::string& runtime = "", const std::string& handler = "") {
    auto result = look(runtime, handler);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return result.has_value() ? *result : Detection();
  }
  std::string problem(const std::string& runtime = "", const std::string& handler = "") {
    const auto result = look(runtime, handler);
    EXPECT_TRUE(result.has_error());
    return result.has_error() ? result.error().message : "found " + result->runtime.name;
  }
  mayfly::test::TempDir directory_;
};

const std::string kElf = std::string(
                             "\x7f"
                             "ELF\x02\x01\x01",
                             7) +
                         std::string(9, '\0') +
#if defined(__aarch64__)
                         std::string("\x02\0\xb7\0", 4);
#else
                         std::string("\x02\0\x3e\0", 4);
#endif

TEST_F(DetectTest, SingleFiles) {
  file("app.py", "print(1)");
  const auto d = found();
  EXPECT_EQ(d.runtime.language, "python");
  EXPECT_EQ(d.entry, "app.py");
  EXPECT_EQ(d.handler, "");
  EXPECT_EQ(d.model, Model::unknown);
  EXPECT_EQ(d.code_bytes, 8u);
  EXPECT_THAT(d.notes[0], AllOf(HasSubstr("python3."), HasSubstr("app.py")));
}

TEST_F(DetectTest, JavaScriptOfEveryKind) {
  for (const char* name : {"a.js", "b.mjs", "c.cjs"}) {
    file(name);
    EXPECT_EQ(found().runtime.language, "node") << name;
    std::filesystem::remove(directory_.path() + "/" + name);
  }
}

TEST_F(DetectTest, ShellScript) {
  file("run.sh", "#!/bin/sh\necho hi\n", 0755);
  const auto d = found();
  EXPECT_EQ(d.runtime.name, "native");
  EXPECT_EQ(d.entry, "run.sh");
  EXPECT_EQ(d.handler, "run.sh");
  EXPECT_EQ(found("exec").model, Model::stdio);
  EXPECT_EQ(found("http").model, Model::http_port);
}

TEST_F(DetectTest, ElfProgram) {
  file("server", kElf, 0755);
  file("data.json", "{}");
  EXPECT_EQ(found().entry, "server");
  EXPECT_EQ(found().runtime.name, "native");
}

TEST_F(DetectTest, ProgramsThatCannotRunAreRefused) {
  file("run.sh", "echo no first line\n");  // /bin/sh runs it, as a shell would
  EXPECT_EQ(found().runtime.name, "native");
  file("run.sh", "#!/bin/sh\r\necho\r\n");
  EXPECT_THAT(problem(), HasSubstr("carriage return"));
  file("run.sh", "#!/usr/bin/no-such-thing\n");
  EXPECT_THAT(problem(), HasSubstr("/usr/bin/no-such-thing"));
  file("run.sh", "#!perl\n");
  EXPECT_THAT(problem(), HasSubstr("absolute path"));
  std::filesystem::remove(directory_.path() + "/run.sh");
  std::string other = kElf;
  other[18] = '\x28';
  file("server", other, 0755);
  EXPECT_THAT(problem(), HasSubstr("another kind of processor"));
}

TEST_F(DetectTest, BootstrapSpeaksTheRuntimeApi) {
  file("bootstrap", "#!/bin/sh\n", 0755);
  file("function.sh", "handler() { :; }");
  const auto d = found("", "");
  EXPECT_EQ(d.runtime.name, "provided");
  EXPECT_EQ(d.model, Model::runtime_api);
  EXPECT_EQ(d.entry, "bootstrap");
  EXPECT_EQ(d.handler, "bootstrap");
  const auto with = found("provided.al2023", "function.handler");
  EXPECT_EQ(with.entry, "bootstrap");
  EXPECT_EQ(with.handler, "function.handler");
}

TEST_F(DetectTest, PackageJsonBeatsStrayFiles) {
  file("package.json", R"({"name":"x","dependencies":{"a":"1"}})");
  file("index.js");
  file("tools.py");
  auto d = found();
  EXPECT_EQ(d.runtime.language, "node");
  EXPECT_EQ(d.needs, Needs::npm);
  EXPECT_FALSE(d.npm_locked);
  file("package-lock.json", "{}");
  EXPECT_TRUE(found().npm_locked);
  file("node_modules/a/index.js");
  EXPECT_EQ(found().needs, Needs::nothing);
}

TEST_F(DetectTest, PackageJsonWithoutDependenciesNeedsNothing) {
  file("package.json", R"({"type":"module"})");
  file("index.js");
  EXPECT_EQ(found().needs, Needs::nothing);
  file("package.json", "not json");
  EXPECT_EQ(found().needs, Needs::nothing);
}

TEST_F(DetectTest, RequirementsNeedPip) {
  file("app.py");
  file("requirements.txt", "# nothing\n\n");
  EXPECT_EQ(found().needs, Needs::nothing);
  file("requirements.txt", "flask>=2\n");
  EXPECT_EQ(found().needs, Needs::pip);
}

TEST_F(DetectTest, AmbiguityListsWhatWasSeen) {
  file("package.json", "{}");
  file("requirements.txt", "a");
  EXPECT_THAT(problem(), AllOf(HasSubstr("package.json"), HasSubstr("requirements.txt"),
                               HasSubstr("--runtime")));
  EXPECT_EQ(found("node").runtime.language, "node");
}

TEST_F(DetectTest, MixedFilesAreClearedUpByTheHandler) {
  file("a.py");
  file("b.js");
  EXPECT_THAT(problem(), HasSubstr("Python and JavaScript"));
  EXPECT_EQ(found("", "a.handler").runtime.language, "python");
  EXPECT_EQ(found("", "b.handler").runtime.language, "node");
}

TEST_F(DetectTest, FolderInAFolderAndNothingKnown) {
  file("inner/app.py");
  EXPECT_THAT(problem(), HasSubstr("inner/"));
  file("README.md");
  EXPECT_THAT(problem(), AllOf(HasSubstr("README.md"), HasSubstr("--runtime")));
  file("main.rb");
  EXPECT_THAT(problem(), AllOf(HasSubstr("main.rb"), HasSubstr("not supported yet")));
}

TEST_F(DetectTest, SeveralProgramsWantAHandler) {
  file("one", kElf, 0755);
  file("two", kElf, 0755);
  EXPECT_THAT(problem(), HasSubstr("several programs"));
  EXPECT_EQ(found("", "two").entry, "two");
  EXPECT_THAT(problem("http"), HasSubstr("--handler"));
  EXPECT_EQ(found("http", "one").entry, "one");
  EXPECT_THAT(problem("http", "three"), HasSubstr("'three'"));
  EXPECT_THAT(problem("http", "../../etc/passwd"), HasSubstr("no file of the package"));
  EXPECT_THAT(problem("http", "/bin/sh"), HasSubstr("no file of the package"));
}

}  // namespace
}  // namespace mayfly::functions
