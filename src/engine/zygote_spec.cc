#include "engine/zygote_spec.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

namespace mayfly::engine {
namespace {

constexpr std::string_view kLibraries = "/var/runtime-lib";
constexpr std::string_view kHome = "HOME=/tmp", kLanguage = "LANG=C.UTF-8", kZone = "TZ=:UTC";
constexpr std::string_view kForkSafe = "LD_PRELOAD=/var/runtime-lib/libmayfly_forksafe.so";

// What the C library and OpenSSL read when a process starts.
constexpr std::array kCommon = {"LD_",       "GLIBC_TUNABLES=", "MALLOC_",     "LC_",
                                "LANGUAGE=", "LOCPATH=",        "GCONV_PATH=", "OPENSSL_"};
// And what the interpreters do, with what they load before the user's code.
constexpr std::array kPython = {"PYTHON", "__PYVENV_LAUNCHER__="};
constexpr std::array kNode = {"NODE_", "UV_", "ICU_", "SSL_CERT_"};
constexpr std::array kRuby = {"RUBY"};
constexpr std::array kPhp = {"PHP", "ZEND_", "USE_ZEND_", "USE_TRACKED_ALLOC=", "ICU_"};
constexpr std::array kPerl = {"PERL"};

using Beginnings = std::span<const char* const>;

const std::map<std::string_view, Beginnings>& of_languages() {
  static const std::map<std::string_view, Beginnings> all = {
      {"python", kPython}, {"node", kNode}, {"ruby", kRuby}, {"php", kPhp}, {"perl", kPerl}};
  return all;
}

bool begins_with_one(std::string_view entry, Beginnings beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [entry](const char* each) { return entry.starts_with(each); });
}

// Whether the interpreter must find the variable when it starts. HOME: some look there for
// packages.
bool read_at_start(std::string_view language, std::string_view entry) {
  if (entry.starts_with("LANG=")) return entry != kLanguage;
  if (entry.starts_with("HOME=")) return entry != kHome;
  if (language == "node" && (entry == kForkSafe || entry.starts_with("NODE_ENV="))) return false;
  return begins_with_one(entry, kCommon) || begins_with_one(entry, of_languages().at(language));
}

}  // namespace

std::optional<sandbox::ZygoteSpec> zygote_for(std::string_view language,
                                              const sandbox::LaunchSpec& spec,
                                              const std::string& runtime_lib) {
  // Node loses its threads in a fork, which is what a template is prepared for; any other instance
  // keeps them.
  const bool possible =
      of_languages().count(language) != 0 && (language != "node" || spec.cloneable);
  if (!possible || !spec.rootfs.empty()) return std::nullopt;
  if (std::any_of(spec.env.begin(), spec.env.end(),
                  [language](const auto& entry) { return read_at_start(language, entry); }))
    return std::nullopt;
  sandbox::ZygoteSpec zygote;
  zygote.argv = spec.argv;
  zygote.env = {"PATH=/usr/local/bin:/usr/bin:/bin", std::string(kHome), std::string(kLanguage),
                std::string(kZone)};
  zygote.env.push_back("MAYFLY_CLONE_LIB=" + std::string(kLibraries) + "/libmayfly_clone.so");
  if (language == "node") zygote.env.emplace_back(kForkSafe);
  // The user's folders are not for it to see.
  for (const auto& mount : spec.mounts) {
    if (mount.sandbox_path != "/var/task" && mount.sandbox_path != "/opt" &&
        mount.sandbox_path != kLibraries)
      zygote.mounts.push_back(mount);
  }
  zygote.mounts.push_back({runtime_lib, std::string(kLibraries), false});
  return zygote;
}

}  // namespace mayfly::engine
