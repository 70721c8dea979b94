#include "websession/postgres_store.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "blocking_flow.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "verbs.hpp"
#include "wiped_on_fork.hpp"

namespace websession {
namespace {

using postgres::QueryFlow;
using std::chrono::milliseconds;

constexpr std::size_t rows_at_once = 64;

Error forked_error() {
  return make_error(Errc::rejected,
                    "this PostgresStore was made before a fork, and a child must not use its "
                    "parent's connections: make another one there");
}

}  // namespace

struct PostgresStore::Impl {
  Impl(postgres::ConnectionInfo info, const PostgresOptions& options)
      : operation_timeout(options.operation_timeout),
        clock(options.clock),
        pool(std::move(info), options) {}

  // `make(flow)` gives the Task.
  template <class Make>
  auto run(const Make& make) -> decltype(make(std::declval<QueryFlow&>()).await_resume()) {
    if (fork_guard.in_child()) return forked_error();
    postgres::PoolDriver driver(pool, std::chrono::steady_clock::now() + operation_timeout);
    internal::FrameMemory memory;
    QueryFlow flow(memory.arena(), driver, clock.get());
    return internal::finish(make(flow));
  }

  const milliseconds operation_timeout;
  const std::shared_ptr<const Clock> clock;
  const internal::ForkGuard fork_guard;
  postgres::Pool pool;
};

Result<std::shared_ptr<PostgresStore>> PostgresStore::connect(const std::string& conninfo,
                                                              const PostgresOptions& options) {
  Result<std::shared_ptr<PostgresStore>> store = connect_later(conninfo, options);
  if (!store) return store;
  Impl& impl = *(**store).impl_;
  const auto lease = impl.pool.take(std::chrono::steady_clock::now() + options.operation_timeout);
  if (!lease) return lease.error();
  return store;
}

Result<std::shared_ptr<PostgresStore>> PostgresStore::connect_later(
    const std::string& conninfo, const PostgresOptions& options) {
  if (auto valid = postgres::validate(options); !valid) return std::move(valid).error();
  Result<postgres::ConnectionInfo> info = postgres::parse_connection_info(conninfo);
  if (!info) return std::move(info).error();
  return std::shared_ptr<PostgresStore>(
      new PostgresStore(std::make_unique<Impl>(*std::move(info), options)));
}

PostgresStore::PostgresStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
// In a forked child the connections are the parent's, who would be told of their end.
PostgresStore::~PostgresStore() {
  if (impl_->fork_guard.in_child()) static_cast<void>(impl_.release());
}

Result<std::optional<Record>> PostgresStore::load(const StoreKey& key) {
  return impl_->run([&](QueryFlow& flow) { return postgres::load(flow, key); });
}

Result<void> PostgresStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  return impl_->run([&](QueryFlow& flow) { return postgres::create(flow, key, fields, lifetime); });
}

Result<Outcome> PostgresStore::update(const StoreKey& key, const Changes& changes,
                                      Lifetime lifetime) {
  return impl_->run(
      [&](QueryFlow& flow) { return postgres::update(flow, key, changes, lifetime); });
}

Result<Outcome> PostgresStore::rekey(const StoreKey& from, const StoreKey& to,
                                     const Changes& changes, Lifetime lifetime, Grace grace) {
  return impl_->run(
      [&](QueryFlow& flow) { return postgres::rekey(flow, from, to, changes, lifetime, grace); });
}

Result<bool> PostgresStore::erase(const StoreKey& key, Grace grace) {
  return impl_->run([&](QueryFlow& flow) { return postgres::erase(flow, key, grace); });
}

Result<std::vector<StoreKey>> PostgresStore::entries(std::string_view principal) {
  return impl_->run([&](QueryFlow& flow) { return postgres::list(flow, principal, entries_max); });
}

// Entries go with their rows, but for those that are frozen and whose successor has ended.
Result<void> PostgresStore::forget(std::string_view, std::span<const StoreKey> keys, BeingMade) {
  return impl_->run([&](QueryFlow& flow) { return postgres::strip(flow, keys); });
}

Result<void> PostgresStore::end_frozen(const StoreKey& key) { return forget({}, {&key, 1}, {}); }

Result<DirectoryPage> PostgresStore::page(const DirectoryCursor& after, std::size_t about) {
  return impl_->run([&](QueryFlow& flow) { return postgres::page(flow, after, about); });
}

Result<SessionCount> PostgresStore::count() {
  return impl_->run([](QueryFlow& flow) { return postgres::count(flow); });
}

Result<std::size_t> PostgresStore::sweep(std::size_t at_most) {
  std::size_t swept = 0;
  while (swept < at_most) {
    const std::size_t step = std::min(rows_at_once, at_most - swept);
    const Result<std::size_t> dropped =
        impl_->run([&](QueryFlow& flow) { return postgres::drop_expired(flow, step); });
    if (!dropped) return dropped.error();
    swept += *dropped;
    if (*dropped < step) break;
  }
  return swept;
}

}  // namespace websession
