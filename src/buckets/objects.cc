// Objects: put, read, removed, listed.

#include <algorithm>

#include "base/ids.h"
#include "buckets/buckets.h"
#include "io/file_body.h"

namespace mayfly::buckets {
namespace {

// A change that others keep getting ahead of is given up after so many rounds.
constexpr int kAttemptsMax = 1000;

Failure no_key(std::string_view key) {
  return {Why::no_such_key,
          {Code::not_found, "There is no object \"" + std::string(key.substr(0, 200)) + "\"."}};
}

Failure busy_failure(std::string_view key) {
  return {Why::busy,
          {Code::conflict, "Others keep changing \"" + std::string(key.substr(0, 200)) + "\"."}};
}

// A row of the store as it is, with what it says.
struct Present {
  std::optional<std::string> row;
  Object object;
  Segments segments;
};

Result<Present> read_present(store::Store& store, const std::string& bucket,
                             const std::string& key) {
  Present present;
  auto row = store.get(object_row(bucket, key));
  if (row.has_error()) {
    if (row.error().code == Code::not_found) return present;
    return row.error();
  }
  auto object = decode_object(key, *row);
  if (object.has_error()) return object.error();
  present.object = std::move(*object);
  if (present.object.parts > 0 && !present.object.content.empty()) {
    auto segments = store.get(segments_row(present.object.content));
    if (segments.has_error()) return segments.error();
    auto decoded = decode_segments(present.object.content, *segments);
    if (decoded.has_error()) return decoded.error();
    present.segments = std::move(*decoded);
  }
  present.row = std::move(*row);
  return present;
}

struct ReadPresents {
  store::Store* store;
  std::string bucket;
  std::vector<std::string> keys;
  Result<std::vector<Present>> operator()() const {
    std::vector<Present> out;
    for (const auto& key : keys) {
      auto present = read_present(*store, bucket, key);
      if (present.has_error()) return present.error();
      out.push_back(std::move(*present));
    }
    return out;
  }
};

std::vector<std::string> files_of(const Present& present) {
  std::vector<std::string> files;
  if (present.object.parts == 0)
    files.push_back(present.object.content);
  else
    for (const auto& segment : present.segments) files.push_back(segment.file);
  return files;
}

// The row was read, and nothing has come between since.
void require_and_clear(store::Transaction& transaction, const std::string& row,
                       const Present& present) {
  transaction.require(row, present.row);
  if (present.row && present.object.parts > 0 && !present.object.content.empty())
    transaction.remove(segments_row(present.object.content));
}

Answer<void> check(const Precondition& wanted, const Present& present, const std::string& key) {
  if (wanted.absent && present.row)
    return Failure{Why::precondition_failed,
                   {Code::conflict, "There is an object of that key already."}};
  if (!wanted.etag) return boost::system::in_place_value;
  if (!present.row) return no_key(key);
  if (*wanted.etag != "*" && *wanted.etag != present.object.etag)
    return Failure{
        Why::precondition_failed,
        {Code::conflict, "The object has another ETag: \"" + present.object.etag + "\"."}};
  return boost::system::in_place_value;
}

}  // namespace

io::Task<Answer<Object>> Buckets::replace(std::string bucket, Object object, Segments segments,
                                          Precondition precondition, Change base, Cause cause) {
  const std::string row = object_row(bucket, object.key);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    ReadPresents read{&parts_.store, bucket, {object.key}};
    auto reading = parts_.pool.run(std::move(read));
    auto presents = co_await std::move(reading);
    if (presents.has_error()) co_return Failure{Why::other, presents.error()};
    const Present& present = presents->front();
    if (auto good = check(precondition, present, object.key); good.has_error())
      co_return std::move(good).error();

    object.modified_us = to_epoch_us(parts_.clock.wall_now());
    Change change = base;
    require_and_clear(change.transaction, row, present);
    for (const auto& file : files_of(present)) change.let_go(file);
    change.transaction.put(row, encode(object));
    if (object.parts == 0) change.refer(object.content);
    if (object.parts > 0 && !object.content.empty())
      change.transaction.put(segments_row(object.content), encode(segments));
    change.bytes +=
        static_cast<std::int64_t>(object.size) - static_cast<std::int64_t>(present.object.size);
    if (!is_there(bucket)) co_return no_bucket(bucket);
    tell(change, bucket, object, cause);
    auto writing = write(std::move(change));
    auto written = co_await std::move(writing);
    if (written.has_value()) co_return std::move(object);
    if (written.error().why != Why::busy) co_return std::move(written).error();
  }
  co_return busy_failure(object.key);
}

