// What the command line asks for.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <websession/session_options.hpp>

namespace admin {

struct Arguments {
  // Where the sessions are.
  std::string store{};
  std::string prefix{};  // empty: the store's own
  std::string ca_file{};
  std::string certificate_file{};
  std::string key_file{};
  // Which key an id leads to. None: a plain one, then a hashed one.
  std::optional<websession::IdStorage> storage{};
  std::string id_namespace{};
  // How much is shown.
  bool json = false;
  bool reveals = false;
  // Of some commands.
  bool exact = false;
  std::optional<std::uint64_t> limit{};
  std::string principal{};
  std::chrono::milliseconds interval = std::chrono::seconds(2);
  std::optional<std::uint64_t> times{};

  std::string command{};
  std::string operand{};
};

extern const std::string_view usage;

// An error in words, or what is asked for. `store`: from the environment, if the line names none.
struct Parsed {
  std::optional<Arguments> arguments{};
  std::string problem{};
  bool wants_help = false;
  bool wants_version = false;
};
Parsed parse(int argc, char** argv);

}  // namespace admin
