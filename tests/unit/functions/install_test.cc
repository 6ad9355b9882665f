// Dependencies at deploy, with programs played by the test instead of a sandbox.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "functions/catalogue.h"
#include "functions/helpers.h"
#include "functions/host_tools.h"
#include "functions/run_program.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
using test::FakeSandboxes;
using test::Item;
using test::pack;
using test::Played;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const RuntimeTable& install_table() {
  static const RuntimeTable found = RuntimeTable::discover({});
  return found;
}

const Item kPackageJson{"package.json", R"({"dependencies":{"left":"^1.0.0"}})"};

// Sets variables for one test and puts back what was there.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

class InstallTest : public testing::Test {
 protected:
  void SetUp() override {
    if (install_table().find("node").has_error()) GTEST_SKIP() << "needs node";
    ASSERT_TRUE(packages_.open().has_value());
    // An npm of our own, which real node runs outside of the sandbox.
    test::write_file(
        tools_.path() + "/npm/bin/npm-cli.js",
        "const fs = require('fs');\n"
        "fs.mkdirSync('node_modules/left', {recursive: true});\n"
        "fs.writeFileSync('node_modules/left/index.js', process.argv.join(' '));\n"
        "fs.writeFileSync('npmrc-seen', String(fs.existsSync('.npmrc')));\n"
        "if (fs.existsSync('fail')) { console.error('npm says no'); process.exit(1); }\n");
    fs::create_directories(tools_.path() + "/bin");
    fs::create_symlink(tools_.path() + "/npm/bin/npm-cli.js", tools_.path() + "/bin/npm");
    sandboxes_.play = [](const sandbox::LaunchSpec&) { return Played{}; };
    catalogue_ = std::make_unique<Catalogue>(Catalogue::Parts{
        *store_, packages_, pool_, clock_, install_table(), defaults_, &sandboxes_, "/runtimes"});
  }
  std::string upload(const std::vector<Item>& items) {
    const auto added = loop_.run(packages_.add(pack(items), nullptr));
    EXPECT_TRUE(added.has_value());
    return added.has_value() ? added->sha256 : "";
  }
  Result<Catalogue::Candidate> prepare(const std::string& package) {
    return loop_.run(catalogue_->prepare("f", {}, package));
  }
  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += word + " ";
    return text;
  }

  mayfly::test::TempDir directory_, tools_;
  Variable path_{"PATH", tools_.path() + "/bin:/usr/bin:/bin"};
  io::BlockingPool pool_{2};
  Packages packages_{directory_.path(), {}, pool_};
  std::unique_ptr<store::Store> store_ = store::make_memory_store();
  SystemClock clock_;
  Defaults defaults_;
  FakeSandboxes sandboxes_;
  test::Loop loop_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(InstallTest, NpmRunsInASandboxAndTheResultIsKept) {
  sandboxes_.play = [](const sandbox::LaunchSpec& spec) {
    const std::string task = FakeSandboxes::host_path(spec, "/var/task");
    test::write_file(task + "/node_modules/left/index.js", "left");
    return Played{0, "added 1 package"};
  };
  const std::string package = upload({kPackageJson, {"index.js", "1"}});
  const auto candidate = prepare(package);
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  const Version& v = *candidate->version;
  EXPECT_EQ(v.code_dir, packages_.built(package));
  EXPECT_EQ(test::read_file(v.code_dir + "/node_modules/left/index.js"), "left");
  EXPECT_EQ(test::read_file(v.code_dir + "/index.js"), "1");
  EXPECT_THAT(v.notes, Contains(HasSubstr("installed by npm")));
  ASSERT_EQ(sandboxes_.launched.size(), 1u);
  const auto& spec = sandboxes_.launched[0];
  EXPECT_THAT(joined(spec.argv), AllOf(HasSubstr("npm-cli.js install"), HasSubstr("--omit=dev"),
                                       HasSubstr("--ignore-scripts"), HasSubstr("--no-audit"),
                                       HasSubstr("--no-fund")));
  EXPECT_THAT(spec.env, Contains("HOME=/tmp"));
  EXPECT_EQ(spec.network, sandbox::Network::nat);
  EXPECT_EQ(spec.limits.memory_bytes, 2ull << 30);
  EXPECT_FALSE(spec.channel);
  // The same bytes again, under another name: nothing is installed anew.
  const auto other = loop_.run(catalogue_->prepare("g", {}, package));
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(sandboxes_.launched.size(), 1u);
  EXPECT_EQ(other->version->code_dir, v.code_dir);
}

