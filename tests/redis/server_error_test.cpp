#include "server_error.hpp"

#include <gtest/gtest.h>

namespace websession::redis {
namespace {

TEST(ServerError, SaysWhatToDo) {
  struct Row {
    const char* text;
    Errc code;
    const char* advice;
  };
  for (const Row& row : {
           Row{"NOAUTH Authentication required.", Errc::rejected, "password"},
           Row{"WRONGPASS invalid username-password pair", Errc::rejected, "ACL LIST"},
           Row{"NOPERM this user has no permissions", Errc::rejected, "docs/operations.md"},
           Row{"NOPERM this user has no permissions to run the 'hlen' command", Errc::rejected,
               "(NOPERM, the command 'hlen')"},
           Row{"WRONGTYPE Operation against a key", Errc::corrupt, "prefix"},
           Row{"OOM command not allowed", Errc::rejected, "maxmemory"},
           Row{"READONLY You can't write against a read only replica.", Errc::rejected, "primary"},
           Row{"LOADING Redis is loading the dataset in memory", Errc::unavailable, "again"},
           Row{"BUSY Redis is busy running a script.", Errc::unavailable, "again"},
           Row{"MOVED 3999 127.0.0.1:6381", Errc::rejected, "Cluster"},
           Row{"ASK 3999 127.0.0.1:6381", Errc::rejected, "Cluster"},
           Row{"CLUSTERDOWN Hash slot not served", Errc::unavailable, "Cluster"},
           Row{"MASTERDOWN Link with MASTER is down", Errc::unavailable, "primary"},
           Row{"MISCONF Redis is configured to save", Errc::rejected, "disk"},
           Row{"NOREPLICAS Not enough good replicas", Errc::unavailable, "replicas"},
           Row{"DENIED Redis is running in protected mode", Errc::rejected, "protected"},
           Row{"ERR max number of clients reached", Errc::unavailable, "maxclients"},
           Row{"ERR unknown command", Errc::rejected, "6.2"},
           Row{"ERR unknown command 'EVALSHA', with args beginning with: 'x'", Errc::rejected,
               "proxy"},
           Row{"ERR SELECT is not allowed in cluster mode", Errc::rejected, "redis-cluster://"},
           Row{"CROSSSLOT Keys in request don't hash", Errc::rejected, "redis-cluster://"},
           // As Redis 6.2 wraps what a command in a script answers:
           Row{"ERR Error running script (call to f_0123): @user_script:1: -OOM command not "
               "allowed",
               Errc::rejected, "maxmemory"},
           Row{"ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -READONLY "
               "You can't write",
               Errc::rejected, "primary"},
       }) {
    const Error error = server_error(row.text, false);
    EXPECT_EQ(error.code, row.code) << row.text;
    EXPECT_NE(error.detail.find(row.advice), std::string::npos) << error.detail;
    EXPECT_FALSE(error.maybe_applied) << row.text;
  }
}

// P5: Redis repeats arguments in some errors, and an argument can be a key with an id in it.
TEST(ServerError, NeverRepeatsWhatTheServerSaid) {
  for (const char* text :
       {"NOPERM no permissions to run the 'SECRET' command", "NOPERM to run the 'xSECRET",
        "ERR unknown command 'X', with args beginning with: 'sid_SECRET'", "SECRET", "ERR SECRET",
        "WRONGTYPE SECRET", "-SECRET- x", "secret SECRET"}) {
    const Error error = server_error(text, true);
    if (std::string_view(text) == "SECRET") continue;  // an error's first word is its code
    EXPECT_EQ(error.message().find("SECRET"), std::string::npos) << error.message();
  }
}

// P8
TEST(ServerError, AScriptThatStoppedMidwayMayHaveWritten) {
  EXPECT_TRUE(server_error("NOPERM no", true).maybe_applied);
  EXPECT_TRUE(server_error("ERR something unknown", true).maybe_applied);
  EXPECT_FALSE(server_error("OOM no", true).maybe_applied) << "refused as a whole";
  EXPECT_FALSE(server_error("BUSY", true).maybe_applied);
  EXPECT_FALSE(server_error("READONLY", true).maybe_applied);
}

TEST(ServerError, KnowsNoscript) {
  EXPECT_TRUE(is_noscript("NOSCRIPT No matching script. Please use EVAL."));
  EXPECT_FALSE(is_noscript("ERR NOSCRIPT"));
}

}  // namespace
}  // namespace websession::redis
