#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "async/store_run.hpp"
#include "invalid.hpp"
#include "websession/async/stores.hpp"
#include "websession/principal_index.hpp"

namespace websession {
namespace {

using internal::invalid;
using std::chrono::milliseconds;

// One call. Its answer, and what belongs to that, is the loop's; its work a thread's.
class Job : public std::enable_shared_from_this<Job> {
 public:
  explicit Job(const std::shared_ptr<Reactor>& loop) noexcept : loop_(loop) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  // Both on a thread of the pool; the job goes back to its loop.
  static void run(std::shared_ptr<Job> job, SessionStore& store) {
    if (!job->begin()) return;
    job->work(store);
    go_back(std::move(job));
  }
  static void refuse(std::shared_ptr<Job> job) {
    if (!job->begin()) return;
    job->fail(make_error(Errc::unavailable, "the store was destroyed; nothing was written"));
    go_back(std::move(job));
  }

 protected:
  // False: somebody else was first.
  [[nodiscard]] bool begin() noexcept { return !begun_.exchange(true); }

 private:
  static void go_back(std::shared_ptr<Job> job) {
    const std::shared_ptr<Reactor> loop = job->loop_.lock();
    if (loop != nullptr) loop->post([job = std::move(job)] { job->answer(); });
  }
  virtual void work(SessionStore& store) noexcept = 0;
  virtual void fail(Error error) = 0;
  virtual void answer() = 0;

  const std::weak_ptr<Reactor> loop_;
  std::atomic<bool> begun_ = false;
};

// `call(store)` makes the call, with what it takes along.
template <class T, class Call>
class CallJob final : public Job {
 public:
  CallJob(const std::shared_ptr<Reactor>& loop, bool writes, Call call, Done<T> done)
      : Job(loop), writes_(writes), call_(std::move(call)), done_(std::move(done)) {}

  // On the loop.
  void end_by(Reactor& loop, milliseconds timeout) {
    deadline_ = loop.timer([this, timeout] {
      give_up(make_error(Errc::timeout, "no answer from the store within " +
                                            std::to_string(timeout.count()) + " ms"));
    });
    deadline_->arm(loop.now() + timeout);
  }
  void give_up(Error error) {
    const auto keep = shared_from_this();
    error.maybe_applied = !begin() && writes_;
    give(std::move(error));
  }

 private:
  void work(SessionStore& store) noexcept override {
    try {
      result_.emplace(call_(store));
    } catch (const std::exception& exception) {
      result_.emplace(internal::thrown(exception.what()));
    } catch (...) {
      result_.emplace(internal::thrown("something that is no exception"));
    }
  }
  void fail(Error error) override { result_.emplace(std::move(error)); }
  void answer() override { give(*std::move(result_)); }
  void give(Result<T> result) {
    if (!done_) return;
    Done<T> done = std::move(done_);
    const std::unique_ptr<Timer> over = std::move(deadline_);
    done(std::move(result));
  }

  const bool writes_;
  Call call_;
  std::optional<Result<T>> result_{};
  Done<T> done_;
  std::unique_ptr<Timer> deadline_{};
};

// Its threads share it, as the last of its store's owners may be what one of them drops.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(std::shared_ptr<SessionStore> store, std::size_t pending_max)
      : store_(std::move(store)), pending_max_(pending_max) {}

  void start(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([self = shared_from_this()] { self->work(); });
    }
  }
  void end() {
    std::deque<std::shared_ptr<Job>> refused;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      refused.swap(waiting_);
    }
    some_.notify_all();
    for (std::shared_ptr<Job>& job : refused) Job::refuse(std::move(job));
    for (std::thread& thread : threads_) {
      if (thread.get_id() == std::this_thread::get_id()) {
        thread.detach();  // it ends when it has dropped what it is dropping
      } else {
        thread.join();
      }
    }
  }
  // False: too many wait already.
  bool add(std::shared_ptr<Job> job) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= pending_max_) return false;
      waiting_.push_back(std::move(job));
    }
    some_.notify_one();
    return true;
  }
  [[nodiscard]] SessionStore& store() noexcept { return *store_; }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      some_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (ending_) return;
      std::shared_ptr<Job> job = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      Job::run(std::move(job), *store_);
      lock.lock();
    }
  }

  const std::shared_ptr<SessionStore> store_;
  const std::size_t pending_max_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<std::shared_ptr<Job>> waiting_;
  bool ending_ = false;
};

// A lifetime that owns what it refers to.
class OwnLifetime {
 public:
  explicit OwnLifetime(const Lifetime& lifetime)
      : lifetime_(lifetime), principal_(lifetime.principal) {}
  [[nodiscard]] Lifetime get() const {
    Lifetime lifetime = lifetime_;
    lifetime.principal = principal_;
    return lifetime;
  }

 private:
  Lifetime lifetime_;
  std::string principal_;
};

