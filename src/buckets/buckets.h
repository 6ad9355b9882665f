#pragma once
// A store of objects: bytes under keys, in buckets. What is known of an object is in the store, its
// bytes are in files of their own (content.h), both on disk before a call answers. An object is
// there as a whole or not at all, and changes as a whole. docs/decisions/0025-buckets.md.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "buckets/content.h"
#include "buckets/rows.h"
#include "buckets/types.h"
#include "io/blocking.h"
#include "io/body.h"
#include "store/committer.h"
#include "store/store.h"

namespace mayfly::buckets {

// Holds back the removal of files for as long as it lives.
using ReadTicket = std::shared_ptr<const std::uint64_t>;

// An object that is read. Its bytes stay whatever happens to the object meanwhile.
struct Found {
  Object object;
  Segments segments;             // of an object uploaded in parts
  std::shared_ptr<os::Fd> file;  // of another one; null: no bytes
  ReadTicket ticket;             // with segments
};

// Belongs to one loop; outlives the calls that it runs.
class Buckets {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    store::Store& store;
    store::Committer& committer;
    io::BlockingPool& pool;  // for files; of its own, since a sync may take long
    const Clock& clock;
    Limits limits;
    std::string directory;
    // Commits a change together with what tells of it; conflict when a condition does not hold.
    // Null: nobody is told.
    std::function<io::Task<Status>(store::Transaction, std::vector<Happening>)> announce = nullptr;
  };
  explicit Buckets(Parts parts);

  // Reads the buckets, and removes what a killed server left half-written. Blocks.
  Status open();

  const Limits& limits() const { return parts_.limits; }
  io::BlockingPool& pool() { return parts_.pool; }

  // -- buckets
  const Bucket* find(std::string_view bucket) const;  // null: there is none
  std::vector<Bucket> list() const;                   // by name
  io::Task<Answer<Bucket>> create(std::string bucket, std::string region);
  io::Task<Answer<void>> remove(std::string bucket);
  io::Task<Answer<void>> set_bucket_tags(std::string bucket, std::string tags);
  // All of them; whoever calls has checked them.
  io::Task<Answer<void>> set_notifications(std::string bucket,
                                           std::vector<Notification> notifications);

  // -- objects
  // Bytes on their way in; write to it on pool().
  NewContentPtr new_content(Checksum algorithm, bool sha256) const;
  // More bytes are about to be kept. An error when there is no room for them.
  Answer<void> reserve(std::uint64_t bytes);
  void release(std::uint64_t bytes);
  // All of a body into content, up to limits().put_bytes_max.
  io::Task<Answer<void>> fill(NewContentPtr content, std::string first, io::BodyReaderPtr more);

  // The finished content becomes the object of that key. Of object: attributes, algorithm,
  // checksum; the rest is filled in.
  io::Task<Answer<Object>> put(std::string bucket, Object object, NewContentPtr content,
                               Precondition precondition, Cause cause = {});
  io::Task<Answer<Found>> get(std::string bucket, std::string key);
  io::BodyReaderPtr read(const Found& found, std::uint64_t at, std::uint64_t size);
  // Also when there is none. The number of objects that were there.
  io::Task<Answer<std::size_t>> remove(std::string bucket, std::vector<std::string> keys,
                                       Cause cause = {});
  // What is known of an object changes, its bytes do not. The function may be called more than
  // once; what it refuses is the answer. no_such_key.
  using Amendment = std::function<Answer<void>(Attributes& attributes)>;
  io::Task<Answer<Object>> amend(std::string bucket, std::string key, Amendment amendment,
                                 Cause cause = {});
  io::Task<Answer<ListPage>> list(ListQuery query);

