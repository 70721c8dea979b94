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
#include "websession/key_placement.hpp"

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
        if (auto safe = check_target(); !safe) return std::move(safe).error();
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
  // Whether what only the target has may be ended.
  Result<void> check_target() {
    const bool has_seen_any =
        progress_.copied + progress_.replaced + progress_.unchanged + progress_.refused > 0;
    if (has_seen_any) return {};
    const Result<SessionCount> there = to_.directory()->count();
    if (!there) return there.error();
    if (there->sessions == 0) return {};
    return internal::invalid(
        "copy_sessions: there is no session in `from` that can be read (another prefix, file or "
        "secret?), so all of `to` would end: nothing has. If that is right, set remove_ended = "
        "false");
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
      count(key, progress_.unreadable);
      return {};
    }
    if (!*record || (*record)->frozen) return {};
    // Some stores have sessions of other programs, which count from when they are first seen, and
    // may have no end.
    const Fields& found = (*record)->fields;
    const Fields fields =
        found.contains(created_field) ? found : internal::with_created(found, now_text());
    const bool has_end = (*record)->remaining > milliseconds(0);
    const Lifetime lifetime{
        std::clamp(has_end ? (*record)->remaining : options_.ttl_if_none, milliseconds(1), ttl_max),
        principal_of(fields)};
    for (int attempt = 1; attempt <= attempts_max; ++attempt) {
      const Result<void> created = to_.create(key, fields, lifetime);
      if (created) {
        count(key, progress_.copied);
        return {};
      }
      if (created.error().code != Errc::key_exists) return not_taken(key, created.error());
      const Result<bool> same = make_same(key, found, lifetime, has_end);
      if (!same.has_value()) return not_taken(key, same.error());
      if (*same) return {};
    }
    // Its mark is there: it has ended in the target, or been replaced.
    count(key, progress_.unchanged);
    return {};
  }

  static void count(const StoreKey& key, std::uint64_t& what) {
    if (is_session(key)) ++what;
  }

  Result<void> not_taken(const StoreKey& key, const Error& error) {
    if (error.code != Errc::invalid_argument && error.code != Errc::too_large) return error;
    count(key, progress_.refused);
    // What an earlier call has copied of it is of yesterday.
    return options_.remove_ended ? erase(key) : Result<void>();
  }

  Result<void> erase(const StoreKey& key) {
    const Result<bool> erased = to_.erase(key, {});
    if (!erased.has_value()) return erased.error();
    if (*erased) count(key, progress_.ended);
    return {};
  }

  static std::string now_text() { return internal::created_text(system_clock()->wall()); }

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
    const Fields fields =
        found.contains(created_field) ? found : internal::with_created(found, created);
    const bool is_kept = !options_.remove_ended && !is_session(key);
    // What it has left differs by the time that passes here.
    constexpr milliseconds slack = std::chrono::seconds(2);
    const milliseconds difference = (*present)->remaining - lifetime.ttl;
    const bool same_time = !has_end || (difference < slack && difference > -slack);
    if ((there == fields && same_time) || (is_kept && internal::is_count_key(key))) {
      count(key, progress_.unchanged);
      return true;
    }
    lifetime.shortens = !is_kept;
    const Changes changes = there == fields ? Changes()
                            : is_kept       ? addition(fields)
                                            : replacement(there, fields);
    const Result<Outcome> outcome = to_.update(key, changes, lifetime);
    if (!outcome) return outcome.error();
    if (outcome->status != Outcome::Status::applied) return false;
    count(key, progress_.replaced);
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
    return erase(key);
  }

  // A hashed key says where its id lies on a Cluster, by the prefix, and the id is not known.
  Result<void> check_placement(const StoreKey& key) const {
    if (!internal::is_hashed(key) || lie_alike_) return {};
    return internal::invalid(
        "copy_sessions: hashed ids (IdStorage) would not be found there: on a Redis Cluster their "
        "keys say in which slot the id lies, by the prefix. Copy from and to Clusters with the "
        "same prefix, or between stores that are none and those whose prefix has a {tag}; or let "
        "these "
        "sessions end");
  }
  // Whether ids lead to the same keys in both.
  static bool lies_alike(const SessionStore& from, const SessionStore& to) {
    const auto there = from.placement();
    const auto here = to.placement();
    constexpr int ids = 8;  // that two prefixes put all of these into the same slots is unlikely
    for (int i = 0; i < ids; ++i) {
      const Result<SessionId> id = SessionId::generate();
      if (!id) return false;
      const std::string tag = there != nullptr ? there->tag_of(*id) : std::string();
      if (tag != (here != nullptr ? here->tag_of(*id) : std::string())) return false;
    }
    return true;
  }

  SessionStore& from_;
  SessionStore& to_;
  const CopyOptions& options_;
  CopyProgress progress_;
  const bool lie_alike_ = lies_alike(from_, to_);
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
  if (options.remove_ended && to.directory() == nullptr) {
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
