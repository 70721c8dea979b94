// websession-admin: looks at the sessions of a site, and ends some. On the public API alone.
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>

#include "arguments.hpp"
#include "sessions.hpp"
#include "stores.hpp"

namespace {

int run(int argc, char** argv) {
  using admin::Exit;
  const admin::Parsed parsed = admin::parse(argc, argv);
  if (parsed.wants_help) {
    std::cout << admin::usage;
    return 0;
  }
  if (parsed.wants_version) {
    std::cout << "websession-admin " WEBSESSION_VERSION "\n";
    return 0;
  }
  if (!parsed.arguments) {
    std::cerr << "websession-admin: " << parsed.problem << "\nTry websession-admin --help\n";
    return static_cast<int>(Exit::mistake);
  }
  const admin::Arguments& arguments = *parsed.arguments;
  std::shared_ptr<websession::SessionStore> store;
  if (!arguments.store.empty()) {
    auto opened = admin::open_store(arguments);
    if (!opened) {
      std::cerr << "websession-admin: " << opened.error().message() << '\n';
      const bool is_mistake = opened.error().code == websession::Errc::invalid_argument;
      return static_cast<int>(is_mistake ? Exit::mistake : Exit::failed);
    }
    store = *std::move(opened);
  }
  if (arguments.command == "hash") {
    const auto placement = store != nullptr ? store->placement() : nullptr;
    return static_cast<int>(admin::hash(arguments, admin::operand_of(arguments), placement.get()));
  }
  const websession::Result<Exit> done = admin::carry_out(arguments, std::move(store));
  if (!done) {
    std::cerr << "websession-admin: " << done.error().message() << '\n';
    const bool is_mistake = done.error().code == websession::Errc::invalid_argument;
    return static_cast<int>(is_mistake ? Exit::mistake : Exit::failed);
  }
  return static_cast<int>(*done);
}

}  // namespace

int main(int argc, char** argv) try {
  std::signal(SIGPIPE, SIG_IGN);  // `list | head` ends by the stream's state
  return run(argc, argv);
} catch (const std::exception& error) {
  std::cerr << "websession-admin: " << error.what() << '\n';
  return 1;
}
