// What the site does: one function for each page and each form.
#pragma once

#include <httplib.h>
#include <websession/adapters/httplib.hpp>
#include <websession/websession.hpp>

#include <memory>
#include <string>

#include "mail.hpp"
#include "pages.hpp"

// All that it keeps is the same at every server and in every process: what belongs to a visitor is
// in the session. So any server can answer any request.
class Site {
 public:
  struct Parts {
    websession::SessionManager sessions;
    websession::OneTimeCodes codes;
    SendMail send_mail{};
    std::shared_ptr<Outbox> outbox{};  // only while developing: what send_mail is given
    std::string name{};                // of this server
    bool behind_proxy = false;
  };
  explicit Site(Parts parts);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  // The site must live as long as the server runs.
  void add_to(httplib::Server& server) const;

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;
  using Session = websession::Session;
  using Handler = void (Site::*)(const Request&, Response&, Session&) const;

  void start(const Request& req, Response& res, Session& session) const;
  void home(Response& res, Session& session) const;
  void enter_code(const Request& req, Response& res, Session& session) const;
  void send_code(const Request& req, Response& res, Session& session) const;
  void sign_in(const Request& req, Response& res, Session& session) const;
  void sign_out(const Request& req, Response& res, Session& session) const;
  void sign_out_everywhere(const Request& req, Response& res, Session& session) const;
  void end_device(const Request& req, Response& res, Session& session) const;
  void health(Response& res) const;

  [[nodiscard]] httplib::Server::Handler page(Handler handler) const;
  [[nodiscard]] httplib::Server::Handler form(Handler handler) const;
  [[nodiscard]] Frame frame(Session& session) const;
  void add_files(httplib::Server& server) const;
  void refuse(const websession::Error& error, Response& res) const;
  void apologize(int status, const std::string& reason, Response& res) const;
  void finish(const Request& req, Response& res) const;

  Parts parts_;
  websession::adapters::httplib::Options adapter_{};
};
