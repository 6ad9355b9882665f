// Uploads in parts: begun, their parts, completed, given up. An object made so is a list of the
// files of its parts: nothing is copied.

#include <fmt/format.h>

#include <algorithm>

#include "base/base64.h"
#include "base/ids.h"
#include "buckets/buckets.h"
#include "buckets/going.h"

namespace mayfly::buckets {
namespace {

constexpr int kRoundsMax = 1000;

Failure no_upload(std::string_view id) {
  return {Why::no_such_upload,
          {Code::not_found, "There is no upload \"" + std::string(id.substr(0, 80)) + "\"."}};
}

Failure upload_busy(std::string_view id) {
  return {Why::busy,
          {Code::conflict, "The upload " + std::string(id) + " is being completed or aborted."}};
}

struct UploadRows {
  std::string row;  // "": there is none
  Upload upload;
  std::vector<Part> parts;
  std::optional<std::string> part_row;  // of the one that was asked for
};

struct ReadUpload {
  store::Store* store;
  std::string bucket, key, id;
  std::uint32_t after = 0;
  std::size_t limit = 0;     // of parts
  std::uint32_t number = 0;  // a part whose row is wanted

  Result<UploadRows> operator()() const {
    UploadRows rows;
    auto row = store->get(upload_row(bucket, key, id));
    if (row.has_error()) {
      if (row.error().code == Code::not_found) return rows;
      return row.error();
    }
    auto upload = decode_upload(key, id, *row);
    if (upload.has_error()) return upload.error();
    rows.upload = std::move(*upload);
    rows.row = std::move(*row);
    if (number > 0) {
      auto part = store->get(part_row(id, number));
      if (part.has_value()) rows.part_row = std::move(*part);
      if (part.has_error() && part.error().code != Code::not_found) return part.error();
    }
    if (limit == 0) return rows;
    Status broken;
    const std::string prefix = part_prefix(id);
    MAYFLY_TRY(store->scan(
        {part_row(id, after + 1), store::prefix_end(prefix), limit},
        [&](std::string_view name, std::string_view value) {
          const auto digits = std::string(name.substr(prefix.size()));
          auto part = decode_part(
              static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, 10)), value);
          if (part.has_error()) {
            broken = part.error();
            return false;
          }
          rows.parts.push_back(std::move(*part));
          return true;
        }));
    MAYFLY_TRY(std::move(broken));
    return rows;
  }
};

// An object made of parts, and which of them it takes.
struct Assembled {
  Object object;
  Segments segments;
  std::set<std::uint32_t> taken;
};

Failure bad_part(std::uint32_t number, const std::string& what) {
  return {Why::invalid_part, invalid(fmt::format("Part {} {}.", number, what))};
}

