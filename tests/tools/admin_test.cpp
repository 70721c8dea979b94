// websession-admin: what it says, and what it hides.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "postgres_server.hpp"
#include "redis_cluster.hpp"
#include "redis_server.hpp"
#include "requests.hpp"
#include "temporary_folder.hpp"
#include "websession/postgres_store.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/redis_store.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_manager.hpp"
#include "websession/sqlite_store.hpp"

namespace websession::testing {
namespace {

using Words = std::vector<std::string>;
using Json = nlohmann::json;
using StorePtr = std::shared_ptr<SessionStore>;

struct Said {
  int code = -1;
  std::string out{};
  std::string err{};
};

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Runs the program to its end.
Said run(const Words& words, const std::string& input = "", const std::string& variable = "") {
  const TemporaryFolder folder("admin");
  const std::string in = folder.path() + "/in";
  const std::string out = folder.path() + "/out";
  const std::string err = folder.path() + "/err";
  std::ofstream(in) << input;
  Words line{WEBSESSION_ADMIN_PROGRAM};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open(in.c_str(), O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    if (variable.empty()) {
      ::unsetenv("WEBSESSION_STORE");
    } else {
      ::setenv("WEBSESSION_STORE", variable.c_str(), 1);
    }
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid");
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A store of some kind, and where the program finds it.
struct Place {
  std::string url;
  StorePtr store;
  std::shared_ptr<void> kept{};
};

struct Kind {
  const char* name;
  std::function<Place()> make;
};

Place in_redis() {
  auto server = std::make_shared<RedisServer>();
  return {server->url(), RedisStore::connect(server->url()).value(), server};
}
Place in_json() {
  auto server = std::make_shared<RedisServer>();
  return {"json+" + server->url(), RedisJsonStore::connect(server->url()).value(), server};
}
Place in_cluster() {
  auto cluster = std::make_shared<RedisCluster>();
  return {cluster->url(), RedisStore::connect(cluster->url()).value(), cluster};
}
Place in_sqlite() {
  auto folder = std::make_shared<TemporaryFolder>("admin");
  const std::string file = folder->path() + "/sessions.db";
  return {"sqlite:" + file, SqliteStore::open(file).value(), folder};
}
Place in_postgres() {
  auto server = std::make_shared<PostgresServer>();
  // As a URL: "host=/… port=…" has no scheme.
  const std::string words = server->conninfo();
  auto store = PostgresStore::connect(words).value();
  return {"postgresql:" + words, std::move(store), server};
}

class Admin : public ::testing::Test {
 protected:
  static Said ask(const Place& place, Words words, const std::string& input = "") {
    words.insert(words.begin(), {"--store", place.url});
    return run(words, input);
  }
  static Json json_of(const Said& said) {
    EXPECT_EQ(said.code, 0) << said.err;
    return Json::parse(said.out);
  }
  struct Stored {
    std::string id;
    std::string handle;
  };
  static Stored stored(const Place& place, const std::string& user,
                       const std::string& value = "s3cret", SessionOptions options = {}) {
    const auto sessions = SessionManager::make(place.store, options).value();
    Session session = sessions.open({}).value();
    if (!user.empty()) session.sign_in(user, "Firefox on Linux");
    session.set("cart", value);
    session.set("n", 7);
    EXPECT_TRUE(sessions.commit(session));
    const auto placement = place.store->placement();
    const StoreKey key =
        key_of(*session.id(), options.id_storage, options.id_namespace, placement.get());
    return {session.id()->secret(), handle_of(key)};
  }
};

class AdminOnEach : public Admin, public ::testing::WithParamInterface<Kind> {};

TEST_P(AdminOnEach, CountsListsShowsAndEnds) {
  const Place place = GetParam().make();
  EXPECT_EQ(json_of(ask(place, {"count", "--json"})), Json({{"sessions", 0}, {"exact", true}}));
  const Stored ada = stored(place, "ada");
  const Stored other = stored(place, "ada");
  const Stored bob = stored(place, "bob");
  const Stored visitor = stored(place, "");
  EXPECT_EQ(ask(place, {"count"}).out, "4 sessions\n");
  EXPECT_EQ(ask(place, {"count", "--exact"}).out, "4 sessions\n");

  const Said all = ask(place, {"list"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(lines_of(all.out).size(), 5U) << all.out;
  for (const Stored& one : {ada, other, bob, visitor}) {
    EXPECT_NE(all.out.find(one.handle), std::string::npos) << all.out;
    EXPECT_EQ(all.out.find(one.id), std::string::npos) << "an id is a secret";
  }
  EXPECT_EQ(all.out.find("s3cret"), std::string::npos);
  EXPECT_EQ(all.err, "4 sessions\n");
  EXPECT_EQ(lines_of(ask(place, {"list", "--principal", "ada", "--json"}).out).size(), 2U);
  EXPECT_EQ(lines_of(ask(place, {"list", "--limit", "3", "--json"}).out).size(), 3U);
  const Json first =
      Json::parse(lines_of(ask(place, {"list", "--principal=bob", "--json"}).out)[0]);
  EXPECT_EQ(first["handle"], bob.handle);
  EXPECT_EQ(first["principal"], "bob");
  EXPECT_EQ(first["attributes"], 2);
  EXPECT_EQ(first["label"], "Firefox on Linux");
  EXPECT_GT(first["expires_in_ms"], 1'000'000);
  EXPECT_FALSE(first.contains("key"));

  for (const std::string& name : {ada.handle, ada.id}) {
    const Said shown = ask(place, {"show", "-"}, name + "\n");
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_NE(shown.out.find("cart = (string, 6 bytes)"), std::string::npos) << shown.out;
    EXPECT_NE(shown.out.find("n = (number, 1 byte)"), std::string::npos) << shown.out;
    EXPECT_EQ(shown.out.find("s3cret"), std::string::npos);
    EXPECT_EQ(shown.out.find(ada.id), std::string::npos);
  }
  const Said revealed = ask(place, {"show", "--reveal", ada.handle});
  EXPECT_NE(revealed.out.find("cart = s3cret"), std::string::npos) << revealed.out;
  EXPECT_NE(revealed.out.find(ada.id), std::string::npos);
  EXPECT_EQ(json_of(ask(place,
                        {"show", "--json", "--reveal", ada.handle}))["attributes"]["cart"]["value"],
            "s3cret");

  for (const std::string& name : {bob.handle, bob.id}) {
    EXPECT_EQ(ask(place, {"end", "--principal", "ada", "-"}, name).code, 3) << "it is not hers";
    EXPECT_EQ(ask(place, {"show", "--principal", "bob", "-"}, name).code, 0);
  }
  EXPECT_EQ(ask(place, {"end", bob.handle}).out, "ended " + bob.handle + "\n");
  EXPECT_EQ(ask(place, {"end", bob.handle}).code, 3);
  EXPECT_EQ(ask(place, {"show", bob.handle}).code, 3);
  EXPECT_EQ(ask(place, {"end", "-"}, visitor.id).code, 0);
  EXPECT_EQ(json_of(ask(place, {"end-all", "ada", "--json"}))["ended"], 2);
  EXPECT_EQ(ask(place, {"end-all", "ada"}).out, "ended 0 sessions\n");
  EXPECT_EQ(ask(place, {"count"}).out, "0 sessions\n");
}

INSTANTIATE_TEST_SUITE_P(Store, AdminOnEach,
                         ::testing::Values(Kind{"Redis", in_redis}, Kind{"Json", in_json},
                                           Kind{"Cluster", in_cluster}, Kind{"Sqlite", in_sqlite},
                                           Kind{"Postgres", in_postgres}),
                         [](const auto& tested) { return tested.param.name; });

TEST_F(Admin, FindsHashedIdsAndSaysWhatTheyAreCalled) {
  const Place place = in_sqlite();
  SessionOptions options;
  options.id_storage = IdStorage::hashed_only;
  options.id_namespace = "shop";
  const Stored one = stored(place, "ada", "x", options);
  EXPECT_EQ(ask(place, {"show", one.id}).code, 3) << "without the namespace it is unknown";
  EXPECT_EQ(ask(place, {"show", "--namespace", "shop", "-"}, one.id).code, 0);
  EXPECT_EQ(ask(place, {"show", "--namespace", "shop", "--ids", "plain", one.id}).code, 3);
  const Json hashed = json_of(run({"hash", "--namespace", "shop", "--json", "-"}, one.id));
  EXPECT_EQ(hashed["hashed_handle"], one.handle);
  EXPECT_TRUE(hashed["hashed_key"].get<std::string>().starts_with("2:"));
  const Said text = run({"hash", one.id});
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.out.find(one.id), std::string::npos);
  EXPECT_EQ(run({"hash", "short"}).code, 2);
}

TEST_F(Admin, TakesHandlesThatBeginLikeAnOption) {
  const Place place = in_sqlite();
  for (int i = 0;; ++i) {
    const StoreKey key("k" + std::to_string(i));
    const std::string handle = handle_of(key);
    if (!handle.starts_with('-')) continue;
    ASSERT_TRUE(place.store->create(key, {{"@created", "1"}}, {std::chrono::hours(1)}));
    EXPECT_EQ(ask(place, {"show", handle}).code, 0);
    EXPECT_EQ(ask(place, {"end", "--", handle}).code, 0);
    break;
  }
}

// What visitors choose must not get at the terminal of who looks.
TEST_F(Admin, ShowsNoControlCharacters) {
  const Place place = in_sqlite();
  const Fields fields{{"@created", "1700000000000"},
                      {"@user", "a\x1b[2J\xff\nb"},
                      {"@label", "\xc2\x9b\xe2\x80\xae quiet"},
                      {"na\x07me", "va\x1blue"}};
  ASSERT_TRUE(place.store->create(StoreKey("k"), fields, {std::chrono::hours(1), "x"}));
  for (const Words& words : {Words{"list", "--reveal"}, Words{"list", "--json", "--reveal"},
                             Words{"show", "--reveal", handle_of(StoreKey("k"))}}) {
    const Said said = ask(place, words);
    EXPECT_EQ(said.code, 0) << said.err;
    for (const char bad : {'\x1b', '\x07', '\xff'}) {
      EXPECT_EQ(said.out.find(bad), std::string::npos) << said.out;
    }
    EXPECT_EQ(words[1] != "--json" ? said.out.find("\xc2\x9b") : std::string::npos,
              std::string::npos);
  }
}

TEST_F(Admin, WatchesAndGoesOnWhenTheStoreDoesNotAnswer) {
  const Place place = in_sqlite();
  stored(place, "ada");
  const Words lines =
      lines_of(ask(place, {"watch", "--times", "3", "--interval", "0.05", "--json"}).out);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(Json::parse(lines[2])["sessions"], 1);
  EXPECT_EQ(Json::parse(lines[2])["change"], 0);
  const Said text = ask(place, {"watch", "--times", "1"});
  EXPECT_NE(text.out.find("1 session  +0  (+0 since the start)"), std::string::npos) << text.out;
}

TEST_F(Admin, CountsWhatItCannotRead) {
  const auto server = std::make_shared<RedisServer>();
  const Place place{server->url(), RedisStore::connect(server->url()).value()};
  stored(place, "ada");
  RedisProbe probe(*server);
  probe.integer({"HSET", "sid_broken", "@created", "no time at all"});
  probe.integer({"HSET", "sid_foreign", "a", "1"});
  probe.text({"SET", "sid_text", "1"});
  const Said all = ask(place, {"list"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(lines_of(all.out).size(), 2U) << all.out;
  EXPECT_NE(all.err.find("1 could not be read"), std::string::npos) << all.err;
  EXPECT_EQ(ask(place, {"count", "--exact"}).out, "1 session\n");
  const std::string handle = handle_of(StoreKey("broken"));
  EXPECT_EQ(ask(place, {"show", handle}).code, 1);
  EXPECT_EQ(ask(place, {"end", handle}).code, 0) << "it can be ended all the same";
  EXPECT_EQ(ask(place, {"list"}).err, "1 session\n");
}

TEST_F(Admin, TakesTheStoreFromAFileOrTheEnvironment) {
  const Place place = in_sqlite();
  stored(place, "ada");
  const TemporaryFolder folder("admin");
  std::ofstream(folder.path() + "/url") << place.url << "\nmore\n";
  EXPECT_EQ(run({"-s", "@" + folder.path() + "/url", "count"}).out, "1 session\n");
  EXPECT_EQ(run({"count"}, "", place.url).out, "1 session\n");
}

TEST_F(Admin, SaysWhatIsWrong) {
  const auto expect = [](const Words& words, int code, const std::string& advice) {
    const Said said = run(words);
    EXPECT_EQ(said.code, code) << said.err;
    EXPECT_NE(said.err.find(advice), std::string::npos) << said.err;
    EXPECT_EQ(said.out, "");
  };
  expect({"count"}, 2, "WEBSESSION_STORE");
  expect({}, 2, "no command");
  expect({"-s", "sqlite:x", "cuont"}, 2, "no command \"cuont\"");
  expect({"-s", "sqlite:x", "count", "more"}, 2, "one word too many");
  expect({"-s", "sqlite:x", "show"}, 2, "needs one more word");
  expect({"-s", "sqlite:x", "--frobnicate", "count"}, 2, "no option --frobnicate");
  expect({"count", "--store"}, 2, "needs a value");
  expect({"-s", "sqlite:x", "list", "--limit", "none"}, 2, "--limit");
  expect({"-s", "sqlite:x", "watch", "--interval", "0"}, 2, "--interval");
  expect({"-s", "sqlite:x", "list", "--ids", "salted"}, 2, "plain or hashed");
  expect({"-s", "sqlite:x", "count", "--principal", "ada"}, 2, "takes no option --principal");
  expect({"-s", "sqlite:x", "end-all", "--principal-name=ada"}, 2, "no option --principal-name");
  expect({"-s", "sqlite:/nowhere/x.db", "count"}, 1, "SQLite");
  expect({"-s", "@/nowhere/url", "count"}, 2, "cannot read");
  expect({"-s", "ftp://x", "count"}, 2, "postgresql://");
  expect({"-s", "redis://x", "--prefix", "", "count"}, 2, "--prefix: must not be empty");
  expect({"-s", "redis://:pass5word@127.0.0.1:1", "count"}, 1, "unavailable");
  EXPECT_EQ(run({"-s", "redis://:pass5word@127.0.0.1:1", "count"}).err.find("pass5word"),
            std::string::npos);
  const Place place = in_sqlite();
  EXPECT_EQ(ask(place, {"show", "zu kurz"}).code, 2);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_NE(run({"--help"}).out.find("end-all PRINCIPAL"), std::string::npos);
  EXPECT_TRUE(run({"--version"}).out.starts_with("websession-admin 0."));
}

TEST_F(Admin, SaysThatItsOutputCouldNotBeWritten) {
  const Place place = in_sqlite();
  stored(place, "ada");
  const std::string line = WEBSESSION_ADMIN_PROGRAM " -s " + place.url + " list --json";
  EXPECT_NE(std::system((line + " >/dev/full 2>/dev/null").c_str()), 0);
  EXPECT_NE(std::system((line + " >&- 2>/dev/null").c_str()), 0);
  EXPECT_EQ(std::system(("bash -c 'set -o pipefail; " + line + " | true'").c_str()), 0);
}

TEST_F(Admin, HashesForTheClusterOfTheEnvironment) {
  const Place place = in_cluster();
  SessionOptions options;
  options.id_storage = IdStorage::hashed_only;
  const Stored one = stored(place, "ada", "x", options);
  EXPECT_EQ(json_of(run({"hash", "--json", "-"}, one.id, place.url))["hashed_handle"], one.handle);
}

// A file or a table that is not there is a mistake, and none is made.
TEST_F(Admin, MakesNothing) {
  const TemporaryFolder folder("admin");
  const std::string file = folder.path() + "/others.db";
  EXPECT_EQ(run({"-s", "sqlite:" + file, "count"}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(file));
  std::ofstream(file).flush();
  const Said others = run({"-s", "sqlite:" + file, "count"});
  EXPECT_EQ(others.code, 1);
  EXPECT_NE(others.err.find("there are no sessions"), std::string::npos) << others.err;
  EXPECT_EQ(std::filesystem::file_size(file), 0U);
  const PostgresServer server;
  const Said said = run({"-s", "postgresql:" + server.conninfo(), "count"});
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("rejected"), std::string::npos) << said.err;
  EXPECT_EQ(PostgresProbe(server.conninfo())
                .text("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'websession%'"),
            "0");
}

}  // namespace
}  // namespace websession::testing
