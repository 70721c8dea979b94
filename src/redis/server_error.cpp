#include "server_error.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace websession::redis {
namespace {

constexpr std::string_view is_cluster =
    "this is a node of a Redis Cluster: its URL begins with redis-cluster:// (or "
    "rediss-cluster://)";

struct Meaning {
  std::string_view word;  // the error's first word; inside a script of Redis 6.2 it comes later
  Errc code;
  std::string_view advice;
  bool partly_applied = false;  // when it comes from inside a script
};

constexpr std::array meanings = {
    Meaning{"NOAUTH", Errc::rejected,
            "Redis wants a password: put it into the URL, redis://user:password@host"},
    Meaning{"WRONGPASS", Errc::rejected,
            "Redis refused the user name or password (in the URL, percent-encode special "
            "characters; check ACL LIST)"},
    Meaning{"NOPERM", Errc::rejected,
            "the Redis user lacks a right: it needs the commands and keys of docs/operations.md",
            true},
    Meaning{"WRONGTYPE", Errc::corrupt,
            "the session's key holds something that is no hash: is the prefix shared with another "
            "program?"},
    Meaning{"OOM", Errc::rejected,
            "Redis is out of memory: raise maxmemory, or see maxmemory-policy in "
            "docs/operations.md"},
    Meaning{"READONLY", Errc::rejected,
            "this Redis is a read-only replica: connect to the primary"},
    Meaning{"MISCONF", Errc::rejected,
            "Redis refuses writes because it cannot save to disk: look at its log"},
    Meaning{"NOREPLICAS", Errc::unavailable,
            "Redis has fewer replicas than min-replicas-to-write wants"},
    Meaning{"LOADING", Errc::unavailable, "Redis is still loading its data; try again soon"},
    Meaning{"BUSY", Errc::unavailable,
            "Redis is busy with somebody's long script; try again soon (SCRIPT KILL ends it)"},
    Meaning{"MASTERDOWN", Errc::unavailable, "this Redis replica has lost its primary"},
    Meaning{"CLUSTERDOWN", Errc::unavailable,
            "the Redis Cluster has no node for the session's slot, or not enough nodes: look at "
            "CLUSTER INFO"},
    Meaning{"TRYAGAIN", Errc::unavailable,
            "the session's slot is on its way to another node of the Redis Cluster; nothing was "
            "done, try again soon"},
    Meaning{"TOOLATE", Errc::unavailable,
            "the write came too late to be done; or the clocks of the Redis Cluster's nodes are "
            "more than 10 seconds apart"},
    Meaning{"MOVED", Errc::rejected, is_cluster},
    Meaning{"ASK", Errc::rejected, is_cluster},
    Meaning{"CROSSSLOT", Errc::rejected, is_cluster},
    Meaning{"DENIED", Errc::rejected,
            "Redis is in protected mode: set a password or bind it to this interface"},
};

bool is_word_character(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::string_view first_word(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && size < 24 && is_word_character(text[size])) ++size;
  return text.substr(0, size);
}

const Meaning* meaning_of(std::string_view text) {
  const std::string_view word = first_word(text);
  for (const Meaning& meaning : meanings) {
    if (meaning.word == word) return &meaning;
  }
  if (word != "ERR") return nullptr;
  // Redis 6.2 wraps the error of a command: "ERR Error running script (…): @user_script:1: -OOM …",
  // and some come without the dash.
  for (const Meaning& meaning : meanings) {
    const std::string dashed = '-' + std::string(meaning.word) + " ";
    const std::string spaced = ": " + std::string(meaning.word) + " ";
    if (text.find(dashed) != std::string_view::npos ||
        text.find(spaced) != std::string_view::npos) {
      return &meaning;
    }
  }
  return nullptr;
}

// "the command 'hlen'", of "NOPERM … to run the 'hlen' command"; empty when it is about a key.
std::string refused_command(std::string_view text) {
  constexpr std::string_view before = "to run the '";
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  const auto end = std::find_if(text.begin(), text.end(), [](char c) {
    return (c < 'a' || c > 'z') && c != '|';  // nothing that an id could be in
  });
  const std::string command(text.begin(), end);
  return command.empty() ? command : ", the command '" + command.substr(0, 24) + "'";
}

bool is_select_in_cluster(std::string_view text) {
  return text.starts_with("ERR SELECT is not allowed in cluster mode");
}

}  // namespace

Error server_error(std::string_view text, bool from_script) {
  if (text.find("max number of clients") != std::string_view::npos) {
    return make_error(Errc::unavailable, "Redis has no room for another client: raise maxclients");
  }
  if (is_select_in_cluster(text)) return node_of_cluster();
  if (is_unknown_command(text)) {
    return make_error(
        Errc::rejected,
        "Redis does not know a command that websession needs: it must be 6.2 or newer, "
        "with no command renamed, and without a proxy that knows only some of them");
  }
  if (const Meaning* meaning = meaning_of(text)) {
    std::string word(meaning->word);
    if (word == "NOPERM") word += refused_command(text);
    Error error = make_error(meaning->code, std::string(meaning->advice) + " (" + word + ")");
    error.maybe_applied = from_script && meaning->partly_applied;
    return error;
  }
  Error error =
      make_error(Errc::rejected, "Redis answered with the error " + std::string(first_word(text)) +
                                     "; it needs Redis 6.2 or newer");
  error.maybe_applied = from_script;
  return error;
}

Error unexpected_reply(bool maybe_applied) {
  Error error = make_error(Errc::corrupt, "Redis gave a reply that this command does not have");
  error.maybe_applied = maybe_applied;
  return error;
}

bool is_wrong_server(std::string_view text) {
  const Meaning* meaning = meaning_of(text);
  return meaning != nullptr && (meaning->word == "READONLY" || meaning->word == "MASTERDOWN" ||
                                meaning->word == "LOADING");
}

bool is_wrong_type(std::string_view text) { return first_word(text) == "WRONGTYPE"; }

bool refers_elsewhere(std::span<const Reply> replies, bool by_sentinel) {
  return std::any_of(replies.begin(), replies.end(), [by_sentinel](const Reply& reply) {
    if (reply.type() != Reply::Type::error) return false;
    const Meaning* meaning = by_sentinel ? meaning_of(reply.text()) : nullptr;
    const bool is_alone = meaning != nullptr && meaning->word == "NOREPLICAS";
    return is_alone || is_wrong_server(reply.text());
  });
}

bool is_of_cluster(std::string_view text) {
  const std::string_view word = first_word(text);
  return is_select_in_cluster(text) || word == "MOVED" || word == "ASK" || word == "CROSSSLOT" ||
         word == "CLUSTERDOWN" || word == "TRYAGAIN";
}

Error node_of_cluster() { return make_error(Errc::rejected, std::string(is_cluster)); }

bool is_unknown_command(std::string_view text) { return text.starts_with("ERR unknown command"); }

bool is_noscript(std::string_view text) { return first_word(text) == "NOSCRIPT"; }

}  // namespace websession::redis
