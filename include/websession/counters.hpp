// An observer that counts, and shows its counts to Prometheus.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "websession/config.hpp"
#include "websession/observer.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What Counters held at a moment. Each number is exact; numbers of calls that were being counted
// just then may be there in part.
class CounterSnapshot {
 public:
  // Upper bounds of the histograms' buckets, inclusive; one more bucket is for what took longer.
  static constexpr std::array<std::chrono::microseconds, 14> bounds{
      std::chrono::microseconds(50),      std::chrono::microseconds(100),
      std::chrono::microseconds(250),     std::chrono::microseconds(500),
      std::chrono::microseconds(1'000),   std::chrono::microseconds(2'500),
      std::chrono::microseconds(5'000),   std::chrono::microseconds(10'000),
      std::chrono::microseconds(25'000),  std::chrono::microseconds(50'000),
      std::chrono::microseconds(100'000), std::chrono::microseconds(250'000),
      std::chrono::microseconds(500'000), std::chrono::microseconds(1'000'000)};

  // How long the calls of a verb took, and so how many there were.
  struct Latency {
    std::array<std::uint64_t, bounds.size() + 1> counts{};  // not added up
    std::chrono::nanoseconds sum{};
    [[nodiscard]] std::uint64_t calls() const noexcept;
  };

  [[nodiscard]] std::uint64_t count(SessionEvent::Kind kind) const noexcept;
  // Sessions that have ended for this reason (SessionEvent::end).
  [[nodiscard]] std::uint64_t count(EndReason reason) const noexcept;
  // Calls of the store that failed with this error.
  [[nodiscard]] std::uint64_t count(StoreVerb verb, Errc error) const noexcept;
  [[nodiscard]] const Latency& succeeded(StoreVerb verb) const noexcept;
  [[nodiscard]] const Latency& failed(StoreVerb verb) const noexcept;

  // The same in Prometheus' text format 0.0.4 (Content-Type: text/plain; version=0.0.4):
  //   websession_events_total{event}                        SessionEvent::Kind
  //   websession_ends_total{reason}                         EndReason
  //   websession_store_errors_total{verb, error}            Errc; `other` for those of others
  //   websession_store_call_duration_seconds{verb, result}  histogram; result: ok, error
  // Every series is there from the start, with zeros, so that rates and alarms see the first event.
  [[nodiscard]] std::string prometheus_text() const;

 private:
  friend class Counters;
  static constexpr std::size_t kinds =
      static_cast<std::size_t>(SessionEvent::Kind::cookie_bad_signature) + 1;
  static constexpr std::size_t reasons = static_cast<std::size_t>(EndReason::evicted) + 1;
  static constexpr std::size_t verbs = static_cast<std::size_t>(StoreVerb::end_frozen) + 1;
  static constexpr std::size_t errors = static_cast<std::size_t>(Errc::canceled) + 1;  // 0: other

  std::array<std::uint64_t, kinds> events_{};
  std::array<std::uint64_t, reasons> ends_{};
  std::array<std::array<std::uint64_t, errors>, verbs> errors_{};
  std::array<Latency, verbs> succeeded_{};
  std::array<Latency, verbs> failed_{};
};

// Counts all that it is told. Without locks, and safe to use from many threads at once; an event
// costs an atomic addition, a call of the store two or three. One for a process is best: all its
// managers and stores may share it.
class Counters final : public Observer {
 public:
  Counters();
  ~Counters() override;
  [[nodiscard]] CounterSnapshot snapshot() const noexcept;
  [[nodiscard]] std::string prometheus_text() const { return snapshot().prometheus_text(); }

 protected:
  void on_session(const SessionEvent& event) override;
  void on_store_call(const StoreCall& call) override;

 private:
  struct Counts;  // apart, so that a reader of this header needs no <atomic>
  std::unique_ptr<Counts> counts_;
};

}  // namespace websession
WEBSESSION_API_END
