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
#include <string>
#include <vector>

#include "websession/config.hpp"
#include "websession/session_store.hpp"
#include "websession/testing/manual_clock.hpp"

WEBSESSION_API_BEGIN
namespace websession::testing {

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

// What did not hold, in words; empty when all did.
std::vector<std::string> run_conformance_case(const ConformanceCase& which, StoreHarness& harness);

}  // namespace websession::testing
WEBSESSION_API_END
