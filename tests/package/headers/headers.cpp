// All public headers, and what of their templates an application makes use of.
#include <websession/adapters/async_with_session.hpp>
#include <websession/adapters/with_session.hpp>
#include <websession/async/encrypted_store.hpp>
#include <websession/async/epoll_reactor.hpp>
#include <websession/async/postgres_store.hpp>
#include <websession/async/redis_json_store.hpp>
#include <websession/async/redis_store.hpp>
#include <websession/async/session_manager.hpp>
#include <websession/async/stores.hpp>
#include <websession/postgres_store.hpp>
#include <websession/redis_json_store.hpp>
#include <websession/redis_store.hpp>
#include <websession/sqlite_store.hpp>
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

void use(websession::AsyncSession& session, const websession::StopToken& stop) {
  session.increment("visits").stop_on(stop).start([](websession::Result<std::int64_t>) {});
  static_cast<void>(session.compare_and_set("age", websession::absent, 36).wait());
}
