// What every SessionStore must do, as a list of cases: run them on your own store.
//
// They need no test framework. A failure says which promise of the README is broken, and how. With
// GoogleTest:
//
//   class MyStore : public ::testing::TestWithParam<ConformanceCase> {};
//   TEST_P(MyStore, Conforms) {
//     MyHarness harness;
//     for (const std::string& failure : run_conformance_case(GetParam(), harness))
//       ADD_FAILURE() << failure;
//   }
//   INSTANTIATE_TEST_SUITE_P(Conformance, MyStore, ::testing::ValuesIn(conformance_cases()),
//                            [](const auto& tested) { return tested.param.name; });
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "websession/config.hpp"
#include "websession/observer.hpp"
#include "websession/session_store.hpp"
#include "websession/testing/manual_clock.hpp"

WEBSESSION_API_BEGIN
namespace websession::testing {

// An observer for such harnesses: keeps what it is told of ends, by the sessions' labels.
class EndLog final : public Observer {
 public:
  // The reasons given for this session, in their order.
  [[nodiscard]] std::vector<EndReason> ends_of(const StoreKey& key) const;

 protected:
  void on_session(const SessionEvent& event) override;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<EndReason>> ends_{};
};

// Gives the cases a store and its time. The store must take its wall time from `clock()`; what the
// cases store is under random keys, so it may be shared with others.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;

  virtual SessionStore& store() = 0;
  virtual ManualClock& clock() = 0;
  // Lets `duration` pass for the clock and for the store's times to live. A store that counts real
  // time has to sleep as well.
  virtual void let_pass(std::chrono::milliseconds duration) = 0;

  // The same sessions as another process sees them: a second store on the same backend. In race
  // cases every other thread uses it. A store that nothing can share is its own.
  virtual SessionStore& another_store() { return store(); }

  // Makes the store's backend fail (a server that cannot be reached, say), or work again. False: it
  // cannot be made to; then the cases about it see nothing. Sessions must survive it.
  virtual bool let_backend_fail(bool) { return false; }

  // Whom the store tells of sessions that end by time; null: it tells nobody. (Then
  // end_event_cases cannot be run.)
  [[nodiscard]] virtual std::shared_ptr<EndLog> end_log() { return nullptr; }

  // How hard the race cases try.
  [[nodiscard]] virtual int race_threads() const { return 64; }
  [[nodiscard]] virtual int race_rounds() const { return 20; }
};

class Trial;

// One case. run_conformance_case runs it.
struct ConformanceCase {
  std::string name;     // a C++ identifier
  std::string promise;  // which promise of the README it shows
  void (*run)(Trial&);
  // The attributes that it counts, for stores that have to be told (EncryptedStore).
  std::vector<std::string> counters{};
};

std::vector<ConformanceCase> conformance_cases();
// Those of stores with a PrincipalIndex. Precondition: the harness' store has one.
std::vector<ConformanceCase> principal_index_cases();
// Those of stores with a SessionDirectory. Precondition: the harness' store has one.
std::vector<ConformanceCase> session_directory_cases();
// Those of stores that tell an observer of sessions which end by time (EndReason). Precondition:
// the harness has a store that tells its observer().
std::vector<ConformanceCase> end_event_cases();
// That managers can name sessions (SessionBase::set_alias) on this store. Precondition: it has a
// PrincipalIndex.
std::vector<ConformanceCase> alias_cases();

// What did not hold, in words; empty when all did.
std::vector<std::string> run_conformance_case(const ConformanceCase& which, StoreHarness& harness);

}  // namespace websession::testing
WEBSESSION_API_END