Answer<Assembled> assemble(const Upload& upload, const std::vector<Part>& present,
                           const std::vector<Buckets::NamedPart>& named, const Limits& limits) {
  Assembled out;
  Object& object = out.object;
  object.key = upload.key;
  object.algorithm = upload.algorithm;
  object.composite = upload.composite;
  object.attributes = upload.attributes;
  object.parts = static_cast<std::uint32_t>(named.size());
  std::string md5s, checksums, combined;
  for (std::size_t i = 1; i < named.size(); ++i)
    if (named[i].number <= named[i - 1].number)
      return Failure{Why::invalid_part_order, invalid("The parts are not in ascending order.")};
  for (const auto& name : named) {
    const auto part =
        std::lower_bound(present.begin(), present.end(), name.number,
                         [](const Part& one, std::uint32_t number) { return one.number < number; });
    if (part == present.end() || part->number != name.number)
      return bad_part(name.number, "was not uploaded");
    if (part->etag != name.etag) return bad_part(name.number, "has another ETag");
    if (!name.checksum.empty() && name.checksum != part->checksum)
      return bad_part(name.number, "has another checksum");
    if (&name != &named.back() && part->size < limits.part_bytes_min)
      return Failure{Why::part_too_small,
                     invalid(fmt::format("Part {} has {} bytes; all but the last need the {} of "
                                         "the setting buckets.part_bytes_min.",
                                         name.number, part->size, limits.part_bytes_min))};
    for (std::size_t i = 0; i + 1 < part->etag.size(); i += 2)
      md5s += static_cast<char>(std::stoi(part->etag.substr(i, 2), nullptr, 16));
    const std::string checksum = decode_base64(part->checksum).value_or("");
    if (object.composite)
      checksums += checksum;
    else if (is_crc(object.algorithm))
      combined = out.segments.empty()
                     ? checksum
                     : combine_crc(object.algorithm, combined, checksum, part->size);
    object.size += part->size;
    out.segments.push_back({part->content, part->size, part->checksum});
    out.taken.insert(part->number);
  }
  if (object.size > limits.object_bytes_max)
    return Failure{Why::too_large,
                   {Code::too_large,
                    fmt::format("The object has {} bytes; the setting buckets.object_bytes_max "
                                "allows {}.",
                                object.size, limits.object_bytes_max)}};
  object.etag = fmt::format("{}-{}", to_hex(Digest::of(Checksum::md5, md5s)), named.size());
  if (object.composite)
    object.checksum =
        fmt::format("{}-{}", base64_of(Digest::of(object.algorithm, checksums)), named.size());
  else if (is_crc(object.algorithm))
    object.checksum = base64_of(combined);
  if (object.size > 0) object.content = random_hex(16);
  return out;
}

}  // namespace

io::Task<Answer<Upload>> Buckets::begin_upload(std::string bucket, Upload upload) {
  if (!is_there(bucket)) co_return no_bucket(bucket);
  if (uploads_ >= parts_.limits.uploads_max)
    co_return Failure{Why::too_many_uploads,
                      {Code::resource_exhausted,
                       fmt::format("There are {} uploads under way, as many as the setting "
                                   "buckets.uploads_max allows; abort some.",
                                   uploads_)}};
  upload.id = random_hex(16);
  upload.begun_us = to_epoch_us(parts_.clock.wall_now());
  Change change;
  change.transaction.put(upload_row(bucket, upload.key, upload.id), encode(upload));
  ++uploads_;
  auto writing = write(std::move(change));
  auto written = co_await std::move(writing);
  if (written.has_error()) {
    --uploads_;
    co_return std::move(written).error();
  }
  co_return std::move(upload);
}

io::Task<Answer<Upload>> Buckets::find_upload(std::string bucket, std::string key, std::string id) {
  if (!is_there(bucket)) co_return no_bucket(bucket);
  ReadUpload read{&parts_.store, std::move(bucket), std::move(key), id};
  auto reading = parts_.pool.run(std::move(read));
  auto rows = co_await std::move(reading);
  if (rows.has_error()) co_return Failure{Why::other, rows.error()};
  if (rows->row.empty()) co_return no_upload(id);
  co_return std::move(rows->upload);
}

