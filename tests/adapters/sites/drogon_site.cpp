#include "websession/adapters/drogon.hpp"

#include <drogon/drogon.h>

#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "reserved_port.hpp"
#include "site.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {
namespace {

using adapters::drogon::HttpRequestPtr;
using adapters::drogon::HttpResponsePtr;
using adapters::drogon::Options;
using adapters::drogon::Reply;
using adapters::drogon::Sessions;
using adapters::drogon::with_session;
using drogon::app;
using drogon::HttpResponse;
using drogon::Task;

HttpResponsePtr response_of(const Deeds& deeds, const std::string& body) {
  HttpResponsePtr response = HttpResponse::newHttpResponse();
  for (const auto& [name, value] : deeds.headers()) response->addHeader(name, value);
  response->addCookie("theme", "dark");
  response->setContentTypeCode(drogon::CT_TEXT_PLAIN);
  response->setBody(body);
  return response;
}

void callback_page(const SiteParts& parts, const HttpRequestPtr& req, AsyncSession session,
                   const Reply& reply) {
  const Deeds deeds(req->getHeader("X-Do"));
  if (deeds.has("end")) parts.end(session);
  if (!deeds.has("count")) {
    return reply(response_of(deeds, deeds.carry_out(session, std::nullopt)));
  }
  session.increment("count").start([deeds, session, reply](Result<std::int64_t> count) mutable {
    if (!count) return reply(count.error());
    reply(response_of(deeds, deeds.carry_out(session, *count)));
  });
}
Task<HttpResponsePtr> task_page(SiteParts parts, HttpRequestPtr req, AsyncSession session) {
  const Deeds deeds(req->getHeader("X-Do"));
  if (deeds.has("end")) parts.end(session);
  std::optional<std::int64_t> counted;
  if (deeds.has("count")) {
    auto counting = session.increment("count");
    const Result<std::int64_t> count = co_await std::move(counting);
    counted = count.value();
  }
  co_return response_of(deeds, deeds.carry_out(session, counted));
}

using Respond = std::function<void(const HttpResponsePtr&)>;
using Page = std::function<void(const HttpRequestPtr&, Respond&&)>;

// As Drogon does with a handler that is a coroutine.
template <class TaskPage>
Page awaited(TaskPage page) {
  return [page](const HttpRequestPtr& req, Respond&& respond) {
    drogon::async_run([page, req, respond = std::move(respond)]() -> Task<> {
      HttpResponsePtr response;
      try {
        response = co_await page(req);
      } catch (const std::exception&) {
        response =
            HttpResponse::newHttpResponse(drogon::k500InternalServerError, drogon::CT_TEXT_PLAIN);
      }
      respond(response);
    });
  };
}

bool accepts(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = local_address(port);
  const bool is_there =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return is_there;
}

// A process has one application, which runs once: it shows the pages of whichever site there is.
class Application {
 public:
  static Application& it() {
    static Application application;
    return application;
  }
  void show(std::map<std::string, Page> pages) {
    const std::lock_guard lock(mutex_);
    pages_ = std::move(pages);
  }
  [[nodiscard]] const AsyncSessionStore::Reactors& loops() const { return loops_; }
  [[nodiscard]] int port() const { return port_; }

 private:
  Application() {
    std::promise<AsyncSessionStore::Reactors> begun;
    const Sessions sessions([&](const AsyncSessionStore::Reactors& loops) {
      begun.set_value(loops);
      return AsyncSessionManager::make(immediate(std::make_shared<MemoryStore>(), loops).value())
          .value();
    });
    for (const char* path : {"/", "/hooks", "/proxied"}) {
      app().registerHandler(path, [this, path](const HttpRequestPtr& req, Respond&& respond) {
        std::unique_lock lock(mutex_);
        const Page page = pages_.at(path);
        lock.unlock();
        page(req, std::move(respond));
      });
    }
    app()
        .setThreadNum(2)
        .setLogLevel(trantor::Logger::kFatal)
        .addListener("127.0.0.1", static_cast<std::uint16_t>(port_));
    app().disableSigtermHandling();
    thread_ = std::thread([] { app().run(); });
    loops_ = begun.get_future().get();
    while (!accepts(port_)) std::this_thread::yield();  // it listens a little later
  }
  ~Application() {
    app().quit();
    thread_.join();
    ::close(reserved_);
  }

  std::mutex mutex_;
  std::map<std::string, Page> pages_;
  int port_ = 0;
  const int reserved_ = reserve_port(port_);
  AsyncSessionStore::Reactors loops_;
  std::thread thread_;
};

class DrogonSite final : public Site {
 public:
  template <class Wrap>
  DrogonSite(const SiteParts& parts, const Wrap& wrap) {
    const Sessions sessions(
        AsyncSessionManager::make(immediate(parts.store, Application::it().loops()).value(),
                                  parts.options)
            .value());
    Options hooks;
    hooks.on_error = [](const Error& error, const HttpRequestPtr&, HttpResponsePtr& res) {
      res->setStatusCode(drogon::k502BadGateway);
      res->setBody(error.detail);
    };
    hooks.on_gone = [](const HttpRequestPtr&, HttpResponsePtr& res) {
      res = HttpResponse::newRedirectionResponse("/", drogon::k303SeeOther);
    };
    Options proxied;
    proxied.trust_forwarded_proto = true;
    Application::it().show({{"/", wrap(sessions, Options())},
                            {"/hooks", wrap(sessions, hooks)},
                            {"/proxied", wrap(sessions, proxied)}});
  }
  [[nodiscard]] int port() const override { return Application::it().port(); }
};

}  // namespace

const SiteKind drogon_site{
    "drogon", [](const SiteParts& parts) -> std::unique_ptr<Site> {
      const auto wrap = [&](const Sessions& sessions, const Options& options) {
        return Page(with_session(
            sessions,
            [parts](const HttpRequestPtr& req, const AsyncSession& session, const Reply& reply) {
              callback_page(parts, req, session, reply);
            },
            options));
      };
      return std::make_unique<DrogonSite>(parts, wrap);
    }};
const SiteKind drogon_task_site{
    "drogon_task",
    [](const SiteParts& parts) -> std::unique_ptr<Site> {
      const auto wrap = [&](const Sessions& sessions, const Options& options) {
        return awaited(with_session(
            sessions,
            [parts](const HttpRequestPtr& req, const AsyncSession& session) {
              return task_page(parts, req, session);
            },
            options));
      };
      return std::make_unique<DrogonSite>(parts, wrap);
    },
    false};

}  // namespace websession::testing
