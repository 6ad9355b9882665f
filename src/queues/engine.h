#pragma once
// Durable queues, below every dialect: what a queue engine must do. The embedded engine keeps them
// on the store (embedded.h); in a cluster NATS JetStream keeps them, behind the same contract and
// the same test file. Names, limits and defaults are those of Amazon SQS (API version 2012-11-05),
// for the users of which they are standard terms.
//
// An engine belongs to one event loop. Whatever it answers is durable before the answer, but for
// the state of receiving (visibility, counts): that survives a killed process, not a power cut.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/body.h"
#include "store/store.h"

namespace mayfly::queues {

struct QueueSettings {
  bool fifo = false;
  bool content_deduplication = false;  // fifo: a body without an id is its own id (SHA-256)
  bool deduplicate_by_group = false;   // fifo: DeduplicationScope messageGroup
  std::uint32_t visibility_timeout_s = 30;
  std::uint32_t delay_s = 0;
  std::uint32_t retention_s = 345'600;
  std::uint32_t message_bytes_max = 1'048'576;  // body and attributes
  std::uint32_t receive_wait_s = 0;
  std::string dead_letter_queue;        // name; empty: none
  std::uint32_t receive_count_max = 0;  // then a message goes to dead_letter_queue
  // What dialects keep for their clients and engines do not look into (Policy, KmsMasterKeyId ...).
  std::map<std::string, std::string> other;
};

struct QueueInfo {
  std::string name;  // fifo: ends with .fifo
  QueueSettings settings;
  std::map<std::string, std::string> tags;
  WallTime created, modified;
};
using QueuePtr = std::shared_ptr<const QueueInfo>;  // a snapshot: a change makes a new one

struct MessageAttribute {
  std::string name;
  std::string type;   // String, Number or Binary, with an optional label: "Number.int"
  std::string value;  // the bytes of a Binary, not their base64
};

struct NewMessage {
  std::string body;
  std::vector<MessageAttribute> attributes;
  std::string trace_header;              // AWSTraceHeader; may be empty
  std::string sender;                    // who sent it; may be empty
  std::optional<std::uint32_t> delay_s;  // default: the queue's
  std::string group;                     // fifo: wanted; standard: a label that is kept
  std::string deduplication_id;          // fifo: or content_deduplication
};

struct Sent {
  std::string message_id;      // a duplicate gets the id of the first
  std::uint64_t sequence = 0;  // grows within a queue; clients see it for fifo
  bool duplicate = false;
};

struct Message {
  std::string id;
  std::string receipt;  // stands for this one reception
  std::string body;
  std::vector<MessageAttribute> attributes;
  std::string trace_header, sender, group, deduplication_id;
  std::uint64_t sequence = 0;
  WallTime sent, first_received;
  std::uint32_t receive_count = 0;  // with this reception
  std::string dead_letter_source;   // name of the queue that it came from
  std::string dead_letter_reason;   // a sentence; empty but for dead letters
};

struct ReceiveOptions {
  std::uint32_t max = 1;
  std::optional<std::uint32_t> visibility_s;  // default: the queue's
  milliseconds wait{0};                       // for the first message
  std::string attempt_id;                     // fifo: ReceiveRequestAttemptId
};

struct Counts {
  std::uint64_t visible = 0, in_flight = 0, delayed = 0;
  std::optional<WallTime> oldest;  // when the oldest was sent
};

struct Receipt {
  std::string queue, receipt;
};

// Changes that happen together or not at all (design decision 8): messages are sent, messages that
// are held are done, keys of other rooms are written.
struct Batch {
  std::vector<std::pair<std::string, NewMessage>> sends;  // queue, message
  std::vector<Receipt> done;  // conflict when one is not held by this receipt any more
  store::Transaction also;    // conflict when a condition does not hold
};

class QueueEngine {
 public:
  virtual ~QueueEngine() = default;

  // already_exists when there is one of this name with other settings; the same settings are ok.
  virtual io::Task<Status> create(QueueInfo info) = 0;
  // Settings and tags; fifo cannot change. not_found; conflict when the queue is not as it was in
  // basis any more (null: whatever it is).
  virtual io::Task<Status> update(QueueInfo info, QueuePtr basis = nullptr) = 0;
  // With all of its messages. not_found.
  virtual io::Task<Status> remove(std::string name) = 0;
  virtual QueuePtr find(const std::string& name) const = 0;
  virtual std::vector<QueuePtr> list() const = 0;  // by name
  virtual Result<Counts> counts(const std::string& name) const = 0;

  // One result for each message, in order. invalid_argument, too_large, not_found, io_error (disk
  // full). Messages that fit go in even when others of the call do not.
  virtual io::Task<std::vector<Result<Sent>>> send(std::string queue,
                                                   std::vector<NewMessage> messages) = 0;
  // At most options.max; empty when none came in time. Cancelling it takes no message. A message
  // that has been received receive_count_max times goes to the dead letters in place of this, and
  // is durable there before the call returns.
  virtual io::Task<Result<std::vector<Message>>> receive(std::string queue,
                                                         ReceiveOptions options) = 0;
  // The message is done: it does not come back. Of a message that is gone already: ok. One status
  // for each receipt; invalid_argument for what is no receipt of this queue.
  virtual io::Task<std::vector<Status>> settle(std::string queue,
                                               std::vector<std::string> receipts) = 0;
  // The messages stay hidden for so many seconds from now; 0 gives them back at once. Not found or
  // not held: not_found, as a Status of its own.
  struct Visibility {
    std::string receipt;
    std::uint32_t seconds = 0;
    bool uncount = false;  // this reception does not count: nobody tried to handle the message
  };
  virtual io::Task<std::vector<Status>> change_visibility(std::string queue,
                                                          std::vector<Visibility> changes) = 0;
  // Moves held messages to another queue with a reason, in one step.
  virtual io::Task<Status> dead_letter(std::string queue, std::vector<std::string> receipts,
                                       std::string to, std::string reason) = 0;
  // Moves up to max visible messages from one queue to another (redrive); to empty: each to the
  // queue that it came from. How many were moved.
  virtual io::Task<Result<std::uint32_t>> move(std::string from, std::string to,
                                               std::uint32_t max) = 0;
  virtual io::Task<Status> purge(std::string queue) = 0;
  // Looks at up to max messages, oldest first, without receiving them; the receipts are empty.
  virtual io::Task<Result<std::vector<Message>>> peek(std::string queue, std::uint32_t max) = 0;

  virtual io::Task<Result<std::vector<Sent>>> commit(Batch batch) = 0;

  // No new work; resumes when all that was begun is durable. Waiting receives end empty.
  virtual io::Task<void> stop() = 0;
};

}  // namespace mayfly::queues
