// What caches are told, and how it joins what the handler has set.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "requests.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"

namespace websession {
namespace {

using Mode = Header::Mode;
using testing::open_session;

std::string text_of(const std::vector<Header>& headers) {
  std::string text;
  for (const Header& header : headers) {
    if (header.name != "Set-Cookie") text += header.name + ": " + header.value + "\n";
  }
  return text;
}

TEST(Header, OverJoinsWhatIsThere) {
  const Header vary{"Vary", "Cookie", Mode::merge};
  EXPECT_EQ(vary.over(""), "Cookie");
  EXPECT_EQ(vary.over("Accept"), "Accept, Cookie");
  EXPECT_EQ(vary.over("Cookies"), "Cookies, Cookie");
  for (const char* there :
       {"Cookie", "cookie", "Accept,\tCOOKIE ,x", ",cookie,", "*", "Accept, *"}) {
    EXPECT_EQ(vary.over(there), std::nullopt) << there;
  }
  const Header several{"Vary", "Authorization, X-S, Cookie", Mode::merge};
  EXPECT_EQ(several.over(""), "Authorization, X-S, Cookie");
  EXPECT_EQ(several.over("cookie"), "cookie, Authorization, X-S");
  EXPECT_EQ(several.over("x-s, Cookie,authorization"), std::nullopt);
  EXPECT_EQ(several.over("*"), std::nullopt);
  const Header private_unless{"Cache-Control", "private", Mode::unless_set};
  EXPECT_EQ(private_unless.over(""), "private");
  EXPECT_EQ(private_unless.over("public"), std::nullopt);
  const Header no_store{"Cache-Control", "no-store", Mode::replace};
  EXPECT_EQ(no_store.over("public"), "no-store");
}

TEST(CacheHeaders, ComeWithEveryCommit) {
  const auto manager = SessionManager::make(std::make_shared<MemoryStore>()).value();
  const std::string own = "Cache-Control: private\nVary: Cookie\n";
  const std::string fresh = "Cache-Control: no-store\nVary: Cookie\n";

  Session nobody = open_session(manager);
  EXPECT_EQ(text_of(manager.commit(nobody).value().headers), "Vary: Cookie\n")
      << "the page is that of all who bring no cookie";
  nobody.set("a", 1);
  const Commit created = manager.commit(nobody).value();
  EXPECT_EQ(text_of(created.headers), fresh);
  const std::string cookie = testing::cookie_of(created);

  Session session = open_session(manager, "theme=dark; " + cookie);
  EXPECT_EQ(text_of(manager.commit(session).value().headers), own) << "unchanged";
  session.set("a", 2);
  EXPECT_EQ(text_of(manager.commit(session).value().headers), own) << "updated";
  Session slow = open_session(manager, cookie);
  session.invalidate();
  EXPECT_EQ(text_of(manager.commit(session).value().headers), fresh) << "erased";
  EXPECT_EQ(text_of(manager.commit(session).value().headers), own) << "erased before";
  slow.set("a", 3);
  for (int i = 0; i < 2; ++i) {
    const Commit gone = manager.commit(slow).value();
    EXPECT_EQ(gone.status, Commit::Status::gone);
    EXPECT_EQ(text_of(gone.headers), own);
    EXPECT_FALSE(testing::sends_cookie(gone));
  }
  Session unknown = open_session(manager, cookie);
  EXPECT_EQ(text_of(manager.commit(unknown).value().headers), own) << "it was looked for";

  EXPECT_EQ(text_of(manager.cache_headers({cookie})), own) << "for an error";
  EXPECT_EQ(text_of(manager.cache_headers({"theme=dark"})), "Vary: Cookie\n");
}

TEST(CacheHeaders, CanBeSwitchedOff) {
  SessionOptions options;
  options.cache_headers = false;
  const auto manager = SessionManager::make(std::make_shared<MemoryStore>(), options).value();
  Session session = open_session(manager);
  EXPECT_TRUE(manager.commit(session).value().headers.empty());
  EXPECT_TRUE(manager.cache_headers({"sid=x"}).empty());
  session.set("a", 1);
  EXPECT_EQ(text_of(manager.commit(session).value().headers), "Cache-Control: no-store\n");
}

}  // namespace
}  // namespace websession