  // -- uploads in parts
  io::Task<Answer<Upload>> begin_upload(std::string bucket, Upload upload);
  io::Task<Answer<Upload>> find_upload(std::string bucket, std::string key, std::string id);
  io::Task<Answer<Part>> put_part(std::string bucket, Upload upload, std::uint32_t number,
                                  NewContentPtr content);
  struct NamedPart {
    std::uint32_t number = 0;
    std::string etag;      // hex
    std::string checksum;  // base64; "": not named
  };
  struct Completion {
    std::vector<NamedPart> parts;
    std::string checksum;               // of the object, as it must be; "": not said
    std::optional<std::uint64_t> size;  // the same
    Precondition precondition;
  };
  io::Task<Answer<Object>> complete_upload(std::string bucket, Upload upload, Completion completion,
                                           Cause cause = {});
  io::Task<Answer<void>> abort_upload(std::string bucket, std::string key, std::string id);
  // Parts behind after, at most limit.
  io::Task<Answer<std::vector<Part>>> list_parts(std::string bucket, std::string key,
                                                 std::string id, std::uint32_t after,
                                                 std::size_t limit);
  // In the order of keys and ids; query.after is a key, after_id an upload of it.
  io::Task<Answer<UploadPage>> list_uploads(ListQuery query, std::string after_id);

  std::uint64_t bytes_kept() const { return bytes_; }
  // No files are being removed; before the loop ends.
  bool idle() const { return !sweeping_; }

 private:
  struct Garbage {
    std::uint64_t ticket;
    std::vector<std::string> files;
  };
  // Names a bucket or an upload that is about to go, for as long as it lives.
  class Going;

  // A transaction, what it does to the bytes that are kept, and the files that it lets go.
  struct Change {
    store::Transaction transaction;
    std::int64_t bytes = 0;
    std::vector<std::string> garbage;
    std::vector<Happening> happenings;
    void refer(const std::string& file);  // "": none
    void let_go(const std::string& file);
  };
  Failure no_bucket(std::string_view bucket) const;
  bool is_there(std::string_view bucket) const;  // and not about to go
  io::Task<Answer<void>> write(Change change);
  // Adds what the bucket's notifications want to know.
  void tell(Change& change, const std::string& bucket, const Object& object,
            const Cause& cause) const;
  io::Task<Answer<void>> change_bucket(std::string bucket,
                                       const std::function<void(Bucket&)>* apply);
  // All that was written before is seen by reads from now on.
  io::Task<Status> barrier();
  io::Task<Answer<void>> settle(NewContentPtr content);
  io::Task<void> discard(NewContentPtr content);
  void kept(const NewContentPtr& content);
  // base: what goes along.
  io::Task<Answer<Object>> replace(std::string bucket, Object object, Segments segments,
                                   Precondition precondition, Change base, Cause cause);
  io::Task<Answer<void>> drop_upload(std::string bucket, std::string key, std::string id);
  Status clear_leavings();
  ReadTicket take_ticket();
  void sweep();
  io::Task<void> sweep_all();

  Parts parts_;
  ContentFiles files_;
  std::map<std::string, Bucket, std::less<>> buckets_;
  std::set<std::string> going_;  // "b/BUCKET", "t/BUCKET" (its tags), "u/UPLOAD"
  std::uint64_t bytes_ = 0, reserved_ = 0;
  std::size_t uploads_ = 0;

  std::uint64_t next_ticket_ = 1;
  std::shared_ptr<std::set<std::uint64_t>> reading_ = std::make_shared<std::set<std::uint64_t>>();
  std::deque<Garbage> garbage_;
  std::vector<std::string> arrived_;  // files whose second name may go
  bool sweeping_ = false;
  std::shared_ptr<Buckets*> self_ = std::make_shared<Buckets*>(this);  // for tickets
};

// Room in the store of buckets, for as long as it lives.
class Reserved {
 public:
  explicit Reserved(Buckets& buckets) : buckets_(buckets) {}
  Reserved(const Reserved&) = delete;
  Reserved& operator=(const Reserved&) = delete;
  ~Reserved() { buckets_.release(bytes_); }
  Answer<void> add(std::uint64_t bytes);

 private:
  Buckets& buckets_;
  std::uint64_t bytes_ = 0;
};

}  // namespace mayfly::buckets
