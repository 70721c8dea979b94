// The command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "measure.hpp"

namespace websession::bench {

struct Options {
  std::vector<std::string> clients;  // empty: all that can be measured
  std::vector<Operation> operations;
  std::vector<std::size_t> threads;
  std::chrono::duration<double> duration{2};
  int rounds = 5;
  std::size_t sessions = 1000;
  std::string node_directory;
  std::string out;
  std::map<std::string, std::string> own;  // the program's own, by name

  // Prints how it is used and ends the program when the words make no sense. `own`: those that only
  // this program has, with what they are unless told; `usage` says the same for people.
  static Options parse(int count, char** words, const std::string& usage,
                       std::map<std::string, std::string> own = {});
  // The same end, for what is wrong with one of its own.
  [[noreturn]] static void misunderstood(const std::string& word, const std::string& usage);
};

}  // namespace websession::bench