class ThreadedStore final : public AsyncSessionStore,
                            private AsyncPrincipalIndex,
                            private AsyncSessionDirectory {
 public:
  ThreadedStore(Reactors reactors, std::shared_ptr<Pool> pool, const ThreadOptions& options)
      : AsyncSessionStore(std::move(reactors)),
        pool_(std::make_unique<std::shared_ptr<Pool>>(std::move(pool))),
        options_(options) {}
  ~ThreadedStore() override {
    // A child of a fork has none of the threads, and its mutex may be locked for ever.
    if (owner_ == ::getpid()) {
      (*pool_)->end();
    } else {
      static_cast<void>(pool_.release());
    }
  }

  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return (*pool_)->store().placement();
  }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override {
    return (*pool_)->store().index() != nullptr ? this : nullptr;
  }
  [[nodiscard]] AsyncSessionDirectory* directory() noexcept override {
    return (*pool_)->store().directory() != nullptr ? this : nullptr;
  }

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    run(Kind::read, call, std::move(done), [key](SessionStore& store) { return store.load(key); });
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    run(Kind::write, call, std::move(done),
        [key, fields, lifetime = OwnLifetime(lifetime)](SessionStore& store) {
          return store.create(key, fields, lifetime.get());
        });
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    run(Kind::write, call, std::move(done),
        [key, changes, lifetime = OwnLifetime(lifetime)](SessionStore& store) {
          return store.update(key, changes, lifetime.get());
        });
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    run(Kind::write, call, std::move(done),
        [from, to, changes, lifetime = OwnLifetime(lifetime), grace](SessionStore& store) {
          return store.rekey(from, to, changes, lifetime.get(), grace);
        });
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    run(Kind::write, call, std::move(done),
        [key, grace](SessionStore& store) { return store.erase(key, grace); });
  }

 private:
  enum class Kind { read, write };

  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    run(Kind::read, call, std::move(done),
        [principal = std::string(principal)](SessionStore& store) {
          return store.index()->entries(principal);
        });
  }
  void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              AsyncCall& call, Done<void> done) override {
    run(Kind::write, call, std::move(done),
        [principal = std::string(principal), keys = std::vector<StoreKey>(keys.begin(), keys.end()),
         made](SessionStore& store) { return store.index()->forget(principal, keys, made); });
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    run(Kind::write, call, std::move(done),
        [key](SessionStore& store) { return store.index()->end_frozen(key); });
  }
  void page(const DirectoryCursor& after, std::size_t about, AsyncCall& call,
            Done<DirectoryPage> done) override {
    run(Kind::read, call, std::move(done),
        [after, about](SessionStore& store) { return store.directory()->page(after, about); });
  }
  void count(AsyncCall& call, Done<SessionCount> done) override {
    run(Kind::read, call, std::move(done),
        [](SessionStore& store) { return store.directory()->count(); });
  }

  template <class T, class Call>
  void run(Kind kind, AsyncCall& call, Done<T> done, Call its_call) {
    using ThisJob = CallJob<T, Call>;
    const std::shared_ptr<Reactor>& loop = reactors()[call.loop()];
    const auto job =
        std::make_shared<ThisJob>(loop, kind == Kind::write, std::move(its_call), std::move(done));
    if (owner_ != ::getpid()) {
      return later(*loop, job, internal::inherited());
    }
    if (!(*pool_)->add(job)) {
      return later(*loop, job,
                   make_error(Errc::overloaded, std::to_string(options_.pending_max) +
                                                    " calls are waiting for a thread already "
                                                    "(ThreadOptions::pending_max)"));
    }
    call.when_stopped([weak = std::weak_ptr(job)] {
      if (const auto running = weak.lock()) running->give_up(internal::canceled());
    });
    const std::chrono::nanoseconds most = options_.operation_timeout;
    const auto timeout = std::min(most, call.timeout().value_or(most));
    job->end_by(*loop, std::chrono::ceil<milliseconds>(timeout));
  }

  template <class ThisJob>
  static void later(Reactor& loop, const std::shared_ptr<ThisJob>& job, Error error) {
    loop.post([job, error = std::move(error)]() mutable { job->give_up(std::move(error)); });
  }

  std::unique_ptr<std::shared_ptr<Pool>> pool_;
  const ThreadOptions options_;
  const pid_t owner_ = ::getpid();
};

Result<void> validate(const ThreadOptions& options) {
  if (options.threads == 0 || options.threads > 256) return invalid("threads: must be 1 to 256");
  if (options.pending_max == 0) return invalid("pending_max: must not be 0");
  if (options.operation_timeout < milliseconds(1)) {
    return invalid("operation_timeout: must be 1 ms or more");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<AsyncSessionStore>> on_threads(std::shared_ptr<SessionStore> store,
                                                      AsyncSessionStore::Reactors reactors,
                                                      ThreadOptions options) {
  if (store == nullptr) return invalid("store: must not be null");
  if (auto valid = websession::validate(reactors); !valid) return std::move(valid).error();
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  auto pool = std::make_shared<Pool>(std::move(store), options.pending_max);
  try {
    pool->start(options.threads);
  } catch (const std::system_error& error) {
    pool->end();
    return make_error(Errc::unavailable, std::string("no thread: ") + error.what());
  }
  return std::shared_ptr<AsyncSessionStore>(
      std::make_shared<ThreadedStore>(std::move(reactors), std::move(pool), options));
}

}  // namespace websession
