#include "output.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <websession/session_directory.hpp>
#include <websession/value.hpp>

namespace admin {
namespace {

using std::chrono::milliseconds;
using websession::Field;

// Of a time as another program may have written it: up to the year 9999.
std::optional<websession::WallTime> time_of(std::string_view text) {
  const auto ms = websession::parse_integer(text);
  if (!ms || *ms < 0 || *ms > 253'402'300'799'999) return std::nullopt;
  return websession::WallTime(milliseconds(*ms));
}

// How many bytes the first character of UTF-8 has; 0: it is none, or one that terminals obey.
std::size_t character_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xc2 && first < 0xe0   ? 2
                           : first >= 0xe0 && first < 0xf0 ? 3
                           : first >= 0xf0 && first < 0xf5 ? 4
                                                           : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0U) != 0x80) return 0;
  }
  const bool is_c1 = first == 0xc2 && at(1) < 0xa0;
  const bool is_long = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool is_none = (first == 0xed && at(1) >= 0xa0) || (first == 0xf4 && at(1) >= 0x90);
  // Marks that turn the direction of what follows, or cannot be seen.
  const bool turns = (first == 0xd8 && at(1) == 0x9c) ||
                     (first == 0xe2 && at(1) == 0x80 &&
                      ((at(2) >= 0xa8 && at(2) <= 0xae) || (at(2) >= 0x8b && at(2) <= 0x8f))) ||
                     (first == 0xe2 && at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9);
  return is_c1 || is_long || is_none || turns ? 0 : size;
}

// At most so many characters.
std::string cut(const std::string& text, std::size_t most) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++characters) {
    const std::size_t size =
        std::max<std::size_t>(character_bytes(std::string_view(text).substr(i)), 1);
    if (characters + 1 == most && i + size < text.size()) return text.substr(0, i) + "…";
    i += size;
  }
  return text;
}

// To a width, by characters.
std::string padded(const std::string& text, std::size_t width) {
  const auto characters =
      static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
      }));
  return text + std::string(width > characters ? width - characters : 0, ' ');
}

constexpr std::size_t principal_width = 20;
constexpr std::size_t label_width = 30;

std::string columns(const std::string& handle, const std::string& principal,
                    const std::string& created, const std::string& left,
                    const std::string& attributes, const std::string& label) {
  std::string line = padded(handle, 24) + padded(principal, principal_width + 2) +
                     padded(created, 21) + padded(left, 10) + padded(attributes, 12) + label;
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

Shown shown(const websession::StoreKey& key, const websession::Record& record, bool reveals) {
  Shown session;
  session.handle = websession::handle_of(key);
  if (reveals) session.key = key.secret();
  const websession::Fields& fields = record.fields;
  session.principal = fields.find(websession::user_field).value_or("");
  session.label = fields.find(websession::label_field).value_or("");
  if (const auto created = fields.find(websession::created_field))
    session.created = time_of(*created);
  session.left = record.remaining;
  for (const Field& field : fields) {
    if (field.name.starts_with('@')) continue;
    ++session.attributes;
    session.bytes += field.name.size() + field.value.size();
  }
  return session;
}

nlohmann::json json_of(const Shown& session) {
  nlohmann::json object{{"handle", session.handle},
                        {"expires_in_ms", session.left.count()},
                        {"attributes", session.attributes},
                        {"bytes", session.bytes}};
  if (!session.key.empty()) object["key"] = session.key;
  if (!session.principal.empty()) object["principal"] = session.principal;
  if (!session.label.empty()) object["label"] = session.label;
  if (session.created) object["created_ms"] = session.created->time_since_epoch().count();
  return object;
}

std::string line_of(const nlohmann::json& object) {
  return object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string heading() {
  return columns("HANDLE", "PRINCIPAL", "CREATED (UTC)", "EXPIRES", "ATTRIBUTES", "LABEL");
}

std::string row_of(const Shown& session) {
  const std::string principal =
      session.principal.empty() ? "-" : cut(clean(session.principal), principal_width);
  const std::string row =
      columns(session.handle, principal, session.created ? time_text(*session.created) : "-",
              session.left.count() > 0 ? duration_text(session.left) : "-",
              std::to_string(session.attributes), cut(clean(session.label), label_width));
  return session.key.empty() ? row : row + "  key " + clean(session.key);
}

std::string clean(std::string_view text) {
  std::string cleaned;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) {
      cleaned += '?';
    } else {
      cleaned += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return cleaned;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string duration_text(milliseconds d) {
  using namespace std::chrono;
  if (d < milliseconds(0)) d = milliseconds(0);
  if (d >= hours(48)) return std::to_string(duration_cast<hours>(d).count() / 24) + " d";
  if (d >= hours(2)) return std::to_string(duration_cast<hours>(d).count()) + " h";
  if (d >= minutes(2)) return std::to_string(duration_cast<minutes>(d).count()) + " min";
  return std::to_string(duration_cast<seconds>(d).count()) + " s";
}

std::string time_text(websession::WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count() / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return {text.data(), size};
}

std::string masked(std::string_view text) {
  const auto value = websession::decode<nlohmann::json>(text);
  const std::string kind = value.has_value() ? value->type_name() : "text";
  return kind + ", " + grouped(text.size()) + (text.size() == 1 ? " byte" : " bytes");
}

}  // namespace admin
