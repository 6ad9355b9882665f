#pragma once
// An archive on its way in: a folder of its own, with the bytes and their hash so far.

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/blocking.h"
#include "io/body.h"
#include "os/fd.h"

namespace mayfly::functions {

// Used by one thread at a time. What it wrote is gone with it, unless it was moved away.
class Upload {
 public:
  explicit Upload(std::string base) : base_(std::move(base)) {}
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload() { discard(); }
  void discard();

  Status begin();
  Status write(const std::string& bytes);
  std::string finish();  // SHA-256, hex

  std::string archive() const { return base_ + "/archive"; }
  std::string tree() const { return base_ + "/tree"; }
  const std::string& base() const { return base_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct FreeHash {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::string base_;
  os::Fd file_;
  std::unique_ptr<EVP_MD_CTX, FreeHash> hash_;
  std::uint64_t bytes_ = 0;
};

struct UploadLimit {
  std::uint64_t bytes_max = 0;
  std::string what;     // "The package"
  std::string setting;  // that the error names
};

// Writes a body to the upload's archive, on the pool.
io::Task<Status> receive_upload(io::BlockingPool& pool, std::shared_ptr<Upload> upload,
                                std::string first, io::BodyReaderPtr more, UploadLimit limit);

}  // namespace mayfly::functions
