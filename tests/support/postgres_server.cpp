#include "postgres_server.hpp"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "reserved_port.hpp"
#include "wait_for.hpp"

namespace websession::testing {
namespace {

// Of the newest version that is there, as Debian and its kin install it.
std::string program(const std::string& name) {
  std::string found;
  int newest = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const int version = std::atoi(entry.path().filename().c_str());
    const std::string path = entry.path().string() + "/bin/" + name;
    if (version > newest && ::access(path.c_str(), X_OK) == 0) {
      newest = version;
      found = path;
    }
  }
  return found;
}

// Starts a program as a user that may run a database. What it says goes to a file.
pid_t spawn(std::vector<std::string> words, const std::string& log,
            std::vector<std::string> environment = {}) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const passwd* const nobody = ::getpwnam("nobody");
  const bool drops = ::geteuid() == 0;
  if (drops && nobody == nullptr) throw std::runtime_error("there is no user nobody");
  const uid_t uid = drops ? nobody->pw_uid : 0;
  const gid_t gid = drops ? nobody->pw_gid : 0;
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid > 0) return pid;
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (drops && (::setgroups(0, nullptr) != 0 || ::setgid(gid) != 0 || ::setuid(uid) != 0)) {
    ::_exit(126);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after that: it is forgotten with the user
  for (std::string& one : environment) ::putenv(one.data());
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

bool postgres_is_installed() { return !program("initdb").empty(); }

void give_to_postgres(const std::string& path) {
  if (::geteuid() != 0) return;
  const passwd* const nobody = ::getpwnam("nobody");
  if (nobody == nullptr || ::chown(path.c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
    throw std::runtime_error(path + " cannot be given to nobody");
  }
}

PostgresServer::PostgresServer(std::vector<std::string> settings,
                               std::vector<std::string> environment)
    : settings_(std::move(settings)), environment_(std::move(environment)) {
  reservation_ = reserve_port(port_);
  const std::string& folder = folder_.path();
  const std::string log = folder + "/log";
  give_to_postgres(folder);
  const pid_t initdb = spawn({program("initdb"), "-D", folder + "/data", "-U", "websession", "-A",
                              "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
                             log);
  int status = 0;
  ::waitpid(initdb, &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed: " + read_file(log));
  start();
}

PostgresServer::~PostgresServer() {
  crash();
  ::close(reservation_);
}

std::string PostgresServer::conninfo(const std::string& more) const {
  return "host=" + folder_.path() + " port=" + std::to_string(port_) +
         " user=websession dbname=postgres " + more;
}

std::string PostgresServer::tcp_conninfo(int port, const std::string& more) const {
  return "hostaddr=127.0.0.1 port=" + std::to_string(port) +
         " user=websession dbname=postgres sslmode=disable " + more;
}

void PostgresServer::start() {
  const std::string& folder = folder_.path();
  std::vector<std::string> words = {
      program("postgres"), "-D", folder + "/data",     "-k", folder, "-h",
      "127.0.0.1",         "-p", std::to_string(port_)};
  std::vector<std::string> settings = {"fsync=off", "max_connections=300", "shared_buffers=32MB",
                                       "max_prepared_transactions=0"};
  settings.insert(settings.end(), settings_.begin(), settings_.end());  // the last one counts
  for (const std::string& setting : settings) words.insert(words.end(), {"-c", setting});
  const std::string log = folder + "/log";
  try {
    wait_for("PostgreSQL does not start", [&] {
      // It gives up at once while a process of a crashed server still holds the shared memory.
      if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
      if (pid_ <= 0) {
        forget_crashed_server();
        pid_ = spawn(words, log, environment_);
      }
      PostgresProbe(conninfo()).run("SELECT 1");
      return true;
    });
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::string(error.what()) + ": " + read_file(log));
  }
}

void PostgresServer::forget_crashed_server() const {
  // They name a process, and its number may be another process' by now.
  std::filesystem::remove(folder_.path() + "/data/postmaster.pid");
  std::filesystem::remove(folder_.path() + "/.s.PGSQL." + std::to_string(port_) + ".lock");
}

void PostgresServer::crash() {
  if (pid_ <= 0) return;
  // Not the children first: their parent would start them again. After it they are nobody's.
  const std::vector<pid_t> all = children();
  ::kill(pid_, SIGKILL);
  for (const pid_t child : all) ::kill(child, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresServer::pause() {
  ::kill(pid_, SIGSTOP);
  for (const pid_t child : children()) ::kill(child, SIGSTOP);
}

void PostgresServer::resume() {
  for (const pid_t child : children()) ::kill(child, SIGCONT);
  ::kill(pid_, SIGCONT);
}

std::vector<pid_t> PostgresServer::children() const {
  const std::string id = std::to_string(pid_);
  std::ifstream list("/proc/" + id + "/task/" + id + "/children");
  return {std::istream_iterator<pid_t>(list), {}};
}

struct PostgresProbe::Impl {
  PGconn* connection;
};

PostgresProbe::PostgresProbe(const std::string& conninfo)
    : impl_(std::make_unique<Impl>(Impl{PQconnectdb(conninfo.c_str())})) {
  if (PQstatus(impl_->connection) == CONNECTION_OK) return;
  const std::string said = PQerrorMessage(impl_->connection);
  PQfinish(impl_->connection);
  throw std::runtime_error(said);
}

PostgresProbe::~PostgresProbe() { PQfinish(impl_->connection); }

std::vector<std::vector<std::string>> PostgresProbe::rows(const std::string& sql) {
  PGresult* const result = PQexec(impl_->connection, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  std::vector<std::vector<std::string>> all;
  for (int i = 0; i < PQntuples(result); ++i) {
    std::vector<std::string>& row = all.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      row.emplace_back(PQgetisnull(result, i, column) != 0 ? "NULL"
                                                           : PQgetvalue(result, i, column));
    }
  }
  PQclear(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(PQerrorMessage(impl_->connection));
  }
  return all;
}

std::string PostgresProbe::text(const std::string& sql) {
  const auto all = rows(sql);
  return all.empty() || all[0].empty() ? "" : all[0][0];
}

}  // namespace websession::testing
