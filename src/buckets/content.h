#pragma once
// The bytes of objects as files that never change. Layout under directory:
//   content/xx/ID   whole files; xx are the first digits of ID
//   incoming/ID     a file on its way in; once it is whole, a second name of content/xx/ID, which
//                   goes when a row of the store refers to it
// So what a crash leaves behind is found by looking at incoming/ alone. All calls block.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "buckets/checksums.h"
#include "os/fd.h"

namespace mayfly::buckets {

// Thread-safe.
class ContentFiles {
 public:
  explicit ContentFiles(std::string directory) : directory_(std::move(directory)) {}

  Status open();  // makes the folders
  std::string incoming(std::string_view id) const;
  std::string place(std::string_view id) const;
  std::string incoming_folder() const { return directory_ + "/incoming"; }

  // Calls visit for every file that a crash or a running upload left in incoming/.
  Status each_incoming(const std::function<void(const std::string&)>& visit) const;
  // A file that nothing refers to; also when it is gone already.
  void remove(std::string_view id) const;
  // A row refers to it.
  void forget_incoming(std::string_view id) const;
  Result<os::Fd> read(std::string_view id) const;

 private:
  std::string directory_;
};

// Bytes on their way in, with their digests. One thread at a time. Unless settle() was called and
// its row was written (keep()), the destructor removes the file.
class NewContent {
 public:
  // algorithm: a checksum that is computed beside MD5; sha256: that as well, of all bytes.
  NewContent(const ContentFiles& files, Checksum algorithm, bool sha256);
  ~NewContent();
  NewContent(const NewContent&) = delete;
  NewContent& operator=(const NewContent&) = delete;

  // too_large: over limit, which is set for each writer; io_error, resource_exhausted: full disk.
  Status write(std::string_view bytes);
  // No more bytes come; the digests are there from now on.
  void finish();
  // On disk under its name, synced. Nothing to do for no bytes at all.
  Status settle();
  void keep() { kept_ = true; }
  void discard();

  const std::string& id() const { return id_; }  // "" while there are no bytes
  std::uint64_t size() const { return size_; }
  const std::string& md5() const { return md5_; }  // bytes
  const std::string& checksum() const { return checksum_; }
  const std::string& sha256() const { return sha256_; }
  Checksum algorithm() const { return algorithm_; }

 private:
  const ContentFiles& files_;
  const Checksum algorithm_;
  std::string id_;
  os::Fd file_;
  std::uint64_t size_ = 0;
  std::unique_ptr<Digest> md5_state_, checksum_state_, sha256_state_;
  std::string md5_, checksum_, sha256_;
  bool kept_ = false;
};
using NewContentPtr = std::shared_ptr<NewContent>;

}  // namespace mayfly::buckets
