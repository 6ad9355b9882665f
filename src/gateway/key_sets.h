#pragma once
// The keys of JWT authorizers: given with the application, or fetched and kept for a while. Belongs
// to one loop.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "functions/api.h"
#include "identity/jwt.h"
#include "io/body.h"

namespace mayfly::gateway {

// The body of a 2xx answer to GET url.
using FetchText = std::function<io::Task<Result<std::string>>(std::string url)>;
using KeySetPtr = std::shared_ptr<const identity::KeySet>;

class KeySets {
 public:
  KeySets(FetchText fetch, const Clock& clock) : fetch_(std::move(fetch)), clock_(clock) {}

  enum class Want { any, fresh };  // fresh: a token named a key that was not among those kept
  // When nothing newer can be had, what is kept stays in use.
  io::Task<Result<KeySetPtr>> keys(functions::Authorizer authorizer, Want want);

 private:
  struct Kept {
    KeySetPtr keys;
    SteadyTime fetched;
  };
  io::Task<Result<KeySetPtr>> fetch(const functions::Authorizer& authorizer);

  FetchText fetch_;
  const Clock& clock_;
  std::map<std::string, Kept> kept_;  // by place, or by the set itself
};

}  // namespace mayfly::gateway
