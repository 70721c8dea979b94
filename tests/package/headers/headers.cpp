// All public headers, and what of their templates an application makes use of.
#include <websession/adapters/with_session.hpp>
#include <websession/redis_json_store.hpp>
#include <websession/redis_store.hpp>
#include <websession/testing/manual_clock.hpp>
#include <websession/testing/store_conformance.hpp>
#include <websession/websession.hpp>

int use(websession::Session& session) {
  session.set("name", "Ada");
  session.set("age", 36, std::chrono::minutes(1));
  session.set("text", websession::Text{"10115"});
  static_cast<void>(session.compare_and_set("age", websession::absent, 36));
  static_cast<void>(session.consume("code", std::string("123456")));
  static_cast<void>(session.get<std::string>("name"));
  return session.get<int>("age").value().value_or(0) + session.value("age", 0);
}
