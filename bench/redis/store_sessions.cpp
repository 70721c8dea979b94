#include <vector>

#include "hiredis_connection.hpp"

namespace websession::bench {

Keys store_sessions(const Target& target, std::size_t count) {
  const Keys keys = draw_keys(count);
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
