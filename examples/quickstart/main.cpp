// A visitor's session across three requests, without a server.
#include <websession/websession.hpp>

#include <iostream>
#include <string>

int main() {
  const auto store = std::make_shared<websession::MemoryStore>();
  const auto manager = websession::SessionManager::make(store).value();

  std::string cookie;  // what the browser keeps
  for (int request = 1; request <= 3; ++request) {
    websession::Session session = manager.open({cookie, /*https=*/true}).value();

    std::cout << "Hello, " << session.value("name", "stranger") << "! ";
    session.set("name", "Ada");
    std::cout << "Visit number " << session.increment("visits").value() << ".\n";

    for (const auto& header : manager.commit(session).value().headers) {
      std::cout << "  " << header.name << ": " << header.value << "\n";
      if (header.name == "Set-Cookie") cookie = header.value.substr(0, header.value.find(';'));
    }
  }
}
