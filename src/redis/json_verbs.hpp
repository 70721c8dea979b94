// The verbs of a RedisJsonStore, step by step, whoever sends the commands (call_flow.hpp).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "call_flow.hpp"
#include "directory.hpp"
#include "json_operations.hpp"
#include "websession/clock.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// Each is what SessionStore says. Immutable, so safe to share between threads.
class JsonVerbs {
 public:
  explicit JsonVerbs(RedisJsonOptions options);

  Task<Result<std::optional<Record>>> load(CallFlow& flow, const StoreKey& key) const;
  Task<Result<void>> create(CallFlow& flow, const StoreKey& key, const Fields& fields,
                            Lifetime lifetime) const;
  Task<Result<Outcome>> update(CallFlow& flow, const StoreKey& key, const Changes& changes,
                               Lifetime lifetime) const;
  Task<Result<Outcome>> rekey(CallFlow& flow, const StoreKey& from, const StoreKey& to,
                              const Changes& changes, Lifetime lifetime, Grace grace) const;
  Task<Result<bool>> erase(CallFlow& flow, const StoreKey& key, Grace grace) const;
  Task<Result<DirectoryPage>> page(CallFlow& flow, const DirectoryCursor& after,
                                   std::size_t about) const {
    return list_page(flow, listed_, after, about);
  }
  Task<Result<SessionCount>> count(CallFlow& flow) const { return count_keys(flow, listed_); }

 private:
  [[nodiscard]] JsonKeys keys(const StoreKey& key) const { return {prefix_, key}; }
  [[nodiscard]] Result<std::optional<Record>> record(std::string_view text,
                                                     std::chrono::milliseconds left) const;
  Task<Result<std::optional<Record>>> load_mark(CallFlow& flow, const JsonKeys& where,
                                                std::string_view text) const;
  template <class MakeNext, class Append>
  Task<Result<Outcome>> change_text(CallFlow& flow, Result<Held>& found, Repeat repeat,
                                    MakeNext make_next, Append append) const;

  const std::string prefix_;
  const ExpressCookie cookie_;
  const std::size_t record_bytes_max_;
  const std::shared_ptr<const Clock> clock_;
  const Listed listed_{prefix_, "string", record_bytes_max_};
};

}  // namespace websession::redis