io::Task<Answer<Part>> Buckets::put_part(std::string bucket, Upload upload, std::uint32_t number,
                                         NewContentPtr content) {
  auto settling = settle(content);
  auto settled = co_await std::move(settling);
  if (settled.has_error()) co_return std::move(settled).error();
  Part part{number,
            to_hex(content->md5()),
            content->size(),
            0,
            upload.algorithm == Checksum::none ? "" : base64_of(content->checksum()),
            content->id()};
  Failure failure = upload_busy(upload.id);
  for (int round = 0; round < kRoundsMax; ++round) {
    ReadUpload read{&parts_.store, bucket, upload.key, upload.id, 0, 0, number};
    auto reading = parts_.pool.run(std::move(read));
    auto rows = co_await std::move(reading);
    if (rows.has_error()) {
      failure = {Why::other, rows.error()};
      break;
    }
    if (rows->row.empty() || !is_there(bucket)) {
      failure = no_upload(upload.id);
      break;
    }
    if (going_.contains("u/" + upload.id)) break;
    part.modified_us = to_epoch_us(parts_.clock.wall_now());
    Change change;
    change.bytes = static_cast<std::int64_t>(part.size);
    const std::string row = part_row(upload.id, number);
    change.transaction.require(upload_row(bucket, upload.key, upload.id), rows->row)
        .require(row, rows->part_row)
        .put(row, encode(part));
    change.refer(part.content);
    if (rows->part_row) {
      const auto old = decode_part(number, *rows->part_row);
      if (old.has_value()) {
        change.let_go(old->content);
        change.bytes -= static_cast<std::int64_t>(old->size);
      }
    }
    auto writing = write(std::move(change));
    auto written = co_await std::move(writing);
    if (written.has_value()) {
      kept(content);
      co_return std::move(part);
    }
    failure = std::move(written).error();
    if (failure.why != Why::busy) break;
  }
  auto discarding = discard(content);
  co_await std::move(discarding);
  co_return failure;
}

io::Task<Answer<Object>> Buckets::complete_upload(std::string bucket, Upload upload,
                                                  Completion completion, Cause cause) {
  Going going(going_, "u/" + upload.id);
  if (!going.taken()) co_return upload_busy(upload.id);
  auto waiting = barrier();
  const Status reached = co_await std::move(waiting);
  if (reached.has_error()) co_return Failure{Why::other, reached.error()};
  ReadUpload read{&parts_.store, bucket, upload.key, upload.id, 0, SIZE_MAX};
  auto reading = parts_.pool.run(std::move(read));
  auto rows = co_await std::move(reading);
  if (rows.has_error()) co_return Failure{Why::other, rows.error()};
  if (rows->row.empty()) co_return no_upload(upload.id);
  auto assembled = assemble(rows->upload, rows->parts, completion.parts, parts_.limits);
  if (assembled.has_error()) co_return std::move(assembled).error();
  const Object& object = assembled->object;
  if (completion.size && *completion.size != object.size)
    co_return Failure{Why::wrong_size,
                      invalid(fmt::format("The parts have {} bytes together, not {}.", object.size,
                                          *completion.size))};
  if (!completion.checksum.empty() && completion.checksum != object.checksum)
    co_return Failure{Why::bad_digest, invalid("The checksum of the object is " + object.checksum +
                                               ", not the one that was sent.")};

  Change change;
  const std::string row = upload_row(bucket, upload.key, upload.id);
  const std::string prefix = part_prefix(upload.id);
  change.transaction.require(row, rows->row).remove(row);
  change.transaction.delete_ranges.emplace_back(prefix, store::prefix_end(prefix));
  for (const auto& part : rows->parts) {
    change.bytes -= static_cast<std::int64_t>(part.size);
    if (!assembled->taken.contains(part.number)) change.let_go(part.content);
  }
  auto replacing =
      replace(std::move(bucket), std::move(assembled->object), std::move(assembled->segments),
              std::move(completion.precondition), std::move(change), std::move(cause));
  auto replaced = co_await std::move(replacing);
  if (replaced.has_value()) --uploads_;
  co_return replaced;
}

io::Task<Answer<void>> Buckets::drop_upload(std::string bucket, std::string key, std::string id) {
  Going going(going_, "u/" + id);
  if (!going.taken()) co_return upload_busy(id);
  auto waiting = barrier();
  const Status reached = co_await std::move(waiting);
  if (reached.has_error()) co_return Failure{Why::other, reached.error()};
  ReadUpload read{&parts_.store, bucket, key, id, 0, SIZE_MAX};
  auto reading = parts_.pool.run(std::move(read));
  auto rows = co_await std::move(reading);
  if (rows.has_error()) co_return Failure{Why::other, rows.error()};
  if (rows->row.empty()) co_return no_upload(id);
  Change change;
  const std::string row = upload_row(bucket, key, id), prefix = part_prefix(id);
  change.transaction.require(row, rows->row).remove(row);
  change.transaction.delete_ranges.emplace_back(prefix, store::prefix_end(prefix));
  for (const auto& part : rows->parts) {
    change.bytes -= static_cast<std::int64_t>(part.size);
    change.let_go(part.content);
  }
  auto writing = write(std::move(change));
  auto written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  --uploads_;
  co_return boost::system::in_place_value;
}

