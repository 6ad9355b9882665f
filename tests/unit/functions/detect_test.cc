#include "functions/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "functions/helpers.h"
#include "functions/vendored.h"

namespace mayfly::functions {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const RuntimeTable& detect_table() {
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
    return detect(directory_.path(), asked, detect_table());
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
}

// What a package speaks for, whether its runtime is on this machine or not.
TEST_F(DetectTest, FilesSpeakForTheirLanguage) {
  const auto speaks_for = [this](const std::string& handler = "") {
    const auto result = look("", handler);
    if (result.has_value()) return result->runtime.language;
    const auto& text = result.error().message;
    const auto at = text.find("The runtime ");
    return at == std::string::npos ? text
                                   : text.substr(at + 12, text.find(" is not", at) - at - 12);
  };
  for (const auto& [name, language] :
       {std::pair{"main.rb", "ruby"}, std::pair{"index.php", "php"},
        std::pair{"handler.pl", "perl"}, std::pair{"Handler.java", "java"},
        std::pair{"app.jar", "java"}, std::pair{"Handler.class", "java"},
        std::pair{"Function.dll", "dotnet"}, std::pair{"Function.cs", "dotnet"},
        std::pair{"com/example/Handler.class", "java"}, std::pair{"lib/dependency.jar", "java"},
        std::pair{"Gemfile", "ruby"}, std::pair{"composer.json", "php"},
        std::pair{"cpanfile", "perl"}}) {
    file(name, "{}");
    EXPECT_EQ(speaks_for(), language) << name;
    std::filesystem::remove_all(directory_.path() + "/" + name);
    std::filesystem::remove_all(directory_.path() + "/com");
    std::filesystem::remove_all(directory_.path() + "/lib");
  }
  file("one.rb");
  file("two.php");
  EXPECT_THAT(problem(), AllOf(HasSubstr("several languages"), HasSubstr("two.php")));
  EXPECT_EQ(speaks_for("one.Class.method"), "ruby");
  EXPECT_EQ(speaks_for("one.A::B.method"), "ruby");
  EXPECT_EQ(speaks_for("two.handler"), "php");
  EXPECT_EQ(speaks_for("two.php"), "php");
}

TEST_F(DetectTest, ScriptsOfALanguageAreNoPrograms) {
  file("handler.pl", "#!/usr/bin/perl\nsub handler { 1 }\n1;\n", 0755);
  const auto result = look();
  if (result.has_error()) GTEST_SKIP() << result.error().message;
  EXPECT_EQ(result->runtime.language, "perl");
}

TEST_F(DetectTest, WhatIsNotVendoredIsNamed) {
  if (detect_table().find("perl").has_error()) GTEST_SKIP() << "perl is not installed";
  file("handler.pl");
  file("cpanfile", "requires 'perl', '5.30';\nrequires 'Mojolicious', '>= 9';\n");
  EXPECT_THAT(found().notes,
              Contains(AllOf(HasSubstr("cpanfile names Mojolicious, which"), HasSubstr("cpanm"))));
  file("local/lib/perl5/Mojolicious.pm");
  EXPECT_THAT(found().notes, Not(Contains(HasSubstr("cpanfile names"))));
  EXPECT_THAT(not_vendored(directory_.path(), "ruby"), IsEmpty());
  file("Gemfile", "source 'x'\ngem 'rack', '~> 2'\n  gem(\"sinatra\")\n# gem 'no'\n");
  EXPECT_THAT(not_vendored(directory_.path(), "ruby"),
              ElementsAre(HasSubstr("Gemfile names rack, sinatra, which")));
  file("composer.json", R"({"require":{"php":">=8","ext-json":"*","monolog/monolog":"^3"}})");
  EXPECT_THAT(not_vendored(directory_.path(), "php"),
              ElementsAre(HasSubstr("composer.json names monolog/monolog, which")));
  file("vendor/autoload.php");
  EXPECT_THAT(not_vendored(directory_.path(), "php"), IsEmpty());
}

TEST_F(DetectTest, SourcesOfJavaWantACompiler) {
  if (detect_table().find("java").has_error()) GTEST_SKIP() << "java is not installed";
  file("lib/tool.jar");
  file("src/my/E.java");
  EXPECT_EQ(found().needs, Needs::compiler);
  file("my/E.class");
  EXPECT_EQ(found().needs, Needs::nothing) << "it is compiled already";
}

TEST_F(DetectTest, SourcesOfDotnetWantACompiler) {
  if (detect_table().find("dotnet").has_error()) GTEST_SKIP() << "mono is not installed";
  file("Tool.dll");
  EXPECT_EQ(found().needs, Needs::nothing);
  file("E.cs");
  EXPECT_EQ(found().needs, Needs::compiler) << "the assembly is what it refers to";
  file("E.dll");
  EXPECT_EQ(found().needs, Needs::nothing) << "it is compiled already";
}

TEST_F(DetectTest, VersionsOfOtherPlatformsAreTakenWithANote) {
  if (detect_table().find("perl").has_error()) GTEST_SKIP() << "perl is not installed";
  file("handler.pl");
  EXPECT_THAT(found("perl5.6").notes, Contains(HasSubstr("perl5.6 is not installed")));
  EXPECT_THAT(found("perl").notes, Not(Contains(HasSubstr("is not installed"))));
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
