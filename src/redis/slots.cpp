#include "slots.hpp"

#include <array>
#include <vector>

namespace websession::redis {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t tail_characters = 3;
constexpr std::size_t head_characters = 32 - tail_characters;
constexpr std::size_t tails_count = std::size_t{1} << (6 * tail_characters);

// CRC16 as XMODEM has it (polynomial 0x1021, nothing reflected, begun with 0): the Cluster
// specification, "Key distribution model".
constexpr std::array<std::uint16_t, 256> make_crc_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    unsigned crc = byte << 8U;
    for (int bit = 0; bit < 8; ++bit) {
      crc = ((crc & 0x8000U) != 0 ? (crc << 1U) ^ 0x1021U : crc << 1U) & 0xffffU;
    }
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr std::array<std::uint16_t, 256> crc_table = make_crc_table();

std::uint16_t crc16(std::string_view bytes, std::uint16_t crc = 0) noexcept {
  for (const char c : bytes) {
    const unsigned at = (crc >> 8U) ^ static_cast<unsigned char>(c);
    crc = static_cast<std::uint16_t>((static_cast<unsigned>(crc) << 8U) ^ crc_table[at & 0xffU]);
  }
  return crc;
}

Slot slot_by(std::uint16_t crc) noexcept { return crc % slots_count; }

std::string tail_text(std::uint32_t tail) {
  std::string text;
  for (const unsigned shift : {12U, 6U, 0U}) text += alphabet[(tail >> shift) & 63U];
  return text;
}

// All tails by the slot in which they lie on their own. CRCs add up: behind a head, a tail lies in
// its own slot, moved by what the head alone comes to. So one table serves all heads.
struct Tails {
  std::array<std::uint32_t, slots_count + 1> begin{};
  std::vector<std::uint32_t> sorted = std::vector<std::uint32_t>(tails_count);

  Tails() {
    std::vector<Slot> slots(tails_count);
    for (std::uint32_t tail = 0; tail < tails_count; ++tail) {
      slots[tail] = slot_by(crc16(tail_text(tail)));
      ++begin[slots[tail] + 1U];
    }
    for (std::size_t slot = 0; slot < slots_count; ++slot) begin[slot + 1] += begin[slot];
    auto next = begin;
    for (std::uint32_t tail = 0; tail < tails_count; ++tail) sorted[next[slots[tail]]++] = tail;
  }
};

// Made when it is first needed: a megabyte, in a few milliseconds.
const Tails& tails() {
  static const Tails& made = *new Tails;  // threads may need it until the process ends
  return made;
}

// The random bits of a tail.
std::uint32_t bits_of(std::string_view tail) {
  std::uint32_t bits = 0;
  for (const char c : tail) bits = bits << 6U | static_cast<std::uint32_t>(alphabet.find(c));
  return bits;
}

}  // namespace

Slot slot_of(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return slot_by(crc16(key));
}

Result<SessionId> draw_id(std::string_view prefix, Slot slot) {
  while (true) {
    Result<SessionId> drawn = SessionId::generate();
    if (!drawn) return drawn;
    const std::string_view all = drawn->secret();
    const std::string_view head = all.substr(0, head_characters);
    constexpr std::string_view nothing("\0\0\0", tail_characters);
    const Slot own = slot ^ slot_by(crc16(nothing, crc16(head, crc16(prefix))));
    const Tails& known = tails();
    const std::uint32_t count = known.begin[own + 1U] - known.begin[own];
    // The tail that was drawn chooses one of those that fit, each as likely as the others.
    const std::uint32_t bits = bits_of(all.substr(head_characters));
    if (bits >= tails_count - tails_count % count) continue;
    const std::uint32_t tail = known.sorted[known.begin[own] + bits % count];
    return *SessionId::parse(std::string(head) + tail_text(tail));
  }
}

std::string tag_of(Slot slot) { return tail_text(tails().sorted[tails().begin[slot]]); }

}  // namespace websession::redis
