#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace websession::bench {
namespace {

using Pairs = std::map<std::string, std::string>;

constexpr const char* shared_usage = R"(  --operations   LOAD,SAVE,CYCLE
  --threads      1,4,16,64
  --seconds      of a run (2)
  --runs         rounds; in each, every client runs once, in rotated order (5)
  --sessions     that are worked on (1000)
  --node         the folder of the scripts for Node and of its node_modules (node, beside the
                 program's folder)
  --out          a file for the figures of every run, as JSON
It starts servers of its own.
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

Operation operation_called(const std::string& name) {
  for (const Operation operation : {Operation::load, Operation::save, Operation::cycle}) {
    if (name == name_of(operation)) return operation;
  }
  throw std::invalid_argument(name);
}

void read(int count, char** words, Pairs& shared, Pairs& own) {
  for (int i = 1; i < count; i += 2) {
    const std::string word = words[i];
    const std::string name = word.starts_with("--") ? word.substr(2) : "";
    Pairs& pairs = own.contains(name) ? own : shared;
    if (!pairs.contains(name) || i + 1 >= count) throw std::invalid_argument(word);
    pairs[name] = words[i + 1];
  }
}

Options options_of(const Pairs& pairs) {
  Options options;
  options.clients = split(pairs.at("clients"));
  for (const std::string& name : split(pairs.at("operations"))) {
    options.operations.push_back(operation_called(name));
  }
  for (const std::string& number : split(pairs.at("threads"))) {
    options.threads.push_back(std::stoul(number));
  }
  options.duration = std::chrono::duration<double>(std::stod(pairs.at("seconds")));
  options.rounds = std::stoi(pairs.at("runs"));
  options.sessions = std::stoul(pairs.at("sessions"));
  options.node_directory = pairs.at("node");
  options.out = pairs.at("out");
  return options;
}

}  // namespace

Options Options::parse(int count, char** words, const std::string& usage,
                       std::map<std::string, std::string> own) {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  Pairs shared = {{"clients", ""},
                  {"operations", "LOAD,SAVE,CYCLE"},
                  {"threads", "1,4,16,64"},
                  {"seconds", "2"},
                  {"runs", "5"},
                  {"sessions", "1000"},
                  {"node", program.parent_path().parent_path() / "node"},
                  {"out", ""}};
  try {
    read(count, words, shared, own);
    Options options = options_of(shared);
    options.own = std::move(own);
    return options;
  } catch (const std::logic_error& error) {
    misunderstood(error.what(), usage);
  }
}

void Options::misunderstood(const std::string& word, const std::string& usage) {
  std::fprintf(stderr, "not understood: %s\n%s%s", word.c_str(), usage.c_str(), shared_usage);
  std::exit(2);
}

}  // namespace websession::bench
