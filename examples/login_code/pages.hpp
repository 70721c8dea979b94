// The pages, as HTML. They know nothing of requests and stores: what they show comes in, and every
// text that comes in is escaped here.
#pragma once

#include <websession/flash.hpp>
#include <websession/session_manager.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mail.hpp"

// What is around every page.
struct Frame {
  std::string served_by;
  std::vector<websession::Flash> flashes{};  // messages of the request before
  std::string csrf{};                        // the token for the forms of this page
};

// For text between tags, and for attribute values in double quotes.
std::string escaped(std::string_view text);

std::string sign_in_page(const Frame& frame, const std::string& address);

// `development`: the code is on /dev/mail.
std::string enter_code_page(const Frame& frame, const std::string& address, int valid_minutes,
                            bool development);

struct Home {
  std::string address;
  std::int64_t views = 0;
  std::chrono::milliseconds expires_in{};
  std::vector<websession::SessionInfo> devices{};
};
std::string home_page(const Frame& frame, const Home& home);

// For what went wrong: a heading, a sentence, and a link to the start.
std::string message_page(const Frame& frame, const std::string& heading, const std::string& text);

std::string outbox_page(const Frame& frame, const std::vector<Mail>& mails);
