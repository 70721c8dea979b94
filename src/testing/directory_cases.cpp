// All sessions of a store (SessionDirectory). Others may use the store at the same time, so the
// cases look for what is theirs.
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "trial.hpp"
#include "websession/session_directory.hpp"

namespace websession::testing {
namespace {

constexpr std::size_t some = 25;
constexpr std::size_t about = 7;
constexpr Grace frozen{long_ttl};
constexpr Grace mark{long_ttl, false};

// How often each key is there.
using Seen = std::map<std::string, int>;

// Goes on from `cursor` to the end. `process`: whose store is asked. `told()`: of each page.
void go_through(Trial& t, DirectoryCursor cursor, Seen& seen, int process = 0,
                const std::function<void()>& told = {}) {
  constexpr int pages_max = 1'000'000;
  for (int i = 0; i < pages_max; ++i) {
    const Result<DirectoryPage> page = t.store_of(process).directory()->page(cursor, about);
    if (!t.expect_ok(page, "page")) return;
    for (const StoreKey& key : page->keys) ++seen[key.secret()];
    if (told) told();
    if (page->is_last) {
      t.expect(page->next.is_beginning(), "after the last page comes the beginning");
      return;
    }
    cursor = page->next;
  }
  t.expect(false, "the pages have no end");
}

Seen all(Trial& t) {
  Seen seen;
  go_through(t, {}, seen);
  return seen;
}

std::vector<StoreKey> stored(Trial& t, std::size_t count) {
  std::vector<StoreKey> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(t.stored({{"a", "1"}}));
  return keys;
}

void expect_seen(Trial& t, const Seen& seen, const std::vector<StoreKey>& keys,
                 std::string_view what) {
  const auto missing = std::count_if(
      keys.begin(), keys.end(), [&](const StoreKey& key) { return !seen.contains(key.secret()); });
  t.expect(missing == 0, std::string(what) + ": " + std::to_string(missing) + " are missing");
}

void all_pages_have_every_session(Trial& t) {
  const std::vector<StoreKey> keys = stored(t, some);
  expect_seen(t, all(t), keys, "all pages");
}

void what_is_over_is_not_listed(Trial& t) {
  const StoreKey ended = t.stored({{"a", "1"}});
  t.expect_ok(t.store().erase(ended, mark), "erase");
  const StoreKey old = t.stored({{"a", "1"}});
  const StoreKey current = t.fresh_key();
  t.expect_applied(t.store().rekey(old, current, {}, {long_ttl}, frozen), "rekey");
  const StoreKey expired = t.stored({{"a", "1"}}, short_ttl);
  t.let_pass(short_ttl + milliseconds(10));
  const Seen seen = all(t);
  t.expect(!seen.contains(ended.secret()), "one that has ended is listed");
  t.expect(!seen.contains(old.secret()), "a replaced key is listed");
  t.expect(!seen.contains(expired.secret()), "one that has expired is listed");
  t.expect(seen.contains(current.secret()), "the new key is missing");
}

void another_process_goes_on(Trial& t) {
  const std::vector<StoreKey> keys = stored(t, some);
  const Result<DirectoryPage> first = t.store().directory()->page({}, about);
  if (!t.expect_ok(first, "page")) return;
  Seen seen;
  for (const StoreKey& key : first->keys) ++seen[key.secret()];
  if (!first->is_last) go_through(t, DirectoryCursor(first->next.secret()), seen, 1);
  expect_seen(t, seen, keys, "pages of two processes");
}

void those_that_stay_are_listed_whatever_others_do(Trial& t) {
  const std::vector<StoreKey> stay = stored(t, some);
  const std::vector<StoreKey> leave = stored(t, some);
  Seen seen;
  DirectoryCursor cursor;
  for (std::size_t i = 0;; ++i) {
    const Result<DirectoryPage> page = t.store().directory()->page(cursor, about);
    if (!t.expect_ok(page, "page")) return;
    for (const StoreKey& key : page->keys) ++seen[key.secret()];
    if (i < leave.size()) {
      if (i % 2 == 0) {
        t.expect_ok(t.store().erase(leave[i]), "erase");
      } else {
        t.expect_applied(t.store().rekey(leave[i], t.fresh_key(), {}, {long_ttl}, {}), "rekey");
      }
      t.stored({{"b", "1"}});
      const StoreKey& later = stay[stay.size() - 1 - i];
      t.expect_applied(t.store().update(later, setting("a", "2"), {2 * long_ttl}), "update");
    }
    if (page->is_last) break;
    cursor = page->next;
  }
  expect_seen(t, seen, stay, "sessions that stay");
}

void any_number_may_be_asked_for(Trial& t) {
  const std::vector<StoreKey> keys = stored(t, 3);
  for (const std::size_t number : {std::size_t{1}, SessionDirectory::page_max}) {
    t.expect_ok(t.store().directory()->page({}, number), "page of " + std::to_string(number));
  }
  for (const std::size_t number : {std::size_t{0}, SessionDirectory::page_max + 1}) {
    t.expect_error(t.store().directory()->page({}, number), Errc::invalid_argument,
                   "page of " + std::to_string(number));
  }
}

void what_the_library_keeps_is_no_session(Trial& t) {
  const StoreKey kept("4:" + t.fresh_key().secret());
  t.expect_ok(t.store().create(kept, t.session({{"a", "1"}}), {long_ttl}), "create");
  t.expect(!is_session(kept), "the key of an alias is that of a session");
  const Seen seen = all(t);
  t.expect(seen.contains(kept.secret()), "it is missing: it could not be copied");
  t.expect_ok(t.store().erase(kept), "erase");
}

void sessions_are_counted(Trial& t) {
  const auto count = [&t] {
    const Result<std::uint64_t> counted = count_sessions(*t.store().directory());
    t.expect_ok(counted, "count_sessions");
    return counted.value_or(0);
  };
  const std::vector<StoreKey> keys = stored(t, some);
  t.expect(count() >= some, "count_sessions gives less than there are");
  const Result<SessionCount> at_once = t.store().directory()->count();
  if (!t.expect_ok(at_once, "count")) return;
  t.expect(!at_once->is_exact || at_once->sessions >= some, "count gives less than there are");
}

// A few of them move for each page, so that a list which new keys are added to has an end.
void moving_sessions_hide_no_others(Trial& t) {
  constexpr int moves_a_page = 2;
  const std::vector<StoreKey> stay = stored(t, some);
  std::vector<StoreKey> move = stored(t, 4);
  std::atomic<int> pages = 0;
  std::atomic<bool> done = false;
  t.together(2, [&](int thread) {
    if (thread == 0) {
      for (int i = 0; i < t.race_rounds(); ++i) {
        Seen seen;
        go_through(t, {}, seen, 0, [&pages] { ++pages; });
        expect_seen(t, seen, stay, "while others move");
      }
      done = true;
      return;
    }
    for (int moves = 0; !done;) {
      if (moves >= moves_a_page * pages) {
        std::this_thread::yield();
        continue;
      }
      StoreKey& key = move[static_cast<std::size_t>(moves++) % move.size()];
      StoreKey next = t.fresh_key();
      t.expect_applied(t.store().rekey(key, next, {}, {long_ttl}, {}), "rekey");
      key = std::move(next);
    }
  });
}

}  // namespace

std::vector<ConformanceCase> session_directory_cases() {
  return {
      {"all_pages_have_every_session", "directory", all_pages_have_every_session},
      {"what_is_over_is_not_listed", "directory", what_is_over_is_not_listed},
      {"another_process_goes_on", "directory", another_process_goes_on},
      {"those_that_stay_are_listed_whatever_others_do", "directory",
       those_that_stay_are_listed_whatever_others_do},
      {"any_number_may_be_asked_for", "directory", any_number_may_be_asked_for},
      {"what_the_library_keeps_is_no_session", "directory", what_the_library_keeps_is_no_session},
      {"sessions_are_counted", "directory", sessions_are_counted},
      {"race_moving_sessions_hide_no_others", "directory", moving_sessions_hide_no_others},
  };
}

}  // namespace websession::testing
