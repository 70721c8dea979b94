#include "mail.hpp"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <memory>

namespace {

using CurlHandle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using CurlList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// "Sat, 21 Nov 2026 14:05:00 +0000"
std::string mail_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts)};
}

// The mail as it travels (RFC 5322): headers, an empty line, the text; lines end in CR LF. No part
// of it may bring a line end of its own into a header: addresses are checked in visitor.cpp.
std::string message(const Mail& mail, const std::string& from) {
  std::string all = "Date: " + mail_date() + "\r\nFrom: <" + from + ">\r\nTo: <" + mail.to +
                    ">\r\nSubject: " + mail.subject +
                    "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Auto-Submitted: auto-generated\r\n\r\n";
  for (const char c : mail.text) {
    if (c == '\n') all += '\r';
    all += c;
  }
  return all;
}

// libcurl asks for the message piece by piece.
struct Unsent {
  std::string text;
  std::size_t position = 0;
};

std::size_t give_piece(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& unsent = *static_cast<Unsent*>(user);
  const std::size_t copied = unsent.text.copy(buffer, size * count, unsent.position);
  unsent.position += copied;
  return copied;
}

bool send_by_smtp(const std::string& url, const std::string& from, const Mail& mail) {
  const CurlHandle curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return false;
  const std::string recipient = "<" + mail.to + ">";
  const CurlList recipients(curl_slist_append(nullptr, recipient.c_str()), &curl_slist_free_all);
  Unsent unsent{message(mail, from)};
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_MAIL_FROM, ("<" + from + ">").c_str());
  curl_easy_setopt(curl.get(), CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(curl.get(), CURLOPT_READFUNCTION, &give_piece);
  curl_easy_setopt(curl.get(), CURLOPT_READDATA, &unsent);
  curl_easy_setopt(curl.get(), CURLOPT_UPLOAD, 1L);
  // The visitor waits, and so does a thread of the server: neither may wait forever.
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 5L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);  // there are other threads
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");     // whatever $all_proxy says
  const CURLcode result = curl_easy_perform(curl.get());
  if (result == CURLE_OK) return true;
  // Neither the address nor the code: logs are read by many.
  std::cerr << "mail server: " << curl_easy_strerror(result) << "\n";
  return false;
}

}  // namespace

Mail code_mail(const std::string& address, const std::string& code, int valid_minutes) {
  return {address, "Your code: " + code,
          "Your code to sign in is\n\n" + code + "\n\nIt is valid for " +
              std::to_string(valid_minutes) +
              " minutes, and only in the browser that asked for it.\n"
              "Tell it to nobody, whoever asks for it.\n\n"
              "If you did not ask for a code, you need not do anything.\n"};
}

SendMail smtp_sender(const std::string& url, const std::string& from) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return [=](const Mail& mail) { return send_by_smtp(url, from, mail); };
}

void Outbox::put(const Mail& mail) {
  constexpr std::size_t kept = 20;
  const std::lock_guard lock(mutex_);
  mails_.push_front(mail);
  if (mails_.size() > kept) mails_.pop_back();
}

std::vector<Mail> Outbox::newest_first() const {
  const std::lock_guard lock(mutex_);
  return {mails_.begin(), mails_.end()};
}
