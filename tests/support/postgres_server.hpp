// A private PostgreSQL for tests, on a unix socket and a free port of 127.0.0.1, in a folder that
// is gone with it. Nothing else on the machine is touched.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace websession::testing {

// True when tests can start it. Under CI a missing one is a failure, not a skip.
bool postgres_is_installed();

// Gives a file or a folder to the user as whom it runs. Throws std::runtime_error.
void give_to_postgres(const std::string& path);

class PostgresServer {
 public:
  // Takes a second. It runs as an ordinary user: as root it refuses to. `settings`: those that it
  // is to have, as "fsync=on", which is off for the sake of speed; `environment`: what it finds
  // there beside what this process has, as "TZ=UTC".
  explicit PostgresServer(std::vector<std::string> settings = {},
                          std::vector<std::string> environment = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // `more`: further words of the connection string.
  [[nodiscard]] std::string conninfo(const std::string& more = {}) const;  // by the socket
  [[nodiscard]] std::string tcp_conninfo(int port, const std::string& more = {}) const;
  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }  // of the parent of its processes
  [[nodiscard]] const std::string& folder() const noexcept { return folder_.path(); }

  void crash();  // SIGKILL, of all its processes
  void start();
  void pause();  // as SIGSTOP; of those processes, too, that serve connections
  void resume();

 private:
  void forget_crashed_server() const;
  [[nodiscard]] std::vector<pid_t> children() const;

  const std::vector<std::string> settings_;
  const std::vector<std::string> environment_;
  TemporaryFolder folder_{"postgres"};
  int port_ = 0;
  int reservation_ = -1;  // of the port
  pid_t pid_ = -1;
};

// A plain client, that looks at the server from outside the library. Throws std::runtime_error.
class PostgresProbe {
 public:
  explicit PostgresProbe(const std::string& conninfo);
  ~PostgresProbe();
  PostgresProbe(const PostgresProbe&) = delete;
  PostgresProbe& operator=(const PostgresProbe&) = delete;
  // The rows of the last statement, a column after the other; "NULL" for what is.
  std::vector<std::vector<std::string>> rows(const std::string& sql);
  std::string text(const std::string& sql);  // of the first row's first column; "" if there is none
  void run(const std::string& sql) { rows(sql); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession::testing
