#include "sessions.hpp"

#include <stdexcept>

#include "hiredis_connection.hpp"
#include "websession/session_id.hpp"

namespace websession::bench {
namespace {

std::string random_text() {
  const Result<SessionId> id = SessionId::generate();
  if (!id) throw std::runtime_error("no randomness");
  return id->secret();
}

}  // namespace

Lifetime lifetime_of(Renewal renewal) {
  Lifetime lifetime{time_to_live};
  if (renewal == Renewal::when_due) lifetime.renew_after = time_to_live / 10;
  lifetime.left = time_to_live - std::chrono::seconds(1);
  return lifetime;
}

Keys store_sessions(const Target& target, std::size_t count) {
  Keys keys{"bench_" + random_text().substr(0, 8) + "_", {}};
  for (std::size_t i = 0; i < count; ++i) keys.ids.push_back(random_text());

  std::vector<std::string> words = {"HSET", ""};
  for (const auto& [name, value] : session_fields) {
    words.emplace_back(name);
    words.emplace_back(value);
  }
  const Connection connection = connect_hiredis(target);
  for (const std::string& id : keys.ids) {
    words[1] = keys.prefix + id;
    std::vector<const char*> pointers;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      pointers.push_back(word.data());
      sizes.push_back(word.size());
    }
    checked(*connection, redisCommandArgv(connection.get(), static_cast<int>(words.size()),
                                          pointers.data(), sizes.data()));
    checked(*connection, redisCommand(connection.get(), "EXPIRE %s %d", words[1].c_str(),
                                      static_cast<int>(time_to_live.count())));
  }
  return keys;
}

}  // namespace websession::bench
