#include "site.hpp"

#include <chrono>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

#include "assets.hpp"
#include "visitor.hpp"

namespace {

using httplib::Response;
using websession::add_flash;
using websession::CodeCheck;
using websession::Commit;
using websession::csrf_token;
using websession::csrf_valid;
using websession::Session;
using websession::SessionId;
using websession::adapters::httplib::with_session;

constexpr const char* html = "text/html; charset=utf-8";
constexpr const char* purpose = "login";  // what the codes of this site are good for
constexpr int code_minutes = 10;
// How many codes one session may ask for in that time.
constexpr int codes_max = 5;

// After a form the browser is sent to a page (303: with GET). So reloading that page, or coming
// back to it, sends nothing twice.
void go_to(Response& res, const std::string& path) { res.set_redirect(path, 303); }

// What to tell the visitor whose code was not correct.
std::string advice(const CodeCheck& check) {
  switch (check.status) {
    case CodeCheck::Status::correct:
      break;
    case CodeCheck::Status::wrong:
      if (check.tries_left == 0) break;
      return "That was not the code. You have " + std::to_string(check.tries_left) +
             (check.tries_left == 1 ? " try left." : " tries left.");
    case CodeCheck::Status::expired:
      return "The code has expired. Send a new one.";
    case CodeCheck::Status::used:
      return "That code was used already. Send a new one.";
    case CodeCheck::Status::none:
      return "There is no code to enter yet. Send one.";
    case CodeCheck::Status::limited:
      return "There were too many tries for this address. Come back tomorrow.";
    case CodeCheck::Status::exhausted:
      break;
  }
  return "Too many wrong tries. Send a new code.";
}

// Whether the visitor may be sent one more code. The count is an attribute with a deadline of its
// own: the store forgets it ten minutes after the first of these codes. `increment` counts at once,
// so whoever asks a hundred times in the same moment is counted a hundred times.
bool may_send(Session& session) {
  const std::int64_t count = session.increment("codes_sent").value();
  if (count == 1) session.set("codes_sent", count, std::chrono::minutes(code_minutes));
  return count <= codes_max;
}

}  // namespace

Site::Site(Parts parts) : parts_(std::move(parts)) {
  // main.cpp listens on 127.0.0.1 only: nobody but a proxy on this machine can send this header.
  adapter_.trust_forwarded_proto = parts_.behind_proxy;
  adapter_.on_error = [this](const websession::Error& error, const Request&, Response& res) {
    refuse(error, res);
  };
}

void Site::add_to(httplib::Server& server) const {
  server.Get("/", page(&Site::start));
  server.Get("/enter-code", page(&Site::enter_code));
  server.Post("/send-code", form(&Site::send_code));
  server.Post("/sign-in", form(&Site::sign_in));
  server.Post("/sign-out", form(&Site::sign_out));
  server.Post("/sign-out-everywhere", form(&Site::sign_out_everywhere));
  server.Post("/end-device", form(&Site::end_device));
  server.Get("/health", [this](const Request&, Response& res) { health(res); });
  add_files(server);

  // Called last, whatever answered.
  server.set_post_routing_handler([this](const Request& req, Response& res) { finish(req, res); });
  server.set_error_handler([this](const Request&, Response& res) {
    if (!res.body.empty()) return;  // a handler has said what is wrong
    res.set_content(message_page({parts_.name}, "Nothing here", "There is no such page."), html);
  });
  // Result::value() throws when there is none. So a handler can go on as if nothing went wrong.
  server.set_exception_handler([this](const Request&, Response& res, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(std::move(thrown));
    } catch (const websession::Exception& exception) {
      refuse(exception.error(), res);
    } catch (const std::exception& exception) {
      apologize(500, exception.what(), res);
    }
  });
}

// ---- Signing in

