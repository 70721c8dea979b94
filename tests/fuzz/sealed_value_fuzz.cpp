// Encrypted values as they come back from a store. The input is "name|deadline|" (Unix ms; none: no
// number) and a text: it is opened, and it is sealed as if it were a value.

#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "sealed_value.hpp"

namespace {

using websession::Field;
using websession::KeyRing;
using websession::Result;
using websession::StoreKey;
using websession::WallTime;
using websession::fuzz::Input;
using websession::fuzz::require;
using websession::internal::SealingKeys;
using websession::internal::SessionCipher;

// The corpus holds texts that were sealed with these, for "session" and "role".
const SealingKeys& keys() {
  static const SealingKeys all(KeyRing::make({std::string(32, 'n'), std::string(32, 'o')}).value());
  return all;
}

void check_opened(const Field& sealed, std::string_view value) {
  const std::string_view text = sealed.value;
  require(text.size() == websession::internal::sealed_bytes(value.size()),
          "what opens has the length that its value gives it");
  SessionCipher other(keys(), StoreKey("another session"));
  require(!other.open(sealed).has_value(), "it opens in no other session");
  SessionCipher same(keys(), StoreKey("session"));
  const auto opens = [&](std::string_view name, std::string_view altered,
                         std::optional<WallTime> deadline) {
    return same.open({name, altered, deadline}).has_value();
  };
  const std::optional<WallTime>& deadline = sealed.deadline;
  require(!opens(std::string(sealed.name) + "x", text, deadline), "it opens for no other field");
  const WallTime later(deadline ? WallTime::duration(deadline->time_since_epoch().count() ^ 1)
                                : WallTime::duration(0));
  require(!opens(sealed.name, text, later), "it does not open with another deadline");
  require(!deadline || !opens(sealed.name, text, std::nullopt), "nor without its deadline");
  require(!opens(sealed.name, text.substr(0, text.size() - 1), deadline),
          "it does not open without its last character");
  require(!opens(sealed.name, std::string(text) + "A", deadline), "it does not open with one more");
}

void check_altered(const Field& field, std::string sealed, std::size_t place) {
  char& c = sealed[place % sealed.size()];
  c = c == 'A' ? 'B' : 'A';
  SessionCipher cipher(keys(), StoreKey("session"));
  require(!cipher.open({field.name, sealed, field.deadline}).has_value(),
          "no altered character is overlooked");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string name = input.piece();
  const std::optional<std::int64_t> ms = input.number();
  Field field{name, input.rest()};
  if (ms) field.deadline = WallTime(WallTime::duration(*ms));
  SessionCipher cipher(keys(), StoreKey("session"));

  const Result<std::string> opened = cipher.open(field);
  if (opened) {
    check_opened(field, *opened);
  } else {
    require(opened.error().code == websession::Errc::corrupt, "what does not open is corrupt");
  }

  const Result<std::string> alike = cipher.seal_alike(field);
  require(alike && *alike == *cipher.seal_alike(field), "what is sealed alike looks alike");
  for (const Result<std::string>& sealed : {cipher.seal(field), alike}) {
    require(sealed.has_value(), "any bytes can be sealed");
    const Field stored{field.name, *sealed, field.deadline};
    const Result<std::string> again = cipher.open(stored);
    require(again && *again == field.value, "what was sealed opens to what it was");
    check_opened(stored, field.value);
    check_altered(stored, *sealed, size * 31 + (size > 0 ? data[size - 1] : 0U));
  }
  return 0;
}
