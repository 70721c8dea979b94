// An EncryptedStore over a MemoryStore, into which tests look from both sides.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "encrypted_harness.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {

class EncryptedStoreTest : public ::testing::Test {
 protected:
  static inline const std::string old_secret = std::string(32, 'o');
  static inline const std::string new_secret = std::string(32, 'n');
  static inline const StoreKey key = StoreKey("key");
  static inline const StoreKey other = StoreKey("other");
  static constexpr Lifetime minute{std::chrono::milliseconds(60'000)};
  static constexpr Grace grace{std::chrono::milliseconds(10'000)};

  static std::shared_ptr<EncryptedStore> store_on(
      std::shared_ptr<SessionStore> inner, std::vector<std::string> secrets = {new_secret},
      std::chrono::milliseconds retry_for = std::chrono::seconds(20)) {
    EncryptionOptions options;
    options.keys = key_ring(std::move(secrets));
    options.countable = {"visits", "n"};
    options.retry_for = retry_for;
    return EncryptedStore::make(std::move(inner), std::move(options)).value();
  }

  // What stands in the inner store.
  std::string stored_text(const StoreKey& which, std::string_view name) {
    const Record record = memory->load(which).value().value();
    return std::string(record.fields.find(name).value_or("(absent)"));
  }
  // Puts a text there, past the encryption.
  void plant(const StoreKey& which, const std::string& name, const std::string& text) {
    Changes changes;
    changes.set.push_back({name, text});
    ASSERT_EQ(memory->update(which, changes, minute).value().status, Outcome::Status::applied);
  }

  static Outcome update(SessionStore& which, const Changes& changes) {
    return which.update(key, changes, minute).value();
  }
  static std::string value(SessionStore& which, const StoreKey& where, std::string_view name) {
    const Record record = which.load(where).value().value();
    return std::string(record.fields.find(name).value_or("(absent)"));
  }
  void expect_corrupt(const StoreKey& which) {
    const Result<std::optional<Record>> record = store->load(which);
    ASSERT_FALSE(record.has_value()) << "it gave a record";
    EXPECT_EQ(record.error().code, Errc::corrupt) << record.error().message();
    EXPECT_FALSE(record.error().maybe_applied);
  }

  static Changes setting(std::string name, std::string text,
                         std::optional<WallTime> deadline = {}) {
    Changes changes;
    changes.set.push_back({std::move(name), std::move(text), deadline});
    return changes;
  }
  static Changes expecting(std::string name, std::vector<std::string> any_of,
                           Changes changes = {}) {
    changes.expect.push_back({std::move(name), std::move(any_of)});
    return changes;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>(clock);
  std::shared_ptr<EncryptedStore> store = store_on(memory);
  const Fields plain{
      {"@created", "1"}, {"@user", "ada"}, {"name", "Ada"}, {"role", "user"}, {"visits", "3"}};
};

}  // namespace websession::testing
