// mayfly bucket ...

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <filesystem>

#include "cli/commands.h"
#include "cli/pack.h"

namespace mayfly::cli {
namespace {

namespace json = boost::json;

constexpr int kPageMax = 1000;

struct BucketOptions {
  std::string place, file, type, after;
  std::vector<std::string> places;
  int limit = kPageMax;
  bool recursive = false;
};

// BUCKET/KEY of the command line, s3:// in front of it or not.
struct Place {
  std::string bucket, key;
};

Place place_of(std::string_view text) {
  if (text.starts_with("s3://")) text.remove_prefix(5);
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {std::string(text), {}};
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

std::string bucket_path(const std::string& bucket, const char* rest = "") {
  return "/v1/buckets/" + percent_encode(bucket) + rest;
}

std::string object_path(const Place& place) {
  return bucket_path(place.bucket, "/object?key=") + percent_encode(place.key);
}

std::uint64_t size_of(const json::value& object) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of(object, "size")));
}

int create_bucket(Context& context, const BucketOptions& o) {
  int code = kOk;
  const auto made = fetch_json(context, "PUT", bucket_path(o.place), code);
  if (!made) return code;
  if (context.json) return print_json(*made);
  write_out("bucket " + o.place + (flag_of(*made, "existed") ? " was there\n" : " is there\n"));
  return kOk;
}

int list_buckets(Context& context) {
  int code = kOk;
  const auto found = fetch_json(context, "GET", "/v1/buckets", code);
  if (!found) return code;
  if (context.json) return print_json(*found);
  Table table({{"BUCKET"}, {"CREATED"}});
  for (const auto& bucket : list_of(*found, "buckets"))
    table.row(
        {printable(text_of(bucket, "name")), human_ago(number_of(bucket, "created_us"), now_us())});
  if (table.empty())
    write_err("no buckets yet: mayfly bucket create NAME\n");
  else
    write_out(table.render(context.colour()));
  return kOk;
}

std::string list_target(const Place& place, const BucketOptions& o) {
  std::string target = bucket_path(place.bucket, "/objects?limit=") + std::to_string(o.limit);
  if (!place.key.empty()) target += "&prefix=" + percent_encode(place.key);
  if (!o.recursive) target += "&delimiter=" + percent_encode("/");
  if (!o.after.empty()) target += "&after=" + percent_encode(o.after);
  return target;
}

int list_objects(Context& context, const BucketOptions& o) {
  const Place place = place_of(o.place);
  int code = kOk;
  const auto found = fetch_json(context, "GET", list_target(place, o), code);
  if (!found) return code;
  if (context.json) return print_json(*found);
  Table table({{"KEY"}, {"SIZE", Table::Align::right}, {"CHANGED"}, {"TYPE"}});
  for (const auto& prefix : list_of(*found, "prefixes"))
    if (prefix.is_string()) table.row({printable(prefix.get_string()), "", "", ""});
  for (const auto& object : list_of(*found, "objects"))
    table.row({printable(text_of(object, "key")), human_bytes(size_of(object)),
               human_ago(number_of(object, "modified_us"), now_us()),
               printable(text_of(object, "type"))});
  if (table.empty())
    write_err("nothing is there\n");
  else
    write_out(table.render(context.colour()));
  if (const auto next = text_of(*found, "next"); !next.empty())
    write_err("there is more: --after '" + printable(next) + "'\n");
  return kOk;
}

int put_object(Context& context, const BucketOptions& o) {
  Place place = place_of(o.place);
  if (place.bucket.empty()) return usage_error("put wants FILE and BUCKET/KEY.");
  if (place.key.empty() || place.key.ends_with('/')) {
    if (o.file == "-") return usage_error("Standard input wants the whole key: BUCKET/KEY.");
    place.key += std::filesystem::path(o.file).filename().string();
  }
  auto packed = open_file(o.file);
  if (packed.has_error()) return fail(packed.error());
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  auto sent = (*client)->upload("PUT", object_path(place), *packed, o.type);
  if (sent.has_error()) return fail(sent.error());
  if (sent->status != 200) return fail(context, *sent);
  boost::system::error_code failed;
  const json::value answer = json::parse(sent->body, failed);
  if (context.json) return print_json(answer);
  write_out(printable(fmt::format("{}/{}  {}\n", place.bucket, text_of(answer, "key"),
                                  human_bytes(size_of(answer)))));
  return kOk;
}

