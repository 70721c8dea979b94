// Counters, and their page in Prometheus' text format, which a small parser of the format reads.
#include "websession/counters.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/fault_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Kind = SessionEvent::Kind;
using Labels = std::map<std::string, std::string>;

// Reads a page of the text format 0.0.4, and throws on whatever the format does not allow.
// https://prometheus.io/docs/instrumenting/exposition_formats/
class Page {
 public:
  explicit Page(std::string text) : text_(std::move(text)) {
    require(text_.ends_with('\n'), "the last line must end, too");
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        read_comment();
      } else {
        read_sample();
      }
      expect('\n');
    }
  }

  [[nodiscard]] double value(const std::string& name, const Labels& labels) const {
    return samples_.at({name, labels});
  }
  [[nodiscard]] const std::map<std::string, std::string>& types() const { return types_; }
  [[nodiscard]] const std::map<std::pair<std::string, Labels>, double>& samples() const {
    return samples_;
  }

 private:
  static void require(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
  }
  void expect(char c) {
    require(at_ < text_.size() && text_[at_] == c, "expected " + std::string(1, c));
    ++at_;
  }
  std::string word(const std::string& characters) {
    const std::size_t end = std::min(text_.find_first_not_of(characters, at_), text_.size());
    const std::string found = text_.substr(at_, end - at_);
    require(!found.empty() && (found[0] < '0' || found[0] > '9'), "not a name");
    at_ = end;
    return found;
  }
  std::string name() {
    return word("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
  }
  std::string rest_of_line() {
    const std::size_t end = text_.find('\n', at_);
    const std::string found = text_.substr(at_, end - at_);
    at_ = end;
    return found;
  }

  void read_comment() {
    expect('#');
    expect(' ');
    const std::string keyword = name();
    expect(' ');
    const std::string family = name();
    expect(' ');
    const std::string text = rest_of_line();
    require(!text.empty(), "an empty " + keyword);
    if (keyword == "HELP") {
      require(helped_.insert(family).second, "a second HELP");
    } else {
      require(keyword == "TYPE", "neither HELP nor TYPE");
      require(text == "counter" || text == "histogram", "an unknown type");
      require(types_.emplace(family, text).second, "a second TYPE, or families in pieces");
      require(helped_.contains(family), "no HELP");
      family_ = family;
    }
  }

  std::string label_value() {
    expect('"');
    std::string value;
    while (text_.at(at_) != '"') {
      char c = text_[at_++];
      require(c != '\n', "a line feed that is not escaped");
      if (c == '\\') {
        c = text_.at(at_++);
        require(c == '\\' || c == '"' || c == 'n', "an unknown escape");
        if (c == 'n') c = '\n';
      }
      value += c;
    }
    expect('"');
    return value;
  }

  void read_sample() {
    const std::string metric = name();
    const bool histogram = types_[family_] == "histogram";
    const bool fits = histogram ? metric == family_ + "_bucket" || metric == family_ + "_sum" ||
                                      metric == family_ + "_count"
                                : metric == family_;
    require(fits, metric + " is not of the family " + family_);
    Labels labels;
    expect('{');
    while (true) {
      const std::string label = word("abcdefghijklmnopqrstuvwxyz0123456789_");
      expect('=');
      require(labels.emplace(label, label_value()).second, "a label twice");
      if (text_.at(at_) != ',') break;
      expect(',');
    }
    expect('}');
    expect(' ');
    const std::string number = rest_of_line();
    std::size_t used = 0;
    const double value = std::stod(number, &used);
    require(used == number.size() && std::isfinite(value), "not a number: " + number);
    require(samples_.emplace(std::pair(metric, labels), value).second, "a series twice");
  }

  const std::string text_;
  std::size_t at_ = 0;
  std::string family_{};
  std::set<std::string> helped_{};
  std::map<std::string, std::string> types_{};
  std::map<std::pair<std::string, Labels>, double> samples_{};
};

const std::string events = "websession_events_total";
const std::string ends = "websession_ends_total";
const std::string errors = "websession_store_errors_total";
const std::string duration = "websession_store_call_duration_seconds";

void tell(Counters& counters, StoreVerb verb, nanoseconds latency, const Error* error = nullptr) {
  counters.tell(StoreCall{verb, {}, latency, error});
}

