#include "functions/image_forms.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "functions/json_fields.h"

namespace mayfly::functions {

namespace {

constexpr std::size_t kWordsMax = 1500;  // as Lambda's ImageConfig
constexpr std::size_t kWordBytesMax = 16 * 1024;
constexpr std::size_t kWorkdirBytesMax = 1000;
constexpr std::size_t kImageEnvBytesMax = 64 * 1024;

Status check_image_program(const ImageProgram& program) {
  for (const auto* words : {&program.entrypoint, &program.command}) {
    if (words->size() > kWordsMax)
      return invalid(
          fmt::format("The entry point or the command of the image has {} words; {} are "
                      "allowed.",
                      words->size(), kWordsMax));
    std::size_t bytes = 0;
    for (const auto& word : *words) {
      bytes += word.size() + 1;
      if (word.find('\0') != std::string::npos)
        return invalid("The entry point or the command of the image holds a NUL byte.");
    }
    if (bytes > kWordBytesMax)
      return invalid(
          fmt::format("The entry point or the command of the image has {} bytes; {} are "
                      "allowed.",
                      bytes, kWordBytesMax));
  }
  if (program.workdir.size() > kWorkdirBytesMax || program.workdir.find('\0') != std::string::npos)
    return invalid("The working directory of the image is longer than 1000 bytes or holds a NUL.");
  return ok();
}

}  // namespace

boost::json::object image_program_object(const ImageProgram& program) {
  const auto list = [](const std::vector<std::string>& texts) {
    return boost::json::array(texts.begin(), texts.end());
  };
  return {{"entrypoint", list(program.entrypoint)},
          {"command", list(program.command)},
          {"workdir", program.workdir}};
}

Result<ImageProgram> image_program_from(const boost::json::object& object,
                                        const std::string& where) {
  ImageProgram program;
  Fields fields(object, where);
  fields.texts("entrypoint", program.entrypoint);
  fields.texts("command", program.command);
  fields.text("workdir", program.workdir);
  MAYFLY_TRY(fields.finish());
  return program;
}

boost::json::object image_settings_object(const ImageSettings& image) {
  boost::json::object object{{"uri", image.uri}};
  if (!image.digest.empty()) object["digest"] = image.digest;
  if (image.own != ImageProgram()) object["own"] = image_program_object(image.own);
  if (image.over != ImageProgram()) object["over"] = image_program_object(image.over);
  if (image.env.empty()) return object;
  auto& env = object["env"].emplace_object();
  for (const auto& [name, value] : image.env) env[name] = value;
  return object;
}

Result<ImageSettings> image_settings_from(const boost::json::object& object,
                                          const std::string& where) {
  ImageSettings image;
  Fields fields(object, where);
  fields.text("uri", image.uri);
  fields.text("digest", image.digest);
  fields.text_map("env", image.env);
  const auto* own = fields.object("own");
  const auto* over = fields.object("over");
  MAYFLY_TRY(fields.finish());
  for (const auto& [read, into, name] :
       {std::tuple(own, &image.own, "own."), std::tuple(over, &image.over, "over.")}) {
    if (read == nullptr) continue;
    auto program = image_program_from(*read, where + name);
    if (program.has_error()) return program.error();
    *into = std::move(*program);
  }
  return image;
}

Status check_image_settings(const Settings& settings) {
  const auto& image = settings.image;
  if (image.uri.empty()) return ok();
  if (image.uri.size() > 1024) return invalid("The name of the image is longer than 1024 bytes.");
  if (!settings.layers.empty())
    return invalid("A function that is an image has no layers: what they hold belongs in it.");
  MAYFLY_TRY(check_image_program(image.own));
  MAYFLY_TRY(check_image_program(image.over));
  std::size_t bytes = 0;
  for (const auto& [name, value] : image.env) {
    bytes += name.size() + value.size() + 2;
    if (name.empty() || name.find('=') != std::string::npos ||
        (name + value).find('\0') != std::string::npos)
      return invalid("The environment of the image is not made of names and values.");
  }
  if (bytes > kImageEnvBytesMax)
    return invalid(fmt::format("The environment of the image has {} bytes; {} are allowed.", bytes,
                               kImageEnvBytesMax));
  return ok();
}

}  // namespace mayfly::functions
