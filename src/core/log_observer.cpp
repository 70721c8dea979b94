#include "websession/log_observer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>

#include "characters.hpp"

namespace websession {
namespace {

constexpr std::chrono::seconds pause(10);

// What happens to sessions as long as all is well; whatever else there is, is worth a line.
bool is_usual(SessionEvent::Kind kind) {
  using Kind = SessionEvent::Kind;
  switch (kind) {
    case Kind::created:
    case Kind::loaded:
    case Kind::not_found:
    case Kind::late:
    case Kind::renewed:
    case Kind::updated:
    case Kind::regenerated:
    case Kind::erased:
    case Kind::expired:
    case Kind::gone:
    case Kind::conflict:
    case Kind::evicted_anonymous:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct LogObserver::Lines {
  // What kind of line: a verb and its error, or -1 and an event.
  using Kind = std::pair<int, int>;
  struct Written {
    SteadyTime last;
    std::uint64_t left_out = 0;
  };

  std::ostream* out;  // null: stderr, which threads may need longer than std::cerr is there
  Level level;
  std::shared_ptr<const Clock> clock;
  std::mutex mutex{};
  std::map<Kind, Written> written{};

  void write(std::string text, const std::string& label, std::uint64_t left_out) {
    if (!label.empty()) text += " [" + label + "]";
    if (left_out > 0) {
      text += " (and " + std::to_string(left_out) + " more since the last such line)";
    }
    std::replace_if(text.begin(), text.end(), internal::is_control, '?');
    const std::string line = "websession: " + text + "\n";
    if (out == nullptr) {
      static_cast<void>(std::fputs(line.c_str(), stderr));  // there is nobody to tell
    } else {
      *out << line << std::flush;
    }
  }
  // The label is asked for only when the line is written: it is a hash.
  template <class Label>
  void write_now_and_then(Kind kind, const std::string& text, Label label) {
    const SteadyTime now = clock->steady();
    const std::lock_guard lock(mutex);
    const auto [found, first] = written.try_emplace(kind, Written{now});
    Written& before = found->second;
    if (!first && now - before.last < pause) {
      ++before.left_out;
      return;
    }
    before.last = now;
    write(text, label(), std::exchange(before.left_out, 0));
  }
};

LogObserver::LogObserver(Level level) : lines_(new Lines{nullptr, level, system_clock()}) {}
LogObserver::LogObserver(std::ostream& out, Level level, std::shared_ptr<const Clock> clock)
    : lines_(new Lines{&out, level, std::move(clock)}) {}
LogObserver::~LogObserver() = default;

void LogObserver::on_session(const SessionEvent& event) {
  std::string text(to_text(event.kind));
  if (!event.attribute.empty()) text += " of \"" + std::string(event.attribute) + "\"";
  if (event.error != nullptr) text += ": " + event.error->message();
  if (event.end) text += " (" + std::string(to_text(*event.end)) + ")";
  if (!is_usual(event.kind)) {
    lines_->write_now_and_then({-1, static_cast<int>(event.kind)}, text,
                               [&] { return label(event.session); });
  } else if (lines_->level == Level::all) {
    const std::lock_guard lock(lines_->mutex);
    lines_->write(text, label(event.session), 0);
  }
}

void LogObserver::on_store_call(const StoreCall& call) {
  if (call.error == nullptr) return;
  const bool ours = call.error->code.category() == error_category();
  lines_->write_now_and_then({static_cast<int>(call.verb), ours ? call.error->code.value() : 0},
                             std::string(to_text(call.verb)) + " failed: " + call.error->message(),
                             [&] { return label(call.session); });
}

void LogObserver::on_warning(const Warning& warning) {
  const std::lock_guard lock(lines_->mutex);
  lines_->write("warning: " + std::string(warning.text), {}, 0);
}

}  // namespace websession