// A file that takes its name when it is whole.
class Download {
 public:
  explicit Download(std::string path) : path_(std::move(path)) {
    if (path_ == "-") return;
    part_ = path_ + ".part" + std::to_string(::getpid());
    file_ = os::Fd(::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file_) error_ = errno;
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;
  ~Download() {
    if (file_) ::unlink(part_.c_str());
  }

  Status opened() const {
    return error_ == 0 ? ok() : Status(errno_error("make the file " + part_, error_));
  }
  bool write(std::string_view bytes) {
    if (path_ == "-") return write_out(bytes);
    while (!bytes.empty()) {
      const ssize_t got = ::write(file_.get(), bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        error_ = errno;
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(got));
    }
    return true;
  }
  Status finish() {
    if (error_ != 0) return errno_error("write " + path_, error_);
    if (path_ == "-") return ok();
    if (::rename(part_.c_str(), path_.c_str()) != 0)
      return errno_error("rename " + part_ + " to " + path_, errno);
    file_.reset();
    return ok();
  }

 private:
  std::string path_, part_;
  os::Fd file_;
  int error_ = 0;
};

int get_object(Context& context, const BucketOptions& o) {
  const Place place = place_of(o.place);
  if (place.key.empty()) return usage_error("get wants BUCKET/KEY, not \"" + o.place + "\".");
  std::string file = o.file;
  std::error_code ignored;
  if (file.empty() || std::filesystem::is_directory(file, ignored)) {
    const auto slash = place.key.rfind('/');
    const std::string name = place.key.substr(slash == std::string::npos ? 0 : slash + 1);
    if (name.empty() || name == "." || name == "..")
      return usage_error("The key \"" + place.key + "\" makes no file name: name a FILE, or -.");
    file = file.empty() ? name : (std::filesystem::path(file) / name).string();
  }
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  Download download(file);
  if (const auto opened = download.opened(); opened.has_error()) return fail(opened.error());
  std::uint64_t size = 0;
  auto got = (*client)->stream(object_path(place), [&](std::string_view bytes) {
    size += bytes.size();
    return download.write(bytes);
  });
  if (got.has_error()) return fail(got.error());
  if (got->status != 200) return fail(context, *got);
  if (const auto finished = download.finish(); finished.has_error()) return fail(finished.error());
  if (file == "-") return kOk;
  if (context.json) return print_json(json::object{{"file", file}, {"size", size}});
  write_out(printable(fmt::format("{}  {}\n", file, human_bytes(size))));
  return kOk;
}

// All keys with the prefix, page by page.
int remove_below(Context& context, const Place& place, std::uint64_t& removed) {
  BucketOptions pages;
  pages.recursive = true;
  for (;;) {
    int code = kOk;
    const auto found = fetch_json(context, "GET", list_target(place, pages), code);
    if (!found) return code;
    for (const auto& object : list_of(*found, "objects")) {
      const Place one{place.bucket, text_of(object, "key")};
      if (!fetch_json(context, "DELETE", object_path(one), code) && code != kNotFound) return code;
      ++removed;
    }
    pages.after = text_of(*found, "next");
    if (pages.after.empty()) return kOk;
  }
}

int remove_place(Context& context, const Place& place, bool recursive) {
  int code = kOk;
  std::uint64_t removed = 0;
  if (recursive)
    if (code = remove_below(context, place, removed); code != kOk) return code;
  const bool prefix = recursive && !place.key.empty();
  if (!prefix) {
    const std::string target = place.key.empty() ? bucket_path(place.bucket) : object_path(place);
    if (!fetch_json(context, "DELETE", target, code)) return code;
  }
  const std::string name = place.key.empty() ? place.bucket : place.bucket + "/" + place.key;
  if (context.json) return print_json(json::object{{"removed", name}, {"objects", removed}});
  write_out(printable(recursive ? fmt::format("removed {} with {} objects\n", name, removed)
                                : "removed " + name + "\n"));
  return kOk;
}

int remove_places(Context& context, const BucketOptions& o) {
  int worst = kOk;
  for (const auto& text : o.places) {
    const int code = remove_place(context, place_of(text), o.recursive);
    if (code == kUnreachable) return code;
    if (code != kOk) worst = code;
  }
  return worst;
}

CLI::App* bucket_verb(CLI::App& group, const char* name, const char* what, const char* example) {
  CLI::App* made = group.add_subcommand(name, what);
  made->footer(std::string("Example:\n  ") + example + "\n");
  made->fallthrough();
  return made;
}

}  // namespace

