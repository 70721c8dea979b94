// What the command line says.
#pragma once

#include <optional>
#include <string>

struct Options {
  int port = 8080;  // 0: any free one
  std::string name = "login_code";
  std::string store = "redis://127.0.0.1:6379";  // "sqlite:FILE", "memory", …
  std::string redis_ca{};                        // for rediss://; empty: whom the system trusts
  std::string smtp{};                            // empty: codes appear on /dev/mail
  std::string mail_from = "login_code@localhost";
  std::string secret_file{};  // empty: a secret is made up at each start
  bool behind_proxy = false;
  bool secure = false;
};

extern const char* const usage;

// None: something on the command line is wrong.
std::optional<Options> parse_options(int argc, char** argv);
