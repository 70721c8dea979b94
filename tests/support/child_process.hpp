// A program that is talked to over its standard input and output.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace websession::testing {

// Ends with its owner, at the latest when this process does. Not thread-safe.
class ChildProcess {
 public:
  // words[0] is looked up in PATH. Throws std::runtime_error.
  explicit ChildProcess(const std::vector<std::string>& words);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Throws when the program ended before a whole line came.
  std::string read_line();
  void write_line(const std::string& line);

 private:
  pid_t pid_ = -1;
  int input_ = -1;   // its standard input
  int output_ = -1;  // its standard output
  std::string unread_;
};

}  // namespace websession::testing