TEST(Counters, CountsWhySessionsHaveEnded) {
  Counters counters;
  SessionEvent event{Kind::erased};
  event.end = EndReason::signed_out;
  counters.tell(event);
  counters.tell(event);
  event.end = EndReason::ended_elsewhere;
  counters.tell(event);
  counters.tell(SessionEvent{Kind::created});
  const CounterSnapshot counts = counters.snapshot();
  EXPECT_EQ(counts.count(EndReason::signed_out), 2U);
  EXPECT_EQ(counts.count(EndReason::ended_elsewhere), 1U);
  EXPECT_EQ(counts.count(EndReason::evicted), 0U);
  const std::string text = counters.prometheus_text();
  const Page page(text);
  EXPECT_EQ(page.value(ends, {{"reason", "signed_out"}}), 2);
  EXPECT_EQ(page.value(ends, {{"reason", "absolute"}}), 0);
}

TEST(Counters, CountsEventsAndErrors) {
  Counters counters;
  for (int i = 0; i < 3; ++i) counters.tell(SessionEvent{Kind::created});
  counters.tell(SessionEvent{Kind::cookie_bad_signature});
  const Error late = make_error(Errc::timeout, "late");
  const Error foreign{std::make_error_code(std::errc::io_error), "of a store by somebody else"};
  const Error unheard{std::error_code(4711, error_category()), ""};
  const Error negative{std::error_code(-1, error_category()), ""};
  tell(counters, StoreVerb::load, milliseconds(500), &late);
  tell(counters, StoreVerb::load, milliseconds(500), &late);
  for (const Error* other : {&foreign, &unheard, &negative}) {
    tell(counters, StoreVerb::erase, nanoseconds(1), other);
  }

  const CounterSnapshot counts = counters.snapshot();
  EXPECT_EQ(counts.count(Kind::created), 3U);
  EXPECT_EQ(counts.count(Kind::cookie_bad_signature), 1U);
  EXPECT_EQ(counts.count(Kind::loaded), 0U);
  EXPECT_EQ(counts.count(StoreVerb::load, Errc::timeout), 2U);
  EXPECT_EQ(counts.count(StoreVerb::load, Errc::unavailable), 0U);
  EXPECT_EQ(counts.failed(StoreVerb::load).calls(), 2U);
  EXPECT_EQ(counts.failed(StoreVerb::load).sum, milliseconds(1000));
  EXPECT_EQ(counts.succeeded(StoreVerb::load).calls(), 0U);
  EXPECT_EQ(counts.failed(StoreVerb::erase).calls(), 3U);
  const Page page(counters.prometheus_text());
  EXPECT_EQ(page.value(errors, {{"verb", "erase"}, {"error", "other"}}), 3);
  EXPECT_EQ(page.value(errors, {{"verb", "load"}, {"error", "timeout"}}), 2);
  EXPECT_EQ(page.value(events, {{"event", "created"}}), 3);
}

TEST(Counters, ALatencyBelongsToTheFirstBucketThatHoldsIt) {
  Counters counters;
  const auto& bounds = CounterSnapshot::bounds;
  for (const microseconds bound : bounds) tell(counters, StoreVerb::load, bound);
  tell(counters, StoreVerb::load, bounds.back() + nanoseconds(1));
  tell(counters, StoreVerb::load, nanoseconds(0));
  tell(counters, StoreVerb::load, bounds[0] + nanoseconds(1));
  const CounterSnapshot counts = counters.snapshot();
  const auto& buckets = counts.succeeded(StoreVerb::load).counts;
  for (std::size_t i = 0; i < buckets.size(); ++i) EXPECT_EQ(buckets[i], i < 2 ? 2U : 1U) << i;
}

