#include "websession/adapters/crow.hpp"

#include <crow.h>

#include <thread>

#include "site.hpp"

namespace websession::testing {
namespace {

using adapters::crow::Options;
using adapters::crow::Request;
using adapters::crow::Response;
using adapters::crow::with_session;

struct AllOptions {
  AllOptions() {
    hooks.on_error = [](const Error& error, const Request&, Response& res) {
      res.code = 502;
      res.body = error.detail;
    };
    hooks.on_gone = [](const Request&, Response& res) {
      res.code = 303;
      res.set_header("Location", "/");
    };
    proxied.trust_forwarded_proto = true;
  }
  Options plain{};
  Options hooks{};
  Options proxied{};
};

class CrowSite final : public Site {
 public:
  explicit CrowSite(const SiteParts& parts) {
    const auto manager = SessionManager::make(parts.store, parts.options).value();
    const AllOptions options;
    const auto page = [parts](const Request& req, Response& res, Session& session) {
      const Deeds deeds(req.get_header_value("X-Do"));
      for (const auto& [name, value] : deeds.headers()) res.set_header(name, value);
      res.add_header("Set-Cookie", other_cookie);
      res.body = half_an_answer;
      if (deeds.has("end")) parts.end(session);
      std::optional<std::int64_t> counted;
      if (deeds.has("count")) counted = session.increment("count").value();
      res.body = deeds.carry_out(session, counted);
    };
    CROW_ROUTE(app_, "/")(with_session(manager, page, options.plain));
    CROW_ROUTE(app_, "/hooks")(with_session(manager, page, options.hooks));
    CROW_ROUTE(app_, "/proxied")(with_session(manager, page, options.proxied));
    app_.loglevel(crow::LogLevel::Critical);
    thread_ = std::thread(
        [this] { app_.bindaddr("127.0.0.1").port(0).concurrency(2).signal_clear().run(); });
    app_.wait_for_server_start();
    port_ = app_.port();
  }
  ~CrowSite() override {
    app_.stop();
    thread_.join();
  }
  [[nodiscard]] int port() const override { return port_; }

 private:
  crow::SimpleApp app_{};
  std::thread thread_{};
  int port_ = 0;
};

}  // namespace

const SiteKind crow_site{
    "crow",
    [](const SiteParts& parts) { return std::unique_ptr<Site>(std::make_unique<CrowSite>(parts)); },
    false};

}  // namespace websession::testing
