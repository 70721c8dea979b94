// The attack: a string that reaches a header brings a line, or an attribute, of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "websession/websession.hpp"

namespace websession::testing {
namespace {

std::vector<std::string> parts_of(const std::string& header) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= header.size();) {
    const std::size_t end = std::min(header.find("; ", begin), header.size());
    parts.push_back(header.substr(begin, end - begin));
    begin = end + 2;
  }
  return parts;
}

// Whatever an option, an attribute or an id holds: make refuses it, or the headers have exactly the
// parts that they have without it.
TEST(HeaderInjection, NothingThatReachesAHeaderBreaksOut) {
  using Put = std::function<void(SessionOptions&, Session*, const std::string&)>;
  const std::vector<Put> places = {
      [](SessionOptions& o, Session*, const std::string& text) { o.cookie.name = "a" + text; },
      [](SessionOptions& o, Session*, const std::string& text) { o.cookie.path = "/a" + text; },
      [](SessionOptions& o, Session*, const std::string& text) { o.cookie.domain = "a" + text; },
      [](SessionOptions& o, Session*, const std::string& text) {
        o.id_format.other_characters = text;
      },
      [](SessionOptions&, Session* s, const std::string& text) {
        if (s != nullptr) s->set("a", text);
      },
      [](SessionOptions&, Session* s, const std::string& text) {
        if (s != nullptr) s->sign_in("a", text);
      },
  };
  for (const Put& put : places) {
    for (int byte = 0; byte < 256; ++byte) {
      for (const std::string& tail :
           {std::string(), std::string("\r\nX: 1"), std::string("; X=1")}) {
        const std::string text = std::string(1, static_cast<char>(byte)) + tail + "b";
        for (const bool is_signed : {false, true}) {
          SessionOptions options;
          if (is_signed) options.signing.keys = KeyRing::make({std::string(32, 'k')}).value();
          put(options, nullptr, text);
          const auto manager = SessionManager::make(std::make_shared<MemoryStore>(), options);
          if (!manager) continue;
          Session session = manager->open({}).value();
          session.set("b", 1);
          put(options, &session, text);
          const Result<Commit> commit = manager->commit(session);
          ASSERT_TRUE(commit) << commit.error().message();
          ASSERT_EQ(commit->headers.size(), 3U);
          for (const Header& header : commit->headers) {
            const bool clean = std::none_of(header.value.begin(), header.value.end(), [](char c) {
              return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
            });
            EXPECT_TRUE(clean) << "byte " << byte;
          }
          // id, Path, Max-Age, Expires, HttpOnly, SameSite, and Domain if there is one.
          const std::size_t expected = options.cookie.domain.empty() ? 6U : 7U;
          EXPECT_EQ(parts_of(commit->headers[0].value).size(), expected)
              << commit->headers[0].value;
        }
      }
    }
  }
}

}  // namespace
}  // namespace websession::testing
