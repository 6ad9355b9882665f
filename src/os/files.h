#pragma once
// Small files of the kernel (/proc, /sys/fs/cgroup) and of a state directory. Blocking.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::os {

Result<std::string> read_file(const std::string& path);
// Reads from offset 0 into a caller's buffer; no allocation. Empty view on error or end.
std::string_view pread_text(int fd, char* buffer, std::size_t size);

// One write(2) to an existing file, as the kernel's files want it.
Status write_file(const std::string& path, std::string_view text);
Status write_file_at(int dir_fd, const char* name, std::string_view text);

Result<Fd> open_file(const std::string& path, int flags);

// mkdir -p; existing directories are left as they are.
Status make_directories(const std::string& path, unsigned mode);

// The number after `key` and blanks at the start of a line ("oom_kill 3"), if it is there.
std::optional<std::uint64_t> find_number(std::string_view text, std::string_view key);
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace mayfly::os
