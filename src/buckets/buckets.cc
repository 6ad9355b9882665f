#include "buckets/buckets.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "base/log.h"
#include "buckets/going.h"
#include "wire/utf8.h"

namespace mayfly::buckets {

namespace asio = boost::asio;

[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where) {
  mayfly::throw_exception_from_error(failure.error, where);
}

Status check_bucket_name(std::string_view name) {
  const auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto refuse = [&](const char* why) {
    return invalid("The bucket name \"" + std::string(name.substr(0, 80)) +
                   "\" is not valid: " + why + ".");
  };
  if (name.size() < 3 || name.size() > 63) return refuse("it must have 3 to 63 characters");
  if (!std::all_of(name.begin(), name.end(),
                   [&](char c) { return is_end(c) || c == '.' || c == '-'; }))
    return refuse("only a-z, 0-9, '.' and '-' are allowed");
  if (!is_end(name.front()) || !is_end(name.back()))
    return refuse("it must begin and end with a letter or digit");
  if (name.find("..") != std::string_view::npos)
    return refuse("it must not have two dots together");
  const bool address = std::all_of(name.begin(), name.end(),
                                   [](char c) { return c == '.' || (c >= '0' && c <= '9'); }) &&
                       std::count(name.begin(), name.end(), '.') == 3;
  if (address) return refuse("it must not look like an IP address");
  return ok();
}

Status check_key(std::string_view key) {
  if (key.empty()) return invalid("The key of an object must not be empty.");
  if (key.size() > kKeyBytesMax)
    return Error{Code::too_large, "The key has " + std::to_string(key.size()) + " bytes; " +
                                      std::to_string(kKeyBytesMax) + " are allowed."};
  if (!wire::is_utf8(key) || key.find('\0') != std::string_view::npos)
    return invalid("The key of an object must be UTF-8 without NUL.");
  return ok();
}

Buckets::Buckets(Parts parts) : parts_(std::move(parts)), files_(parts_.directory) {}

Status Buckets::open() {
  MAYFLY_TRY(files_.open());
  Status status;
  const std::string first(kBucketPrefix);
  MAYFLY_TRY(parts_.store.scan({first, store::prefix_end(first)},
                               [&](std::string_view row, std::string_view value) {
                                 auto bucket = decode_bucket(row, value);
                                 if (bucket.has_error()) {
                                   status = bucket.error();
                                   return false;
                                 }
                                 buckets_.emplace(bucket->name, *bucket);
                                 return true;
                               }));
  MAYFLY_TRY(std::move(status));
  const std::string uploads(kUploadsPrefix);
  MAYFLY_TRY(parts_.store.scan({uploads, store::prefix_end(uploads)},
                               [&](std::string_view, std::string_view) { return ++uploads_ > 0; }));
  auto bytes = parts_.store.get(kBytesRow);
  if (bytes.has_value()) bytes_ = std::strtoull(bytes->c_str(), nullptr, 10);
  if (bytes.has_error() && bytes.error().code != Code::not_found) return bytes.error();
  return clear_leavings();
}

// What was on its way in or out when the server was killed.
Status Buckets::clear_leavings() {
  Status status;
  std::size_t removed = 0;
  MAYFLY_TRY(files_.each_incoming([&](const std::string& id) {
    const auto row = parts_.store.get(file_row(id));
    if (row.has_value()) {
      files_.forget_incoming(id);
    } else if (row.error().code == Code::not_found) {
      files_.remove(id);
      ++removed;
    } else {
      status = row.error();
    }
  }));
  MAYFLY_TRY(std::move(status));
  store::Transaction gone;
  const std::string first(kGarbagePrefix);
  MAYFLY_TRY(parts_.store.scan({first, store::prefix_end(first)},
                               [&](std::string_view row, std::string_view) {
                                 files_.remove(row.substr(first.size()));
                                 gone.remove(std::string(row));
                                 return true;
                               }));
  removed += gone.deletes.size();
  if (removed > 0) log::info("removed {} files of objects that are not there", removed);
  if (gone.empty()) return ok();
  return parts_.store.commit(gone, store::Durability::buffered);
}

// -- what the files of this room share
// --------------------------------------------------------------

Failure Buckets::no_bucket(std::string_view bucket) const {
  return {Why::no_such_bucket,
          {Code::not_found, "There is no bucket \"" + std::string(bucket.substr(0, 80)) + "\"."}};
}

bool Buckets::is_there(std::string_view bucket) const {
  return buckets_.find(bucket) != buckets_.end() && !going_.contains("b/" + std::string(bucket));
}

void Buckets::Change::refer(const std::string& file) {
  if (!file.empty()) transaction.put(file_row(file), "");
}

void Buckets::Change::let_go(const std::string& file) {
  if (file.empty()) return;
  transaction.remove(file_row(file));
  transaction.put(garbage_row(file), "");
  garbage.push_back(file);
}

io::Task<Answer<void>> Buckets::write(Change change) {
  if (change.bytes != 0) change.transaction.add(std::string(kBytesRow), change.bytes);
  auto committing =
      change.happenings.empty() || !parts_.announce
          ? parts_.committer.commit(std::move(change.transaction), store::Durability::synced)
          : parts_.announce(std::move(change.transaction), std::move(change.happenings));
  const Status written = co_await std::move(committing);
  if (written.has_error())
    co_return Failure{written.error().code == Code::conflict ? Why::busy : Why::other,
                      written.error()};
  bytes_ += static_cast<std::uint64_t>(change.bytes);
  if (!change.garbage.empty()) {
    garbage_.push_back({next_ticket_, std::move(change.garbage)});
    sweep();
  }
  co_return boost::system::in_place_value;
}

io::Task<Status> Buckets::barrier() {
  store::Transaction nothing;
  auto committing = parts_.committer.commit(std::move(nothing), store::Durability::buffered);
  co_return co_await std::move(committing);
}

namespace {

struct Settle {
  NewContentPtr content;
  Status operator()() const { return content->settle(); }
};
struct Discard {
  NewContentPtr content;
  bool operator()() const {
    content->discard();
    return true;
  }
};

}  // namespace

io::Task<Answer<void>> Buckets::settle(NewContentPtr content) {
  Settle work{std::move(content)};
  auto settling = parts_.pool.run(std::move(work));
  const Status settled = co_await std::move(settling);
  if (settled.has_error())
    co_return Failure{settled.error().sys_errno == ENOSPC || settled.error().sys_errno == EDQUOT
                          ? Why::full
                          : Why::other,
                      settled.error()};
  co_return boost::system::in_place_value;
}

io::Task<void> Buckets::discard(NewContentPtr content) {
  Discard work{std::move(content)};
  auto discarding = parts_.pool.run(std::move(work));
  co_await std::move(discarding);
}

void Buckets::kept(const NewContentPtr& content) {
  content->keep();
  if (content->id().empty()) return;
  arrived_.push_back(content->id());
  sweep();
}

NewContentPtr Buckets::new_content(Checksum algorithm, bool sha256) const {
  return std::make_shared<NewContent>(files_, algorithm, sha256);
}

Answer<void> Buckets::reserve(std::uint64_t bytes) {
  if (parts_.limits.bytes_max > 0 && bytes_ + reserved_ + bytes > parts_.limits.bytes_max)
    return Failure{
        Why::full,
        {Code::resource_exhausted, "The buckets hold " + std::to_string(bytes_) + " bytes, and " +
                                       std::to_string(parts_.limits.bytes_max) +
                                       " is all that the setting buckets.bytes_max allows."}};
  reserved_ += bytes;
  return boost::system::in_place_value;
}

void Buckets::release(std::uint64_t bytes) {
  reserved_ -= bytes;
}

ReadTicket Buckets::take_ticket() {
  const std::uint64_t number = next_ticket_++;
  reading_->insert(number);
  return ReadTicket(new std::uint64_t(number),
                    [reading = reading_, weak = std::weak_ptr(self_)](const std::uint64_t* ticket) {
                      reading->erase(*ticket);
                      delete ticket;
                      if (const auto self = weak.lock()) (*self)->sweep();
                    });
}

// -- removal of files
// -------------------------------------------------------------------------------

namespace {

struct RemoveFiles {
  const ContentFiles* files;
  std::vector<std::string> arrived, garbage;
  bool operator()() const {
    for (const auto& id : arrived) files->forget_incoming(id);
    for (const auto& id : garbage) files->remove(id);
    return true;
  }
};

}  // namespace

void Buckets::sweep() {
  if (sweeping_) return;
  sweeping_ = true;
  asio::co_spawn(parts_.loop, sweep_all(), [](std::exception_ptr failed) {
    if (failed) log::error("removing files of buckets broke off; the next start does it");
  });
}

io::Task<void> Buckets::sweep_all() {
  for (;;) {
    RemoveFiles work{&files_, std::move(arrived_), {}};
    arrived_.clear();
    // A read that began before a file was let go may still want it.
    while (!garbage_.empty() &&
           (reading_->empty() || *reading_->begin() >= garbage_.front().ticket)) {
      for (auto& file : garbage_.front().files) work.garbage.push_back(std::move(file));
      garbage_.pop_front();
    }
    if (work.arrived.empty() && work.garbage.empty()) break;
    store::Transaction gone;
    for (const auto& file : work.garbage) gone.remove(garbage_row(file));
    auto removing = parts_.pool.run(std::move(work));
    co_await std::move(removing);
    if (gone.empty()) continue;
    auto committing = parts_.committer.commit(std::move(gone), store::Durability::buffered);
    const Status committed = co_await std::move(committing);
    ignore(committed, "the next start does it again");
  }
  sweeping_ = false;
}

// -- buckets
// ----------------------------------------------------------------------------------------

const Bucket* Buckets::find(std::string_view bucket) const {
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? nullptr : &found->second;
}

std::vector<Bucket> Buckets::list() const {
  std::vector<Bucket> out;
  for (const auto& [name, bucket] : buckets_) out.push_back(bucket);
  return out;
}

io::Task<Answer<Bucket>> Buckets::create(std::string name, std::string region) {
  if (auto good = check_bucket_name(name); good.has_error())
    co_return Failure{Why::other, good.error()};
  Going going(going_, "b/" + name);
  if (!going.taken())
    co_return Failure{Why::busy, {Code::conflict, "The bucket " + name + " is being changed."}};
  if (const Bucket* present = find(name))
    co_return Failure{Why::bucket_exists,
                      {Code::already_exists, "The bucket " + present->name + " is there already."}};
  if (buckets_.size() >= parts_.limits.buckets_max)
    co_return Failure{Why::too_many_buckets,
                      {Code::resource_exhausted,
                       "There are " + std::to_string(buckets_.size()) +
                           " buckets, as many as the setting buckets.buckets_max allows."}};
  Bucket bucket{name, std::move(region), to_epoch_us(parts_.clock.wall_now())};
  Change change;
  change.transaction.require(bucket_row(name), std::nullopt).put(bucket_row(name), encode(bucket));
  auto writing = write(std::move(change));
  auto written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  buckets_.emplace(name, bucket);
  co_return bucket;
}

namespace {

// What holds a bucket back, and what goes with it.
struct Contents {
  bool objects = false;
  std::vector<std::pair<std::string, std::string>> uploads;  // key and id
};

struct LookInside {
  store::Store* store;
  std::string bucket;
  Result<Contents> operator()() const {
    Contents contents;
    const std::string objects = object_row(bucket, "");
    MAYFLY_TRY(store->scan({objects, store::prefix_end(objects), 1},
                           [&](std::string_view, std::string_view) {
                             contents.objects = true;
                             return false;
                           }));
    const std::string uploads = std::string(kUploadsPrefix) + bucket + "/";
    MAYFLY_TRY(store->scan(
        {uploads, store::prefix_end(uploads)}, [&](std::string_view row, std::string_view) {
          row.remove_prefix(uploads.size());
          const auto end = row.rfind('\0');
          if (end != std::string_view::npos)
            contents.uploads.emplace_back(row.substr(0, end), row.substr(end + 1));
          return true;
        }));
    return contents;
  }
};

}  // namespace

io::Task<Answer<void>> Buckets::remove(std::string name) {
  if (!find(name)) co_return no_bucket(name);
  Going going(going_, "b/" + name);
  if (!going.taken())
    co_return Failure{Why::busy, {Code::conflict, "The bucket " + name + " is being changed."}};
  // From here on nothing new comes; what was on its way is there once the barrier is reached.
  auto waiting = barrier();
  const Status reached = co_await std::move(waiting);
  if (reached.has_error()) co_return Failure{Why::other, reached.error()};
  LookInside look{&parts_.store, name};
  auto looking = parts_.pool.run(std::move(look));
  const auto contents = co_await std::move(looking);
  if (contents.has_error()) co_return Failure{Why::other, contents.error()};
  if (contents->objects)
    co_return Failure{Why::bucket_not_empty,
                      {Code::conflict, "The bucket " + name + " still holds objects."}};
  for (const auto& [key, id] : contents->uploads) {
    auto dropping = drop_upload(name, key, id);
    auto dropped = co_await std::move(dropping);
    if (dropped.has_error() && dropped.error().why != Why::no_such_upload)
      co_return std::move(dropped).error();
  }
  Change change;
  change.transaction.remove(bucket_row(name));
  auto writing = write(std::move(change));
  auto written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  buckets_.erase(name);
  co_return boost::system::in_place_value;
}

}  // namespace mayfly::buckets