io::Task<Answer<void>> Buckets::abort_upload(std::string bucket, std::string key, std::string id) {
  if (!is_there(bucket)) co_return no_bucket(bucket);
  auto dropping = drop_upload(std::move(bucket), std::move(key), std::move(id));
  co_return co_await std::move(dropping);
}

io::Task<Answer<std::vector<Part>>> Buckets::list_parts(std::string bucket, std::string key,
                                                        std::string id, std::uint32_t after,
                                                        std::size_t limit) {
  ReadUpload read{&parts_.store, std::move(bucket), std::move(key), id, after, limit};
  auto reading = parts_.pool.run(std::move(read));
  auto rows = co_await std::move(reading);
  if (rows.has_error()) co_return Failure{Why::other, rows.error()};
  if (rows->row.empty()) co_return no_upload(id);
  co_return std::move(rows->parts);
}

namespace {

struct ListUploads {
  store::Store* store;
  ListQuery query;
  std::string after_id;

  Result<UploadPage> operator()() const {
    UploadPage page;
    if (query.limit == 0) return page;
    const std::string base = std::string(kUploadsPrefix) + query.bucket + "/";
    const std::string last = store::prefix_end(base + query.prefix);
    std::string from = base + query.prefix;
    if (!query.after.empty()) {
      const std::string of_key = upload_row(query.bucket, query.after, after_id);
      const bool whole_prefix =
          after_id.empty() && !query.delimiter.empty() && query.after.ends_with(query.delimiter);
      from = std::max(from, whole_prefix       ? store::prefix_end(base + query.after)
                            : after_id.empty() ? store::prefix_end(of_key)
                                               : of_key + '\0');
    }
    Status broken;
    while (!from.empty() && from < last) {
      std::string next;
      MAYFLY_TRY(store->scan({from, last}, [&](std::string_view row, std::string_view value) {
        const std::string_view name = row.substr(base.size());
        const std::string_view key = name.substr(0, name.rfind('\0'));
        if (page.entries.size() >= query.limit) {
          page.truncated = true;
          return false;
        }
        const auto at = query.delimiter.empty() ? std::string_view::npos
                                                : key.find(query.delimiter, query.prefix.size());
        if (at != std::string_view::npos) {
          page.entries.push_back(
              {std::nullopt, std::string(key.substr(0, at + query.delimiter.size()))});
          next = store::prefix_end(base + page.entries.back().prefix);
          return false;
        }
        auto upload =
            decode_upload(std::string(key), std::string(name.substr(key.size() + 1)), value);
        if (upload.has_error()) {
          broken = upload.error();
          return false;
        }
        page.entries.push_back({std::move(*upload), ""});
        return true;
      }));
      MAYFLY_TRY(std::move(broken));
      from = std::move(next);
    }
    return page;
  }
};

}  // namespace

io::Task<Answer<UploadPage>> Buckets::list_uploads(ListQuery query, std::string after_id) {
  if (!is_there(query.bucket)) co_return no_bucket(query.bucket);
  ListUploads work{&parts_.store, std::move(query), std::move(after_id)};
  auto listing = parts_.pool.run(std::move(work));
  auto page = co_await std::move(listing);
  if (page.has_error()) co_return Failure{Why::other, page.error()};
  co_return std::move(*page);
}

}  // namespace mayfly::buckets
