#include "websession/testing/store_conformance.hpp"

#include <utility>

#include "trial.hpp"
#include "websession/key_placement.hpp"

namespace websession::testing {
namespace {

std::string_view to_text(Outcome::Status status) {
  switch (status) {
    case Outcome::Status::applied:
      return "applied";
    case Outcome::Status::gone:
      return "gone";
    case Outcome::Status::conflict:
      return "conflict";
  }
  return "?";
}

}  // namespace

bool Trial::expect(bool holds, std::string_view what) {
  if (!holds) {
    const std::lock_guard lock(mutex_);
    failures_.emplace_back(what);
  }
  return holds;
}

void Trial::expect_outcome(const Result<Outcome>& result, Outcome::Status status,
                           std::string_view what) {
  if (!expect_ok(result, what)) return;
  expect(result->status == status, std::string(what) + ": should be " +
                                       std::string(to_text(status)) + ", is " +
                                       std::string(to_text(result->status)));
}

std::vector<EndReason> Trial::ends_of(const StoreKey& key) {
  const std::shared_ptr<EndLog> log = harness_.end_log();
  if (!expect(log != nullptr, "the harness has no end_log")) return {};
  return log->ends_of(key);
}

SessionManager Trial::manager(int process) {
  // The harness keeps both.
  const std::shared_ptr<SessionStore> store(std::shared_ptr<void>(), &store_of(process));
  SessionOptions options;
  options.regenerate_grace = milliseconds(0);  // so that old ids lead nowhere
  options.clock = std::shared_ptr<const Clock>(std::shared_ptr<void>(), &clock());
  return SessionManager::make(store, options).value();
}

StoreKey Trial::fresh_key() {
  const auto placement = store().placement();
  return StoreKey(
      (placement ? placement->generate_beside(beside_) : SessionId::generate()).value());
}

Fields Trial::session(std::initializer_list<Field> attributes) {
  const std::string created = std::to_string(clock().wall().time_since_epoch().count());
  std::vector<Field> fields(attributes);
  fields.push_back({created_field, created});
  return Fields(fields);
}

StoreKey Trial::stored(std::initializer_list<Field> attributes, milliseconds ttl) {
  StoreKey key = fresh_key();
  expect_ok(store().create(key, session(attributes), {ttl}), "create");
  return key;
}

Record Trial::loaded(const StoreKey& key, std::string_view what) {
  Result<std::optional<Record>> record = store().load(key);
  if (!expect_ok(record, what)) return {};
  if (!expect(record->has_value(), std::string(what) + ": there is no session")) return {};
  return **std::move(record);
}

void Trial::expect_absent(const StoreKey& key, std::string_view what) {
  const Result<std::optional<Record>> record = store().load(key);
  if (!expect_ok(record, what)) return;
  expect(!record->has_value(), std::string(what) + ": there is a session");
}

void Trial::expect_over(const StoreKey& key, std::string_view what) {
  const Result<std::optional<Record>> record = store().load(key);
  if (!expect_ok(record, what)) return;
  if (!expect(record->has_value(), std::string(what) + ": there is no mark")) return;
  expect((*record)->is_over(), std::string(what) + ": there is more than a mark");
}

void Trial::expect_unreadable(const StoreKey& key, std::string_view what) {
  const Result<std::optional<Record>> record = store().load(key);
  if (!expect_ok(record, what)) return;
  expect(!*record || (*record)->is_over(), std::string(what) + ": it can be read");
}

void Trial::expect_value(const StoreKey& key, std::string_view name,
                         std::optional<std::string_view> value, std::string_view what) {
  const Record record = loaded(key, what);
  const std::optional<std::string_view> found = record.fields.find(name);
  expect(found == value, std::string(what) + ": \"" + std::string(name) + "\" is " +
                             (found ? '"' + std::string(*found) + '"' : "absent"));
}

void Trial::expect_remaining(const StoreKey& key, milliseconds at_most, std::string_view what) {
  const Record record = loaded(key, what);
  expect(record.remaining > milliseconds(0) && record.remaining <= at_most,
         std::string(what) + ": the time to live is " + std::to_string(record.remaining.count()) +
             " ms");
}

void Trial::together(int count, const std::function<void(int)>& function) {
  std::barrier start(count);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      function(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::vector<EndReason> EndLog::ends_of(const StoreKey& key) const {
  const std::string name = label(SessionRef(key));
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(name);
  return found != ends_.end() ? found->second : std::vector<EndReason>();
}

void EndLog::on_session(const SessionEvent& event) {
  if (!event.end) return;
  const std::string name = label(event.session);
  const std::lock_guard lock(mutex_);
  ends_[name].push_back(*event.end);
}

std::vector<ConformanceCase> conformance_cases() {
  std::vector<ConformanceCase> all;
  for (auto& cases : {record_cases(), change_cases(), deadline_cases(), rekey_cases(), mark_cases(),
                      race_cases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

std::vector<std::string> run_conformance_case(const ConformanceCase& which, StoreHarness& harness) {
  Trial trial(harness);
  which.run(trial);
  std::vector<std::string> failures = trial.take_failures();
  for (std::string& failure : failures) failure.insert(0, which.promise + ": ");
  return failures;
}

}  // namespace websession::testing
