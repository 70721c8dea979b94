#include "host_loop.hpp"

#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>

#include "websession/async/epoll_reactor.hpp"

#if __has_include(<boost/asio.hpp>)
#include "websession/async/boost_asio.hpp"
#endif
#if __has_include(<asio.hpp>)
#include "websession/async/asio.hpp"
#endif
#if __has_include(<uv.h>)
#include "websession/async/uv_reactor.hpp"
#endif
#if __has_include(<trantor/net/EventLoop.h>)
#include <trantor/net/EventLoopThread.h>

#include "websession/async/trantor_reactor.hpp"
#endif

namespace websession::testing {
namespace {

constexpr std::chrono::milliseconds moment{1};
constexpr int turns_at_end = 10;

class EpollHost final : public HostLoop {
 public:
  [[nodiscard]] std::shared_ptr<Reactor> reactor() const override { return loop_; }
  void turn() override { loop_->run_once(moment); }

 private:
  const std::shared_ptr<EpollReactor> loop_ = EpollReactor::make().value();
};

// `make` gives a reactor on a context.
template <class Context, auto make>
class AsioHost final : public HostLoop {
 public:
  [[nodiscard]] std::shared_ptr<Reactor> reactor() const override { return loop_; }
  void let_go() override { loop_.reset(); }
  void turn() override { context_.run_for(moment); }

 private:
  Context context_{};
  const decltype(make_work_guard(std::declval<Context&>())) work_ = make_work_guard(context_);
  std::shared_ptr<Reactor> loop_ = make(context_);
};

#if __has_include(<boost/asio.hpp>)
std::shared_ptr<Reactor> on_boost_context(boost::asio::io_context& context) {
  return with_boost_asio::asio_reactor_of_one_thread(context);
}
std::shared_ptr<Reactor> on_boost_strand(boost::asio::io_context& context) {
  return with_boost_asio::asio_reactor(context.get_executor());
}
#endif
#if __has_include(<asio.hpp>)
std::shared_ptr<Reactor> on_asio_context(::asio::io_context& context) {
  return with_asio::asio_reactor_of_one_thread(context);
}
std::shared_ptr<Reactor> on_asio_strand(::asio::io_context& context) {
  return with_asio::asio_reactor(::asio::any_io_executor(context.get_executor()));
}
#endif

#if __has_include(<uv.h>)
class UvHost final : public HostLoop {
 public:
  UvHost() {
    uv_loop_init(&loop_);
    reactor_ = uv_reactor(loop_).value();
    uv_timer_init(&loop_, &timer_);
  }
  ~UvHost() override {
    reactor_.reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    // It ends when nobody uses it any more.
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop_) != 0) std::terminate();
  }
  [[nodiscard]] std::shared_ptr<Reactor> reactor() const override { return reactor_; }
  void let_go() override { reactor_.reset(); }
  void turn() override {
    uv_update_time(&loop_);
    // Again and again: libuv may fire it before it waits, and would then wait for ever.
    uv_timer_start(
        &timer_, [](uv_timer_t*) {}, moment.count(), moment.count());
    uv_run(&loop_, UV_RUN_ONCE);
    uv_timer_stop(&timer_);
  }

 private:
  uv_loop_t loop_{};
  uv_timer_t timer_{};
  std::shared_ptr<Reactor> reactor_{};
};
#endif

#if __has_include(<trantor/net/EventLoop.h>)
// It cannot run for a moment only: then it has quit.
class TrantorHost final : public HostLoop {
 public:
  TrantorHost() { thread_.run(); }
  ~TrantorHost() override {
    thread_.getLoop()->quit();
    thread_.wait();
  }
  [[nodiscard]] std::shared_ptr<Reactor> reactor() const override { return reactor_; }
  void let_go() override { reactor_.reset(); }
  void turn() override { std::this_thread::sleep_for(moment); }
  void on_loop(const std::function<void()>& function) override {
    std::promise<void> done;
    thread_.getLoop()->queueInLoop([&] {
      function();
      done.set_value();
    });
    done.get_future().get();
  }

 private:
  trantor::EventLoopThread thread_{};
  std::shared_ptr<Reactor> reactor_ = trantor_reactor(*thread_.getLoop()).value();
};
#endif

template <class Host>
std::unique_ptr<HostLoop> make_host() {
  return std::make_unique<Host>();
}

}  // namespace

const std::vector<HostKind>& host_kinds() {
  static const std::vector<HostKind> kinds = {
    {"epoll", make_host<EpollHost>, false},
#if __has_include(<boost/asio.hpp>)
    {"boost_asio", make_host<AsioHost<boost::asio::io_context, on_boost_context>>},
    {"boost_asio_strand", make_host<AsioHost<boost::asio::io_context, on_boost_strand>>},
#endif
#if __has_include(<asio.hpp>)
    {"asio", make_host<AsioHost<::asio::io_context, on_asio_context>>},
    {"asio_strand", make_host<AsioHost<::asio::io_context, on_asio_strand>>},
#endif
#if __has_include(<uv.h>)
    {"uv", make_host<UvHost>, false},
#endif
#if __has_include(<trantor/net/EventLoop.h>)
    {"trantor", make_host<TrantorHost>},
#endif
  };
  return kinds;
}

HostThread::HostThread(std::string_view name) {
  std::unique_ptr<HostLoop> (*make)() = nullptr;
  for (const HostKind& kind : host_kinds()) {
    if (kind.name == name) make = kind.make;
  }
  if (make == nullptr) throw std::invalid_argument("no loop called " + std::string(name));
  std::promise<std::shared_ptr<Reactor>> made;
  thread_ = std::thread([this, make, &made] {
    const auto host = make();
    made.set_value(host->reactor());
    while (!ends_) host->turn();
    for (int turn = 0; turn < turns_at_end; ++turn) host->turn();
  });
  reactor_ = made.get_future().get();
}

HostThread::~HostThread() {
  reactor_.reset();
  ends_ = true;
  thread_.join();
}

}  // namespace websession::testing