io::Task<Answer<Object>> Buckets::put(std::string bucket, Object object, NewContentPtr content,
                                      Precondition precondition, Cause cause) {
  if (!is_there(bucket)) co_return no_bucket(bucket);
  auto settling = settle(content);
  auto settled = co_await std::move(settling);
  if (settled.has_error()) co_return std::move(settled).error();
  object.etag = to_hex(content->md5());
  object.size = content->size();
  object.content = content->id();
  object.parts = 0;
  Change nothing;
  Segments none;
  auto replacing = replace(std::move(bucket), std::move(object), std::move(none),
                           std::move(precondition), std::move(nothing), std::move(cause));
  auto replaced = co_await std::move(replacing);
  if (replaced.has_error()) {
    auto discarding = discard(content);
    co_await std::move(discarding);
    co_return std::move(replaced).error();
  }
  kept(content);
  co_return std::move(*replaced);
}

namespace {

struct OpenObject {
  store::Store* store;
  const ContentFiles* files;
  std::string bucket, key;
  Result<std::optional<Found>> operator()() const {
    auto present = read_present(*store, bucket, key);
    if (present.has_error()) return present.error();
    if (!present->row) return std::optional<Found>();
    Found found;
    found.object = std::move(present->object);
    found.segments = std::move(present->segments);
    if (found.object.parts == 0 && !found.object.content.empty()) {
      auto file = files->read(found.object.content);
      if (file.has_error()) return file.error();
      found.file = std::make_shared<os::Fd>(std::move(*file));
    }
    return std::optional<Found>(std::move(found));
  }
};

struct OpenSegment {
  const ContentFiles* files;
  std::string id;
  Result<std::shared_ptr<os::Fd>> operator()() const {
    auto file = files->read(id);
    if (file.has_error()) return file.error();
    return std::make_shared<os::Fd>(std::move(*file));
  }
};

// The files of an object that was uploaded in parts, one behind the other.
class SegmentsBody final : public io::BodyReader {
 public:
  SegmentsBody(const ContentFiles& files, io::BlockingPool& pool, Segments segments,
               ReadTicket ticket, std::uint64_t at, std::uint64_t left)
      : files_(files),
        pool_(pool),
        segments_(std::move(segments)),
        ticket_(std::move(ticket)),
        at_(at),
        left_(left) {}

  io::Task<Result<std::string>> read() override {
    while (left_ > 0) {
      if (current_) {
        auto reading = current_->read();
        auto piece = co_await std::move(reading);
        if (piece.has_error()) co_return piece;
        if (!piece->empty()) {
          left_ -= piece->size();
          co_return piece;
        }
        current_.reset();
      }
      while (next_ < segments_.size() && segments_[next_].size <= at_)
        at_ -= segments_[next_++].size;
      if (next_ >= segments_.size())
        co_return Error{Code::corrupt, "The object is shorter than its row says.", "read object"};
      const Segment& segment = segments_[next_++];
      OpenSegment open{&files_, segment.file};
      auto opening = pool_.run(std::move(open));
      auto file = co_await std::move(opening);
      if (file.has_error()) co_return file.error();
      current_ =
          std::make_unique<io::FileBody>(pool_, *file, at_, std::min(segment.size - at_, left_));
      at_ = 0;
    }
    co_return std::string();
  }

 private:
  const ContentFiles& files_;
  io::BlockingPool& pool_;
  const Segments segments_;
  const ReadTicket ticket_;
  std::uint64_t at_, left_;
  std::size_t next_ = 0;
  std::unique_ptr<io::FileBody> current_;
};

}  // namespace

io::Task<Answer<Found>> Buckets::get(std::string bucket, std::string key) {
  if (!is_there(bucket)) co_return no_bucket(bucket);
  ReadTicket ticket = take_ticket();
  OpenObject open{&parts_.store, &files_, std::move(bucket), key};
  auto opening = parts_.pool.run(std::move(open));
  auto found = co_await std::move(opening);
  if (found.has_error()) co_return Failure{Why::other, found.error()};
  if (!*found) co_return no_key(key);
  if (!(*found)->segments.empty()) (*found)->ticket = std::move(ticket);
  co_return std::move(**found);
}

io::BodyReaderPtr Buckets::read(const Found& found, std::uint64_t at, std::uint64_t size) {
  if (size == 0 || (!found.file && found.segments.empty())) return nullptr;
  if (found.file) return std::make_unique<io::FileBody>(parts_.pool, found.file, at, size);
  return std::make_unique<SegmentsBody>(files_, parts_.pool, found.segments, found.ticket, at,
                                        size);
}