void Site::start(const Request& req, Response& res, Session& session) const {
  if (session.principal()) return home(res, session);
  Frame frame = this->frame(session);
  // A cookie that the store knows no session for: it was ended, here or from another device, or
  // another tab has just signed in. This can be told without starting a new session to keep the
  // message in.
  const std::string& cookie = parts_.sessions.options().cookie.name;
  const std::string cookies = req.get_header_value("Cookie");
  if (session.is_new() && !websession::find_cookies(cookies, cookie).empty()) {
    const char* news = session.ended() ? "Your session has ended. If you have just signed in, load "
                                         "this page again."
                                       : "Your session has ended. Sign in again to go on.";
    frame.flashes.push_back({"notice", news});
  }
  res.set_content(sign_in_page(frame, session.value("address", "")), html);
}

void Site::send_code(const Request& req, Response& res, Session& session) const {
  if (session.principal()) return go_to(res, "/");
  session.start_over();  // a session that has just ended elsewhere keeps nobody from signing in
  const std::optional<std::string> address = parse_address(req.get_param_value("email"));
  if (!address) {
    add_flash(session, "error", "That is no e-mail address. Is there something missing?");
    return go_to(res, "/");
  }
  if (!may_send(session)) {
    add_flash(session, "error", "You asked for many codes. Wait ten minutes, then ask again.");
    return go_to(res, session.contains("address") ? "/enter-code" : "/");
  }
  session.set("address", *address);
  // What the code is about: for another address than the one it is sent to, it is wrong.
  const std::string code =
      parts_.codes
          .issue(session, purpose,
                 {.valid_for = std::chrono::minutes(code_minutes), .about = *address})
          .value();
  // First store the session, then send the code: what is not stored cannot be verified, and on the
  // visitor's first form the session is new. with_session commits once more after this function,
  // which costs nothing when nothing has changed since.
  const Commit commit = parts_.sessions.commit(session).value();
  for (const websession::Header& header : commit.headers) {
    res.set_header(header.name, header.value);
  }
  if (!parts_.send_mail(code_mail(*address, code, code_minutes))) {
    // The code is not shown to anybody, and ends in ten minutes, or with the next one.
    add_flash(session, "error", "The mail could not be sent. Please try again in a moment.");
    return go_to(res, "/");
  }
  go_to(res, "/enter-code");
}

void Site::enter_code(const Request&, Response& res, Session& session) const {
  const std::string address = session.value("address", "");
  if (session.principal() || address.empty()) return go_to(res, "/");
  res.set_content(enter_code_page(frame(session), address, code_minutes, parts_.outbox != nullptr),
                  html);
}

void Site::sign_in(const Request& req, Response& res, Session& session) const {
  const std::string address = session.value("address", "");
  if (session.principal() || address.empty()) return go_to(res, "/");
  const std::string typed = req.get_param_value("code");
  const CodeCheck check = parts_.codes.verify(session, purpose, typed, address).value();
  if (check.status != CodeCheck::Status::correct) {
    add_flash(session, "error", advice(check));
    return go_to(res, "/enter-code");
  }
  // Gives the session a new id and ends the old one: whoever knew that one, perhaps because he
  // planted it, is left with nothing.
  session.sign_in(address, device_label(req.get_header_value("User-Agent")));
  session.remove("address");
  session.remove("codes_sent");
  add_flash(session, "notice", "You are signed in.");
  go_to(res, "/");
}

// ---- Signed in

void Site::home(Response& res, Session& session) const {
  const std::string who(*session.principal());
  Home home{who};
  home.views = session.increment("views").value();
  home.expires_in = session.expires_in();
  home.devices = parts_.sessions.sessions_of(who, &session).value();
  res.set_content(home_page(frame(session), home), html);
}

void Site::end_device(const Request& req, Response& res, Session& session) const {
  if (!session.principal()) return go_to(res, "/");
  const std::string who(*session.principal());
  // A handle is good for one's own devices only, so nobody can end another's.
  const bool ended = parts_.sessions.erase_one(who, req.get_param_value("handle")).value();
  add_flash(session, "notice", ended ? "That device is signed out." : "It was signed out before.");
  go_to(res, "/");
}

void Site::sign_out(const Request&, Response& res, Session& session) const {
  if (!session.principal() && !session.ended()) return go_to(res, "/");
  session.sign_out();
  // To keep this for the next page takes an anonymous session. Without it, the cookie would go.
  add_flash(session, "notice", "You are signed out.");
  go_to(res, "/");
}

