#include "dialects/adapters/program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dialects/text.h"
#include "functions/images.h"
#include "os/fd.h"

namespace mayfly::dialects::adapters {

std::vector<std::string> argv_for(const std::string& path, std::string_view first_bytes,
                                  bool executable) {
  if (first_bytes.starts_with("#!")) {
    if (executable) return {path};
    auto line = first_bytes.substr(2, first_bytes.find('\n') - 2);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim(line);
    if (line.empty()) return {"/bin/sh", path};
    // As the kernel does it: the interpreter, all that follows as one argument, the script.
    const auto blank = line.find_first_of(" \t");
    std::vector<std::string> argv{std::string(line.substr(0, blank))};
    if (blank != std::string_view::npos) argv.emplace_back(trim(line.substr(blank)));
    argv.push_back(path);
    return argv;
  }
  if (!first_bytes.starts_with("\x7f"
                               "ELF"))
    return {"/bin/sh", path};
  return {path};
}

std::vector<std::string> program_argv(const functions::Version& version) {
  if (version.is_image()) return functions::image_argv(version);
  const auto& name = version.entry.empty() ? version.settings.handler : version.entry;
  const std::string on_host = version.code_dir + "/" + name;
  char head[256];
  ssize_t got = 0;
  bool executable = true;
  const os::Fd file(::open(on_host.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.valid()) {
    struct stat info;
    if (::fstat(file.get(), &info) == 0) executable = (info.st_mode & 0111) != 0;
    got = ::pread(file.get(), head, sizeof head, 0);
  }
  // What cannot be read is for the kernel to refuse.
  if (got <= 0) return {"/var/task/" + name};
  return argv_for("/var/task/" + name, {head, static_cast<std::size_t>(got)}, executable);
}

bool is_program(const functions::Version& version) {
  const auto& runtime = version.settings.runtime;
  return runtime == "native" || runtime == "http" || runtime == "exec" ||
         runtime.starts_with("provided");
}

}  // namespace mayfly::dialects::adapters
