#include <websession/websession.hpp>

#include <iostream>

int main() {
  const auto manager =
      websession::SessionManager::make(std::make_shared<websession::MemoryStore>()).value();
  websession::Session session = manager.open({}).value();
  session.set("name", "Ada");
  const websession::Commit commit = manager.commit(session).value();
  for (const auto& header : commit.headers)
    std::cout << header.name << ": " << header.value << "\n";
  return commit.status == websession::Commit::Status::created ? 0 : 1;
}
