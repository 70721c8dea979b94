#include "websession/counters.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string_view>

namespace websession {
namespace {

using std::chrono::nanoseconds;
using Latency = CounterSnapshot::Latency;

constexpr auto relaxed = std::memory_order_relaxed;

template <class Enum>
constexpr std::size_t index(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

// Seconds in decimal, whatever the locale, and exact: "0.00025".
std::string seconds_text(nanoseconds time) {
  constexpr std::int64_t second = 1'000'000'000;
  std::string text = std::to_string(time.count() / second);
  std::string fraction = std::to_string(second + time.count() % second).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (!fraction.empty()) text += '.' + fraction;
  return text;
}

// All label values are words of the library, so there is nothing in them to escape.
std::string error_text(std::size_t code) {
  if (code == 0) return "other";
  std::string text = error_category().message(static_cast<int>(code));
  std::replace(text.begin(), text.end(), ' ', '_');
  return text;
}

void add_family(std::string& page, std::string_view name, std::string_view type,
                std::string_view help) {
  page.append("# HELP ").append(name).append(" ").append(help).append("\n");
  page.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void add_sample(std::string& page, std::string_view name, std::string_view labels,
                std::string_view value) {
  page.append(name).append("{").append(labels).append("} ").append(value).append("\n");
}

void add_histogram(std::string& page, const std::string& name, const std::string& labels,
                   const Latency& latency) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < latency.counts.size(); ++i) {
    sum += latency.counts[i];
    const std::string bound = i < CounterSnapshot::bounds.size()
                                  ? seconds_text(CounterSnapshot::bounds[i])
                                  : std::string("+Inf");
    std::string bucket = labels;
    bucket.append(",le=\"").append(bound).append("\"");
    add_sample(page, name + "_bucket", bucket, std::to_string(sum));
  }
  add_sample(page, name + "_sum", labels, seconds_text(latency.sum));
  add_sample(page, name + "_count", labels, std::to_string(sum));
}

}  // namespace

std::uint64_t CounterSnapshot::Latency::calls() const noexcept {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::uint64_t CounterSnapshot::count(SessionEvent::Kind kind) const noexcept {
  return events_[index(kind)];
}

std::uint64_t CounterSnapshot::count(EndReason reason) const noexcept {
  return ends_[index(reason)];
}

std::uint64_t CounterSnapshot::count(StoreVerb verb, Errc error) const noexcept {
  return errors_[index(verb)][index(error)];
}

const Latency& CounterSnapshot::succeeded(StoreVerb verb) const noexcept {
  return succeeded_[index(verb)];
}

const Latency& CounterSnapshot::failed(StoreVerb verb) const noexcept {
  return failed_[index(verb)];
}

std::string CounterSnapshot::prometheus_text() const {
  std::string page;
  std::string name = "websession_events_total";
  add_family(page, name, "counter", "What happened to sessions and session cookies.");
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    const std::string event(to_text(static_cast<SessionEvent::Kind>(kind)));
    add_sample(page, name, "event=\"" + event + "\"", std::to_string(events_[kind]));
  }
  name = "websession_ends_total";
  add_family(page, name, "counter",
             "Sessions that have ended, as far as this process has ended them.");
  for (std::size_t reason = 0; reason < reasons; ++reason) {
    const std::string why(to_text(static_cast<EndReason>(reason)));
    add_sample(page, name, "reason=\"" + why + "\"", std::to_string(ends_[reason]));
  }
  name = "websession_store_errors_total";
  add_family(page, name, "counter", "Calls of the session store that failed.");
  for (std::size_t verb = 0; verb < verbs; ++verb) {
    const std::string label = "verb=\"" + std::string(to_text(static_cast<StoreVerb>(verb)));
    for (std::size_t error = 0; error < errors; ++error) {
      add_sample(page, name, label + "\",error=\"" + error_text(error) + "\"",
                 std::to_string(errors_[verb][error]));
    }
  }
  name = "websession_store_call_duration_seconds";
  add_family(page, name, "histogram", "How long calls of the session store took.");
  for (std::size_t verb = 0; verb < verbs; ++verb) {
    const std::string label = "verb=\"" + std::string(to_text(static_cast<StoreVerb>(verb)));
    add_histogram(page, name, label + "\",result=\"ok\"", succeeded_[verb]);
    add_histogram(page, name, label + "\",result=\"error\"", failed_[verb]);
  }
  return page;
}

// Counters

struct Counters::Counts {
  using Count = std::atomic<std::uint64_t>;

  struct Durations {
    std::array<Count, CounterSnapshot::bounds.size() + 1> counts{};
    Count sum_ns{};

    [[nodiscard]] Latency read() const noexcept {
      Latency values;
      for (std::size_t i = 0; i < values.counts.size(); ++i) {
        values.counts[i] = counts[i].load(relaxed);
      }
      values.sum = nanoseconds(sum_ns.load(relaxed));
      return values;
    }
  };

  std::array<Count, CounterSnapshot::kinds> events{};
  std::array<Count, CounterSnapshot::reasons> ends{};
  std::array<std::array<Count, CounterSnapshot::errors>, CounterSnapshot::verbs> errors{};
  std::array<Durations, CounterSnapshot::verbs> succeeded{};
  std::array<Durations, CounterSnapshot::verbs> failed{};
};

Counters::Counters() : counts_(std::make_unique<Counts>()) {}
Counters::~Counters() = default;

void Counters::on_session(const SessionEvent& event) {
  counts_->events[index(event.kind)].fetch_add(1, relaxed);
  if (event.end) counts_->ends[index(*event.end)].fetch_add(1, relaxed);
}

void Counters::on_store_call(const StoreCall& call) {
  const std::size_t verb = index(call.verb);
  if (call.error != nullptr) {
    const std::error_code& code = call.error->code;
    auto& errors = counts_->errors[verb];
    const auto value = static_cast<std::size_t>(code.value());
    const bool ours = code.category() == error_category() && value < errors.size();
    errors[ours ? value : 0].fetch_add(1, relaxed);
  }
  Counts::Durations& durations =
      call.error == nullptr ? counts_->succeeded[verb] : counts_->failed[verb];
  const auto& bounds = CounterSnapshot::bounds;
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), call.latency);
  durations.counts[static_cast<std::size_t>(bucket - bounds.begin())].fetch_add(1, relaxed);
  durations.sum_ns.fetch_add(static_cast<std::uint64_t>(call.latency.count()), relaxed);
}

CounterSnapshot Counters::snapshot() const noexcept {
  CounterSnapshot values;
  for (std::size_t kind = 0; kind < values.events_.size(); ++kind) {
    values.events_[kind] = counts_->events[kind].load(relaxed);
  }
  for (std::size_t reason = 0; reason < values.ends_.size(); ++reason) {
    values.ends_[reason] = counts_->ends[reason].load(relaxed);
  }
  for (std::size_t verb = 0; verb < values.errors_.size(); ++verb) {
    for (std::size_t error = 0; error < values.errors_[verb].size(); ++error) {
      values.errors_[verb][error] = counts_->errors[verb][error].load(relaxed);
    }
    values.succeeded_[verb] = counts_->succeeded[verb].read();
    values.failed_[verb] = counts_->failed[verb].read();
  }
  return values;
}

}  // namespace websession
