// A byte stream to a server, and how to get one. Tests replace it to count and to break.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// One thread may write while another reads.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;  // closes

  // Both wait until at least one byte has passed, and give the number of bytes. A deadline that has
  // passed already leaves a writer one try, and a reader what has been taken in before: whoever
  // calls in a loop, with one deadline, is out of it soon after, whatever the peer sends.
  // Errors: timeout (nothing has passed by the deadline; all is as before), unavailable (the
  // connection has ended), rejected (the server does not want us, or speaks something else).
  // After a timeout, what is written next begins with the same bytes: TLS may have them encrypted.
  virtual Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) = 0;
  virtual Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) = 0;

  // The same for what has come already: 0 when there is nothing yet.
  virtual Result<std::size_t> read_ready(std::span<char> buffer) = 0;

  // True when the peer has closed, or has sent what nobody asked for. Asked while nothing is due.
  [[nodiscard]] virtual bool is_stale() const noexcept = 0;
  // True when the peer has closed, whatever it sent before that.
  [[nodiscard]] virtual bool has_ended() const noexcept = 0;
  // Ends the connection for both sides, so that whoever waits in it returns. Any thread may call
  // it.
  virtual void shut_down() noexcept = 0;
  // For an event loop. The descriptor that tells when there is something to do.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
  // Whether read_ready has bytes to give that the descriptor does not tell of any more.
  [[nodiscard]] virtual bool has_buffered() const noexcept { return false; }
  // Whether something is to be sent that no caller has asked for: the next read_ready does it, as
  // soon as the descriptor is writable.
  [[nodiscard]] virtual bool has_unsent() const noexcept { return false; }

  // Closes without a word to the peer: for the child of a fork, whose parent goes on using it.
  virtual void disown() noexcept = 0;
};

class Connector {
 public:
  Connector() = default;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;
  virtual ~Connector() = default;

  // Called by one thread at a time. Errors: unavailable, timeout, rejected (TLS: one side does not
  // accept the other).
  virtual Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) = 0;
  // The server at the address that worked is not the right one any more: look it up again.
  virtual void forget_address() noexcept {}
  // Whether the last connect() has led to another server than the one before it.
  [[nodiscard]] virtual bool has_found_another() const noexcept { return false; }
  // Whether the server is another one by now, as far as that is known without asking. Any thread
  // may call it, at any time, and often.
  virtual bool has_moved() noexcept { return false; }
};

// Each process has one of its own: what belongs to the other side of a fork may be in the midst of
// something.
using MakeConnector = std::function<std::shared_ptr<Connector>()>;

}  // namespace websession::redis
