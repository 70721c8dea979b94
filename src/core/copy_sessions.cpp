#include "websession/copy_sessions.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "invalid.hpp"
#include "kept_keys.hpp"
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
      : from_(from),
        to_(to),
        options_(options),
        progress_(options.after.is_done ? CopyProgress() : options.after) {}

  Result<CopyProgress> run() {
    if (!progress_.is_removing) {
      auto copied =
          go_through(*from_.directory(), [this](const StoreKey& key) { return copy(key); });
      if (!copied.has_value()) return std::move(copied).error();
      if (!*copied) return progress_;
      if (options_.remove_ended) {
        if (!has_seen_any()) return nothing_to_copy();
        progress_.is_removing = true;
        if (!tell()) return progress_;
      }
    }
    if (progress_.is_removing) {
      auto removed = go_through(*to_.directory(), [this](const StoreKey& key) { return end(key); });
      if (!removed.has_value()) return std::move(removed).error();
      if (!*removed) return progress_;
    }
    progress_.is_done = true;
    static_cast<void>(tell());
    return progress_;
  }

 private:
  [[nodiscard]] bool tell() const { return !options_.on_page || options_.on_page(progress_); }
  [[nodiscard]] bool has_seen_any() const {
    return progress_.copied + progress_.replaced + progress_.unchanged + progress_.unreadable +
               progress_.refused >
           0;
  }
  static Error nothing_to_copy() {
    return internal::invalid(
        "copy_sessions: there is no session in `from` (another prefix, or another file?), so all "
        "of "
        "`to` would end: nothing was done. If that is right, set remove_ended = false");
  }

  // False: it was told to stop. After the last page the caller tells.
  template <class Each>
  Result<bool> go_through(SessionDirectory& directory, const Each& each) {
    while (true) {
      Result<DirectoryPage> page = directory.page(progress_.next, options_.page);
      if (!page) return std::move(page).error();
      for (const StoreKey& key : page->keys) {
        if (auto done = each(key); !done) return std::move(done).error();
      }
      progress_.next = std::move(page->next);
      if (page->is_last) {
        progress_.next = DirectoryCursor();
        return true;
      }
      if (!tell()) return false;
    }
  }

  Result<void> copy(const StoreKey& key) {
    if (auto fits = check_placement(key); !fits) return fits;
    const Result<std::optional<Record>> record = from_.load(key);
    if (!record.has_value()) {
      if (record.error().code != Errc::corrupt) return record.error();
      ++progress_.unreadable;
      return leave_out(key);
    }
    if (!*record || (*record)->frozen) return {};
    // Some stores have sessions of other programs, which count from when they are first seen, and
    // may have no end.
    const Fields& found = (*record)->fields;
    const Fields fields = found.contains(created_field) ? found : with_created(found, now_text());
    const bool has_end = (*record)->remaining > milliseconds(0);
    const Lifetime lifetime{
        std::clamp(has_end ? (*record)->remaining : options_.ttl_if_none, milliseconds(1), ttl_max),
        principal_of(fields)};
    for (int attempt = 1; attempt <= attempts_max; ++attempt) {
      const Result<void> created = to_.create(key, fields, lifetime);
      if (created) {
        ++progress_.copied;
        return {};
      }
      if (created.error().code != Errc::key_exists) return not_taken(key, created.error());
      const Result<bool> same = make_same(key, found, lifetime, has_end);
      if (!same.has_value()) return not_taken(key, same.error());
      if (*same) return {};
    }
    // Its mark is there: it has ended in the target, or been replaced.
    ++progress_.unchanged;
    return {};
  }

  Result<void> not_taken(const StoreKey& key, const Error& error) {
    if (error.code != Errc::invalid_argument && error.code != Errc::too_large) return error;
    ++progress_.refused;
    return leave_out(key);
  }

  // What an earlier call has copied of it is of yesterday.
  Result<void> leave_out(const StoreKey& key) {
    if (!options_.remove_ended) return {};
    const Result<bool> erased = to_.erase(key, {});
    if (!erased.has_value()) return erased.error();
    return {};
  }

  static std::string now_text() { return internal::created_text(system_clock()->wall()); }
  static Fields with_created(const Fields& found, std::string_view created) {
    std::vector<Field> fields(found.begin(), found.end());
    fields.push_back({created_field, created});
    return Fields(fields);
  }

  // False: there is no session to be changed.
  Result<bool> make_same(const StoreKey& key, const Fields& found, Lifetime lifetime,
                         bool has_end) {
    const Result<std::optional<Record>> present = to_.load(key);
    if (!present.has_value()) {
      if (present.error().code != Errc::corrupt) return present.error();
      // Nobody can read it, so it is made anew.
      const Result<bool> erased = to_.erase(key, {});
      if (!erased.has_value()) return erased.error();
      return false;
    }
    if (!*present || (*present)->frozen) return false;
    const Fields& there = (*present)->fields;
    const std::string created(there.find(created_field).value_or(now_text()));
    const Fields fields = found.contains(created_field) ? found : with_created(found, created);
    const bool is_kept = !options_.remove_ended && !is_session(key);
    // What it has left differs by the time that passes here.
    constexpr milliseconds slack = std::chrono::seconds(2);
    const milliseconds difference = (*present)->remaining - lifetime.ttl;
    const bool same_time = !has_end || (difference < slack && difference > -slack);
    if ((there == fields && same_time) || (is_kept && internal::is_count_key(key))) {
      ++progress_.unchanged;
      return true;
    }
    lifetime.shortens = !is_kept;
    const Changes changes = there == fields ? Changes()
                            : is_kept       ? addition(fields)
                                            : replacement(there, fields);
    const Result<Outcome> outcome = to_.update(key, changes, lifetime);
    if (!outcome) return outcome.error();
    if (outcome->status != Outcome::Status::applied) return false;
    ++progress_.replaced;
    return true;
  }

  // What the library keeps there stays, beside what it keeps here.
  static Changes addition(const Fields& fields) {
    Changes changes;
    for (const Field& field : fields) {
      if (field.name.starts_with('@')) continue;
      changes.set.push_back({std::string(field.name), std::string(field.value), field.deadline});
    }
    return changes;
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

  // What is no session there is somebody else's.
  Result<void> end(const StoreKey& key) {
    const Result<std::optional<Record>> record = from_.load(key);
    if (!record.has_value()) {
      return record.error().code == Errc::corrupt ? Result<void>() : record.error();
    }
    if (*record && !(*record)->frozen) return {};
    const Result<std::optional<Record>> there = to_.load(key);
    if (!there.has_value()) {
      return there.error().code == Errc::corrupt ? Result<void>() : there.error();
    }
    if (!*there || (*there)->frozen || !(*there)->fields.contains(created_field)) return {};
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
        "store a prefix with a {tag}, or let these sessions end");
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
  const bool removes = options.remove_ended;
  if (removes && to.directory() == nullptr) {
    Error error = no_session_directory();
    error.detail = "copy_sessions, to: " + error.detail + "; or set remove_ended = false";
    return error;
  }
  if (options.page < 1 || options.page > SessionDirectory::page_max) {
    return invalid("CopyOptions::page: must be 1 to 10,000");
  }
  if (options.ttl_if_none < milliseconds(1) || options.ttl_if_none > ttl_max) {
    return invalid("CopyOptions::ttl_if_none: must be 1 ms to 400 days");
  }
  if (&from == &to) return invalid("copy_sessions: from and to are one store");
  return Copy(from, to, options).run();
}

}  // namespace websession
