// The parts of a request, one by one: ids, cookies, values, fields, and a whole open and commit.
#include <benchmark/benchmark.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "session_data.hpp"
#include "websession/cookie.hpp"
#include "websession/counters.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/value.hpp"

namespace websession::bench {
namespace {

// Ids

void id_generate(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SessionId::generate());
}
BENCHMARK(id_generate)->Threads(1)->Threads(2);

// What it would cost to ask the generator for each id.
void id_rand_bytes_alone(benchmark::State& state) {
  std::array<unsigned char, 24> bytes{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())));
  }
}
BENCHMARK(id_rand_bytes_alone);

void id_parse(benchmark::State& state) {
  const std::string text = id_of(1);
  for (auto _ : state) benchmark::DoNotOptimize(SessionId::parse(text));
}
BENCHMARK(id_parse);

// Cookies

std::string cookie_header() {
  return "theme=dark; _ga=GA1.2.1234567890.1700000000; sid=" + id_of(1) + "; consent=yes";
}

void cookie_parse(benchmark::State& state) {
  const std::string header = cookie_header();
  for (auto _ : state) benchmark::DoNotOptimize(find_cookies(header, "sid"));
}
BENCHMARK(cookie_parse);

void cookie_build(benchmark::State& state) {
  SetCookie cookie;
  cookie.name = "sid";
  cookie.value = id_of(1);
  cookie.path = "/";
  cookie.max_age = std::chrono::hours(12);
  cookie.expires = WallTime(std::chrono::milliseconds(1'700'000'000'000));
  cookie.same_site = SameSite::lax;
  cookie.secure = true;
  cookie.http_only = true;
  for (auto _ : state) benchmark::DoNotOptimize(serialize(cookie));
}
BENCHMARK(cookie_build);

// Values

template <class T>
void encode_it(benchmark::State& state, T value) {
  for (auto _ : state) benchmark::DoNotOptimize(encode_value(value));
}
BENCHMARK_CAPTURE(encode_it, integer, 482913);
BENCHMARK_CAPTURE(encode_it, real, 0.1);
BENCHMARK_CAPTURE(encode_it, string, std::string("Erika Mustermann"));
BENCHMARK_CAPTURE(encode_it, string_like_a_number, std::string("10115"));
BENCHMARK_CAPTURE(encode_it, json, nlohmann::json{{"name", "Erika"}, {"n", 1}});

template <class T>
void decode_it(benchmark::State& state, std::type_identity<T>, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(decode<T>(text));
}
BENCHMARK_CAPTURE(decode_it, integer, std::type_identity<int>(), "482913");
BENCHMARK_CAPTURE(decode_it, real, std::type_identity<double>(), "0.1");
BENCHMARK_CAPTURE(decode_it, string, std::type_identity<std::string>(), "Erika Mustermann");
BENCHMARK_CAPTURE(decode_it, quoted_string, std::type_identity<std::string>(), "\"10115\"");
BENCHMARK_CAPTURE(decode_it, json, std::type_identity<nlohmann::json>(),
                  R"({"name":"Erika","n":1})");

// Fields

void fields_build(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(session_fields());
}
BENCHMARK(fields_build);

void fields_apply_one_change(benchmark::State& state) {
  const Fields fields = session_fields();
  Changes changes;
  changes.set.push_back({"locale", "en-GB"});
  for (auto _ : state) benchmark::DoNotOptimize(apply(fields, changes, WallTime()));
}
BENCHMARK(fields_apply_one_change);

// Sessions, on a MemoryStore

SessionManager manager(SessionOptions options = {}) {
  return SessionManager::make(std::make_shared<MemoryStore>(), std::move(options)).value();
}

// A visitor without a cookie, for whom nothing is stored.
void session_of_a_passer_by(benchmark::State& state) {
  const SessionManager sessions = manager();
  for (auto _ : state) {
    Session session = sessions.open({}).value();
    benchmark::DoNotOptimize(sessions.commit(session));
  }
}
BENCHMARK(session_of_a_passer_by);

std::string stored_session(const SessionManager& sessions) {
  const Fields fields{{"cart", session_data[2].second}, {"count", "0"}, {"locale", "de-DE"}};
  const Session session = sessions.create(fields).value();
  return "sid=" + session.id()->secret();
}

void read_session(benchmark::State& state, const SessionManager& sessions) {
  const std::string cookie = stored_session(sessions);
  for (auto _ : state) {
    Session session = sessions.open({cookie, true}).value();
    benchmark::DoNotOptimize(session.value("locale", "en"));
    benchmark::DoNotOptimize(sessions.commit(session));
  }
}

void session_that_is_read(benchmark::State& state) { read_session(state, manager()); }
BENCHMARK(session_that_is_read);

void session_that_is_read_and_counted(benchmark::State& state) {
  SessionOptions options;
  options.observer = std::make_shared<Counters>();
  read_session(state, manager(std::move(options)));
}
BENCHMARK(session_that_is_read_and_counted);

void session_that_is_changed(benchmark::State& state) {
  const SessionManager sessions = manager();
  const std::string cookie = stored_session(sessions);
  int count = 0;
  for (auto _ : state) {
    Session session = sessions.open({cookie, true}).value();
    session.set("count", ++count);
    benchmark::DoNotOptimize(sessions.commit(session));
  }
}
BENCHMARK(session_that_is_changed);

void session_that_counts(benchmark::State& state) {
  const SessionManager sessions = manager();
  const std::string cookie = stored_session(sessions);
  for (auto _ : state) {
    Session session = sessions.open({cookie, true}).value();
    benchmark::DoNotOptimize(session.increment("count"));
    benchmark::DoNotOptimize(sessions.commit(session));
  }
}
BENCHMARK(session_that_counts);

}  // namespace
}  // namespace websession::bench

BENCHMARK_MAIN();
