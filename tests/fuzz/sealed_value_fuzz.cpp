// Encrypted values as they come back from a store. The input is "attribute|" and a text: it is
// opened, and it is sealed as if it were a value.

#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "sealed_value.hpp"

namespace {

using websession::KeyRing;
using websession::Result;
using websession::StoreKey;
using websession::fuzz::Input;
using websession::fuzz::require;
using websession::internal::SealingKeys;
using websession::internal::SessionCipher;

// The corpus holds texts that were sealed with these, for "session" and "role".
const SealingKeys& keys() {
  static const SealingKeys all(KeyRing::make({std::string(32, 'n'), std::string(32, 'o')}).value());
  return all;
}

void check_opened(const std::string& attribute, std::string_view text, std::string_view value) {
  require(text.size() == websession::internal::sealed_bytes(value.size()),
          "what opens has the length that its value gives it");
  SessionCipher other(keys(), StoreKey("another session"));
  require(!other.open(attribute, text).has_value(), "it opens in no other session");
  SessionCipher same(keys(), StoreKey("session"));
  require(!same.open(attribute + "x", text).has_value(), "it opens for no other attribute");
  require(!same.open(attribute, text.substr(0, text.size() - 1)).has_value(),
          "it does not open without its last character");
  require(!same.open(attribute, std::string(text) + "A").has_value(),
          "it does not open with one more");
}

void check_altered(const std::string& attribute, std::string sealed, std::size_t place) {
  char& c = sealed[place % sealed.size()];
  c = c == 'A' ? 'B' : 'A';
  SessionCipher cipher(keys(), StoreKey("session"));
  require(!cipher.open(attribute, sealed).has_value(), "no altered character is overlooked");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string attribute = input.piece();
  const std::string_view text = input.rest();
  SessionCipher cipher(keys(), StoreKey("session"));

  const Result<std::string> opened = cipher.open(attribute, text);
  if (opened) {
    check_opened(attribute, text, *opened);
  } else {
    require(opened.error().code == websession::Errc::corrupt, "what does not open is corrupt");
  }

  const Result<std::string> sealed = cipher.seal(attribute, text);
  require(sealed.has_value(), "any bytes can be sealed");
  const Result<std::string> again = cipher.open(attribute, *sealed);
  require(again && *again == text, "what was sealed opens to what it was");
  check_opened(attribute, *sealed, text);
  check_altered(attribute, *sealed, size * 31 + (size > 0 ? data[size - 1] : 0U));
  return 0;
}
