// Requests that meet at the same moment.
#include <atomic>
#include <thread>

#include "trial.hpp"

namespace websession::testing {
namespace {

bool is(const Result<Outcome>& result, Outcome::Status status) {
  return result && result->status == status;
}

// Erase against updates: whatever the order, the session is gone in the end.
void erase_against_update(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.stored({{"a", "0"}});
    const int eraser = round % t.race_threads();
    Trial::together(t.race_threads(), [&](int i) {
      if (i == eraser) {
        t.expect_ok(t.store_of(i).erase(key), "erase");
        t.expect_absent(key, "right after the erase");
      } else {
        t.expect_ok(t.store_of(i).update(key, setting("a", std::to_string(i)), {long_ttl}),
                    "update");
      }
    });
    t.expect_absent(key, "an erased session after racing updates");
  }
}

void updates_of_different_attributes(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.stored({{"a", "0"}});
    Trial::together(t.race_threads(), [&](int i) {
      t.expect_applied(t.store_of(i).update(key, setting('a' + std::to_string(i), "1"), {long_ttl}),
                       "update");
    });
    const std::size_t size = t.loaded(key, "load").fields.size();
    t.expect(size == static_cast<std::size_t>(t.race_threads()) + 2,
             "an update was lost: " + std::to_string(size - 2) + " of " +
                 std::to_string(t.race_threads()) + " attributes are there");
  }
}

void increments_add_up(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.stored({{"n", "0"}});
    std::atomic<std::int64_t> sum = 0;
    Trial::together(t.race_threads(), [&](int i) {
      const Result<Outcome> outcome = t.store_of(i).update(key, adding("n", 1), {long_ttl});
      if (t.expect_ok(outcome, "increment") && !outcome->counters.empty()) {
        sum += outcome->counters[0];
      }
    });
    const std::int64_t count = t.race_threads();
    t.expect_value(key, "n", std::to_string(count), "all increments");
    t.expect(sum == count * (count + 1) / 2, "each increment saw a value of its own");
  }
}

void one_consumer_wins(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.stored({{"code", "42"}});
    std::atomic<int> winners = 0;
    std::atomic<int> losers = 0;
    Trial::together(t.race_threads(), [&](int i) {
      const Result<Outcome> outcome =
          t.store_of(i).update(key, expecting("code", {"42"}, removing("code")), {long_ttl});
      winners += is(outcome, Outcome::Status::applied) ? 1 : 0;
      losers += is(outcome, Outcome::Status::conflict) ? 1 : 0;
    });
    t.expect(winners == 1, std::to_string(winners) + " consumers of one code won");
    t.expect(losers == t.race_threads() - 1, "all others are told of the conflict");
  }
}

void one_creator_wins(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.fresh_key();
    std::atomic<int> winners = 0;
    std::atomic<int> winner = -1;
    Trial::together(t.race_threads(), [&](int i) {
      const std::string name = std::to_string(i);
      const Result<void> created = t.store_of(i).create(key, t.session({{"by", name}}), {long_ttl});
      if (created) {
        ++winners;
        winner = i;
      } else {
        t.expect_error(created, Errc::key_exists, "the others");
      }
    });
    t.expect(winners == 1, std::to_string(winners) + " creators of one key won");
    t.expect_value(key, "by", std::to_string(winner), "the winner's session");
  }
}

// An update that was applied before the rekey is in the new session; one that came after it is
// gone.
void rekey_against_update(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey from = t.stored({{"a", "0"}});
    const StoreKey to = t.fresh_key();
    const int mover = round % t.race_threads();
    std::vector<std::atomic<bool>> applied(static_cast<std::size_t>(t.race_threads()));
    Trial::together(t.race_threads(), [&](int i) {
      if (i == mover) {
        t.expect_applied(t.store_of(i).rekey(from, to, {}, {long_ttl}, {long_ttl}), "rekey");
      } else {
        const Result<Outcome> outcome =
            t.store_of(i).update(from, setting('a' + std::to_string(i), "1"), {long_ttl});
        t.expect(is(outcome, Outcome::Status::applied) || is(outcome, Outcome::Status::gone),
                 "an update is applied or gone");
        applied[static_cast<std::size_t>(i)] = is(outcome, Outcome::Status::applied);
      }
    });
    const Fields after = t.loaded(to, "load").fields;
    for (int i = 0; i < t.race_threads(); ++i) {
      t.expect(after.contains('a' + std::to_string(i)) == applied[static_cast<std::size_t>(i)],
               "an update was lost by the rekey, or applied after it");
    }
  }
}

