// Uses each component so that it must link, with another nlohmann::json than the library was built
// with: this changes its ABI.
#define JSON_DIAGNOSTICS 1
#include <nlohmann/json.hpp>
#include <websession/postgres_store.hpp>
#include <websession/redis_store.hpp>
#include <websession/sqlite_store.hpp>
#include <websession/testing/store_conformance.hpp>
#include <websession/websession.hpp>

#include <iostream>

int main() {
  const auto manager =
      websession::SessionManager::make(std::make_shared<websession::MemoryStore>()).value();
  websession::Session session = manager.open({}).value();
  session.set("name", "Ada");
  session.set("prefs", nlohmann::json{{"theme", "dark"}});
  const auto prefs = session.get<nlohmann::json>("prefs").value();
  const bool stored = manager.commit(session).value().status == websession::Commit::Status::created;
  const bool refused = !websession::RedisStore::connect("nonsense").has_value() &&
                       !websession::SqliteStore::open(":memory:").has_value() &&
                       !websession::PostgresStore::connect("nonsense").has_value();
  const bool cases = !websession::testing::conformance_cases().empty();
  std::cout << "consumer: " << stored << refused << cases << "\n";
  return prefs->at("theme") == "dark" && stored && refused && cases ? 0 : 1;
}
