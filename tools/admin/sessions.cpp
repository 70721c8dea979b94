#include "sessions.hpp"

#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>
#include <websession/principal_index.hpp>
#include <websession/session_directory.hpp>
#include <websession/session_manager.hpp>
#include <websession/value.hpp>

#include "output.hpp"

namespace admin {
namespace {

using std::chrono::milliseconds;
using websession::DirectoryCursor;
using websession::DirectoryPage;
using websession::Errc;
using websession::Field;
using websession::Grace;
using websession::IdStorage;
using websession::make_error;
using websession::Record;
using websession::Result;
using websession::SessionCount;
using websession::SessionId;
using websession::SessionStore;
using websession::StoreKey;

constexpr std::size_t page_size = 500;
// What managers leave of a session that they end: for requests that are under way.
constexpr Grace mark{std::chrono::seconds(10), false};
constexpr std::size_t handle_size = 22;

void write(const std::string& line) { std::cout << line << '\n'; }

// `each(key, record)` for every session that can be read, until it gives false. What cannot be read
// is counted.
using Each = std::function<Result<bool>(const StoreKey& key, const Record& record)>;

using Loaded = Result<std::optional<Record>>;

Loaded load(SessionStore& store, const StoreKey& key) noexcept try {
  return store.load(key);
} catch (...) {
  return make_error(Errc::overloaded, "out of memory");
}

// A few at once: most of the time of each is the way to the server.
std::vector<Loaded> load_all(SessionStore& store, const std::vector<StoreKey>& keys) {
  constexpr std::size_t threads_max = 8;
  constexpr std::size_t worth_a_thread = 16;
  std::vector<Loaded> all(keys.size(), Loaded(std::optional<Record>()));
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < keys.size(); i = next++) all[i] = load(store, keys[i]);
  };
  std::vector<std::jthread> threads;
  const std::size_t count = std::min(keys.size() / worth_a_thread, threads_max);
  try {
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {  // then by fewer
  }
  work();
  threads.clear();
  return all;
}

// Whether to go on.
Result<bool> visit(SessionStore& store, std::vector<StoreKey> keys, const std::string& principal,
                   std::uint64_t& unreadable, const Each& each) {
  std::erase_if(keys, [](const StoreKey& key) { return !websession::is_session(key); });
  const std::vector<Loaded> records = load_all(store, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Loaded& record = records[i];
    if (!record.has_value()) {
      if (record.error().code != Errc::corrupt) return record.error();
      ++unreadable;
      continue;
    }
    if (!*record || (*record)->frozen) continue;
    const auto user = (*record)->fields.find(websession::user_field);
    if (!principal.empty() && user != principal) continue;
    Result<bool> goes_on = each(keys[i], **record);
    if (!goes_on.has_value() || !*goes_on) return goes_on;
  }
  return true;
}

// Of the principal, or, when that is empty, all. Gives how many could not be read.
Result<std::uint64_t> go_through(SessionStore& store, const std::string& principal,
                                 const Each& each) {
  std::uint64_t unreadable = 0;
  if (!principal.empty() && store.index() != nullptr) {
    const auto keys = store.index()->entries(principal);
    if (!keys) return keys.error();
    if (keys->size() < websession::PrincipalIndex::entries_max) {
      const Result<bool> done = visit(store, *keys, principal, unreadable, each);
      if (!done.has_value()) return done.error();
      return unreadable;
    }  // else there may be more: all are looked at
  }
  DirectoryCursor cursor;
  while (true) {
    Result<DirectoryPage> page = store.directory()->page(cursor, page_size);
    if (!page) return page.error();
    const Result<bool> goes_on = visit(store, std::move(page->keys), principal, unreadable, each);
    if (!goes_on.has_value()) return goes_on.error();
    if (!*goes_on || page->is_last) return unreadable;
    cursor = page->next;
  }
}

Result<SessionCount> count_of(SessionStore& store, bool exact) {
  if (!exact) return store.directory()->count();
  SessionCount count;
  const auto unreadable =
      go_through(store, {}, [&](const StoreKey&, const Record&) -> Result<bool> {
        ++count.sessions;
        return true;
      });
  if (!unreadable) return unreadable.error();
  return count;
}

std::string text_of(const SessionCount& count) {
  const std::string number = grouped(count.sessions);
  return (count.is_exact ? number : "about " + number) +
         (count.sessions == 1 ? " session" : " sessions");
}

Result<Exit> count(const Arguments& arguments, SessionStore& store) {
  const Result<SessionCount> counted = count_of(store, arguments.exact);
  if (!counted) return counted.error();
  if (arguments.json) {
    write(line_of({{"sessions", counted->sessions}, {"exact", counted->is_exact}}));
  } else {
    write(text_of(*counted) + (counted->is_exact ? "" : " (reckoned; --exact counts them)"));
  }
  return Exit::done;
}

Result<Exit> list(const Arguments& arguments, SessionStore& store) {
  std::uint64_t listed = 0;
  if (!arguments.json) write(heading());
  const Result<std::uint64_t> unreadable = go_through(
      store, arguments.principal, [&](const StoreKey& key, const Record& record) -> Result<bool> {
        const Shown session = shown(key, record, arguments.reveals);
        write(arguments.json ? line_of(json_of(session)) : row_of(session));
        ++listed;
        if (!std::cout) return false;  // whoever reads has gone
        return !arguments.limit || listed < *arguments.limit;
      });
  if (!unreadable) return unreadable.error();
  std::cout.flush();
  if (!arguments.json && std::cout)
    std::cerr << grouped(listed) << (listed == 1 ? " session" : " sessions") << '\n';
  if (*unreadable > 0) {
    std::cerr << grouped(*unreadable) << " could not be read, and are left out\n";
  }
  return Exit::done;
}

struct Found {
  StoreKey key;
  Record record;
};

std::optional<SessionId> id_of(const std::string& text) {
  const websession::IdFormat any{16, 256, ".~!#$%&'()*+/<=>?@[]^_`{|}"};
  return SessionId::parse(text, any);
}

// By a handle, whatever is under the key.
Result<std::optional<StoreKey>> find_by_handle(SessionStore& store, const std::string& handle) {
  DirectoryCursor cursor;
  while (true) {
    Result<DirectoryPage> page = store.directory()->page(cursor, page_size);
    if (!page) return page.error();
    for (StoreKey& key : page->keys) {
      const bool is_it = websession::is_session(key) && websession::handle_of(key) == handle;
      if (is_it) return std::optional(std::move(key));
    }
    if (page->is_last) return std::optional<StoreKey>();
    cursor = page->next;
  }
}

// What is under one of these keys; none: nothing, or another principal's. What cannot be read is an
// error, unless it is not to be read: then it has no fields.
Result<std::optional<Found>> look(const Arguments& arguments, SessionStore& store,
                                  const std::vector<StoreKey>& keys, bool reads) {
  for (const StoreKey& key : keys) {
    const Loaded record = store.load(key);
    if (!record.has_value()) {
      const bool may_be_it = record.error().code == Errc::corrupt && arguments.principal.empty();
      if (reads || !may_be_it) return record.error();
      return std::optional<Found>(Found{key, {}});
    }
    if (!*record) continue;
    const auto user = (*record)->fields.find(websession::user_field);
    if (!arguments.principal.empty() && user != arguments.principal) continue;
    return std::optional<Found>(Found{key, **record});
  }
  return std::optional<Found>();
}

// By a handle or an id.
Result<std::optional<Found>> find(const Arguments& arguments, SessionStore& store,
                                  const std::string& name, bool reads) {
  const std::optional<SessionId> id = id_of(name);
  if (!id) {
    return make_error(Errc::invalid_argument,
                      "that is no handle (22 characters, as list shows it) and no id");
  }
  if (name.size() == handle_size) {
    const auto key = find_by_handle(store, name);
    if (!key.has_value()) return key.error();
    if (*key) return look(arguments, store, {**key}, reads);
  }
  const auto placement = store.placement();
  std::vector<StoreKey> keys;
  for (const IdStorage storage : {IdStorage::plain, IdStorage::hashed_only}) {
    if (arguments.storage && *arguments.storage != storage) continue;
    keys.push_back(websession::key_of(*id, storage, arguments.id_namespace, placement.get()));
  }
  return look(arguments, store, keys, reads);
}

Result<Exit> none(const Arguments& arguments) {
  std::cerr << "there is no such session"
            << (arguments.principal.empty() ? "" : " of this principal") << '\n';
  return Exit::none;
}

std::string deadline_text(const Field& field) {
  return field.deadline ? ", until " + time_text(*field.deadline) : std::string();
}

Result<Exit> show(const Arguments& arguments, SessionStore& store) {
  const auto found = find(arguments, store, operand_of(arguments), true);
  if (!found.has_value()) return found.error();
  if (!*found) return none(arguments);
  const Record& record = (*found)->record;
  const Shown session = shown((*found)->key, record, arguments.reveals);
  if (arguments.json) {
    nlohmann::json object = json_of(session);
    object["over"] = record.frozen;
    nlohmann::json attributes = nlohmann::json::object();
    for (const Field& field : record.fields) {
      if (field.name.starts_with('@')) continue;
      nlohmann::json one{{"bytes", field.value.size()}};
      if (field.deadline) one["deadline_ms"] = field.deadline->time_since_epoch().count();
      if (arguments.reveals) one["value"] = field.value;
      attributes[std::string(field.name)] = std::move(one);
    }
    object["attributes"] = std::move(attributes);
    write(line_of(object));
    return Exit::done;
  }
  const auto row = [](const char* name, const std::string& text) {
    write(std::string(name) + std::string(12 - std::string_view(name).size(), ' ') + text);
  };
  row("handle", session.handle);
  if (arguments.reveals) row("key", clean(session.key));
  if (record.frozen) row("state", "over: replaced or ended a moment ago");
  row("principal", session.principal.empty() ? "-" : clean(session.principal));
  if (!session.label.empty()) row("label", clean(session.label));
  row("created", session.created ? time_text(*session.created) + " UTC" : "-");
  row("expires in", session.left.count() > 0 ? duration_text(session.left) : "- (no end)");
  row("attributes", std::to_string(session.attributes) + ", " + grouped(session.bytes) + " bytes");
  for (const Field& field : record.fields) {
    if (field.name.starts_with('@')) continue;
    const std::string value =
        arguments.reveals ? clean(field.value) : "(" + masked(field.value) + ")";
    write("  " + clean(field.name) + " = " + value + deadline_text(field));
  }
  if (!arguments.reveals && session.attributes > 0) {
    std::cerr << "values are hidden; --reveal shows them\n";
  }
  return Exit::done;
}

Result<Exit> end(const Arguments& arguments, SessionStore& store) {
  const auto found = find(arguments, store, operand_of(arguments), false);
  if (!found.has_value()) return found.error();
  if (!*found) return none(arguments);
  const Result<bool> ended = store.erase((*found)->key, mark);
  if (!ended.has_value()) return ended.error();
  if (!*ended) return none(arguments);
  const std::string handle = websession::handle_of((*found)->key);
  write(arguments.json ? line_of({{"ended", 1}, {"handle", handle}}) : "ended " + handle);
  return Exit::done;
}

// Where the store lists nobody's sessions: those that are seen end, until none is.
Result<std::size_t> end_all_seen(SessionStore& store, const std::string& principal) {
  constexpr int passes_max = 10;
  std::size_t ended = 0;
  for (int pass = 0; pass < passes_max; ++pass) {
    std::size_t now = 0;
    const Result<std::uint64_t> done =
        go_through(store, principal, [&](const StoreKey& key, const Record&) -> Result<bool> {
          const Result<bool> erased = store.erase(key, mark);
          if (!erased.has_value()) return erased.error();
          now += *erased ? 1 : 0;
          return true;
        });
    if (!done) return done.error();
    if (now == 0) return ended;
    ended += now;
  }
  return make_error(Errc::overloaded,
                    "the principal signs in faster than the sessions can be ended; call again");
}

Result<Exit> end_all(const Arguments& arguments, const std::shared_ptr<SessionStore>& store) {
  const std::string principal = operand_of(arguments);
  if (principal.empty()) return make_error(Errc::invalid_argument, "the principal is empty");
  Result<std::size_t> ended = std::size_t{0};
  if (store->index() != nullptr) {
    websession::SessionOptions options;
    options.operation_timeout = std::chrono::minutes(10);
    const auto manager = websession::SessionManager::make(store, options);
    if (!manager) return manager.error();
    ended = manager->sign_out_everywhere(principal);
  } else {
    ended = end_all_seen(*store, principal);
  }
  if (!ended) return ended.error();
  if (arguments.json) {
    write(line_of({{"ended", *ended}}));
  } else {
    write("ended " + grouped(*ended) + (*ended == 1 ? " session" : " sessions"));
  }
  return Exit::done;
}

std::string signed_text(std::int64_t difference) {
  const std::string number = grouped(static_cast<std::uint64_t>(std::abs(difference)));
  return (difference < 0 ? "-" : "+") + number;
}

// What `watch` has seen at one moment.
struct Look {
  SessionCount count;
  milliseconds took;
};

void show_look(const Arguments& arguments, const Look& look, std::optional<std::uint64_t> before,
               std::uint64_t first, std::uint64_t failures, bool redraws) {
  const auto now = websession::system_clock()->wall();
  const auto change = [&](std::uint64_t from) {
    return static_cast<std::int64_t>(look.count.sessions) - static_cast<std::int64_t>(from);
  };
  if (arguments.json) {
    write(line_of({{"time_ms", now.time_since_epoch().count()},
                   {"sessions", look.count.sessions},
                   {"exact", look.count.is_exact},
                   {"change", change(before.value_or(look.count.sessions))},
                   {"took_ms", look.took.count()},
                   {"failures", failures}}));
  } else {
    std::string line = time_text(now) + "  " + text_of(look.count) + "  " +
                       signed_text(change(before.value_or(look.count.sessions))) + "  (" +
                       signed_text(change(first)) + " since the start)  " +
                       std::to_string(look.took.count()) + " ms";
    if (failures > 0) line += "  " + grouped(failures) + " failed";
    std::cout << (redraws ? "\r\033[K" : "") << line << (redraws ? "" : "\n");
  }
  std::cout.flush();
}

// A store that does not answer for a while is what somebody watches for: it goes on.
Result<Exit> watch(const Arguments& arguments, SessionStore& store) {
  const bool redraws = !arguments.json && ::isatty(STDOUT_FILENO) != 0;
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> before;
  std::uint64_t failures = 0;
  for (std::uint64_t i = 0; !arguments.times || i < *arguments.times; ++i) {
    if (i > 0) std::this_thread::sleep_for(arguments.interval);
    const auto start = std::chrono::steady_clock::now();
    const Result<SessionCount> counted = count_of(store, arguments.exact);
    const auto took =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
    if (!counted) {
      if (!first && failures == 0 && counted.error().code == Errc::rejected) return counted.error();
      ++failures;
      std::cerr << (redraws ? "\n" : "") << counted.error().message() << '\n';
      continue;
    }
    if (!first) first = counted->sessions;
    show_look(arguments, {*counted, took}, before, *first, failures, redraws);
    before = counted->sessions;
    if (!std::cout) break;
  }
  if (redraws) std::cout << '\n';
  return first ? Exit::done : Exit::failed;
}

}  // namespace

