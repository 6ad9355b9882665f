#include "functions/images.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>

#include "functions/checks.h"
#include "functions/commit.h"
#include "functions/image_forms.h"
#include "functions/json_fields.h"
#include "functions/json_forms.h"
#include "functions/tree.h"

namespace mayfly::functions {

namespace {

constexpr std::string_view kImagePrefix = "f/i/";
constexpr std::string_view kImagePath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string image_key(std::string_view full_name) {
  return std::string(kImagePrefix) + std::string(full_name);
}

Error no_such_image(std::string_view uri) {
  return Error{Code::not_found,
               fmt::format("There is no image '{}' here. Import it first: mayfly image import FILE "
                           "--name NAME:TAG, where FILE is what docker save, podman save or skopeo "
                           "write; mayfly image ls lists those that are here.",
                           uri.substr(0, 300))};
}

}  // namespace

std::string image_to_json(const Image& image) {
  boost::json::object env;
  for (const auto& [name, value] : image.env) env[name] = value;
  return boost::json::serialize(
      boost::json::object{{"name", image.name},
                          {"tag", image.tag},
                          {"digest", image.digest},
                          {"tree", image.tree},
                          {"bytes", image.bytes},
                          {"program", image_program_object(image.program)},
                          {"env", std::move(env)},
                          {"created_us", image.created_us}});
}

Result<Image> image_from_json(std::string_view json) {
  const auto object = parse_object(json, "a stored image");
  if (object.has_error()) return object.error();
  Image image;
  Fields fields(*object, "stored image: ");
  fields.text("name", image.name);
  fields.text("tag", image.tag);
  fields.text("digest", image.digest);
  fields.text("tree", image.tree);
  fields.integer("bytes", image.bytes);
  fields.text_map("env", image.env);
  fields.integer("created_us", image.created_us);
  const auto* program = fields.object("program");
  MAYFLY_TRY(fields.finish());
  if (program != nullptr) {
    auto read = image_program_from(*program, "stored image: program.");
    if (read.has_error()) return read.error();
    image.program = std::move(*read);
  }
  if (image.name.empty() || image.tag.empty() || digest_hex(image.digest).empty() ||
      !is_sha256(image.tree))
    return Error{Code::corrupt, "A stored image lacks its name, tag, digest or tree."};
  return image;
}

Status Images::load() {
  images_.clear();
  Status problem;
  MAYFLY_TRY(parts_.store.scan(
      {std::string(kImagePrefix), store::prefix_end(kImagePrefix)},
      [&](std::string_view key, std::string_view value) {
        auto image = value.starts_with(kStoredVersionView)
                         ? image_from_json(value.substr(1))
                         : Result<Image>(Error{Code::corrupt, "Its format is not known."});
        if (image.has_error()) {
          problem = Error{
              Code::corrupt,
              fmt::format("The image stored as '{}' is damaged: {}", key, image.error().message),
              "load images"};
          return false;
        }
        const std::string name = image->full_name();
        images_[name] = std::make_shared<const Image>(std::move(*image));
        return true;
      }));
  return problem;
}

Result<ImagePtr> Images::find(std::string_view uri) const {
  const auto wanted = parse_image_name(uri);
  if (wanted.has_error()) return wanted.error();
  if (!wanted->tag.empty()) {
    const auto found = images_.find(wanted->name + ":" + wanted->tag);
    const bool fits = found != images_.end() &&
                      (wanted->digest.empty() || found->second->digest == wanted->digest);
    if (fits) return found->second;
    return no_such_image(uri);
  }
  for (const auto& [name, image] : images_)
    if (image->name == wanted->name && image->digest == wanted->digest) return image;
  return no_such_image(uri);
}

std::vector<ImagePtr> Images::list() const {
  std::vector<ImagePtr> all;
  for (const auto& [name, image] : images_) all.push_back(image);
  return all;
}

io::Task<Result<ImagePtr>> Images::put(Image image) {
  const std::string name = image.full_name();
  auto locking = locks_.lock(name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  store::Transaction transaction;
  transaction.put(image_key(name), kStoredVersion + image_to_json(image));
  auto writing = commit(parts_.store, parts_.pool, std::move(transaction));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  ImagePtr visible = std::make_shared<const Image>(std::move(image));
  images_[name] = visible;
  co_return visible;
}

io::Task<Status> Images::remove(std::string uri) {
  const auto image = find(uri);
  if (image.has_error()) co_return image.error();
  const std::string name = (*image)->full_name();
  auto locking = locks_.lock(name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  if (!images_.contains(name)) co_return no_such_image(uri);
  store::Transaction transaction;
  transaction.remove(image_key(name));
  auto writing = commit(parts_.store, parts_.pool, std::move(transaction));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  images_.erase(name);
  co_return ok();
}

std::set<std::string> Images::trees_in_use() const {
  std::set<std::string> used;
  for (const auto& [name, image] : images_) used.insert(image->tree);
  return used;
}

Result<std::string> Images::resolve(ImageSettings& image) const {
  const auto found = find(image.uri);
  if (found.has_error()) return found.error();
  image.digest = (*found)->digest;
  image.own = (*found)->program;
  image.env = (*found)->env;
  return (*found)->tree;
}

std::vector<std::string> image_command(const ImageSettings& image) {
  const auto& first = image.over.entrypoint.empty() ? image.own.entrypoint : image.over.entrypoint;
  const auto& rest = image.over.command.empty() ? image.own.command : image.over.command;
  std::vector<std::string> command = first;
  command.insert(command.end(), rest.begin(), rest.end());
  return command;
}

std::vector<std::string> image_argv(const Version& version) {
  auto argv = image_command(version.settings.image);
  if (argv.empty()) argv.emplace_back();
  argv.front() = version.entry;
  return argv;
}

std::string image_workdir(const ImageSettings& image) {
  std::string path = image.over.workdir.empty() ? image.own.workdir : image.over.workdir;
  return path.starts_with('/') ? path : "/" + path;
}

Result<std::string> find_image_program(const std::string& tree, const Settings& settings) {
  const auto command = image_command(settings.image);
  if (command.empty() || command.front().empty())
    return invalid(
        fmt::format("The image {} does not say what to run: it has neither an entry "
                    "point nor a command. Name them in its Dockerfile (ENTRYPOINT, CMD), "
                    "or for the function (ImageConfig).",
                    settings.image.uri));
  const std::string& program = command.front();
  const auto runs = [&tree](const std::string& path) {
    struct stat info {};
    const os::Fd file = open_in_image(tree, path, O_PATH);
    return file.valid() && fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) &&
           (info.st_mode & 0111) != 0;
  };
  const auto missing = [&](std::string_view where) {
    return invalid(fmt::format("The image {} has no program '{}'{}.", settings.image.uri,
                               program.substr(0, 200), where));
  };
  const std::string workdir = image_workdir(settings.image);
  if (program.find('/') != std::string::npos) {
    const std::string path = program[0] == '/' ? program : workdir + "/" + program;
    return runs(path) ? Result<std::string>(path) : missing("");
  }
  std::string path(kImagePath);
  if (const auto own = settings.image.env.find("PATH"); own != settings.image.env.end())
    path = own->second;
  if (const auto own = settings.env.find("PATH"); own != settings.env.end()) path = own->second;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    std::string folder = path.substr(at, end - at);
    at = end + 1;
    if (!folder.starts_with('/')) folder = workdir + "/" + folder;
    if (runs(folder + "/" + program)) return folder + "/" + program;
  }
  return missing(fmt::format(" in the folders of its PATH ({})", path.substr(0, 300)));
}

std::vector<std::string> files_of_image(const std::string& tree, const std::string& folder) {
  std::vector<std::string> files;
  const os::Fd directory = open_in_image(tree, folder, O_RDONLY | O_DIRECTORY);
  if (!directory) return files;
  for (auto& name : names_in(directory.get())) {
    struct stat info {};
    const os::Fd file = open_in_image(tree, folder + "/" + name, O_PATH);
    if (file && fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode))
      files.push_back(std::move(name));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace mayfly::functions
