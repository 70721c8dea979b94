// What is compared: a client is a way to keep sessions, driven by many threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace websession::bench {

// The sessions that are worked on; in Redis each key is prefix + id.
struct Keys {
  std::string prefix;
  std::vector<std::string> ids;
};

// One request of a visitor.
struct Request {
  std::size_t session = 0;
  std::string value{};  // to be saved
  bool loads = false;
  bool saves = false;
  std::chrono::steady_clock::time_point since{};
};

// What a worker is to do until its time is up.
class Requests {
 public:
  // Makes the next one of it. False: the time is up.
  virtual bool begin(Request& request) = 0;
  virtual void end(Request& request) = 0;

 protected:
  ~Requests() = default;
};

// One thread's access. All throw std::runtime_error on any failure, a session that is not complete
// included.
class Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  virtual ~Worker() = default;

  // Does all of them.
  virtual void work(Requests& requests) = 0;
};

// One request after the other.
class BlockingWorker : public Worker {
 public:
  void work(Requests& requests) final {
    Request request;
    while (requests.begin(request)) {
      if (request.loads) load(request.session);
      if (request.saves) save(request.session, request.value);
      requests.end(request);
    }
  }

 private:
  // Reads all fields of session i and renews it, if that is due.
  virtual void load(std::size_t i) = 0;
  // Writes one field of session i and renews it, if that is due.
  virtual void save(std::size_t i, std::string_view value) = 0;
};

// Of websession's writes; those of its peers always renew.
enum class Renewal { when_due, always };

class Client {
 public:
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  // How many threads work for so many requests in flight.
  [[nodiscard]] virtual std::size_t threads(std::size_t in_flight) const { return in_flight; }
  // Called once on each of the threads; it connects what the thread needs.
  virtual std::unique_ptr<Worker> worker() = 0;
};

}  // namespace websession::bench
