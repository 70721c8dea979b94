#include "pages.hpp"

#include <ctime>

namespace {

std::string page(const Frame& frame, const std::string& title, const std::string& body) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      escaped(title) +
      "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n"
      "<link rel=\"icon\" href=\"/icon.svg\">\n</head>\n<body>\n<main>\n";
  for (const websession::Flash& flash : frame.flashes) {
    const std::string role = flash.kind == "error" ? "alert" : "status";
    html += "<p class=\"flash " + escaped(flash.kind) + "\" role=\"" + role + "\">" +
            escaped(flash.text) + "</p>\n";
  }
  return html + "<h1>" + escaped(title) + "</h1>\n" + body +
         "</main>\n<footer>served by <span id=\"served-by\">" + escaped(frame.served_by) +
         "</span></footer>\n</body>\n</html>\n";
}

// A form that posts to `action`, with the token that shows that it is one of ours.
std::string form(const Frame& frame, const std::string& action, const std::string& content) {
  return "<form method=\"post\" action=\"" + action + "\">\n" +
         "<input type=\"hidden\" name=\"csrf\" value=\"" + escaped(frame.csrf) + "\">\n" + content +
         "</form>\n";
}

std::string hidden(const std::string& name, const std::string& value) {
  return "<input type=\"hidden\" name=\"" + name + "\" value=\"" + escaped(value) + "\">\n";
}

std::string button(const std::string& text) { return "<button>" + text + "</button>\n"; }
std::string quiet_button(const std::string& text) {
  return "<button class=\"quiet\">" + text + "</button>\n";
}

// "29:05"
std::string minutes_and_seconds(std::chrono::milliseconds time) {
  const auto all = std::chrono::round<std::chrono::seconds>(time).count();
  const std::string seconds = std::to_string(all % 60);
  return std::to_string(all / 60) + (seconds.size() == 1 ? ":0" : ":") + seconds;
}

// "14:05 UTC, 21 Nov". A server does not know what time it is where the visitor is.
std::string moment(websession::WallTime time) {
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char html[96];
  return {html,
          std::strftime(html, sizeof html,
                        "<time datetime=\"%Y-%m-%dT%H:%M:%SZ\">%H:%M UTC, %d %b</time>", &parts)};
}

std::string device_item(const Frame& frame, const websession::SessionInfo& device) {
  // The label came from a request: who signed in chose it.
  std::string html = "<li class=\"device\">\n<div>\n<p id=\"label-" + device.handle + "\">" +
                     escaped(device.label);
  if (device.is_current) html += " <strong class=\"current\">this one</strong>";
  html += "</p>\n<p class=\"soft\">since " + moment(device.created) + ",<br>last seen " +
          moment(device.renewed) + "</p>\n</div>\n";
  if (!device.is_current) {
    // Who hears the page instead of seeing it is told which device the button ends.
    html +=
        form(frame, "/end-device",
             hidden("handle", device.handle) + "<button class=\"quiet\" aria-describedby=\"label-" +
                 device.handle + "\">End</button>\n");
  }
  return html + "</li>\n";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string sign_in_page(const Frame& frame, const std::string& address) {
  return page(frame, "Sign in",
              "<p>No password: a code comes by e-mail.</p>\n" +
                  form(frame, "/send-code",
                       "<label for=\"email\">E-mail address</label>\n"
                       "<input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\" "
                       "maxlength=\"254\" required autofocus value=\"" +
                           escaped(address) + "\">\n" + button("Send me a code")));
}

std::string enter_code_page(const Frame& frame, const std::string& address, int valid_minutes,
                            bool development) {
  const std::string where =
      development ? "<p>This server sends no mail: the code is on the <a href=\"/dev/mail\">"
                    "development page</a>.</p>\n"
                  : "";
  return page(
      frame, "Enter the code",
      "<p>A code was sent to <strong>" + escaped(address) + "</strong>. It is valid for " +
          std::to_string(valid_minutes) + " minutes.</p>\n" + where +
          form(frame, "/sign-in",
               "<label for=\"code\">Code</label>\n"
               "<input id=\"code\" class=\"code\" name=\"code\" inputmode=\"numeric\" "
               "autocomplete=\"one-time-code\" maxlength=\"20\" required autofocus>\n" +
                   button("Sign in")) +
          "<h2>No mail?</h2>\n<div class=\"actions\">\n" +
          form(frame, "/send-code", hidden("email", address) + quiet_button("Send a new code")) +
          "<p><a href=\"/\">Use another address</a></p>\n</div>\n");
}

std::string home_page(const Frame& frame, const Home& home) {
  std::string devices;
  for (const websession::SessionInfo& device : home.devices) devices += device_item(frame, device);
  return page(frame, "Hello, " + home.address,
              "<p>Views in this session: <strong id=\"views\">" + std::to_string(home.views) +
                  "</strong></p>\n<p>Expires in <span id=\"countdown\" class=\"figures\" "
                  "data-expires-ms=\"" +
                  std::to_string(home.expires_in.count()) + "\">" +
                  minutes_and_seconds(home.expires_in) +
                  "</span>, if you are idle until then.</p>\n"
                  "<h2>Your devices</h2>\n<ul class=\"devices\">\n" +
                  devices + "</ul>\n<div class=\"actions\">\n" +
                  form(frame, "/sign-out", button("Sign out")) +
                  form(frame, "/sign-out-everywhere", quiet_button("Sign out everywhere")) +
                  "</div>\n<script src=\"/countdown.js\"></script>\n");
}

std::string message_page(const Frame& frame, const std::string& heading, const std::string& text) {
  return page(frame, heading,
              "<p>" + escaped(text) + "</p>\n<p><a href=\"/\">Go to the start</a></p>\n");
}

std::string outbox_page(const Frame& frame, const std::vector<Mail>& mails) {
  std::string list = mails.empty() ? "<p>No mail yet.</p>\n" : "";
  for (const Mail& mail : mails) {
    list += "<h2>" + escaped(mail.subject) + "</h2>\n<p class=\"soft\">to " + escaped(mail.to) +
            "</p>\n<pre>" + escaped(mail.text) + "</pre>\n";
  }
  return page(frame, "Development: mail that was not sent",
              "<p class=\"flash error\">Whoever opens this page can sign in as anybody. It is here "
              "because the server runs without a mail server (--smtp).</p>\n" +
                  list);
}