TEST_F(InstallTest, LockFileMeansCiAndScriptsRunWithoutConfiguration) {
  mayfly::test::TempDir home;
  test::write_file(home.path() + "/.npmrc", "registry=http://registry.example/\n", 0600);
  const Variable home_variable("HOME", home.path());
  const Variable registry("npm_config_fetch_retries", "7");
  const Variable certificates("NODE_EXTRA_CA_CERTS", home.path() + "/.npmrc");
  const Variable proxy("HTTPS_PROXY", "http://proxy.example:3128");
  const Variable secret("MAYFLY_TEST_SECRET", "must not be seen");
  std::string config;
  sandboxes_.play = [&](const sandbox::LaunchSpec& spec) {
    const std::string task = FakeSandboxes::host_path(spec, "/var/task");
    const std::string install = FakeSandboxes::host_path(spec, "/var/install");
    if (!install.empty()) config = test::read_file(install + "/config");
    test::write_file(task + "/node_modules/.package-lock.json",
                     R"({"packages":{"node_modules/left":{"hasInstallScript": true}}})");
    return Played{};
  };
  const auto candidate = prepare(
      upload({{"package.json", R"({"dependencies":{"left":"1"},"scripts":{"postinstall":"x"}})"},
              {"package-lock.json", "{}"},
              {"index.js", "1"}}));
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  ASSERT_EQ(sandboxes_.launched.size(), 3u);
  const auto& fetch = sandboxes_.launched[0];
  EXPECT_THAT(joined(fetch.argv), HasSubstr("npm-cli.js ci --ignore-scripts"));
  EXPECT_EQ(config, "registry=http://registry.example/\n");
  EXPECT_THAT(fetch.env, Contains("NPM_CONFIG_USERCONFIG=/var/install/config"));
  EXPECT_THAT(fetch.env, Contains("npm_config_fetch_retries=7"));
  EXPECT_THAT(fetch.env, Contains("NODE_EXTRA_CA_CERTS=/var/install/NODE_EXTRA_CA_CERTS"));
  EXPECT_THAT(fetch.env, Contains("HTTPS_PROXY=http://proxy.example:3128"));
  EXPECT_THAT(joined(sandboxes_.launched[1].argv), HasSubstr("npm-cli.js rebuild"));
  EXPECT_THAT(joined(sandboxes_.launched[2].argv), HasSubstr("npm-cli.js run postinstall"));
  for (const auto& spec : sandboxes_.launched)
    EXPECT_THAT(joined(spec.env), Not(HasSubstr("must not be seen")));
  for (std::size_t i = 1; i < 3; ++i)
    EXPECT_EQ(FakeSandboxes::host_path(sandboxes_.launched[i], "/var/install"), "")
        << "code of packages sees no configuration of the host";
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(InstallTest, FailureShowsTheEndOfTheOutput) {
  sandboxes_.play = [](const sandbox::LaunchSpec&) {
    return Played{1, std::string(20'000, '.') + "\nnpm ERR! code E404 no such package\n"};
  };
  const std::string package = upload({kPackageJson, {"index.js", "1"}});
  const auto candidate = prepare(package);
  ASSERT_TRUE(candidate.has_error());
  EXPECT_EQ(candidate.error().code, Code::function_error);
  EXPECT_THAT(candidate.error().message,
              AllOf(HasSubstr("E404"), HasSubstr("exited with status 1")));
  EXPECT_LT(candidate.error().message.size(), 6'000u);
  EXPECT_EQ(packages_.built(package), "");
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
  EXPECT_EQ(sandboxes_.launched.size(), 1u);
}

TEST_F(InstallTest, UnreachableRegistryFallsBackToTheHostWithoutScripts) {
  sandboxes_.play = [](const sandbox::LaunchSpec& spec) {
    test::write_file(FakeSandboxes::host_path(spec, "/var/task") + "/planted", "by the sandbox");
    return Played{1, "npm ERR! network request to http://r.example failed, reason: ECONNREFUSED"};
  };
  const std::string package =
      upload({kPackageJson, {"index.js", "1"}, {".npmrc", "script-shell=./evil"}});
  const auto candidate = prepare(package);
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  const std::string built = candidate->version->code_dir;
  EXPECT_THAT(test::read_file(built + "/node_modules/left/index.js"),
              AllOf(HasSubstr("install --ignore-scripts"), HasSubstr("--git=/bin/false")));
  EXPECT_EQ(test::read_file(built + "/npmrc-seen"), "false");
  EXPECT_FALSE(fs::exists(built + "/planted"));
  EXPECT_THAT(candidate->version->notes, Contains(HasSubstr("ran outside of the sandbox")));
}

TEST_F(InstallTest, FallbackCanBeTurnedOffAndReportsItsOwnFailure) {
  sandboxes_.play = [](const sandbox::LaunchSpec&) { return Played{1, "EAI_AGAIN"}; };
  const auto failed = prepare(upload({kPackageJson, {"index.js", "1"}, {"fail", "1"}}));
  ASSERT_TRUE(failed.has_error());
  EXPECT_THAT(failed.error().message, HasSubstr("npm says no"));
  defaults_.install_outside = false;
  Catalogue strict(
      {*store_, packages_, pool_, clock_, install_table(), defaults_, &sandboxes_, ""});
  const auto refused =
      loop_.run(strict.prepare("f", {}, upload({kPackageJson, {"index.js", "2"}})));
  ASSERT_TRUE(refused.has_error());
  EXPECT_THAT(refused.error().message, HasSubstr("functions.install_outside"));
}

TEST_F(InstallTest, PackagesThatCouldReadTheHostStayInside) {
  sandboxes_.play = [](const sandbox::LaunchSpec&) { return Played{1, "ENOTFOUND"}; };
  const std::string bad[] = {R"({"dependencies":{"a":"file:../../../etc"}})",
                             R"({"dependencies":{"a":"/etc"}})",
                             R"({"dependencies":{"a":"git+ssh://h/x"}})",
                             R"({"dependencies":{"a":"user/repo"}})",
                             R"({"dependencies":{"a":"http://127.0.0.1/x.tgz"}})",
                             R"({"dependencies":{"a":"./b.tgz"}})",
                             R"({"dependencies":{"a":"1"},"workspaces":["../*"]})",
                             R"({"dependencies":{"a":"1"},"overrides":{"b":{"c":"link:/etc"}}})"};
  for (const auto& json : bad) {
    const auto refused = prepare(upload({{"package.json", json}, {"index.js", "1"}}));
    ASSERT_TRUE(refused.has_error()) << json;
    EXPECT_THAT(refused.error().message, HasSubstr("not run outside of the sandbox")) << json;
  }
  const auto lock = prepare(
      upload({kPackageJson,
              {"package-lock.json", R"({"packages":{"node_modules/a":{"resolved":"file:../x"}}})"},
              {"index.js", "1"}}));
  ASSERT_TRUE(lock.has_error());
  EXPECT_THAT(lock.error().message, HasSubstr("lock file"));
  for (const char* good :
       {"1", "^1.2.3", "~1.2", "*", "latest", ">=1 <2", "npm:other@1", "npm:@scope/other@^1"}) {
    mayfly::test::TempDir tree;
    test::write_file(tree.path() + "/package.json",
                     std::string(R"({"dependencies":{"@s/a":")") + good + "\"}}");
    EXPECT_EQ(unsafe_outside(Tool::npm, tree.path()), "") << good;
  }
}

TEST_F(InstallTest, WithoutSandboxesDependenciesAreRefused) {
  Catalogue bare({*store_, packages_, pool_, clock_, install_table(), defaults_, nullptr, ""});
  const auto refused = loop_.run(bare.prepare("f", {}, upload({kPackageJson, {"index.js", "1"}})));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("node_modules"));
}

TEST_F(InstallTest, SandboxThatCannotBeMadeIsAnError) {
  const std::string package = upload({kPackageJson, {"index.js", "1"}});
  sandboxes_.play = [](const sandbox::LaunchSpec& spec) {
    std::error_code error;  // what a program may do: remove all that it can write to
    fs::remove_all(FakeSandboxes::host_path(spec, "/var/task"), error);
    return Played{};
  };
  EXPECT_TRUE(prepare(package).has_error());
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

// Runs the check as the sandbox would, on the host's side of the mount.
Played run_check(const sandbox::LaunchSpec& spec) {
  ProgramRun run;
  run.argv = spec.argv;
  run.env = spec.env;
  for (auto& word : run.argv)
    if (word == "/var/task") word = FakeSandboxes::host_path(spec, "/var/task");
  run.limit = std::chrono::seconds(20);
  const auto ran = run_program(run);
  return ran.has_value() ? Played{ran->status, ran->output} : Played{127, "not started"};
}

TEST_F(InstallTest, SatisfiedRequirementsAreLeftAlone) {
  sandboxes_.play = run_check;
  const std::string package = upload({{"app.py", "1"},
                                      {"requirements.txt",
                                       "# ours\nVendored==1.5 ; python_version >= '3'\n"
                                       "other ; python_version < '3'\n"},
                                      {"vendored-1.5.dist-info/METADATA",
                                       "Metadata-Version: 2.1\nName: vendored\n"
                                       "Version: 1.5\n"}});
  const auto candidate = prepare(package);
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  EXPECT_EQ(candidate->version->code_dir, packages_.tree(package));
  EXPECT_THAT(candidate->version->notes, Contains(HasSubstr("comes with the runtime")));
  ASSERT_EQ(sandboxes_.launched.size(), 1u);
  EXPECT_EQ(sandboxes_.launched[0].network, sandbox::Network::none);
  EXPECT_FALSE(sandboxes_.launched[0].mounts[0].writable);
}

TEST_F(InstallTest, MissingRequirementsAreInstalledByPip) {
  sandboxes_.play = [](const sandbox::LaunchSpec& spec) {
    if (spec.argv[1] == "-I") return Played{0, "{\"missing\": [\"absent>=2\"], \"pip\": true}\n"};
    test::write_file(FakeSandboxes::host_path(spec, "/var/task") + "/absent/__init__.py", "");
    return Played{};
  };
  const std::string package = upload({{"app.py", "1"}, {"requirements.txt", "absent>=2\n"}});
  const auto candidate = prepare(package);
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  EXPECT_TRUE(fs::exists(candidate->version->code_dir + "/absent/__init__.py"));
  EXPECT_THAT(joined(sandboxes_.launched[1].argv), HasSubstr("-m pip install --target /var/task"));
}

TEST_F(InstallTest, WithoutPipOrIndexTheErrorSaysToVendor) {
  sandboxes_.play = [](const sandbox::LaunchSpec&) {
    return Played{0, "{\"missing\": [\"absent>=2\"], \"pip\": false}\n"};
  };
  const auto no_pip = prepare(upload({{"app.py", "1"}, {"requirements.txt", "absent>=2\n"}}));
  ASSERT_TRUE(no_pip.has_error());
  EXPECT_THAT(no_pip.error().message, AllOf(HasSubstr("absent>=2"), HasSubstr("vendor")));
  sandboxes_.play = [](const sandbox::LaunchSpec& spec) {
    if (spec.argv[1] == "-I") return Played{0, "{\"missing\": [\"-r /etc/x\"], \"pip\": true}\n"};
    return Played{1, "Failed to establish a new connection"};
  };
  const auto offline = prepare(upload({{"app.py", "1"}, {"requirements.txt", "-r /etc/x\n"}}));
  ASSERT_TRUE(offline.has_error());
  EXPECT_THAT(offline.error().message,
              AllOf(HasSubstr("vendor"), HasSubstr("not run outside of the sandbox")));
}

}  // namespace
}  // namespace mayfly::functions
