// What is shown, to people or to programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <websession/clock.hpp>
#include <websession/session_store.hpp>

namespace admin {

// A session as it is shown.
struct Shown {
  std::string handle{};
  std::string key{};  // empty: it is not shown
  std::string principal{};
  std::string label{};
  std::optional<websession::WallTime> created{};
  std::chrono::milliseconds left{};
  std::size_t attributes = 0;
  std::size_t bytes = 0;  // of their names and values
};
Shown shown(const websession::StoreKey& key, const websession::Record& record, bool reveals);

[[nodiscard]] nlohmann::json json_of(const Shown& session);
// One line, whatever bytes are in it.
[[nodiscard]] std::string line_of(const nlohmann::json& object);

[[nodiscard]] std::string heading();
[[nodiscard]] std::string row_of(const Shown& session);

// Fit for a terminal: no control characters, and UTF-8; what is not becomes '?'.
[[nodiscard]] std::string clean(std::string_view text);
[[nodiscard]] std::string grouped(std::uint64_t number);               // 1,234,567
[[nodiscard]] std::string duration_text(std::chrono::milliseconds d);  // "29 min", "11 h", "3 d"
[[nodiscard]] std::string time_text(websession::WallTime time);        // UTC

// What a value is, without saying it.
[[nodiscard]] std::string masked(std::string_view text);

}  // namespace admin