TEST(Counters, TheirPageIsOfPrometheusFormat) {
  Counters counters;
  tell(counters, StoreVerb::update, microseconds(300));
  tell(counters, StoreVerb::update, microseconds(900'000));
  tell(counters, StoreVerb::update, microseconds(2'000'001));
  const std::string text = counters.prometheus_text();
  const Page page(text);
  const std::map<std::string, std::string> types{
      {events, "counter"}, {ends, "counter"}, {errors, "counter"}, {duration, "histogram"}};
  EXPECT_EQ(page.types(), types);

  const Labels labels{{"verb", "update"}, {"result", "ok"}};
  const auto bucket = [&](const std::string& bound) {
    Labels with = labels;
    with["le"] = bound;
    return page.value(duration + "_bucket", with);
  };
  EXPECT_EQ(bucket("0.00005"), 0);
  EXPECT_EQ(bucket("0.00025"), 0);
  EXPECT_EQ(bucket("0.0005"), 1);
  EXPECT_EQ(bucket("0.5"), 1);
  EXPECT_EQ(bucket("1"), 2);
  EXPECT_EQ(bucket("+Inf"), 3);
  EXPECT_EQ(page.value(duration + "_count", labels), 3);
  EXPECT_NE(text.find(duration + "_sum{verb=\"update\",result=\"ok\"} 2.900301\n"),
            std::string::npos)
      << "in seconds, and exact";
}

// Buckets add up, and the last one holds all.
TEST(Counters, EveryHistogramIsCumulative) {
  Counters counters;
  for (int i = 0; i < 200; ++i) tell(counters, StoreVerb::load, microseconds(1 << (i % 22)));
  const Page page(counters.prometheus_text());
  int histograms = 0;
  for (const auto& [series, count] : page.samples()) {
    if (series.first != duration + "_count") continue;
    ++histograms;
    std::map<double, double> buckets;
    for (const auto& [other, value] : page.samples()) {
      Labels labels = other.second;
      const auto bound = labels.extract("le");
      if (other.first == duration + "_bucket" && labels == series.second) {
        buckets[std::stod(bound.mapped())] = value;
      }
    }
    ASSERT_EQ(buckets.size(), CounterSnapshot::bounds.size() + 1);
    double before = 0;
    for (const auto& [bound, value] : buckets) {
      EXPECT_GE(value, before) << bound;
      before = value;
    }
    EXPECT_TRUE(std::isinf(buckets.rbegin()->first));
    EXPECT_EQ(before, count);
  }
  EXPECT_EQ(histograms, 16) << "eight verbs, two results";
}

TEST(Counters, EveryErrorHasAPlace) {
  const Page page(Counters().prometheus_text());
  int errors_of_load = 0;
  for (const auto& [series, value] : page.samples()) {
    if (series.first != errors || series.second.at("verb") != "load") continue;
    ++errors_of_load;
    EXPECT_EQ(value, 0);
    EXPECT_EQ(series.second.at("error").find_first_not_of("abcdefghijklmnopqrstuvwxyz_"),
              std::string::npos);
  }
  EXPECT_EQ(error_category().message(errors_of_load), "unknown error")
      << "Errc has become longer: raise the last one in CounterSnapshot";
  EXPECT_NE(error_category().message(errors_of_load - 1), "unknown error");
}

// The whole way: manager and store share one.
TEST(Counters, CountWhatManagersAndStoresDo) {
  const auto clock = std::make_shared<ManualClock>();
  const auto counters = std::make_shared<Counters>();
  const MemoryOptions memory{.sessions_max = 2, .clock = clock, .observer = counters};
  const auto store = std::make_shared<FaultStore>(std::make_shared<MemoryStore>(memory));
  SessionOptions options;
  options.clock = clock;
  options.observer = counters;
  const SessionManager manager = SessionManager::make(store, options).value();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(manager.create());
  store->fail_all(make_error(Errc::unavailable, "down"));
  ASSERT_FALSE(manager.create());
  const CounterSnapshot counts = counters->snapshot();
  EXPECT_EQ(counts.count(Kind::created), 5U);
  EXPECT_EQ(counts.count(Kind::evicted_anonymous), 3U);
  EXPECT_EQ(counts.count(Kind::evicted_signed_in), 0U);
  EXPECT_EQ(counts.count(StoreVerb::create, Errc::unavailable), 1U);
  EXPECT_EQ(counts.succeeded(StoreVerb::create).calls(), 5U);
}

TEST(Counters, LoseNothingAmongThreads) {
  constexpr std::uint64_t rounds = 5000;
  constexpr std::uint64_t threads = 4;
  Counters counters;
  const Error late = make_error(Errc::timeout, "late");
  std::vector<std::thread> running;
  for (std::uint64_t i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        counters.tell(SessionEvent{Kind::loaded});
        tell(counters, StoreVerb::load, nanoseconds(3));
        tell(counters, StoreVerb::load, milliseconds(3), &late);
      }
    });
  }
  while (counters.snapshot().count(Kind::loaded) < rounds) std::this_thread::yield();
  for (std::thread& thread : running) thread.join();
  const CounterSnapshot counts = counters.snapshot();
  EXPECT_EQ(counts.count(Kind::loaded), rounds * threads);
  EXPECT_EQ(counts.succeeded(StoreVerb::load).calls(), rounds * threads);
  EXPECT_EQ(counts.succeeded(StoreVerb::load).sum, nanoseconds(3 * rounds * threads));
  EXPECT_EQ(counts.count(StoreVerb::load, Errc::timeout), rounds * threads);
}

}  // namespace
}  // namespace websession::testing
