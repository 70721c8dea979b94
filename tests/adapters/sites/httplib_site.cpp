#include "websession/adapters/httplib.hpp"

#include "listening.hpp"
#include "site.hpp"

namespace websession::testing {
namespace {

using adapters::httplib::Options;
using adapters::httplib::Request;
using adapters::httplib::Response;
using adapters::httplib::with_session;

class HttplibSite final : public Site {
 public:
  explicit HttplibSite(const SiteParts& parts) {
    const auto manager = SessionManager::make(parts.store, parts.options).value();
    const auto page = [parts](const Request& req, Response& res, Session& session) {
      const Deeds deeds(req.get_header_value("X-Do"));
      for (const auto& [name, value] : deeds.headers()) res.set_header(name, value);
      res.set_header("Set-Cookie", other_cookie);
      res.set_content(half_an_answer, "text/html");
      if (deeds.has("end")) parts.end(session);
      std::optional<std::int64_t> counted;
      if (deeds.has("count")) counted = session.increment("count").value();
      res.set_content(deeds.carry_out(session, counted), "text/plain");
    };
    Options hooks;
    hooks.on_error = [](const Error& error, const Request&, Response& res) {
      res.status = 502;
      res.set_content(error.detail, "text/plain");
    };
    hooks.on_gone = [](const Request&, Response& res) { res.set_redirect("/", 303); };
    Options proxied;
    proxied.trust_forwarded_proto = true;
    server_.Get("/", with_session(manager, page));
    server_.Get("/hooks", with_session(manager, page, hooks));
    server_.Get("/proxied", with_session(manager, page, proxied));
    server_.set_keep_alive_timeout(1);
    listening_.emplace(server_);
  }
  [[nodiscard]] int port() const override { return listening_->port(); }

 private:
  httplib::Server server_;
  std::optional<Listening> listening_;
};

}  // namespace

const SiteKind httplib_site{"httplib", [](const SiteParts& parts) -> std::unique_ptr<Site> {
                              return std::make_unique<HttplibSite>(parts);
                            }};

}  // namespace websession::testing