void Site::sign_out_everywhere(const Request&, Response& res, Session& session) const {
  if (!session.principal()) return go_to(res, "/");
  const std::string who(*session.principal());
  // The others at once, this one with the commit.
  (void)parts_.sessions.sign_out_everywhere(who, &session).value();
  session.sign_out();
  add_flash(session, "notice", "You are signed out everywhere.");
  go_to(res, "/");
}

// ---- Around the handlers

httplib::Server::Handler Site::page(Handler handler) const {
  const auto call = [this, handler](const Request& req, Response& res, Session& session) {
    (this->*handler)(req, res, session);
  };
  return with_session(parts_.sessions, call, adapter_);
}

// A form is taken from pages of this site only. Who has a session must also show its token, which
// no other site can know. Who has none has nothing yet that a forged form could abuse, and his
// first form gets along without a token, so that looking at the first page stores nothing.
httplib::Server::Handler Site::form(Handler handler) const {
  const auto call = [this, handler](const Request& req, Response& res, Session& session) {
    const bool has_token = session.is_new() || csrf_valid(session, req.get_param_value("csrf"));
    if (has_token && sent_from_this_site(req)) return (this->*handler)(req, res, session);
    res.status = 403;
    res.set_content(message_page({parts_.name}, "Please try again",
                                 "This form is out of date, or came from another site. Nothing "
                                 "was done."),
                    html);
  };
  return with_session(parts_.sessions, call, adapter_);
}

Frame Site::frame(Session& session) const {
  Frame frame{parts_.name};
  frame.flashes = websession::take_flashes(session).value();
  // The first token makes a secret, which stores the session; so only where there is one already.
  if (!session.is_new()) frame.csrf = csrf_token(session).value();
  return frame;
}

// For whoever watches the server: can it do its work? Looks for a session that cannot be there.
void Site::health(Response& res) const {
  const auto answer = parts_.sessions.find(SessionId::generate().value());
  res.status = answer.has_value() ? 200 : 503;
  res.set_content(answer.has_value() ? "ok\n" : "the session store does not answer\n",
                  "text/plain");
}

void Site::add_files(httplib::Server& server) const {
  const auto add = [&server](const char* path, const char* content, const char* type) {
    server.Get(path, [=](const Request&, Response& res) {
      res.set_header("Cache-Control", "max-age=300");
      res.set_content(content, type);
    });
  };
  add("/style.css", style_css, "text/css");
  add("/countdown.js", countdown_js, "text/javascript");
  add("/icon.svg", icon_svg, "image/svg+xml");
  if (!parts_.outbox) return;
  server.Get("/dev/mail", [this](const Request&, Response& res) {
    res.set_content(outbox_page({parts_.name}, parts_.outbox->newest_first()), html);
  });
}

void Site::refuse(const websession::Error& error, Response& res) const {
  // Ended while the request ran, from another device or by time: what comes next is signing in.
  if (error.code == websession::Errc::gone) return go_to(res, "/");
  apologize(websession::adapters::http_status(error), error.message(), res);
}

void Site::apologize(int status, const std::string& reason, Response& res) const {
  std::cerr << "error " << status << ": " << reason << "\n";  // the library's hold no secrets
  res.status = status;
  res.set_content(status == 503
                      ? message_page({parts_.name}, "Please try again soon",
                                     "Sessions cannot be reached right now. This signs nobody out.")
                      : message_page({parts_.name}, "Sorry", "Something went wrong here."),
                  html);
}

void Site::finish(const Request&, Response& res) const {
  res.set_header("X-Served-By", parts_.name);
  res.set_header("X-Content-Type-Options", "nosniff");
  // Scripts, styles and forms of this site only, and no other site may frame these pages. Should a
  // text ever come through unescaped, it still could not run anything.
  res.set_header("Content-Security-Policy",
                 "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
  // Not "no-referrer": browsers then hide the Origin of our own forms, too.
  res.set_header("Referrer-Policy", "same-origin");
  // Pages are one visitor's, tokens and all: neither a cache nor the back button may keep them.
  if (!res.has_header("Cache-Control")) res.set_header("Cache-Control", "no-store");
}
