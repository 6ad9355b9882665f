// Images: imported, listed, removed.

#include <boost/json/array.hpp>

#include "dialects/native/state.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

json::object render_image(const functions::Image& image) {
  const auto list = [](const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
  };
  return json::object{{"name", image.name},
                      {"tag", image.tag},
                      {"digest", image.digest},
                      {"tree", image.tree},
                      {"bytes", image.bytes},
                      {"entrypoint", list(image.program.entrypoint)},
                      {"command", list(image.program.command)},
                      {"workdir", image.program.workdir},
                      {"created_us", image.created_us}};
}

Error no_images_here() {
  return Error{Code::unsupported, "This server keeps no images."};
}

// The name that was asked for, else the only one that the archive has.
Result<functions::ImageName> name_for(const std::string& asked,
                                      const functions::ImportedImage& imported) {
  if (asked.empty() && imported.names.size() != 1)
    return invalid(
        imported.names.empty()
            ? "The archive does not say what the image is called: say it with --name "
              "NAME:TAG."
            : "The image in the archive has several names: choose with --name NAME:TAG.");
  return functions::parse_image_name(asked.empty() ? imported.names.front() : asked);
}

}  // namespace

Reply Api::State::images(Endpoint endpoint, Call call) {
  if (endpoint == Endpoint::put_image) return put_image(std::move(call));
  if (endpoint == Endpoint::list_images) return list_images(std::move(call));
  return delete_image(std::move(call));
}

Reply Api::State::put_image(Call call) {
  auto* trees = parts.catalogue.image_trees();
  if (trees == nullptr) co_return no_images_here();
  auto query = query_of(call, {"name"});
  if (query.has_error()) co_return query.error();
  const std::string asked = text_in(*query, "name");
  if (!asked.empty()) {  // before the body is taken
    const auto name = functions::parse_image_name(asked);
    if (name.has_error()) co_return name.error();
    if (!name->digest.empty())
      co_return invalid("An image is imported under a name and a tag, not under a digest.");
  }
  auto holding = keeper->hold();
  const auto hold = co_await std::move(holding);
  auto adding = trees->add(std::move(call.http.body), std::move(call.http.more));
  auto added = co_await std::move(adding);
  if (added.has_error()) co_return added.error();
  keeper->touch(added->tree);
  const auto name = name_for(asked, *added);
  if (name.has_error()) co_return name.error();
  functions::Image image;
  image.name = name->name;
  image.tag = name->tag.empty() ? "latest" : name->tag;
  image.digest = added->digest;
  image.tree = added->tree;
  image.bytes = added->bytes;
  image.program = added->config.program;
  image.env = added->config.env;
  image.created_us = to_epoch_us(clock.wall_now());
  auto putting = parts.catalogue.images().put(std::move(image));
  auto put = co_await std::move(putting);
  if (put.has_error()) co_return put.error();
  keeper->collect();
  json::object answer = render_image(**put);
  answer["existed"] = added->existed;
  co_return json_reply(200, answer);
}

Reply Api::State::list_images(Call call) {
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  json::array images;
  for (const auto& image : parts.catalogue.images().list()) images.push_back(render_image(*image));
  co_return json_reply(200, json::object{{"images", std::move(images)}});
}

Reply Api::State::delete_image(Call call) {
  const auto image = parts.catalogue.images().find(call.name);
  if (image.has_error()) co_return image.error();
  keeper->touch((*image)->tree);
  auto removing = parts.catalogue.images().remove(call.name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  keeper->collect();
  co_return json_reply(200, json::object{{"removed", (*image)->full_name()}});
}

}  // namespace mayfly::dialects::native
