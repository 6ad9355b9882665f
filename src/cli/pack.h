#pragma once
// Makes the archive of a deploy: files and folders become a tar.gz whose bytes depend only on
// names, contents and executable bits, so that the same code is known by the same SHA-256.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::cli {

struct PackedFile {
  os::Fd file;  // positioned anywhere; read it with pread
  std::uint64_t bytes = 0;
  std::string sha256;
};

// path: a .zip, .tar.gz, .tgz or .tar as it is, else a file or folder to pack. Of folders .git,
// __pycache__, .DS_Store, .mayflyignore and what that file lists stay behind. Errors name the file.
Result<PackedFile> pack(const std::string& path);
// Of a folder what a selection (glob.h) takes; folders with nothing in them stay behind.
Result<PackedFile> pack_selected(const std::string& folder,
                                 const std::vector<std::string>& patterns);
// One file of that name.
Result<PackedFile> pack_text(const std::string& name, const std::string& content);

// The lines of a .mayflyignore: blank lines and # comments mean nothing; a trailing / means folders
// only; a pattern with a / in it is matched against the path, any other against each name.
// * and ? do not cross /.
class IgnoreList {
 public:
  IgnoreList() = default;
  explicit IgnoreList(std::string_view text);
  bool ignores(const std::string& relative_path, bool is_directory) const;

 private:
  struct Pattern {
    std::string glob;
    bool directories_only = false;
    bool whole_path = false;
  };
  std::vector<Pattern> patterns_;
};

// The archive of an image as it is, whatever it is called; of a folder all that is in it.
Result<PackedFile> pack_image(const std::string& path);

// A file as it is, without its digest; "-": standard input to its end.
Result<PackedFile> open_file(const std::string& path);

// A name for the function of a path: stem of the file or name of the folder, in the letters that
// are allowed; "function" when nothing is left.
std::string default_name(const std::string& path);

bool is_archive(const std::string& path);

}  // namespace mayfly::cli
