#include "websession/adapters/poco.hpp"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/ServerSocket.h>

#include <functional>
#include <map>

#include "site.hpp"

namespace websession::testing {
namespace {

using adapters::poco::Options;
using adapters::poco::Request;
using adapters::poco::Response;
using adapters::poco::with_session;
using Poco::Net::HTTPServerResponse;

using Page = std::function<void(Request&, HTTPServerResponse&)>;

class Handler final : public Poco::Net::HTTPRequestHandler {
 public:
  explicit Handler(const Page& page) : page_(page) {}
  void handleRequest(Request& req, HTTPServerResponse& res) override {
    try {
      page_(req, res);
    } catch (const std::exception&) {  // Poco would close the connection
      res.setStatusAndReason(HTTPServerResponse::HTTP_INTERNAL_SERVER_ERROR);
      res.setContentLength(0);
      res.send();
    }
  }

 private:
  const Page& page_;
};

class Factory final : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  explicit Factory(std::map<std::string, Page> pages) : pages_(std::move(pages)) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(
      const Poco::Net::HTTPServerRequest& request) override {
    return new Handler(pages_.at(request.getURI()));
  }

 private:
  const std::map<std::string, Page> pages_;
};

class PocoSite final : public Site {
 public:
  explicit PocoSite(const SiteParts& parts)
      : socket_(Poco::Net::SocketAddress("127.0.0.1", 0)),
        server_(new Factory(pages(parts)), socket_, new Poco::Net::HTTPServerParams) {
    server_.start();
  }
  ~PocoSite() override { server_.stopAll(true); }
  [[nodiscard]] int port() const override { return socket_.address().port(); }

 private:
  static std::map<std::string, Page> pages(const SiteParts& parts) {
    const auto manager = SessionManager::make(parts.store, parts.options).value();
    const auto page = [parts](Request& req, Response& res, Session& session) {
      const Deeds deeds(req.get("X-Do", ""));
      for (const auto& [name, value] : deeds.headers()) res.head.set(name, value);
      res.head.add("Set-Cookie", other_cookie);
      res.body << half_an_answer;
      if (deeds.has("end")) parts.end(session);
      std::optional<std::int64_t> counted;
      if (deeds.has("count")) counted = session.increment("count").value();
      const std::string body = deeds.carry_out(session, counted);
      res.body.str({});
      res.body << body;
    };
    Options hooks;
    hooks.on_error = [](const Error& error, const Request&, Response& res) {
      res.head.setStatus(static_cast<HTTPServerResponse::HTTPStatus>(502));
      res.body << error.detail;
    };
    hooks.on_gone = [](const Request&, Response& res) {
      res.head.setStatus(HTTPServerResponse::HTTP_SEE_OTHER);
      res.head.set("Location", "/");
    };
    Options proxied;
    proxied.trust_forwarded_proto = true;
    return {{"/", with_session(manager, page)},
            {"/hooks", with_session(manager, page, hooks)},
            {"/proxied", with_session(manager, page, proxied)}};
  }

  Poco::Net::ServerSocket socket_;
  Poco::Net::HTTPServer server_;
};

}  // namespace

const SiteKind poco_site{"poco", [](const SiteParts& parts) -> std::unique_ptr<Site> {
                           return std::make_unique<PocoSite>(parts);
                         }};

}  // namespace websession::testing
