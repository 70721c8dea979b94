#include "websession/async/postgres_store.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "async/errors.hpp"
#include "async/root_task.hpp"
#include "blocking_flow.hpp"
#include "event/line.hpp"
#include "options.hpp"
#include "verbs.hpp"

namespace websession {
namespace {

using postgres::Asked;
using postgres::Line;
using postgres::Query;
using postgres::QueryFlow;
using postgres::Rows;

// One verb, from its first query to its answer. `make(flow)` gives the Task, which gives a
// Result<T>; what that refers to is in `make`, or stays until `done` has been called. Whoever waits
// for rows holds it.
template <class T, class Make>
class Run final : private internal::TaskOwner<Result<T>>,
                  private postgres::QueryDriver,
                  public std::enable_shared_from_this<Run<T, Make>> {
 public:
  Run(std::shared_ptr<Line> line, Make make, SteadyTime until, Done<T> done)
      : line_(std::move(line)),
        make_(std::move(make)),
        until_(until),
        done_(std::move(done)),
        flow_(memory_.arena(), *this, line_->options().clock.get()) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() = default;

  // On the loop, and never answered inside of this.
  void begin() { task_.begin(line_->loop(), flow_, make_); }
  // Nobody waits for it any more.
  void stop() {
    is_stopped_ = true;
    if (asked_) line_->cancel(*asked_, internal::canceled());
  }

 private:
  bool run(const Query& query, internal::Answer<Result<Rows>>& answer) override {
    if (is_stopped_) {
      answer.put(internal::canceled());
      return true;
    }
    asked_.emplace(query, until_, answer, this->shared_from_this());
    std::optional<Error> refused = line_->send(*asked_);
    if (!refused) return false;
    asked_->owner.reset();
    answer.put(*std::move(refused));
    return true;
  }
  void finished(Result<T> result) noexcept override {
    Done<T> done = std::move(done_);
    done(std::move(result));
  }
  std::shared_ptr<void> self() override { return this->shared_from_this(); }

  const std::shared_ptr<Line> line_;
  Make make_;
  const SteadyTime until_;
  Done<T> done_;
  bool is_stopped_ = false;
  std::optional<Asked> asked_{};
  internal::FrameMemory memory_;  // not filled with zeros
  QueryFlow flow_;
  internal::RootTask<Result<T>> task_{*this};
};

// Closes a line on its loop; or, when that ends before it comes to it, lets go of all.
class Closing {
 public:
  explicit Closing(std::shared_ptr<Line> line) noexcept : line_(std::move(line)) {}
  Closing(Closing&&) noexcept = default;
  Closing& operator=(Closing&&) = delete;
  ~Closing() {
    if (line_ != nullptr) line_->drop();
  }
  void operator()() { std::exchange(line_, nullptr)->close(); }

 private:
  std::shared_ptr<Line> line_;
};

class EventStore final : public AsyncSessionStore,
                         private AsyncPrincipalIndex,
                         private AsyncSessionDirectory {
 public:
  EventStore(Reactors reactors, const postgres::ConnectionInfo& info,
             const PostgresOptions& options)
      : AsyncSessionStore(std::move(reactors)) {
    for (const std::shared_ptr<Reactor>& loop : this->reactors()) {
      lines_->push_back(std::make_shared<Line>(loop, info, options));
    }
  }
  ~EventStore() override {
    if (is_inherited()) {
      // Their sockets and watches are the parent's, which goes on using them.
      static_cast<void>(lines_.release());
      return;
    }
    for (std::size_t i = 0; i < lines_->size(); ++i) {
      reactors()[i]->post(Closing(std::move((*lines_)[i])));
    }
  }

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    run(call, std::move(done), [&key](QueryFlow& flow) { return postgres::load(flow, key); });
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    run(call, std::move(done), [&key, &fields, lifetime](QueryFlow& flow) {
      return postgres::create(flow, key, fields, lifetime);
    });
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    run(call, std::move(done), [&key, &changes, lifetime](QueryFlow& flow) {
      return postgres::update(flow, key, changes, lifetime);
    });
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    run(call, std::move(done), [&from, &to, &changes, lifetime, grace](QueryFlow& flow) {
      return postgres::rekey(flow, from, to, changes, lifetime, grace);
    });
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    run(call, std::move(done),
        [&key, grace](QueryFlow& flow) { return postgres::erase(flow, key, grace); });
  }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override { return this; }
  [[nodiscard]] AsyncSessionDirectory* directory() noexcept override { return this; }

 private:
  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    run(call, std::move(done), [principal](QueryFlow& flow) {
      return postgres::list(flow, principal, PrincipalIndex::entries_max);
    });
  }
  void forget(std::string_view, std::span<const StoreKey> keys, BeingMade, AsyncCall& call,
              Done<void> done) override {
    run(call, std::move(done), [keys](QueryFlow& flow) { return postgres::strip(flow, keys); });
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    run(call, std::move(done), [&key](QueryFlow& flow) {
      return postgres::strip(flow, std::span<const StoreKey>(&key, 1));
    });
  }

  void page(const DirectoryCursor& after, std::size_t about, AsyncCall& call,
            Done<DirectoryPage> done) override {
    run(call, std::move(done),
        [&after, about](QueryFlow& flow) { return postgres::page(flow, after, about); });
  }
  void count(AsyncCall& call, Done<SessionCount> done) override {
    run(call, std::move(done), [](QueryFlow& flow) { return postgres::count(flow); });
  }

  template <class T, class Make>
  void run(AsyncCall& call, Done<T> done, Make make) {
    const std::shared_ptr<Line>& line = (*lines_)[call.loop()];
    if (is_inherited()) {
      line->loop().post([done = std::move(done)]() mutable { done(internal::inherited()); });
      return;
    }
    const std::chrono::nanoseconds timeout = line->options().operation_timeout;
    const SteadyTime until =
        line->loop().now() + std::min(timeout, call.timeout().value_or(timeout));
    const auto started =
        std::make_shared<Run<T, Make>>(line, std::move(make), until, std::move(done));
    call.when_stopped([weak = std::weak_ptr(started)] {
      if (const auto running = weak.lock()) running->stop();
    });
    started->begin();
  }
  [[nodiscard]] bool is_inherited() const noexcept { return owner_ != ::getpid(); }

  using Lines = std::vector<std::shared_ptr<Line>>;
  std::unique_ptr<Lines> lines_ = std::make_unique<Lines>();
  const pid_t owner_ = ::getpid();
};

}  // namespace

Result<std::shared_ptr<AsyncSessionStore>> AsyncPostgresStore::connect_later(
    const std::string& conninfo, AsyncSessionStore::Reactors reactors,
    const PostgresOptions& options) {
  if (auto valid = validate(reactors); !valid) return std::move(valid).error();
  if (auto valid = postgres::validate(options); !valid) return std::move(valid).error();
  const Result<postgres::ConnectionInfo> info = postgres::parse_connection_info(conninfo);
  if (!info) return info.error();
  return std::shared_ptr<AsyncSessionStore>(
      std::make_shared<EventStore>(std::move(reactors), *info, options));
}

}  // namespace websession