// Whichever comes first, after both nothing is left.
void rekey_against_erase(Trial& t) {
  const int pairs = t.race_threads() / 2;
  for (int round = 0; round < t.race_rounds(); ++round) {
    std::vector<StoreKey> from;
    std::vector<StoreKey> to;
    from.reserve(static_cast<std::size_t>(pairs));
    to.reserve(static_cast<std::size_t>(pairs));
    for (int i = 0; i < pairs; ++i) {
      from.push_back(t.stored({{"a", "0"}}));
      to.push_back(t.fresh_key());
    }
    Trial::together(2 * pairs, [&](int i) {
      const auto pair = static_cast<std::size_t>(i / 2);
      if (i % 2 == 0) {
        t.expect_ok(t.store_of(i).rekey(from[pair], to[pair], {}, {long_ttl}, {long_ttl}), "rekey");
      } else {
        t.expect_ok(t.store_of(i).erase(from[pair]), "erase");
      }
    });
    for (std::size_t pair = 0; pair < from.size(); ++pair) {
      t.expect_unreadable(from[pair], "the old id after rekey and erase");
      t.expect_absent(to[pair], "the new id after rekey and erase");
    }
  }
}

void one_rekey_wins(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey from = t.stored({{"a", "0"}});
    std::vector<StoreKey> to;
    to.reserve(static_cast<std::size_t>(t.race_threads()));
    for (int i = 0; i < t.race_threads(); ++i) to.push_back(t.fresh_key());
    std::atomic<int> winners = 0;
    Trial::together(t.race_threads(), [&](int i) {
      const Result<Outcome> outcome =
          t.store_of(i).rekey(from, to[static_cast<std::size_t>(i)], {}, {long_ttl}, {long_ttl});
      winners += is(outcome, Outcome::Status::applied) ? 1 : 0;
    });
    int alive = 0;
    for (const StoreKey& key : to) {
      const Result<std::optional<Record>> record = t.store().load(key);
      if (t.expect_ok(record, "load")) alive += record->has_value() ? 1 : 0;
    }
    t.expect(winners == 1 && alive == 1, "one session became " + std::to_string(alive) + ", " +
                                             std::to_string(winners) + " rekeys were applied");
  }
}

// Reads while others write never see a session without an expiry, or half of a change.
void readers_see_whole_steps(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const StoreKey key = t.fresh_key();
    const StoreKey to = t.fresh_key();
    std::atomic<bool> done = false;
    const auto check = [&](int i, const StoreKey& which) {
      const Result<std::optional<Record>> found = t.store_of(i).load(which);
      if (!t.expect_ok(found, "load while others write") || !*found) return;
      const Record& record = **found;
      if (record.is_over()) return;
      t.expect(record.remaining > milliseconds(0) && record.remaining <= long_ttl,
               "a session without its expiry was seen");
      t.expect(record.fields.contains(created_field), "a session without @created was seen");
      t.expect(record.fields.find("left") == record.fields.find("right"),
               "half of a change was seen");
    };
    Trial::together(4, [&](int i) {
      if (i > 0) {
        while (!done) {
          check(i, key);
          check(i, to);
          // A mutex is not fair: without a pause, readers can keep a writer waiting for ever.
          std::this_thread::yield();
        }
        return;
      }
      t.expect_ok(t.store_of(i).create(key, t.session({{"left", "0"}, {"right", "0"}}), {long_ttl}),
                  "create");
      for (int step = 1; step <= 10; ++step) {
        Changes changes = setting("left", std::to_string(step));
        changes.set.push_back({"right", std::to_string(step)});
        t.expect_applied(t.store_of(i).update(key, changes, {long_ttl}), "update");
      }
      t.expect_applied(t.store_of(i).rekey(key, to, {}, {long_ttl}, {long_ttl}), "rekey");
      t.expect_ok(t.store_of(i).erase(to), "erase");
      done = true;
    });
  }
}

}  // namespace

std::vector<ConformanceCase> race_cases() {
  return {
      {"race_erase_against_update", "P1", erase_against_update},
      {"race_updates_of_different_attributes", "P2", updates_of_different_attributes},
      {"race_increments_add_up", "P2", increments_add_up, {"n"}},
      {"race_one_consumer_wins", "P2", one_consumer_wins},
      {"race_one_creator_wins", "P1", one_creator_wins},
      {"race_rekey_against_update", "P2 P10", rekey_against_update},
      {"race_rekey_against_erase", "P1 P10", rekey_against_erase},
      {"race_one_rekey_wins", "P10", one_rekey_wins},
      {"race_readers_see_whole_steps", "P3", readers_see_whole_steps},
  };
}

}  // namespace websession::testing
