#pragma once
// Archives built in memory, coroutines run to their end, and a sandbox factory that runs none.

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "functions/packages.h"
#include "sandbox/fake_sandbox.h"
#include "store/temp_dir.h"

namespace mayfly::functions::test {

struct Item {
  std::string name;
  std::string text;
  int mode = 0644;
  mode_t type = AE_IFREG;
  std::string link;      // target of a symbolic link
  std::string hardlink;  // target of a hard link
};

enum class Format { zip, tar, tar_gz };

inline std::string pack(const std::vector<Item>& items, Format format = Format::zip) {
  std::string bytes;
  archive* out = archive_write_new();
  if (format == Format::zip)
    archive_write_set_format_zip(out);
  else
    archive_write_set_format_pax_restricted(out);
  if (format == Format::tar_gz) archive_write_add_filter_gzip(out);
  archive_write_set_bytes_in_last_block(out, 1);
  archive_write_open(
      out, &bytes, nullptr,
      [](archive*, void* to, const void* data, std::size_t size) -> la_ssize_t {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  for (const auto& item : items) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, item.name.c_str());
    archive_entry_set_filetype(entry, item.type);
    archive_entry_set_perm(entry, static_cast<mode_t>(item.mode));
    archive_entry_set_size(entry, static_cast<la_int64_t>(item.text.size()));
    if (!item.link.empty()) {
      archive_entry_set_filetype(entry, AE_IFLNK);
      archive_entry_set_symlink(entry, item.link.c_str());
    }
    if (!item.hardlink.empty()) archive_entry_set_hardlink(entry, item.hardlink.c_str());
    archive_write_header(out, entry);
    archive_write_data(out, item.text.data(), item.text.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
  return bytes;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& text, int mode = 0644) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
  chmod(path.c_str(), static_cast<mode_t>(mode));
}

// One event loop on which coroutines are run to their end.
class Loop {
 public:
  template <class T>
  T run(io::Task<T> task) {
    std::optional<T> result;
    std::exception_ptr problem;
    boost::asio::co_spawn(loop_, std::move(task), [&](std::exception_ptr p, T value) {
      problem = p;
      if (p == nullptr) result.emplace(std::move(value));
    });
    loop_.restart();
    loop_.run();
    if (problem) std::rethrow_exception(problem);
    return std::move(*result);
  }
  boost::asio::io_context& context() { return loop_; }

 private:
  boost::asio::io_context loop_;
};

// A body in pieces.
class Pieces final : public io::BodyReader {
 public:
  explicit Pieces(std::vector<std::string> pieces, std::optional<Error> error = std::nullopt)
      : pieces_(std::move(pieces)), error_(std::move(error)) {}
  io::Task<Result<std::string>> read() override {
    if (next_ < pieces_.size()) co_return pieces_[next_++];
    if (error_) co_return *error_;
    co_return std::string();
  }

 private:
  std::vector<std::string> pieces_;
  std::optional<Error> error_;
  std::size_t next_ = 0;
};

// What a program in a fake sandbox did.
struct Played {
  int status = 0;
  std::string output;
};

// Plays a program for each launch on the host's side of the mounts.
class FakeSandboxes final : public sandbox::Sandboxes {
 public:
  std::function<Played(const sandbox::LaunchSpec&)> play;
  std::vector<sandbox::LaunchSpec> launched;
  sandbox::Abilities able;

  static std::string host_path(const sandbox::LaunchSpec& spec, const std::string& inside) {
    for (const auto& mount : spec.mounts)
      if (mount.sandbox_path == inside) return mount.host_path;
    return "";
  }

  io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> launch(sandbox::LaunchSpec spec) override {
    launched.push_back(spec);
    const Played played = play(spec);
    auto made = std::make_unique<sandbox::testing::FakeSandbox>(spec.id);
    made->exit.status = played.status;
    made->exit.reason = "exited with status " + std::to_string(played.status);
    made->stdout_fd = filled_pipe(played.output);
    made->stderr_fd = filled_pipe("");
    std::unique_ptr<sandbox::Sandbox> box = std::move(made);
    co_return box;
  }
  const sandbox::Abilities& abilities() const override { return able; }
  std::size_t running() const override { return 0; }

 private:
  static os::Fd filled_pipe(const std::string& text) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(ends[1]);
    return os::Fd(ends[0]);
  }
};

}  // namespace mayfly::functions::test
