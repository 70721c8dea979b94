#include "stores.hpp"

#include <chrono>
#include <fstream>
#include <string>
#include <utility>

#ifdef WITH_REDIS
#include <websession/redis_json_store.hpp>
#include <websession/redis_store.hpp>
#endif
#ifdef WITH_SQLITE
#include <websession/sqlite_store.hpp>
#endif
#ifdef WITH_POSTGRES
#include <websession/postgres_store.hpp>
#endif

namespace admin {
namespace {

using websession::Errc;
using websession::make_error;
using websession::Result;
using Store = std::shared_ptr<websession::SessionStore>;

// Nobody waits for a page meanwhile.
constexpr std::chrono::seconds patience(10);

Result<std::string> url_of(const std::string& store) {
  if (!store.starts_with('@')) return store;
  std::ifstream file(store.substr(1));
  std::string url;
  if (!std::getline(file, url)) {
    return make_error(Errc::invalid_argument,
                      "cannot read the store's URL from the file " + store.substr(1));
  }
  const std::size_t first = url.find_first_not_of(" \t\r");
  const std::size_t last = url.find_last_not_of(" \t\r");
  return first == std::string::npos ? std::string() : url.substr(first, last + 1 - first);
}

template <class T>
Result<Store> as_store(Result<std::shared_ptr<T>> store) {
  if (!store) return std::move(store).error();
  return Store(*std::move(store));
}

[[maybe_unused]] Result<Store> not_built(std::string_view what) {
  return make_error(Errc::invalid_argument,
                    "this websession-admin was built without " + std::string(what));
}

Result<Store> open_sqlite(const std::string& path) {
#ifdef WITH_SQLITE
  websession::SqliteOptions options;
  options.operation_timeout = patience;
  options.create_tables = false;
  return as_store(websession::SqliteStore::open(path, options));
#else
  static_cast<void>(path);
  return not_built("SQLite");
#endif
}

Result<Store> open_postgres(const std::string& conninfo) {
#ifdef WITH_POSTGRES
  websession::PostgresOptions options;
  options.operation_timeout = patience;
  options.connect_timeout = patience / 2;
  options.connections_max = 8;
  options.create_tables = false;
  return as_store(websession::PostgresStore::connect(conninfo, options));
#else
  static_cast<void>(conninfo);
  return not_built("PostgreSQL");
#endif
}

Result<Store> open_redis(const Arguments& arguments, const std::string& url) {
#ifdef WITH_REDIS
  websession::RedisJsonOptions json;
  websession::RedisOptions& options = json.redis;
  options.operation_timeout = patience;
  options.connect_timeout = patience / 2;
  options.client_name = "websession-admin";
  options.tls.ca_file = arguments.ca_file;
  options.tls.certificate_file = arguments.certificate_file;
  options.tls.key_file = arguments.key_file;
  constexpr std::string_view json_scheme = "json+";
  if (url.starts_with(json_scheme)) {
    if (!arguments.prefix.empty()) json.prefix = arguments.prefix;
    return as_store(websession::RedisJsonStore::connect(url.substr(json_scheme.size()), json));
  }
  if (!arguments.prefix.empty()) options.prefix = arguments.prefix;
  return as_store(websession::RedisStore::connect(url, options));
#else
  static_cast<void>(arguments);
  static_cast<void>(url);
  return not_built("Redis");
#endif
}

}  // namespace

bool is_cluster(const Arguments& arguments) {
  const Result<std::string> url = url_of(arguments.store);
  return url && url->find("-cluster://") != std::string::npos;
}

Result<Store> open_store(const Arguments& arguments) {
  const Result<std::string> url = url_of(arguments.store);
  if (!url) return url.error();
  constexpr std::string_view sqlite = "sqlite:";
  if (url->starts_with(sqlite)) return open_sqlite(url->substr(sqlite.size()));
  if (url->starts_with("postgresql://") || url->starts_with("postgres://")) {
    return open_postgres(*url);
  }
  constexpr std::string_view words = "postgresql:";  // libpq's other way
  if (url->starts_with(words)) return open_postgres(url->substr(words.size()));
  if (url->find("redis") == std::string::npos && !url->starts_with("unix://")) {
    return make_error(
        Errc::invalid_argument,
        "the store's URL must start with redis://, rediss://, unix://, "
        "redis-sentinel://, redis-cluster://, json+redis://, sqlite: or postgresql://");
  }
  return open_redis(arguments, *url);
}

}  // namespace admin
