// The session that all benchmarks use: 6 fields, 275 bytes of names and values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "websession/fields.hpp"

namespace websession::bench {

using NameAndValue = std::pair<std::string_view, std::string_view>;

inline constexpr std::array<NameAndValue, 6> session_data{{
    {"@created", "1700000000000"},
    {"@user", "482913"},
    {"cart",
     "[{\"sku\":\"A-10293\",\"n\":2},{\"sku\":\"B-55120\",\"n\":1},{\"sku\":\"C-1\",\"n\":9}]"},
    {"csrf", "Zk3fQ0b7r2VYt1mXc8JpLw9uNsA4dEhG6iTqOyKvRz5BxMnPFWj"},
    {"locale", "de-DE"},
    {"profile",
     "{\"name\":\"Erika "
     "Mustermann\",\"theme\":\"dark\",\"fonts\":\"large\",\"tz\":\"Europe/Berlin\",\"beta\":"
     "true,\"n\":1}"},
}};

constexpr std::size_t session_bytes() {
  std::size_t bytes = 0;
  for (const auto& [name, value] : session_data) bytes += name.size() + value.size();
  return bytes;
}
static_assert(session_bytes() == 275);

inline Fields session_fields() {
  std::array<Field, session_data.size()> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    fields[i] = {session_data[i].first, session_data[i].second};
  }
  return Fields(fields);
}

// An id as the library makes them, but the same for the same number: 32 characters.
inline std::string id_of(std::uint64_t number) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string id(32, 'A');
  std::uint64_t bits = number;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i % 8 == 0) {  // splitmix64, so that ids look random
      bits = number + (i + 1) * 0x9e3779b97f4a7c15U;
      bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
      bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
      bits ^= bits >> 31U;
    }
    id[i] = digits[bits & 63U];
    bits >>= 6U;
  }
  return id;
}

}  // namespace websession::bench
