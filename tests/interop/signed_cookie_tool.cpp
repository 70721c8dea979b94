// The C++ side of express_signed_cookie.mjs: answers each line of its standard input with one.
//   ring SECRET…   from now on these secrets, the newest first -> ok
//   login          stores a session -> its id and the value of its Set-Cookie header
//   open VALUE     opens the session of this cookie -> its id, or "none"
//   verify VALUE   reads a cookie of a session that is kept elsewhere -> its id, or "none"
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "websession/websession.hpp"

namespace {

using namespace std::string_literals;

class Tool {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::string word;
    std::getline(words, command, ' ');
    if (command == "ring") {
      std::vector<std::string> secrets;
      while (std::getline(words, word, ' ')) secrets.push_back(word);
      options_.signing = {websession::KeyRing::make(secrets, 1).value(),
                          websession::CookieFormat::express};
      return "ok";
    }
    std::getline(words, word);
    if (command == "login") return login();
    if (command == "open") return open(word);
    if (command == "verify") return verify(word);
    return "unknown command";
  }

 private:
  [[nodiscard]] websession::SessionManager manager() const {
    return websession::SessionManager::make(store_, options_).value();
  }
  [[nodiscard]] std::string login() const {
    websession::Session session = manager().open({}).value();
    session.set("name", "Ada");
    const websession::Commit commit = manager().commit(session).value();
    return session.id()->secret() + ' ' + commit.headers.at(0).value;
  }
  [[nodiscard]] std::string open(const std::string& value) const {
    const std::string header = "sid=" + value;
    const websession::Session session = manager().open({header, false}).value();
    return session.is_new() ? "none"s : session.id()->secret();
  }
  [[nodiscard]] std::string verify(const std::string& value) const {
    const auto signer = websession::CookieSigner::make("sid", options_.signing).value();
    const auto id = signer.verify(value);
    return id ? id->secret() : "none"s;
  }

  std::shared_ptr<websession::SessionStore> store_ = std::make_shared<websession::MemoryStore>();
  websession::SessionOptions options_;
};

}  // namespace

int main() {
  Tool tool;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << tool.answer(line) << '\n' << std::flush;
  }
}