io::Task<Answer<std::size_t>> Buckets::remove(std::string bucket, std::vector<std::string> keys,
                                              Cause cause) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (!is_there(bucket)) co_return no_bucket(bucket);
    ReadPresents read{&parts_.store, bucket, keys};
    auto reading = parts_.pool.run(std::move(read));
    auto presents = co_await std::move(reading);
    if (presents.has_error()) co_return Failure{Why::other, presents.error()};
    Change change;
    std::size_t removed = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Present& present = (*presents)[i];
      if (!present.row) continue;
      const std::string row = object_row(bucket, keys[i]);
      require_and_clear(change.transaction, row, present);
      change.transaction.remove(row);
      for (const auto& file : files_of(present)) change.let_go(file);
      change.bytes -= static_cast<std::int64_t>(present.object.size);
      tell(change, bucket, present.object, cause);
      ++removed;
    }
    if (removed == 0) co_return removed;
    auto writing = write(std::move(change));
    auto written = co_await std::move(writing);
    if (written.has_value()) co_return removed;
    if (written.error().why != Why::busy) co_return std::move(written).error();
  }
  co_return busy_failure(keys.front());
}

io::Task<Answer<Object>> Buckets::amend(std::string bucket, std::string key, Amendment amendment,
                                        Cause cause) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (!is_there(bucket)) co_return no_bucket(bucket);
    ReadPresents read{&parts_.store, bucket, {key}};
    auto reading = parts_.pool.run(std::move(read));
    auto presents = co_await std::move(reading);
    if (presents.has_error()) co_return Failure{Why::other, presents.error()};
    Present& present = presents->front();
    if (!present.row) co_return no_key(key);
    if (auto good = amendment(present.object.attributes); good.has_error())
      co_return std::move(good).error();
    Change change;
    const std::string row = object_row(bucket, key);
    change.transaction.require(row, present.row).put(row, encode(present.object));
    tell(change, bucket, present.object, cause);
    auto writing = write(std::move(change));
    auto written = co_await std::move(writing);
    if (written.has_value()) co_return std::move(present.object);
    if (written.error().why != Why::busy) co_return std::move(written).error();
  }
  co_return busy_failure(key);
}

// -- listing
// ----------------------------------------------------------------------------------------

namespace {

struct ListObjects {
  store::Store* store;
  ListQuery query;

  std::string first(const std::string& base) const {
    const std::string begin = base + query.prefix;
    if (query.after.empty()) return begin;
    // A page that ended with a common prefix is followed by what is behind all of its keys.
    const bool whole_prefix = !query.delimiter.empty() && query.after.starts_with(query.prefix) &&
                              query.after.size() >= query.prefix.size() + query.delimiter.size() &&
                              query.after.ends_with(query.delimiter);
    return std::max(
        begin, whole_prefix ? store::prefix_end(base + query.after) : base + query.after + '\0');
  }

  Result<ListPage> operator()() const {
    ListPage page;
    if (query.limit == 0) return page;
    const std::string base = object_row(query.bucket, "");
    const std::string last = store::prefix_end(base + query.prefix);
    std::string from = first(base);
    Status broken;
    while (!from.empty() && from < last) {
      std::string next;
      MAYFLY_TRY(store->scan({from, last}, [&](std::string_view row, std::string_view value) {
        if (page.entries.size() >= query.limit) {
          page.truncated = true;
          return false;
        }
        const std::string_view key = row.substr(base.size());
        if (!query.delimiter.empty()) {
          const auto at = key.find(query.delimiter, query.prefix.size());
          if (at != std::string_view::npos) {
            page.entries.push_back(
                {std::nullopt, std::string(key.substr(0, at + query.delimiter.size()))});
            next = store::prefix_end(base + page.entries.back().prefix);
            return false;
          }
        }
        auto object = decode_object(std::string(key), value);
        if (object.has_error()) {
          broken = object.error();
          return false;
        }
        page.entries.push_back({std::move(*object), ""});
        return true;
      }));
      MAYFLY_TRY(std::move(broken));
      from = std::move(next);
    }
    return page;
  }
};

}  // namespace

io::Task<Answer<ListPage>> Buckets::list(ListQuery query) {
  if (!is_there(query.bucket)) co_return no_bucket(query.bucket);
  ListObjects work{&parts_.store, std::move(query)};
  auto listing = parts_.pool.run(std::move(work));
  auto page = co_await std::move(listing);
  if (page.has_error()) co_return Failure{Why::other, page.error()};
  co_return std::move(*page);
}

}  // namespace mayfly::buckets
