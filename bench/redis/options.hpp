// The command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "measure.hpp"

namespace websession::bench {

enum class Transport { tcp, unix_socket, delay, tls };

struct Options {
  std::vector<std::string> clients;  // empty: all that can use the transport
  std::vector<Operation> operations;
  std::vector<std::size_t> threads;
  Transport transport = Transport::tcp;
  std::chrono::duration<double> duration{2};
  int rounds = 5;
  std::size_t sessions = 1000;
  std::string node_directory;
  std::string out;

  // Prints how it is used and ends the program when the words make no sense.
  static Options parse(int count, char** words);
};

std::string_view name_of(Transport transport) noexcept;

}  // namespace websession::bench
