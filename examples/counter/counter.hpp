// What the counters have in common, whatever their framework: options and pages.
#pragma once

#include <websession/async/session_manager.hpp>
#include <websession/result.hpp>
#include <websession/session_base.hpp>
#include <websession/session_options.hpp>
#include <websession/session_store.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace counter {

struct Arguments {
  std::string program{};  // its name
  std::string store = "memory";
  int port = 8080;     // 0: any free one
  std::string name{};  // what the page calls this server
};

// Nullopt: they were wrong, and the usage has been printed.
std::optional<Arguments> parse(std::string_view program, int argc, char** argv);

// A store by its name on the command line. The rest of the program does not care which it is.
//
// Command lines can be read by everybody on the machine, so a URL with a password may stand in a
// file: @FILE.
websession::Result<std::shared_ptr<websession::SessionStore>> make_store(
    const Arguments& arguments);
websession::Result<std::shared_ptr<websession::AsyncSessionStore>> make_store(
    const Arguments& arguments, const std::vector<std::shared_ptr<websession::Reactor>>& loops);
// Asks the store once, so that a wrong one is told now and not to the first visitor. `turn` runs
// the loop for a while.
std::optional<websession::Error> problem_of(const websession::AsyncSessionManager& manager,
                                            const std::function<void()>& turn);
// Those with an observer that tells stderr when something fails.
websession::SessionOptions session_options();

// Prints it to stderr; gives 1, for main.
int complain(const Arguments& arguments, const std::string& problem);
// The program cannot listen on its port.
int cannot_listen(const Arguments& arguments);
void listening_on(int port);

struct Page {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body{};
  std::string location{};  // of a redirection
};

// What there is besides /count: nullopt, the path is one of those with a session.
std::optional<Page> without_session(std::string_view method, std::string_view path);

// GET /count. `accept`: the request's header, which may ask for JSON.
Page count(const Arguments& arguments, std::string_view accept, std::int64_t views,
           const websession::SessionBase& session);
// POST /new: ends this session's data and its id; the visitor goes on with a new one.
Page start_anew(websession::SessionBase& session);
// POST /logout
Page log_out(websession::SessionBase& session);

// When the session could not be loaded or stored.
Page sorry(const websession::Error& error);
// When it ended while the request ran.
Page ended();

}  // namespace counter