void add_bucket(CLI::App& group, Context& context, int& code) {
  group.require_subcommand(1);
  auto made = std::make_shared<BucketOptions>();
  CLI::App* create = bucket_verb(group, "create", "Make a bucket", "mayfly bucket create backups");
  create->add_option("NAME", made->place, "3 to 63 of a-z, 0-9, - and .")->required();
  create->callback([&context, &code, made] { code = create_bucket(context, *made); });

  auto listed = std::make_shared<BucketOptions>();
  CLI::App* ls = bucket_verb(group, "ls", "List the buckets, or what is in one",
                             "mayfly bucket ls backups/2026/");
  ls->add_option("BUCKET", listed->place, "BUCKET, or BUCKET/PREFIX");
  ls->add_flag("-r,--recursive", listed->recursive, "All keys, not the next folder only");
  ls->add_option("--limit", listed->limit, "At most so many (default 1000)")
      ->type_name("N")
      ->check(CLI::Range(1, kPageMax));
  ls->add_option("--after", listed->after, "Go on behind this key")->type_name("KEY");
  ls->callback([&context, &code, listed] {
    code = listed->place.empty() ? list_buckets(context) : list_objects(context, *listed);
  });

  auto put = std::make_shared<BucketOptions>();
  CLI::App* p = bucket_verb(group, "put", "Put a file into a bucket",
                            "mayfly bucket put dump.sql backups/2026/dump.sql");
  p->add_option("FILE", put->file, "A file, or - for standard input")->required();
  p->add_option("BUCKET/KEY", put->place,
                "Where to; without a key, or with / at its end: the "
                "file's name is added")
      ->required();
  p->add_option("--type", put->type, "Its Content-Type (default application/octet-stream)");
  p->callback([&context, &code, put] { code = put_object(context, *put); });

  auto got = std::make_shared<BucketOptions>();
  CLI::App* g = bucket_verb(group, "get", "Fetch an object",
                            "mayfly bucket get backups/2026/dump.sql dump.sql");
  g->add_option("BUCKET/KEY", got->place, "Which")->required();
  g->add_option("FILE", got->file,
                "File or folder, or - for standard output (default: the end of the key)");
  g->callback([&context, &code, got] { code = get_object(context, *got); });

  auto gone = std::make_shared<BucketOptions>();
  CLI::App* rm = bucket_verb(group, "rm", "Remove objects, or buckets that are empty",
                             "mayfly bucket rm backups/2026/dump.sql");
  rm->add_option("PLACE", gone->places, "BUCKET/KEY, or BUCKET")->required();
  rm->add_flag("-r,--recursive", gone->recursive,
               "A bucket with its objects, or all keys that begin with KEY");
  rm->callback([&context, &code, gone] { code = remove_places(context, *gone); });
}

}  // namespace mayfly::cli
