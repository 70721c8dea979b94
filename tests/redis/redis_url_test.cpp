#include "redis_url.hpp"

#include <gtest/gtest.h>

namespace websession::redis {
namespace {

RedisUrl parsed(std::string_view url) {
  const Result<RedisUrl> result = parse_redis_url(url);
  EXPECT_TRUE(result) << url << ": " << (result ? "" : result.error().message());
  return result ? *result : RedisUrl();
}

Place place(std::string_view url) {
  const RedisUrl all = parsed(url);
  EXPECT_EQ(all.places.size(), 1U);
  EXPECT_FALSE(all.by_sentinel());
  return all.places.empty() ? Place() : all.places[0];
}

TEST(RedisUrl, TakesHostPortDatabaseAndCredentials) {
  EXPECT_EQ(place("redis://localhost").host, "localhost");
  EXPECT_EQ(place("redis://localhost").port, "6379");
  EXPECT_EQ(parsed("redis://localhost/").database, 0);
  const RedisUrl full = parsed("redis://ada:s%40cret%2f:x@10.0.0.7:6380/12");
  EXPECT_EQ(full.user, "ada");
  EXPECT_EQ(full.password, "s@cret/:x");
  EXPECT_EQ(full.places[0].host, "10.0.0.7");
  EXPECT_EQ(full.places[0].port, "6380");
  EXPECT_EQ(full.database, 12);
  EXPECT_EQ(full.places[0].display(), "10.0.0.7:6380");
  EXPECT_EQ(parsed("redis://:secret@host").password, "secret");
  EXPECT_EQ(parsed("redis://:secret@host").user, "");
  EXPECT_EQ(parsed("redis://u:p@ss@host").password, "p@ss") << "the last @ ends the credentials";
  EXPECT_FALSE(parsed("redis://host").password);
}

TEST(RedisUrl, TakesIpv6) {
  EXPECT_EQ(place("redis://[::1]").host, "::1");
  EXPECT_EQ(place("redis://[::1]:7000/2").port, "7000");
  EXPECT_EQ(place("redis://[::1]:7000/2").display(), "[::1]:7000");
}

TEST(RedisUrl, TakesTls) {
  const RedisUrl tls = parsed("rediss://ada:pw@redis.example/2");
  EXPECT_TRUE(tls.tls);
  EXPECT_EQ(tls.places[0].host, "redis.example");
  EXPECT_EQ(tls.places[0].port, "6379");
  EXPECT_EQ(tls.user, "ada");
  EXPECT_EQ(tls.database, 2);
  EXPECT_EQ(place("rediss://[::1]:6380").display(), "[::1]:6380");
  EXPECT_FALSE(parsed("redis://redis.example").tls);
  EXPECT_FALSE(parsed("unix:///run/redis.sock").tls);
}

TEST(RedisUrl, TakesUnixSockets) {
  const RedisUrl plain = parsed("unix:///run/redis.sock");
  EXPECT_EQ(plain.places[0].socket_path, "/run/redis.sock");
  EXPECT_TRUE(plain.places[0].host.empty());
  EXPECT_EQ(plain.places[0].display(), "/run/redis.sock");
  const RedisUrl full = parsed("unix://u:p@/run/a%20b.sock?db=3");
  EXPECT_EQ(full.places[0].socket_path, "/run/a b.sock");
  EXPECT_EQ(full.password, "p");
  EXPECT_EQ(full.database, 3);
}

TEST(RedisUrl, TakesSentinels) {
  const RedisUrl one = parsed("redis-sentinel://s1#mymaster");
  EXPECT_TRUE(one.by_sentinel());
  EXPECT_EQ(one.primary, "mymaster");
  ASSERT_EQ(one.places.size(), 1U);
  EXPECT_EQ(one.places[0].display(), "s1:26379");
  EXPECT_FALSE(one.tls);
  const RedisUrl all = parsed("rediss-sentinel://ada:p%23w@s1:1,[::1]:2,s3/4#my%20master");
  EXPECT_TRUE(all.tls);
  EXPECT_EQ(all.user, "ada");
  EXPECT_EQ(all.password, "p#w");
  EXPECT_EQ(all.database, 4);
  EXPECT_EQ(all.primary, "my master");
  ASSERT_EQ(all.places.size(), 3U);
  EXPECT_EQ(all.places[0].display(), "s1:1");
  EXPECT_EQ(all.places[1].display(), "[::1]:2");
  EXPECT_EQ(all.places[2].display(), "s3:26379");
}

TEST(RedisUrl, NamesTheSchemeForSeveralHosts) {
  const Result<RedisUrl> several = parse_redis_url("redis://one:1,two:2");
  ASSERT_FALSE(several);
  EXPECT_NE(several.error().detail.find("redis-sentinel://"), std::string::npos);
}

// The text names what is wrong, where the port would be the first to make no sense.
TEST(RedisUrl, ASlashInThePasswordIsNamedAsOne) {
  for (const char* url :
       {"redis://:sec/ret@host", "redis://:sec/ret@host:6379/1", "redis://ada:s/e/cret@host",
        "rediss://ada:12/ret@host", "redis://a/da:secret@host", "redis:///secret@host",
        "redis://ada:p@sec/ret@host", "unix://:sec/ret@/run/redis.sock"}) {
    const Result<RedisUrl> result = parse_redis_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_NE(result.error().detail.find("password"), std::string::npos) << result.error().detail;
    EXPECT_NE(result.error().detail.find("%2F"), std::string::npos) << result.error().detail;
    EXPECT_EQ(result.error().detail.find("ret"), std::string::npos) << "P5";
  }
  EXPECT_EQ(place("unix:///run/a@b.sock").socket_path, "/run/a@b.sock");
  EXPECT_EQ(parsed("unix://:pw@/run/a@b.sock").password, "pw");
}

// P5
TEST(RedisUrl, RefusesTheRestWithoutShowingIt) {
  for (const char* url : {"",
                          "localhost",
                          "http://secret",
                          "redis:/secret",
                          "redis://",
                          "redis://:6379",
                          "redis://secret:0x",
                          "redis://secret:0",
                          "redis://secret:65536",
                          "redis://secret:12a",
                          "redis://secret/x",
                          "redis://secret/-1",
                          "redis://secret/-0",
                          "redis://secret/1/2",
                          "redis://secret@host",
                          "redis://u:secret%@host",
                          "redis://u:secret%4@host",
                          "redis://u:secret%zz@host",
                          "redis://u:secret%00@host",
                          "redis://[::secret",
                          "redis://a secret",
                          "redis://[::1]secret",
                          "redis://[::1]secret:6379",
                          "redis://[::1]]secret",
                          "redis://secret%0a",
                          "redis://secret%7f:1",
                          "unix:///secret%0d%0a",
                          "rediss://secret:0",
                          "rediss:secret",
                          "redis-sentinel://secret",
                          "redis-sentinel://secret#",
                          "redis-sentinel://#secret",
                          "redis-sentinel://secret,#m",
                          "redis-sentinel://secret,,b#m",
                          "redis-sentinel://secret:0,b#m",
                          "redis-sentinel://secret/x#m",
                          "redis-sentinel://secret/#m%0a",
                          "redis-sentinel://secret#m%",
                          "unix://secret",
                          "unix://",
                          "unix:///secret?x=1",
                          "unix:///secret?db=",
                          "unix:///s?db=x"}) {
    const Result<RedisUrl> result = parse_redis_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_EQ(result.error().message().find("secret"), std::string::npos)
        << result.error().message();
  }
}

}  // namespace
}  // namespace websession::redis