std::string operand_of(const Arguments& arguments) {
  if (arguments.operand != "-") return arguments.operand;
  std::string line;
  std::getline(std::cin, line);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

Exit hash(const Arguments& arguments, const std::string& id,
          const websession::KeyPlacement* placement) {
  const std::optional<SessionId> parsed = id_of(id);
  if (id.find('.') != std::string::npos) {
    std::cerr
        << "note: a signature (what follows the '.' in a signed cookie) is no part of the id\n";
  }
  if (!parsed) {
    std::cerr
        << "that is no id: 16 to 256 characters, as a cookie holds them (without a signature)\n";
    return Exit::mistake;
  }
  const StoreKey plain = websession::key_of(*parsed, IdStorage::plain);
  const StoreKey hashed =
      websession::key_of(*parsed, IdStorage::hashed_only, arguments.id_namespace, placement);
  if (arguments.json) {
    write(line_of({{"plain_handle", websession::handle_of(plain)},
                   {"hashed_handle", websession::handle_of(hashed)},
                   {"hashed_key", hashed.secret()}}));
    return Exit::done;
  }
  write("handle, if the store keeps ids     " + websession::handle_of(plain));
  write("handle, if the store keeps hashes  " + websession::handle_of(hashed));
  write("key, if the store keeps hashes     " + hashed.secret());
  return Exit::done;
}

Result<Exit> carry_out(const Arguments& arguments, const std::shared_ptr<SessionStore>& store) {
  if (store->directory() == nullptr) return websession::no_session_directory();
  if (arguments.command == "count") return count(arguments, *store);
  if (arguments.command == "list") return list(arguments, *store);
  if (arguments.command == "show") return show(arguments, *store);
  if (arguments.command == "end") return end(arguments, *store);
  if (arguments.command == "end-all") return end_all(arguments, store);
  return watch(arguments, *store);
}

}  // namespace admin
