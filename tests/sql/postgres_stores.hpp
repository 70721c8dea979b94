// What the tests of PostgreSQL's stores begin with.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "postgres_fixture.hpp"

namespace websession::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PostgresStores : public PostgresTest {
 protected:
  [[nodiscard]] static Fields fields(std::initializer_list<Field> attributes = {}) {
    std::vector<Field> all(attributes);
    all.push_back({"@created", "1700000000000"});
    return Fields(all);
  }
  [[nodiscard]] static StoreKey fresh_key() { return StoreKey(SessionId::generate().value()); }
  [[nodiscard]] static PostgresOptions quick(milliseconds timeout = milliseconds(500)) {
    PostgresOptions options;
    options.operation_timeout = timeout;
    options.connect_timeout = timeout;
    return options;
  }
  void make_tables() const { static_cast<void>(schema->open(patient_postgres())); }
  [[nodiscard]] std::unique_ptr<PostgresProbe> probe() const {
    return std::make_unique<PostgresProbe>(schema->conninfo());
  }
  static Changes setting(std::string name, std::string value) {
    Changes changes;
    changes.set.push_back({std::move(name), std::move(value)});
    return changes;
  }
  static std::string value_of(SessionStore& store, const StoreKey& key, std::string_view name) {
    const auto record = store.load(key).value();
    if (!record) return "(no session)";
    return std::string(record->fields.find(name).value_or("(absent)"));
  }
};

// What both engines must bear.
class PostgresFaults : public PostgresStores,
                       public ::testing::WithParamInterface<PostgresHarness::First> {
 protected:
  static std::shared_ptr<SessionStore> connect(const std::string& conninfo,
                                               const PostgresOptions& options) {
    if (GetParam() == PostgresHarness::First::on_a_loop) {
      return postgres_on_a_loop(conninfo, options);
    }
    return PostgresStore::connect(conninfo, options).value();
  }
  [[nodiscard]] std::shared_ptr<SessionStore> open(const PostgresOptions& options) const {
    return connect(schema->conninfo(), options);
  }
};
}  // namespace websession::testing
