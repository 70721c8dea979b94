// A small server of each framework, all with the same pages, for the table of cases that every
// adapter has to pass (adapter_cases_test.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/async/session_manager.hpp"
#include "websession/session_manager.hpp"
#include "websession/session_options.hpp"

namespace websession::testing {

// What the request's header X-Do asks of a page: words between blanks.
class Deeds {
 public:
  explicit Deeds(std::string_view words) {
    while (!words.empty()) {
      const std::size_t end = std::min(words.find(' '), words.size());
      words_.emplace_back(words.substr(0, end));
      words.remove_prefix(std::min(end + 1, words.size()));
    }
  }
  [[nodiscard]] bool has(std::string_view word) const {
    for (const std::string& known : words_) {
      if (known == word) return true;
    }
    return false;
  }
  // What the response has before the session is asked for anything, `vary=…` and `cache=…` among
  // it.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> headers() const {
    std::vector<std::pair<std::string, std::string>> headers{{"X-Handler", "1"}};
    for (const std::string& word : words_) {
      const auto value = [&](std::string_view name) { return word.substr(name.size()); };
      if (word.starts_with("vary=")) headers.emplace_back("vary", value("vary="));
      if (word.starts_with("cache=")) headers.emplace_back("cache-control", value("cache="));
    }
    return headers;
  }
  // `counted`: what `count` has given. Gives the body.
  [[nodiscard]] std::string carry_out(SessionBase& session,
                                      const std::optional<std::int64_t>& counted) const {
    if (has("set")) session.set("a", 1 + session.value("a", 0));
    if (has("sign_out")) session.sign_out();
    if (has("throw")) throw std::runtime_error("handler");
    if (has("throw_ours")) throw Exception(make_error(Errc::timeout, "the handler's own store"));
    return counted ? std::to_string(*counted) : std::to_string(session.value("a", 0));
  }

 private:
  std::vector<std::string> words_;
};

// What pages have on their responses before they ask the session for anything.
constexpr const char* half_an_answer = "half of an answer";
constexpr const char* other_cookie = "theme=dark";

// The pages: `/` as it comes; `/hooks` with on_error (502, and the error's detail) and on_gone (303
// to /); `/proxied` with trust_forwarded_proto. A request with `X-Do: end` ends its own session
// first, as another request would.
class Site {
 public:
  Site() = default;
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  virtual ~Site() = default;
  [[nodiscard]] virtual int port() const = 0;
};

struct SiteParts {
  std::shared_ptr<SessionStore> store;  // never waits, and is safe to use from many threads
  SessionOptions options{};

  void end(const SessionBase& session) const {
    if (session.id() != nullptr) {
      static_cast<void>(SessionManager::make(store).value().erase(*session.id()));
    }
  }
};

struct SiteKind {
  const char* name;
  std::unique_ptr<Site> (*make)(const SiteParts& parts);
  // Of a response that the framework makes of an exception.
  bool keeps_headers = true;
};

// Each is in a file of its framework's name; a program has those of the frameworks that are there.
extern const SiteKind httplib_site;
extern const SiteKind beast_site;
extern const SiteKind beast_callback_site;
extern const SiteKind poco_site;
extern const SiteKind crow_site;
extern const SiteKind drogon_site;
extern const SiteKind drogon_task_site;

}  // namespace websession::testing
