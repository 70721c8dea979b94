#include "redis_server.hpp"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

#include "reserved_port.hpp"

namespace websession::testing {
namespace {

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using ReplyPointer = std::unique_ptr<redisReply, FreeReply>;

ReplyPointer ask(redisContext* context, const std::vector<std::string>& words) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    pointers.push_back(word.data());
    sizes.push_back(word.size());
  }
  ReplyPointer reply(static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(words.size()), pointers.data(), sizes.data())));
  if (!reply) throw std::runtime_error(std::string("probe: ") + context->errstr);
  return reply;
}

std::string text_of(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
  if (reply.type == REDIS_REPLY_NIL) return "(nil)";
  return {reply.str, static_cast<std::size_t>(reply.len)};
}

std::vector<std::string> elements_of(const redisReply& reply) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < reply.elements; ++i) texts.push_back(text_of(*reply.element[i]));
  return texts;
}

}  // namespace

std::string redis_server_program() {
  const char* chosen = std::getenv("WEBSESSION_REDIS_SERVER");
  return chosen != nullptr && *chosen != '\0' ? chosen : "redis-server";
}

bool redis_server_is_installed() {
  const std::string program = redis_server_program();
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    if (::access((rest.substr(0, colon) + "/" + program).c_str(), X_OK) == 0) return true;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return false;
}

RedisServer::RedisServer(std::vector<std::string> options, std::optional<RedisTls> tls,
                         const std::string& file)
    : options_(std::move(options)) {
  if (!file.empty()) {
    file_ = folder_.path() + "/redis.conf";
    std::ofstream(file_) << file;
  }
  socket_path_ = folder_.path() + "/redis.sock";
  reservation_ = reserve_port(port_);
  if (std::find(options_.begin(), options_.end(), "--cluster-enabled") != options_.end()) {
    bus_reservation_ = reserve_port(bus_port_);
    options_.emplace_back("--cluster-port");
    options_.push_back(std::to_string(bus_port_));
  }
  if (tls) {
    tls_reservation_ = reserve_port(tls_port_);
    const std::initializer_list<std::string> words{"--tls-port",         std::to_string(tls_port_),
                                                   "--tls-cert-file",    tls->certificate_file,
                                                   "--tls-key-file",     tls->key_file,
                                                   "--tls-ca-cert-file", tls->ca_file};
    options_.insert(options_.begin(), words);
  }
  start();
}

RedisServer::~RedisServer() {
  stop();
  ::close(reservation_);
  if (tls_reservation_ >= 0) ::close(tls_reservation_);
  if (bus_reservation_ >= 0) ::close(bus_reservation_);
}

std::string RedisServer::url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

std::string RedisServer::unix_url() const { return "unix://" + socket_path_; }

std::string RedisServer::tls_url(const std::string& host) const {
  return "rediss://" + host + ":" + std::to_string(tls_port_);
}

void RedisServer::start() {
  launch();
  wait_until_ready();
}

void RedisServer::launch(const std::vector<std::string>& options) {
  std::vector<std::string> words = {redis_server_program(),
                                    "--port",
                                    std::to_string(port_),
                                    "--bind",
                                    "127.0.0.1",
                                    "--unixsocket",
                                    socket_path_,
                                    "--dir",
                                    folder_.path(),
                                    "--save",
                                    "",
                                    "--appendonly",
                                    "no",
                                    "--daemonize",
                                    "no",
                                    "--logfile",
                                    folder_.path() + "/redis.log"};
  if (!file_.empty()) words.insert(words.begin() + 1, file_);
  words.insert(words.end(), options_.begin(), options_.end());
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    // It must not outlive a test that crashes.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int quiet = ::open("/dev/null", O_WRONLY);  // logged to its file instead
    ::dup2(quiet, 1);
    ::dup2(quiet, 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
}

void RedisServer::wait_until_ready() const {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < until) {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix(socket_path_.c_str()), redisFree);
    if (context && context->err == 0) {
      const ReplyPointer reply(static_cast<redisReply*>(redisCommand(context.get(), "PING")));
      const std::string answer = reply ? text_of(*reply) : "LOADING";
      if (!answer.starts_with("LOADING")) return;
    }
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      throw std::runtime_error("redis-server did not start; see " + folder_.path() + "/redis.log");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw std::runtime_error("redis-server does not answer");
}

void RedisServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::pause() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}
void RedisServer::resume() { ::kill(pid_, SIGCONT); }

void RedisProbe::Free::operator()(redisContext* context) const noexcept { redisFree(context); }

RedisProbe::RedisProbe(const RedisServer& server, const std::string& password)
    : context_(redisConnectUnix(server.socket_path().c_str())) {
  if (!context_ || context_->err != 0) throw std::runtime_error("probe: cannot connect");
  if (!password.empty()) text({"AUTH", password});
}

RedisProbe::~RedisProbe() = default;

redisContext* RedisProbe::at(const std::string& place) {
  Context& there = others_[place];
  if (there == nullptr || there->err != 0) {
    const std::size_t colon = place.rfind(':');
    there.reset(redisConnect(place.substr(0, colon).c_str(), std::stoi(place.substr(colon + 1))));
    if (there == nullptr || there->err != 0) throw std::runtime_error("probe: cannot connect");
  }
  return there.get();
}

struct RedisProbe::Asked {
  ReplyPointer operator()(RedisProbe& probe, const Words& words) const {
    ReplyPointer reply = ask(probe.context_.get(), words);
    for (int hops = 0; hops < 8 && reply->type == REDIS_REPLY_ERROR; ++hops) {
      const std::string text = text_of(*reply);
      const bool asks = text.starts_with("ASK ");
      if (!asks && !text.starts_with("MOVED ")) break;
      redisContext* const there = probe.at(text.substr(text.rfind(' ') + 1));
      if (asks) ask(there, {"ASKING"});
      reply = ask(there, words);
    }
    return reply;
  }
};

std::string RedisProbe::text(const Words& words) { return text_of(*Asked()(*this, words)); }

std::int64_t RedisProbe::integer(const Words& words) { return Asked()(*this, words)->integer; }

RedisProbe::Words RedisProbe::list(const Words& words) {
  return elements_of(*Asked()(*this, words));
}

std::map<std::string, std::string> RedisProbe::hash(const std::string& key) {
  const Words flat = list({"HGETALL", key});
  std::map<std::string, std::string> fields;
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) fields[flat[i]] = flat[i + 1];
  return fields;
}

RedisProbe::Words RedisProbe::keys(const std::string& prefix) {
  const ReplyPointer slots = ask(context_.get(), {"CLUSTER", "SLOTS"});
  if (slots->type != REDIS_REPLY_ARRAY) return keys_at(context_.get(), prefix);
  std::set<std::string> primaries;
  for (std::size_t i = 0; i < slots->elements; ++i) {
    const redisReply& node = *slots->element[i]->element[2];
    primaries.insert(text_of(*node.element[0]) + ":" + text_of(*node.element[1]));
  }
  Words found;
  for (const std::string& primary : primaries) {
    const Words some = keys_at(at(primary), prefix);
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

RedisProbe::Words RedisProbe::keys_at(redisContext* context, const std::string& prefix) {
  Words found;
  std::string cursor = "0";
  do {
    const ReplyPointer reply =
        ask(context, {"SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000"});
    if (reply->elements != 2) throw std::runtime_error("probe: " + text_of(*reply));
    cursor = text_of(*reply->element[0]);
    const Words some = elements_of(*reply->element[1]);
    found.insert(found.end(), some.begin(), some.end());
  } while (cursor != "0");
  return found;
}

std::string RedisProbe::next_line() {
  void* reply = nullptr;
  if (redisGetReply(context_.get(), &reply) != REDIS_OK) {
    throw std::runtime_error(std::string("probe: ") + context_->errstr);
  }
  return text_of(*ReplyPointer(static_cast<redisReply*>(reply)));
}

}  // namespace websession::testing
