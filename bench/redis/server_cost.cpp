// What one write costs the server, by its CPU time: websession's guarded ones beside those that
// people write by hand, in equal batches. Nothing waits for anything here, so no thread, lane or
// round trip takes part in the figures.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "hiredis_connection.hpp"
#include "operations.hpp"
#include "pipeline.hpp"
#include "redis_meter.hpp"
#include "redis_server.hpp"

namespace websession::bench {
namespace {

using Json = nlohmann::ordered_json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t batch = 16;
constexpr std::size_t sessions = 62 * batch;

// Bytes that write `saved_field` of `batch` sessions, and how many replies they have.
struct Batch {
  std::string bytes;
  std::size_t replies;
};

using Append = std::function<void(std::string& out, const std::string& key, std::string_view text)>;

std::string by_hand(const Append& append, const Keys& keys, std::size_t first,
                    std::string_view text) {
  std::string bytes;
  for (std::size_t i = first; i < first + batch; ++i)
    append(bytes, keys.prefix + keys.ids[i], text);
  return bytes;
}

std::string seconds_text() { return std::to_string(time_to_live.count()); }

void append_blind(std::string& out, const std::string& key, std::string_view text) {
  redis::append_command(out, {"HSET", key, saved_field, text});
  redis::append_command(out, {"EXPIRE", key, seconds_text()});
}

// As the lane forms them for callers that come at once. The pipeline chooses, as it does there.
std::string by_websession(const redis::Abilities& abilities, const Keys& keys, std::size_t first,
                          std::string_view text, const Lifetime& lifetime) {
  const redis::Layout layout{keys.prefix};
  Changes changes;
  changes.set.push_back({std::string(saved_field), std::string(text), {}, true});
  redis::Pipeline pipeline(SIZE_MAX, abilities);
  std::vector<redis::Request> requests(batch);
  for (std::size_t i = 0; i < batch; ++i) {
    const StoreKey key(keys.ids[first + i]);
    const auto plain = [](std::string&) { throw std::logic_error("a write took the script"); };
    const auto parts = [&](std::string& out) {
      redis::append_update_parts(out, layout, key, changes, lifetime);
    };
    const auto guarded = [&](std::string& out) {
      redis::append_update_by_hsetex(out, layout, key, changes, lifetime);
    };
    redis::Shortcuts shortcuts;
    shortcuts.transaction.emplace(
        redis::Shortcuts::Transaction{redis::update_parts(layout, changes, lifetime), parts});
    if (redis::update_by_hsetex(changes, lifetime) == redis::Hsetex::renewing) {
      shortcuts.guarded.emplace(redis::Shortcuts::Guarded{2, guarded});
    } else {
      shortcuts.guarded.emplace(redis::Shortcuts::Guarded{1, guarded});
    }
    pipeline.enqueue(requests[i], redis::Commands(1, plain, shortcuts));
  }
  std::string bytes(pipeline.begin_write());
  pipeline.end_write(bytes.size());
  for (const redis::Request& request : requests) pipeline.abandon(request);
  return bytes;
}

class Server {
 public:
  Server() : target_(target_of(server_)), meter_(target_), connection_(connect_hiredis(target_)) {
    keys_ = store_sessions(target_, sessions);
  }

  [[nodiscard]] const Keys& keys() const { return keys_; }
  std::string version() { return meter_.version(); }
  std::string load_script(const char* source) {
    const Reply sha = command("SCRIPT LOAD %s", source);
    return {sha->str, static_cast<std::size_t>(sha->len)};
  }
  bool has(const char* name) {
    const Reply reply = command("COMMAND INFO %s", name);
    return reply->elements == 1 && reply->element[0]->type == REDIS_REPLY_ARRAY;
  }

  // Sends it once: it must have written, or its cost means nothing.
  Batch tried(std::string bytes, std::size_t first, std::string_view text) {
    redisAppendFormattedCommand(connection_.get(), bytes.data(), bytes.size());
    redisAppendCommand(connection_.get(), "ECHO end-of-batch");
    std::size_t replies = 0;
    while (true) {
      const Reply reply = next_reply(*connection_);
      if (reply->type == REDIS_REPLY_STRING && std::string_view(reply->str) == "end-of-batch")
        break;
      ++replies;
    }
    for (std::size_t i = first; i < first + batch; ++i) {
      const std::string key = keys_.prefix + keys_.ids[i];
      const Reply value = command("HGET %s %s", key.c_str(), std::string(saved_field).c_str());
      if (value->type != REDIS_REPLY_STRING || std::string_view(value->str) != text) {
        throw std::runtime_error("a batch did not write");
      }
    }
    return {std::move(bytes), replies};
  }

