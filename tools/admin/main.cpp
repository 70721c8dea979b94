// websession-admin: looks at the sessions of a site, and ends some. On the public API alone.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <utility>

#include "arguments.hpp"
#include "sessions.hpp"
#include "stores.hpp"

namespace {

using admin::Exit;

Exit failed(const websession::Error& error) {
  std::cerr << "websession-admin: " << error.message() << '\n';
  const bool is_mistake = error.code == websession::Errc::invalid_argument;
  return is_mistake ? Exit::mistake : Exit::failed;
}

// Whether whoever reads the output has gone, as `head` does when it has enough.
bool has_reader_gone() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

// Whatever is opened first would take the place of what is closed, and get what is written there.
void open_what_is_closed() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(standard, F_GETFD) >= 0) continue;
    static_cast<void>(::open("/dev/null", O_RDONLY));  // so that writing fails
  }
}

Exit run(int argc, char** argv) {
  const admin::Parsed parsed = admin::parse(argc, argv);
  if (parsed.wants_help) {
    std::cout << admin::usage;
    return Exit::done;
  }
  if (parsed.wants_version) {
    std::cout << "websession-admin " WEBSESSION_VERSION "\n";
    return Exit::done;
  }
  if (!parsed.arguments) {
    std::cerr << "websession-admin: " << parsed.problem << "\nTry websession-admin --help\n";
    return Exit::mistake;
  }
  const admin::Arguments& arguments = *parsed.arguments;
  const bool only_hashes = arguments.command == "hash";
  std::shared_ptr<websession::SessionStore> store;
  if (!only_hashes || admin::is_cluster(arguments)) {
    auto opened = admin::open_store(arguments);
    if (!opened) return failed(opened.error());
    store = *std::move(opened);
  }
  if (only_hashes) {
    const auto placement = store != nullptr ? store->placement() : nullptr;
    return admin::hash(arguments, admin::operand_of(arguments), placement.get());
  }
  const websession::Result<Exit> done = admin::carry_out(arguments, store);
  return done ? *done : failed(done.error());
}

}  // namespace

int main(int argc, char** argv) try {
  open_what_is_closed();
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));  // the stream tells
  Exit exit = run(argc, argv);
  std::cout.flush();
  if (!std::cout && !has_reader_gone()) {
    std::cerr << "websession-admin: the output could not be written\n";
    exit = Exit::failed;
  }
  return static_cast<int>(exit);
} catch (const std::exception& error) {
  std::cerr << "websession-admin: " << error.what() << '\n';
  return 1;
}
