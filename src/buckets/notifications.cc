// Who is told of changes of objects. Pure but for the lists of a bucket.

#include <algorithm>

#include "buckets/buckets.h"
#include "buckets/going.h"

namespace mayfly::buckets {
namespace {

constexpr std::size_t kNotificationsMax = 100, kNotificationIdMax = 255;

// Those that happen here, and those of S3 that never do.
constexpr std::string_view kEvents[] = {"ObjectCreated:*",
                                        "ObjectCreated:Put",
                                        "ObjectCreated:Post",
                                        "ObjectCreated:Copy",
                                        "ObjectCreated:CompleteMultipartUpload",
                                        "ObjectRemoved:*",
                                        "ObjectRemoved:Delete",
                                        "ObjectRemoved:DeleteMarkerCreated",
                                        "ObjectRestore:*",
                                        "ObjectRestore:Post",
                                        "ObjectRestore:Completed",
                                        "ObjectRestore:Delete",
                                        "ObjectTagging:*",
                                        "ObjectTagging:Put",
                                        "ObjectTagging:Delete",
                                        "ObjectAcl:Put",
                                        "ReducedRedundancyLostObject",
                                        "Replication:*",
                                        "Replication:OperationFailedReplication",
                                        "Replication:OperationNotTracked",
                                        "Replication:OperationMissedThreshold",
                                        "Replication:OperationReplicatedAfterThreshold",
                                        "LifecycleTransition",
                                        "IntelligentTiering",
                                        "LifecycleExpiration:*",
                                        "LifecycleExpiration:Delete",
                                        "LifecycleExpiration:DeleteMarkerCreated"};

// "ObjectCreated:*" of a configuration, "ObjectCreated:Put" of what happened or of another one.
bool names_event(std::string_view pattern, std::string_view event) {
  if (pattern == event) return true;
  return pattern.ends_with(":*") && event.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool share_event(const Notification& a, const Notification& b) {
  for (const auto& one : a.events)
    for (const auto& other : b.events)
      if (names_event(one, other) || names_event(other, one)) return true;
  return false;
}

}  // namespace

bool Notification::wants(std::string_view event, std::string_view key) const {
  if (!key.starts_with(prefix) || !key.ends_with(suffix)) return false;
  for (const auto& one : events)
    if (names_event(one, event)) return true;
  return false;
}

bool overlap(const Notification& a, const Notification& b) {
  const bool prefixes = a.prefix.starts_with(b.prefix) || b.prefix.starts_with(a.prefix);
  const bool suffixes = a.suffix.ends_with(b.suffix) || b.suffix.ends_with(a.suffix);
  return prefixes && suffixes && share_event(a, b);
}

Status check_notifications(const std::vector<Notification>& notifications) {
  if (notifications.size() > kNotificationsMax)
    return invalid("A bucket may have 100 notification configurations.");
  for (std::size_t i = 0; i < notifications.size(); ++i) {
    const Notification& one = notifications[i];
    if (one.id.empty() || one.id.size() > kNotificationIdMax)
      return invalid("The id of a notification has 1 to 255 characters.");
    if (one.prefix.size() > kKeyBytesMax || one.suffix.size() > kKeyBytesMax)
      return invalid("The value of a filter rule may have 1024 bytes.");
    if (one.events.empty()) return invalid("The notification " + one.id + " names no event.");
    for (const auto& event : one.events)
      if (std::find(std::begin(kEvents), std::end(kEvents), event) == std::end(kEvents))
        return invalid("The event 's3:" + event.substr(0, 100) +
                       "' is not supported for notifications");
    for (std::size_t k = 0; k < i; ++k) {
      if (notifications[k].id == one.id)
        return invalid("Same ID used for multiple configurations.");
      if (overlap(notifications[k], one))
        return invalid(
            "Configurations overlap. Configurations on the same bucket cannot share a common "
            "event type.");
    }
  }
  return ok();
}

void Buckets::tell(Change& change, const std::string& bucket, const Object& object,
                   const Cause& cause) const {
  const Bucket* found = find(bucket);
  if (!found || cause.event.empty()) return;
  for (const auto& notification : found->notifications) {
    if (!notification.wants(cause.event, object.key)) continue;
    change.happenings.push_back({notification.id, notification.target, bucket, found->region,
                                 object.key, object.etag, object.size,
                                 to_epoch_us(parts_.clock.wall_now()), cause});
  }
}

io::Task<Answer<void>> Buckets::set_notifications(std::string name,
                                                  std::vector<Notification> notifications) {
  std::function<void(Bucket&)> apply = [&notifications](Bucket& bucket) {
    bucket.notifications = notifications;
  };
  auto changing = change_bucket(std::move(name), &apply);
  co_return co_await std::move(changing);
}

io::Task<Answer<void>> Buckets::set_bucket_tags(std::string name, std::string tags) {
  std::function<void(Bucket&)> apply = [&tags](Bucket& bucket) { bucket.tags = tags; };
  auto changing = change_bucket(std::move(name), &apply);
  co_return co_await std::move(changing);
}

io::Task<Answer<void>> Buckets::change_bucket(std::string name,
                                              const std::function<void(Bucket&)>* apply) {
  const Failure busy{Why::busy, {Code::conflict, "The bucket " + name + " is being changed."}};
  if (!is_there(name)) co_return no_bucket(name);
  Going going(going_, "t/" + name);
  if (!going.taken()) co_return busy;
  Bucket bucket = *find(name);
  Change change;
  change.transaction.require(bucket_row(name), encode(bucket));  // a removal may get ahead
  (*apply)(bucket);
  change.transaction.put(bucket_row(name), encode(bucket));
  auto writing = write(std::move(change));
  auto written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  if (const auto found = buckets_.find(name); found != buckets_.end())
    found->second = std::move(bucket);
  co_return boost::system::in_place_value;
}

}  // namespace mayfly::buckets