  // The server's CPU time of one write, in microseconds.
  double cost(const std::vector<Batch>& batches, std::chrono::duration<double> duration) {
    meter_.start();
    std::size_t writes = 0;
    const auto end = SteadyClock::now() + duration;
    while (SteadyClock::now() < end) {
      for (const Batch& one : batches) {
        redisAppendFormattedCommand(connection_.get(), one.bytes.data(), one.bytes.size());
        for (std::size_t i = 0; i < one.replies; ++i) next_reply(*connection_);
        writes += batch;
      }
    }
    return meter_.stop().cpu_seconds * 1e6 / static_cast<double>(writes);
  }

 private:
  static Target target_of(const testing::RedisServer& server) {
    return {server.unix_url(), {}, 0, server.socket_path(), {}};
  }
  template <class... Arguments>
  Reply command(const char* format, Arguments... arguments) {
    return checked(*connection_, redisCommand(connection_.get(), format, arguments...));
  }

  testing::RedisServer server_;
  Target target_;
  RedisMeter meter_;
  Connection connection_;
  Keys keys_;
};

struct Way {
  std::string name;
  std::vector<Batch> batches{};
};

std::vector<Way> ways_of(Server& server) {
  const std::string script = server.load_script(usual_script);
  const redis::Abilities abilities{.guarded = server.has("HSETEX"), .parts_max = 256};
  const Append by_script = [&](std::string& out, const std::string& key, std::string_view text) {
    redis::append_command(out, {"EVALSHA", script, "1", key, saved_field, text, seconds_text()});
  };
  using Bytes = std::function<std::string(std::size_t first, std::string_view text)>;
  const auto hand = [&](const Append& append) -> Bytes {
    return [&server, append](std::size_t first, std::string_view text) {
      return by_hand(append, server.keys(), first, text);
    };
  };
  const auto ours = [&](Renewal renewal) -> Bytes {
    return [&server, abilities, renewal](std::size_t first, std::string_view text) {
      return by_websession(abilities, server.keys(), first, text, lifetime_of(renewal));
    };
  };
  const std::pair<const char*, Bytes> all[] = {
      {"HSET and EXPIRE, blind", hand(append_blind)},
      {"the usual script", hand(by_script)},
      {"websession", ours(Renewal::when_due)},
      {"websession, renewing", ours(Renewal::always)},
  };
  std::vector<Way> ways;
  for (const auto& [name, bytes] : all) {
    ways.push_back({name});
    for (std::size_t first = 0; first < sessions; first += batch) {
      std::string text = std::string(name) + " " + std::to_string(first);
      text.resize(session_fields.back().second.size(), '.');
      ways.back().batches.push_back(server.tried(bytes(first, text), first, text));
    }
  }
  return ways;
}

int run(int rounds, std::chrono::duration<double> duration, const std::string& out) {
  Server server;
  std::vector<Way> ways = ways_of(server);
  Json runs = Json::array();
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t turn = 0; turn < ways.size(); ++turn) {
      const Way& way = ways[(turn + static_cast<std::size_t>(round)) % ways.size()];
      const double us = server.cost(way.batches, duration);
      runs.push_back({{"way", way.name}, {"round", round}, {"us", us}});
      std::printf("%d  %-24s %6.2f us\n", round, way.name.c_str(), us);
    }
  }
  std::ofstream file(out);
  file << Json{{"server_cost", runs}, {"batch", batch}, {"redis", server.version()}}.dump(1)
       << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + out);
  return 0;
}

}  // namespace
}  // namespace websession::bench

int main(int count, char** words) {
  try {
    if (count != 4) {
      std::fprintf(stderr, "usage: %s ROUNDS SECONDS FILE\n", words[0]);
      return 2;
    }
    return websession::bench::run(std::stoi(words[1]),
                                  std::chrono::duration<double>(std::stod(words[2])), words[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "websession_server_cost: %s\n", error.what());
    return 1;
  }
}
