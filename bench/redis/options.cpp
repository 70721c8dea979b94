#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

namespace websession::bench {
namespace {

constexpr const char* usage = R"(usage: websession_redis_bench [--option value]...
  --clients      ours,hiredis-naive,hiredis-pipelined,poco,connect-redis (all of the transport);
                 ours-cluster and ours-cluster-loop by name only
  --operations   LOAD,SAVE,CYCLE
  --threads      1,4,16,64
  --transport    tcp | unix | delay (0.25 ms more each way) | tls
  --seconds      of a run (2)
  --runs         rounds; in each, every client runs once, in rotated order (5)
  --sessions     that are worked on (1000)
  --node         the folder of connect_redis.mjs and its node_modules (beside the program)
  --out          a file for the figures of every run, as JSON
It starts a redis-server of its own.
)";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (begin < list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

template <class Enum>
Enum find(const std::string& name, std::initializer_list<Enum> all) {
  for (const Enum value : all) {
    if (name == name_of(value)) return value;
  }
  throw std::invalid_argument(name);
}

std::map<std::string, std::string> pairs_of(int count, char** words) {
  std::map<std::string, std::string> pairs = {
      {"clients", ""},
      {"operations", "LOAD,SAVE,CYCLE"},
      {"threads", "1,4,16,64"},
      {"transport", "tcp"},
      {"seconds", "2"},
      {"runs", "5"},
      {"sessions", "1000"},

      {"node", std::filesystem::read_symlink("/proc/self/exe").parent_path() / "node"},
      {"out", ""}};
  for (int i = 1; i < count; i += 2) {
    const std::string word = words[i];
    const auto pair = pairs.find(word.starts_with("--") ? word.substr(2) : "");
    if (pair == pairs.end() || i + 1 >= count) throw std::invalid_argument(word);
    pair->second = words[i + 1];
  }
  return pairs;
}

Options options_of(const std::map<std::string, std::string>& pairs) {
  Options options;
  options.clients = split(pairs.at("clients"));
  for (const std::string& name : split(pairs.at("operations"))) {
    options.operations.push_back(find(name, {Operation::load, Operation::save, Operation::cycle}));
  }
  for (const std::string& number : split(pairs.at("threads"))) {
    options.threads.push_back(std::stoul(number));
  }
  options.transport = find(pairs.at("transport"), {Transport::tcp, Transport::unix_socket,
                                                   Transport::delay, Transport::tls});
  options.duration = std::chrono::duration<double>(std::stod(pairs.at("seconds")));
  options.rounds = std::stoi(pairs.at("runs"));
  options.sessions = std::stoul(pairs.at("sessions"));
  options.node_directory = pairs.at("node");
  options.out = pairs.at("out");
  return options;
}

}  // namespace

std::string_view name_of(Transport transport) noexcept {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::unix_socket:
      return "unix";
    case Transport::delay:
      return "delay";
    case Transport::tls:
      break;
  }
  return "tls";
}

Options Options::parse(int count, char** words) {
  try {
    return options_of(pairs_of(count, words));
  } catch (const std::logic_error& error) {
    std::fprintf(stderr, "websession_redis_bench: not understood: %s\n%s", error.what(), usage);
    std::exit(2);
  }
}

}  // namespace websession::bench
