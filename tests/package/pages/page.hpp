// What the programs around the pages' C++ blocks share.
#pragma once

#include <websession/websession.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "does not hold: " << what << '\n';
  std::exit(1);
}

// A visitor with a browser: keeps the cookie from one request to the next.
class Browser {
 public:
  explicit Browser(const websession::SessionManager& manager) : manager_(manager) {}

  [[nodiscard]] websession::Session open() const { return manager_.open({cookie, true}).value(); }
  websession::Commit commit(websession::Session& session) {
    websession::Commit done = manager_.commit(session).value();
    for (const websession::Header& header : done.headers) {
      if (header.name == "Set-Cookie") cookie = header.value.substr(0, header.value.find(';'));
    }
    return done;
  }

  std::string cookie;

 private:
  websession::SessionManager manager_;
};
