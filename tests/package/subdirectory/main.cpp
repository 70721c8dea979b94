// Calls across the border of the shared objects: functions, exceptions, and what a store of the
// application is asked by the library.
#include <websession/redis_json_store.hpp>
#include <websession/redis_store.hpp>
#include <websession/testing/fault_store.hpp>
#include <websession/testing/store_conformance.hpp>
#include <websession/websession.hpp>

#include <iostream>

using namespace websession;

int use(Session& session);  // headers.cpp

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "not so: " << what << '\n';
  ++failures;
}

bool throws_exception() {
  try {
    RedisStore::connect("nonsense").value();
  } catch (const Exception& exception) {
    return exception.error().code == Errc::invalid_argument;
  }
  return false;
}

int main() {
  auto store = std::make_shared<testing::FaultStore>(std::make_shared<MemoryStore>());
  expect(store->index() != nullptr, "a store of the application has an index");
  const KeyRing keys = KeyRing::make({std::string(32, 'k')}).value();
  auto counters = std::make_shared<Counters>();
  const auto manager = SessionManager::make(EncryptedStore::make(store, {.keys = keys}).value(),
                                            {.signing = {keys}, .observer = counters})
                           .value();
  Session session = manager.open({}).value();
  expect(use(session) == 72, "a session holds values");
  expect(csrf_valid(session, csrf_token(session).value()), "a token is valid");
  add_flash(session, "notice", "Saved.");
  session.sign_in("ada");
  expect(manager.commit(session).value().status == Commit::Status::created, "it is created");
  expect(manager.sessions_of("ada").value().size() == 1, "its principal has it");
  expect(take_flashes(session).value().size() == 1, "the message is there");
  expect(!OneTimeCodes::make(keys).value().issue(session, "login").value().empty(), "a code");
  expect(!find_cookies("sid=1", "sid").empty() && reads_as_json("1"), "functions");
  expect(counters->snapshot().count(SessionEvent::Kind::created) == 1, "it is counted");
  expect(throws_exception(), "an exception is caught by its type");
  expect(!RedisJsonStore::connect_later("nonsense"), "the other store of Redis");
  expect(!testing::conformance_cases().empty(), "the conformance suite");
  return failures;
}
