#include "websession/copy_sessions.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "invalid.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "session_keys.hpp"
#include "websession/clock.hpp"

namespace websession {
namespace {

using std::chrono::milliseconds;

// Others use the target as well, and may end or make the session between two steps.
constexpr int attempts_max = 4;

class Copy {
 public:
  Copy(SessionStore& from, SessionStore& to, const CopyOptions& options)
      : from_(from), to_(to), options_(options), progress_(options.after) {}

  Result<CopyProgress> run() {
    if (!progress_.is_removing) {
      auto copied =
          go_through(*from_.directory(), [this](const StoreKey& key) { return copy(key); });
      if (!copied.has_value()) return std::move(copied).error();
      if (!*copied || !options_.remove_ended) return progress_;
      progress_.is_removing = true;
      if (!tell()) return progress_;
    }
    auto removed = go_through(*to_.directory(), [this](const StoreKey& key) { return end(key); });
    if (!removed.has_value()) return std::move(removed).error();
    return progress_;
  }

 private:
  [[nodiscard]] bool tell() const { return !options_.on_page || options_.on_page(progress_); }

  // False: it was told to stop.
  template <class Each>
  Result<bool> go_through(SessionDirectory& directory, const Each& each) {
    while (true) {
      Result<DirectoryPage> page = directory.page(progress_.next, options_.page);
      if (!page) return std::move(page).error();
      for (const StoreKey& key : page->keys) {
        if (auto done = each(key); !done) return std::move(done).error();
      }
      progress_.next = std::move(page->next);
      if (page->is_last) progress_.next = DirectoryCursor();
      if (page->is_last && !progress_.is_removing && options_.remove_ended) return true;
      if (!tell()) return false;
      if (page->is_last) return true;
    }
  }

  // None: there is none, or it is over, or cannot be read.
  Result<std::optional<Record>> held(SessionStore& store, const StoreKey& key) {
    Result<std::optional<Record>> record = store.load(key);
    if (!record.has_value()) {
      if (record.error().code != Errc::corrupt) return record;
      if (&store == &from_) ++progress_.unreadable;
      return std::optional<Record>();
    }
    if (*record && (*record)->frozen) return std::optional<Record>();
    return record;
  }

  Result<void> copy(const StoreKey& key) {
    if (auto fits = check_placement(key); !fits) return fits;
    Result<std::optional<Record>> record = held(from_, key);
    if (!record.has_value()) return std::move(record).error();
    if (!*record) return {};
    // Some stores have sessions of other programs, which count from when they are first seen.
    const Fields& found = (*record)->fields;
    const Fields fields = found.contains(created_field) ? found : with_created(found, now_text());
    const Lifetime lifetime{std::clamp((*record)->remaining, milliseconds(1), ttl_max),
                            principal_of(fields)};
    Result<void> done;
    for (int attempt = 1; attempt <= attempts_max; ++attempt) {
      done = to_.create(key, fields, lifetime);
      if (done) {
        ++progress_.copied;
        return {};
      }
      if (done.error().code != Errc::key_exists) break;
      const Result<bool> same = make_same(key, found, lifetime);
      if (same.has_value() && *same) return {};
      if (!same.has_value()) done = same.error();
      if (!same.has_value()) break;
    }
    const std::error_code code = done.error().code;
    if (code == Errc::key_exists) {
      // Its mark is there: it has ended in the target, or been replaced.
      ++progress_.unchanged;
      return {};
    }
    if (code != Errc::invalid_argument && code != Errc::too_large) return done;
    ++progress_.refused;
    return {};
  }

  static std::string now_text() { return internal::created_text(system_clock()->wall()); }
  static Fields with_created(const Fields& found, std::string_view created) {
    std::vector<Field> fields(found.begin(), found.end());
    fields.push_back({created_field, created});
    return Fields(fields);
  }

  // False: there is no session to be changed.
  Result<bool> make_same(const StoreKey& key, const Fields& found, Lifetime lifetime) {
    const Result<std::optional<Record>> present = held(to_, key);
    if (!present.has_value()) return present.error();
    if (!*present) return false;
    const std::string created((*present)->fields.find(created_field).value_or(now_text()));
    const Fields fields = found.contains(created_field) ? found : with_created(found, created);
    // What it has left differs by the time that passes here.
    constexpr milliseconds slack = std::chrono::seconds(2);
    const milliseconds difference = (*present)->remaining - lifetime.ttl;
    const bool same_fields = (*present)->fields == fields;
    if (same_fields && difference < slack && difference > -slack) {
      ++progress_.unchanged;
      return true;
    }
    lifetime.shortens = true;
    const Result<Outcome> outcome = to_.update(
        key, same_fields ? Changes() : replacement((*present)->fields, fields), lifetime);
    if (!outcome) return outcome.error();
    if (outcome->status != Outcome::Status::applied) return false;
    ++progress_.replaced;
    return true;
  }

  // All that is there goes, whatever is written meanwhile.
  static Changes replacement(const Fields& present, const Fields& fields) {
    Changes changes;
    changes.clear = true;
    changes.clear_reserved = true;
    for (const Field& field : fields) {
      changes.set.push_back({std::string(field.name), std::string(field.value), field.deadline});
    }
    const bool was_somebodys = present.contains(user_field) && !fields.contains(user_field);
    if (was_somebodys) changes.remove.emplace_back(user_field);
    return changes;
  }

  Result<void> end(const StoreKey& key) {
    const Result<std::optional<Record>> record = from_.load(key);
    if (!record.has_value()) {
      return record.error().code == Errc::corrupt ? Result<void>() : record.error();
    }
    if (*record && !(*record)->frozen) return {};
    const Result<bool> erased = to_.erase(key, {});
    if (!erased.has_value()) return erased.error();
    if (*erased) ++progress_.ended;
    return {};
  }

  // A hashed key says where it lies on a Cluster, for which the id is needed.
  Result<void> check_placement(const StoreKey& key) const {
    const bool differ = (from_.placement() == nullptr) != (to_.placement() == nullptr);
    if (!differ || !internal::is_hashed(key)) return {};
    return internal::invalid(
        "copy_sessions: hashed ids (IdStorage) cannot be taken to a Redis Cluster, nor away from "
        "one: their keys say in which slot the id lies, and the id is not known. Give the "
        "Cluster's "
        "store a prefix with a {tag} on both sides, or let these sessions end");
  }

  SessionStore& from_;
  SessionStore& to_;
  const CopyOptions& options_;
  CopyProgress progress_;
};

}  // namespace

Result<CopyProgress> copy_sessions(SessionStore& from, SessionStore& to,
                                   const CopyOptions& options) {
  using internal::invalid;
  if (from.directory() == nullptr) {
    Error error = no_session_directory();
    error.detail = "copy_sessions, from: " + error.detail;
    return error;
  }
  const bool removes = options.remove_ended || options.after.is_removing;
  if (removes && to.directory() == nullptr) {
    Error error = no_session_directory();
    error.detail = "copy_sessions, to: " + error.detail + "; or set remove_ended = false";
    return error;
  }
  if (options.page < 1 || options.page > SessionDirectory::page_max) {
    return invalid("CopyOptions::page: must be 1 to 10,000");
  }
  if (&from == &to) return invalid("copy_sessions: from and to are one store");
  return Copy(from, to, options).run();
}

}  // namespace websession
