// Sign in with a code that comes by e-mail: the complete example.
//
// Read on in site.cpp, where the pages and forms are. Then, as you like: pages.cpp (HTML),
// visitor.cpp (what comes from browsers), mail.cpp, options.cpp.
#include <websession/redis_store.hpp>
#include <websession/sqlite_store.hpp>
#ifdef WITH_POSTGRES
#include <websession/postgres_store.hpp>
#endif
#include <websession/websession.hpp>

#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "options.hpp"
#include "site.hpp"

namespace {

using websession::Result;

// Command lines can be read by everybody on the machine, so a URL with a password may stand in a
// file.
Result<std::string> store_url(const std::string& store) {
  if (!store.starts_with('@')) return store;
  std::ifstream file(store.substr(1));
  std::string url;
  if (!std::getline(file, url)) {
    return websession::make_error(websession::Errc::invalid_argument,
                                  "cannot read the store's URL from the file " + store.substr(1));
  }
  return url;
}

// Sessions in memory end with the process, and no other server knows them: that is for trying out.
Result<std::shared_ptr<websession::SessionStore>> make_store(const Options& options) {
  using Store = std::shared_ptr<websession::SessionStore>;
  const Result<std::string> url = store_url(options.store);
  if (!url) return url.error();
  if (*url == "memory") return Store(std::make_shared<websession::MemoryStore>());
  if (constexpr std::string_view scheme = "sqlite:"; url->starts_with(scheme)) {
    auto sqlite = websession::SqliteStore::open(url->substr(scheme.size()));
    if (!sqlite) return std::move(sqlite).error();
    return Store(*std::move(sqlite));
  }
#ifdef WITH_POSTGRES
  if (url->starts_with("postgresql://")) {
    auto postgres = websession::PostgresStore::connect(*url);
    if (!postgres) return std::move(postgres).error();
    return Store(*std::move(postgres));
  }
#endif
  websession::RedisOptions redis_options;
  redis_options.tls.ca_file = options.redis_ca;
  auto redis = websession::RedisStore::connect(*url, redis_options);
  if (!redis) return std::move(redis).error();
  return Store(*std::move(redis));
}

Result<websession::SessionManager> make_sessions(const Options& options) {
  auto store = make_store(options);
  if (!store) return std::move(store).error();
  websession::SessionOptions session_options;
  if (options.behind_proxy || options.secure) {
    // The best cookie there is: only this host can set it, and only over https.
    session_options.cookie.name = "__Host-sid";
    session_options.cookie.secure = websession::Secure::always;
  }
  session_options.max_sessions_per_principal = 20;  // the oldest ends when there are more
  session_options.cache_headers = false;            // Site::finish says no-store on every page
  session_options.observer = std::make_shared<websession::LogObserver>();  // to stderr
  return websession::SessionManager::make(*store, session_options);
}

// The secrets that codes are hashed with.
Result<websession::KeyRing> make_keys(const std::string& file_name) {
  if (file_name.empty()) {
    std::cerr << "warning: without --secret-file, codes do not survive a restart, and servers do "
                 "not understand each other's\n";
    // A session id is 192 random bits: as good a secret as any.
    auto id = websession::SessionId::generate();
    if (!id) return std::move(id).error();
    return websession::KeyRing::make({id->secret()});
  }
  std::ifstream file(file_name);
  if (!file) {
    return websession::make_error(websession::Errc::invalid_argument,
                                  "cannot read the secret file " + file_name);
  }
  std::vector<std::string> secrets;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) secrets.push_back(line);
  }
  return websession::KeyRing::make(std::move(secrets));
}

// The port; none when it cannot be had.
std::optional<int> bind(httplib::Server& server, int port) {
  // By default httplib lets several programs share a port; then a second start would go unnoticed,
  // and visitors would meet both.
  server.set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  if (port == 0) {
    const int any = server.bind_to_any_port("127.0.0.1");
    return any > 0 ? std::optional(any) : std::nullopt;
  }
  return server.bind_to_port("127.0.0.1", port) ? std::optional(port) : std::nullopt;
}

int serve(const Options& options, const Site& site) {
  httplib::Server server;
  // A browser keeps some connections open, and each takes a thread as long as it does.
  server.new_task_queue = [] { return new httplib::ThreadPool(32); };
  server.set_payload_max_length(std::size_t{16} * 1024);  // our forms are small
  site.add_to(server);

  const std::optional<int> port = bind(server, options.port);
  if (!port) {
    std::cerr << "login_code: cannot listen on port " << options.port
              << "; is it in use? --port 0 takes a free one\n";
    return 1;
  }
  std::cout << "Listening on http://127.0.0.1:" << *port << "/" << std::endl;
  return server.listen_after_bind() ? 0 : 1;
}

int run(const Options& options) {
  // Result::value() throws when there is none, with a text that says what to do.
  const auto sessions = make_sessions(options).value();
  // A hundred tries a day for each address, whatever sessions they come from.
  const auto codes = websession::OneTimeCodes::make(make_keys(options.secret_file).value(),
                                                    websession::CodeLimit{})
                         .value();

  Site::Parts parts{sessions, codes};
  parts.name = options.name;
  parts.behind_proxy = options.behind_proxy;
  if (options.smtp.empty()) {
    const auto outbox = std::make_shared<Outbox>();
    parts.outbox = outbox;
    parts.send_mail = [outbox](const Mail& mail) {
      outbox->put(mail);
      return true;
    };
    std::cerr << "warning: without --smtp no mail is sent, and whoever opens /dev/mail can sign in "
                 "as anybody\n";
  } else {
    parts.send_mail = smtp_sender(options.smtp, options.mail_from);
  }
  return serve(options, Site(parts));
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Options> options = parse_options(argc, argv);
  if (!options) {
    std::cerr << usage;
    return 2;
  }
  try {
    return run(*options);
  } catch (const websession::Exception& exception) {
    std::cerr << "login_code: " << exception.what() << "\n";
    return 1;
  }
}
