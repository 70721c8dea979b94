// Sending mail: by SMTP, or, while developing, to a page.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

struct Mail {
  std::string to;
  std::string subject;
  std::string text;  // lines end in "\n"
};

// Says whether the mail was taken. Must be safe to call from many threads at once.
using SendMail = std::function<bool(const Mail&)>;

// The mail that a code is sent with.
Mail code_mail(const std::string& address, const std::string& code, int valid_minutes);

// Hands mails to the mail server at `url`, smtp://host:port. Gives up after ten seconds. What goes
// wrong is written to stderr.
SendMail smtp_sender(const std::string& url, const std::string& from);

// Keeps the last mails in memory, for whoever develops the site. Safe to use from many threads.
class Outbox {
 public:
  void put(const Mail& mail);
  [[nodiscard]] std::vector<Mail> newest_first() const;

 private:
  mutable std::mutex mutex_;
  std::deque<Mail> mails_;
};
