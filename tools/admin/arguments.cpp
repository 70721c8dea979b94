#include "arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>
#include <vector>

namespace admin {
namespace {

// What a command takes beside the options that are about the store.
struct Command {
  std::string_view name;
  // What its word is.
  enum class Operand { none, id, text } operand;
  std::string_view options;
};
using Operand = Command::Operand;
constexpr std::array<Command, 7> commands{
    {{"count", Operand::none, "--json --exact "},
     {"list", Operand::none, "--json --reveal --principal --limit "},
     {"show", Operand::id, "--json --reveal --principal --ids --namespace "},
     {"end", Operand::id, "--json --principal --ids --namespace "},
     {"end-all", Operand::text, "--json "},
     {"hash", Operand::id, "--json --namespace "},
     {"watch", Operand::none, "--json --exact --interval --times "}}};
constexpr std::string_view of_the_store = "--store -s --prefix --ca --cert --key ";

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Seconds, with a fraction: "0.5".
std::optional<std::chrono::milliseconds> seconds_of(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_time = error == std::errc() && end == text.data() + text.size() &&
                       seconds >= 0.05 && seconds <= 86'400;
  if (!is_time) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// Options with a value. False: there is no such one. `problem`: the value is none.
bool take(Arguments& arguments, std::string_view option, const std::string& value,
          std::string& problem) {
  const auto wrong = [&](std::string_view expected) {
    problem = std::string(option) + ": " + std::string(expected);
  };
  if (option == "--store" || option == "-s") {
    arguments.store = value;
    if (value.empty()) wrong("must not be empty");
  } else if (option == "--prefix") {
    arguments.prefix = value;
    if (value.empty()) wrong("must not be empty");
  } else if (option == "--ca") {
    arguments.ca_file = value;
  } else if (option == "--cert") {
    arguments.certificate_file = value;
  } else if (option == "--key") {
    arguments.key_file = value;
  } else if (option == "--namespace") {
    arguments.id_namespace = value;
  } else if (option == "--principal") {
    arguments.principal = value;
    if (value.empty()) wrong("must not be empty");
  } else if (option == "--ids") {
    if (value == "plain") {
      arguments.storage = websession::IdStorage::plain;
    } else if (value == "hashed") {
      arguments.storage = websession::IdStorage::hashed_only;
    } else {
      wrong("plain or hashed");
    }
  } else if (option == "--limit" || option == "--times") {
    const auto number = number_of(value);
    if (!number || *number == 0) wrong("a number, 1 or more");
    (option == "--limit" ? arguments.limit : arguments.times) = number;
  } else if (option == "--interval") {
    const auto time = seconds_of(value);
    if (!time) wrong("seconds, 0.05 to 86400");
    arguments.interval = time.value_or(arguments.interval);
  } else {
    return false;
  }
  return true;
}

bool take_flag(Arguments& arguments, std::string_view option) {
  if (option == "--json") return arguments.json = true;
  if (option == "--reveal") return arguments.reveals = true;
  if (option == "--exact") return arguments.exact = true;
  return false;
}

// Options as they were given, and words that may be one, or an id.
struct Given {
  std::vector<std::string> options{};
  std::vector<std::string> words{};
  std::string dashed{};  // what looks like an option, and is none
};

std::string check(Arguments& arguments, const Given& given) {
  if (given.words.empty()) return "there is no command";
  arguments.command = given.words[0];
  const auto* const found =
      std::find_if(commands.begin(), commands.end(),
                   [&](const Command& command) { return command.name == arguments.command; });
  if (found == commands.end()) return "there is no command \"" + arguments.command + "\"";
  std::vector<std::string> operands(given.words.begin() + 1, given.words.end());
  if (!given.dashed.empty()) {  // handles and ids may begin like an option
    constexpr std::size_t shortest_id = 16;
    const bool is_id =
        found->operand == Operand::id && operands.empty() && given.dashed.size() >= shortest_id;
    if (!is_id) return "there is no option " + given.dashed;
    operands.push_back(given.dashed);
  }
  for (const std::string& option : given.options) {
    const std::string word = option + " ";
    const bool is_taken = found->options.find(word) != std::string_view::npos ||
                          of_the_store.find(word) != std::string_view::npos;
    if (!is_taken) return arguments.command + ": takes no option " + option;
  }
  const std::size_t most = found->operand == Operand::none ? 0 : 1;
  if (operands.size() > most) {
    return arguments.command + ": \"" + operands[most] + "\" is one word too many";
  }
  if (operands.size() < most) return arguments.command + ": needs one more word";
  if (most == 1) arguments.operand = operands[0];
  if (!arguments.store.empty()) return {};
  const char* store = std::getenv("WEBSESSION_STORE");
  if (store != nullptr) arguments.store = store;
  if (!arguments.store.empty() || arguments.command == "hash") return {};
  return "where are the sessions? Say --store URL, or set WEBSESSION_STORE";
}

}  // namespace

const std::string_view usage =
    "Usage: websession-admin [OPTION…] COMMAND\n"
    "\n"
    "Commands:\n"
    "  count              how many sessions there are\n"
    "  list               all sessions, one a line\n"
    "  show SESSION       one of them, with its attributes\n"
    "  end SESSION        end it\n"
    "  end-all PRINCIPAL  end all sessions of a principal\n"
    "  hash ID            what the session of an id is called in a list\n"
    "  watch              how many there are, again and again\n"
    "\n"
    "SESSION is a handle, as list shows it, or an id; ID is an id. \"-\": read it from the\n"
    "standard input, as what stands on a command line can be read by others on the machine.\n"
    "\n"
    "Options:\n"
    "  -s, --store URL    redis[s]://…, unix://…, redis[s]-sentinel://…, redis[s]-cluster://…\n"
    "                     json+redis://… (sessions of express-session), sqlite:FILE,\n"
    "                     postgresql://… or postgresql:host=… dbname=…; @FILE: the URL stands in\n"
    "                     the file's first line.\n"
    "                     Not given: the environment's WEBSESSION_STORE\n"
    "  --prefix TEXT      of Redis' keys (sid_; of json+redis sess:)\n"
    "  --ca, --cert, --key FILE\n"
    "                     of rediss: who signed the server's certificate; one's own, and its key\n"
    "  --ids plain|hashed what the keys hold (IdStorage); else both are tried\n"
    "  --namespace TEXT   SessionOptions::id_namespace\n"
    "  --principal NAME   list, show, end: only of this principal\n"
    "  --limit N          list: so many at most\n"
    "  --exact            count, watch: one by one, however long that takes\n"
    "  --interval SECONDS watch: 2\n"
    "  --times N          watch: stop after so many\n"
    "  --json             one JSON object a line\n"
    "  --reveal           show keys (ids, unless they are hashed) and values, too\n"
    "  --help, --version\n"
    "\n"
    "Ends with 0; 1, an error of the store; 2, a mistake on the command line; 3, there is no such\n"
    "session. More: man websession-admin\n";

Parsed parse(int argc, char** argv) {
  Parsed parsed;
  Arguments arguments;
  Given given;
  bool only_words = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool is_option = !only_words && word.size() > 1 && word[0] == '-';
    if (!is_option) {
      given.words.push_back(word);
      continue;
    }
    if (word == "--") {
      only_words = true;
      continue;
    }
    if (word == "--help" || word == "-h") {
      parsed.wants_help = true;
      return parsed;
    }
    if (word == "--version") {
      parsed.wants_version = true;
      return parsed;
    }
    if (take_flag(arguments, word)) {
      given.options.push_back(word);
      continue;
    }
    const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string option = word.substr(0, equals);
    const bool has_value = equals != std::string::npos || i + 1 < argc;
    const std::string value = equals != std::string::npos ? word.substr(equals + 1)
                              : has_value                 ? argv[i + 1]
                                                          : "";
    if (!take(arguments, option, value, parsed.problem)) {
      if (!given.dashed.empty()) break;
      given.dashed = word;
      continue;
    }
    if (!has_value) parsed.problem = option + ": needs a value";
    if (!parsed.problem.empty()) return parsed;
    given.options.push_back(option);
    if (equals == std::string::npos) ++i;
  }
  parsed.problem = check(arguments, given);
  if (parsed.problem.empty()) parsed.arguments = std::move(arguments);
  return parsed;
}

}  // namespace admin
